/*
 * The one request that waits for the operator's signature.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/pending.h"
#include "base/limits.h"
#include "tpm/approve.h"

/* An operator needs time; a session of the TPM is not held for ever. */
#define LAPSES_US (10 * 60 * (gint64)G_USEC_PER_SEC)

bool vsm_pending_operator(VsmHost *host, GError **error)
{
    if (vsm_tpm_keys(host->tpm)->operator_public) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                "the boot policy is frozen: this store was set up without an "
                "operator's key, so nothing can be approved, resealed or "
                "adopted; take new snapshots, or set a store up with "
                "--operator-key");
    return false;
}

bool vsm_pending_too_many(GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "at most %u boot states can be approved at once: keep fewer",
                VSM_TPM_STATES_MAX);
    return false;
}

bool vsm_pending_free_slot(VsmHost *host, GError **error)
{
    if (host->pending.bytes &&
        g_get_monotonic_time() < host->pending.lapses_us) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "a request waits for the operator's signature already: "
                    "finish it, or abort it");
        return false;
    }
    vsm_pending_clear(host);
    return true;
}

void vsm_pending_set(VsmHost *host, VsmOperatorRequest *request, GBytes *bytes)
{
    host->pending.request = request;
    host->pending.bytes = g_bytes_ref(bytes);
    host->pending.lapses_us = g_get_monotonic_time() + LAPSES_US;
}

bool vsm_pending_answered(VsmHost *host,
                          VsmOperatorOp op,
                          GBytes *signature,
                          GBytes **ret_raw,
                          GError **error)
{
    if (!host->pending.bytes ||
        g_get_monotonic_time() >= host->pending.lapses_us) {
        vsm_pending_clear(host);
        g_set_error(error, VSM_ERROR, VSM_ERROR_STALE,
                    "no request waits for this signature: it was used, or "
                    "lapsed after 10 minutes; begin anew");
        return false;
    }
    if (host->pending.request->op != op) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "the request that waits is of another operation");
        return false;
    }
    return vsm_operator_check(vsm_tpm_keys(host->tpm)->operator_public,
                              host->pending.bytes, signature, ret_raw, error);
}

void vsm_pending_clear(VsmHost *host)
{
    VsmPending *pending = &host->pending;

    if (pending->request && pending->request->op == VSM_OPERATOR_APPROVE) {
        vsm_tpm_approve_abort(host->tpm);
    }
    g_clear_pointer(&pending->request, vsm_operator_request_free);
    g_clear_pointer(&pending->bytes, g_bytes_unref);
    g_clear_pointer(&pending->states, g_array_unref);
    g_clear_pointer(&pending->config, g_free);
}

void vsm_host_operator_abort(VsmHost *host)
{
    g_mutex_lock(&host->mutex);
    vsm_pending_clear(host);
    g_mutex_unlock(&host->mutex);
}
