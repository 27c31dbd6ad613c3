/*
 * The attester that the object's properties name
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_ATTESTER_OPEN_H
#define VSM_ATTESTER_OPEN_H

#include "object.h"

/* Refuses properties that do not belong together; the first by name.  */
bool vsm_attester_properties(VsmManager *m, Error **errp);

/*
 * In process: opens TPM and store.  With a daemon: nothing is asked of it yet,
 * and other processes of this user may no longer look into QEMU.
 */
VsmAttester *vsm_attester_open(VsmManager *m, GError **error);

#endif /* VSM_ATTESTER_OPEN_H */
