/*
 * Folders of a VM that the catalogue does not list: records that wait for the
 * VM's hypervisor to delete their entries from the disks, and what is none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "host/internal.h"

/* How long folders may be dropped at one time; tests have less of it. */
extern gint64 vsm_debris_sweep_us;

/*
 * @own of all functions: entries of @uuid, and of others or not.  They lock the
 * mutex to note an error.
 */

/* How many folders of @uuid are not in @own; none is opened. */
bool vsm_debris_count(VsmHost *host,
                      const char *uuid,
                      const VsmCatalogue *own,
                      guint *ret,
                      GError **error);

/*
 * Called while @uuid has no transaction: what is no record goes once there are
 * so many folders.  Errors: LIMIT when VSM_DEBRIS_MAX records wait already;
 * BUSY when more is to be dropped than in a request's time.
 */
bool vsm_debris_admit(VsmHost *host,
                      const char *uuid,
                      const VsmCatalogue *own,
                      GError **error);

/*
 * At the open: what is no record goes.  What cannot go is noted and stays: no
 * VM's folder keeps the host from the others.
 */
bool vsm_debris_sweep_all(VsmHost *host, GError **error);
