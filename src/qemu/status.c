/*
 * What the attester says of itself
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "call.h"
#include "status.h"

typedef struct StatusCall {
    VsmManager *m;
    VsmVm vm;
    GCancellable *cancel;
    VsmStatus *status;
} StatusCall;

static bool status_worker(void *opaque, GError **error)
{
    StatusCall *call = opaque;

    return vsm_attester_status(call->m->attester, &call->vm, &call->status,
                               call->cancel, error);
}

bool vsm_refresh_status(VsmManager *m, Error **errp)
{
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    StatusCall call = {.m = m, .cancel = cancel};
    g_autofree char *config = NULL;

    if (m->state != VSM_STATE_IDLE && m->status) {
        return true;
    }
    config = vsm_describe_vm(m, &call.vm);
    if (!vsm_query(m, status_worker, &call, cancel, errp)) {
        return false;
    }
    g_clear_pointer(&m->status, vsm_status_free);
    m->status = call.status;
    g_free(m->config);
    m->config = g_steal_pointer(&config);
    return true;
}
