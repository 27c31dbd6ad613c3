/*
 * What bounds the TPM commands of a thread beside their own deadline.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/request.h"

static GPrivate current;

void vsm_tpm_request_set(const VsmTpmRequest *request)
{
    g_private_set(&current, (gpointer)request);
}

const VsmTpmRequest *vsm_tpm_request(void)
{
    return g_private_get(&current);
}

bool vsm_tpm_request_over(VsmTpmLinkEnd *ret)
{
    const VsmTpmRequest *request = vsm_tpm_request();

    if (request && request->cancel &&
        g_cancellable_is_cancelled(request->cancel)) {
        *ret = VSM_TPM_LINK_CANCELLED;
        return true;
    }
    if (request && request->deadline_us &&
        g_get_monotonic_time() >= request->deadline_us) {
        *ret = VSM_TPM_LINK_OVERDUE;
        return true;
    }
    return false;
}
