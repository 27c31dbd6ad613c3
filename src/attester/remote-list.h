/*
 * A VM's list over the socket, and what became of a change of it whose answer
 * was lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "attester/connection.h"

/* Of VsmRecord, all pages; @deadline_ms of each page; 0: the connection's. */
GPtrArray *vsm_remote_list(VsmConnection *connection,
                           guint deadline_ms,
                           GCancellable *cancel,
                           GError **error);

/*
 * Asks for what changes the list of @id.  After a lost answer @ret_listed says
 * what became of it, and true is returned with no @ret.
 */
bool vsm_remote_decide(VsmConnection *connection,
                       const VsmRequest *request,
                       const char *id,
                       gpointer *ret,
                       VsmRecord **ret_listed,
                       GError **error);
