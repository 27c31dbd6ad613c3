/*
 * The commit index: read, certify, extend, and settle a lost answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/nv.h"

#include <string.h>
#include "tpm/esys.h"

bool vsm_tpm_nv_read(VsmTpm *tpm,
                     VsmDigest *ret_value,
                     bool *ret_written,
                     GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    g_auto(VsmTpmHandle) session = VSM_TPM_NO_HANDLE;
    g_autofree TPM2B_MAX_NV_BUFFER *data = NULL;
    bool written = true;
    ESYS_TR index;
    TSS2_RC rc;

    if (!entered || !vsm_tpm_session_hmac(tpm, false, &session, error)) {
        return false;
    }
    index = tpm->fixed[VSM_TPM_COMMIT_INDEX];
    /* The session's HMAC covers the answer: nobody on the bus can change it. */
    rc = Esys_NV_Read(tpm->esys, index, index,
                      vsm_tpm_use(&session, VSM_TPM_LAST), ESYS_TR_NONE,
                      ESYS_TR_NONE, VSM_DIGEST_BYTES, 0, &data);
    if (vsm_tpm_is(rc, TPM2_RC_NV_UNINITIALIZED)) {
        written = false;
    } else if (!vsm_tpm_ok(tpm, rc, "read the commit index", error)) {
        return false;
    } else {
        vsm_tpm_used_up(&session);
        if (data->size != VSM_DIGEST_BYTES) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_TPM,
                        "the commit index gave %u bytes, not %u", data->size,
                        VSM_DIGEST_BYTES);
            return false;
        }
    }
    memset(ret_value, 0, sizeof(*ret_value));
    if (written) {
        memcpy(ret_value->b, data->buffer, sizeof(ret_value->b));
    }
    if (ret_written) {
        *ret_written = written;
    }
    return true;
}

/* The session for the index; kept between NV_Certify and NV_Extend. */
static bool commit_session(VsmTpm *tpm, GError **error)
{
    VsmTpmHandle *session = &tpm->commit_session;

    if (session->tr != ESYS_TR_NONE && session->generation == tpm->generation) {
        return true;
    }
    return vsm_tpm_session_hmac(tpm, false, session, error);
}

bool vsm_tpm_nv_certify(VsmTpm *tpm,
                        const VsmDigest *extra_data,
                        VsmTpmEvidence *ret,
                        GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    g_auto(VsmTpmHandle) ak = VSM_TPM_NO_HANDLE;
    const TPMT_SIG_SCHEME own_scheme = {.scheme = TPM2_ALG_NULL};
    TPM2B_ATTEST *attest = NULL;
    TPMT_SIGNATURE *signature = NULL;
    TPM2B_DATA data = vsm_tpm_data(extra_data);
    ESYS_TR index;
    TSS2_RC rc;

    if (!entered || !vsm_tpm_session_hmac(tpm, false, &ak, error) ||
        !commit_session(tpm, error)) {
        return false;
    }
    index = tpm->fixed[VSM_TPM_COMMIT_INDEX];
    rc = Esys_NV_Certify(tpm->esys, tpm->fixed[VSM_TPM_AK], index, index,
                         vsm_tpm_use(&ak, VSM_TPM_LAST),
                         vsm_tpm_use(&tpm->commit_session, VSM_TPM_PLAIN),
                         ESYS_TR_NONE, &data, &own_scheme, VSM_DIGEST_BYTES, 0,
                         &attest, &signature);
    if (!vsm_tpm_ok(tpm, rc, "certify the commit index", error)) {
        return false;
    }
    vsm_tpm_used_up(&ak);
    return vsm_tpm_evidence(attest, signature, ret, error);
}

static bool extend(VsmTpm *tpm, const VsmDigest *body, GError **error)
{
    TPM2B_MAX_NV_BUFFER data = {.size = sizeof(body->b)};
    ESYS_TR index = tpm->fixed[VSM_TPM_COMMIT_INDEX];
    TSS2_RC rc;

    memcpy(data.buffer, body->b, sizeof(body->b));
    rc = Esys_NV_Extend(tpm->esys, index, index,
                        vsm_tpm_use(&tpm->commit_session, VSM_TPM_LAST),
                        ESYS_TR_NONE, ESYS_TR_NONE, &data);
    if (!vsm_tpm_ok(tpm, rc, "extend the commit index", error)) {
        return false;
    }
    vsm_tpm_used_up(&tpm->commit_session);
    return true;
}

/*
 * The answer is lost or was an error: what does the index hold?  Never extend
 * again: an extend that was done cannot be taken back.
 */
static bool settle(VsmTpm *tpm,
                   const VsmDigest *before,
                   const VsmDigest *after,
                   GError *why,
                   GError **error)
{
    g_autoptr(GError) own_why = why;
    g_autoptr(GError) unread = NULL;
    VsmDigest now;

    if (!vsm_tpm_nv_read(tpm, &now, NULL, &unread)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_IN_DOUBT,
                    "%s; whether the commit happened cannot be read: %s",
                    why->message, unread->message);
        return false;
    }
    if (vsm_digest_equal(&now, after)) {
        return true;
    }
    if (vsm_digest_equal(&now, before)) {
        g_propagate_error(error, g_steal_pointer(&own_why));
        return false;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_REPLAYED,
                "the commit index of the TPM holds a value that this store "
                "never had (%s)",
                why->message);
    return false;
}

bool vsm_tpm_nv_extend(VsmTpm *tpm,
                       const VsmDigest *before,
                       const VsmDigest *body,
                       VsmDigest *ret_after,
                       GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    GError *why = NULL;
    VsmDigest after;

    if (!entered || !commit_session(tpm, error)) {
        return false; /* nothing was sent */
    }
    vsm_tpm_commit_next(before, body, &after);
    if (!extend(tpm, body, &why) && !settle(tpm, before, &after, why, error)) {
        return false;
    }
    *ret_after = after;
    return true;
}
