/*
 * What bounds the TPM commands of a thread beside their own deadline.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/request.h"

static GPrivate current;
static _Thread_local gint64 callers_deadline_us;

void vsm_tpm_request_set(const VsmTpmRequest *request)
{
    g_private_set(&current, (gpointer)request);
}

const VsmTpmRequest *vsm_tpm_request(void)
{
    return g_private_get(&current);
}

void vsm_tpm_set_deadline(gint64 deadline_us)
{
    callers_deadline_us = deadline_us;
}

gint64 vsm_tpm_deadline(void)
{
    const VsmTpmRequest *request = vsm_tpm_request();
    gint64 own = request ? request->deadline_us : 0;

    return own && callers_deadline_us ? MIN(own, callers_deadline_us)
                                      : MAX(own, callers_deadline_us);
}

bool vsm_tpm_request_over(VsmTpmLinkEnd *ret)
{
    const VsmTpmRequest *request = vsm_tpm_request();
    gint64 deadline_us = vsm_tpm_deadline();

    if (request && request->cancel &&
        g_cancellable_is_cancelled(request->cancel)) {
        *ret = VSM_TPM_LINK_CANCELLED;
        return true;
    }
    if (deadline_us && g_get_monotonic_time() >= deadline_us) {
        *ret = VSM_TPM_LINK_OVERDUE;
        return true;
    }
    return false;
}
