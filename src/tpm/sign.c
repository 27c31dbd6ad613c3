/*
 * What AK and RK sign.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/sign.h"

#include <string.h>
#include <tss2/tss2_mu.h>
#include "tpm/esys.h"

/* The key's own scheme. */
static const TPMT_SIG_SCHEME own_scheme = {.scheme = TPM2_ALG_NULL};

void vsm_tpm_evidence_clear(VsmTpmEvidence *evidence)
{
    g_clear_pointer(&evidence->attest, g_bytes_unref);
    g_clear_pointer(&evidence->signature, g_bytes_unref);
}

bool vsm_tpm_quote_with(VsmTpm *tpm,
                        ESYS_TR session,
                        guint16 bank,
                        guint32 mask,
                        const VsmDigest *extra_data,
                        VsmTpmEvidence *ret,
                        GError **error)
{
    TPM2B_ATTEST *attest = NULL;
    TPMT_SIGNATURE *signature = NULL;
    TPM2B_DATA data = vsm_tpm_data(extra_data);
    TPML_PCR_SELECTION pcrs = vsm_tpm_selection(bank, mask);
    TSS2_RC rc = Esys_Quote(tpm->esys, tpm->fixed[VSM_TPM_AK], session,
                            ESYS_TR_NONE, ESYS_TR_NONE, &data, &own_scheme,
                            &pcrs, &attest, &signature);

    return vsm_tpm_ok(tpm, rc, "quote PCRs", error) &&
           vsm_tpm_evidence(attest, signature, ret, error);
}

bool vsm_tpm_quote(VsmTpm *tpm,
                   guint16 bank,
                   guint32 mask,
                   const VsmDigest *extra_data,
                   VsmTpmEvidence *ret,
                   GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    g_auto(VsmTpmHandle) session = VSM_TPM_NO_HANDLE;

    if (!entered || !vsm_tpm_session_hmac(tpm, false, &session, error) ||
        !vsm_tpm_quote_with(tpm, vsm_tpm_use(&session, VSM_TPM_LAST), bank,
                            mask, extra_data, ret, error)) {
        return false;
    }
    vsm_tpm_used_up(&session);
    return true;
}

bool vsm_tpm_certify_rk(VsmTpm *tpm,
                        const VsmDigest *extra_data,
                        VsmTpmEvidence *ret,
                        GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    g_auto(VsmTpmHandle) rk = VSM_TPM_NO_HANDLE;
    g_auto(VsmTpmHandle) ak = VSM_TPM_NO_HANDLE;
    TPM2B_ATTEST *attest = NULL;
    TPMT_SIGNATURE *signature = NULL;
    TPM2B_DATA data = vsm_tpm_data(extra_data);
    TSS2_RC rc;

    /* Two authorisations: a session can give one of a command only. */
    if (!entered || !vsm_tpm_session_hmac(tpm, false, &rk, error) ||
        !vsm_tpm_session_hmac(tpm, false, &ak, error)) {
        return false;
    }
    rc = Esys_Certify(tpm->esys, tpm->fixed[VSM_TPM_RK], tpm->fixed[VSM_TPM_AK],
                      vsm_tpm_use(&rk, VSM_TPM_LAST),
                      vsm_tpm_use(&ak, VSM_TPM_LAST), ESYS_TR_NONE, &data,
                      &own_scheme, &attest, &signature);
    if (!vsm_tpm_ok(tpm, rc, "certify the report key", error)) {
        return false;
    }
    vsm_tpm_used_up(&rk);
    vsm_tpm_used_up(&ak);
    return vsm_tpm_evidence(attest, signature, ret, error);
}

static GBytes *
signature_to_raw(const TPMT_SIGNATURE *signature, guint bytes, GError **error)
{
    g_autoptr(GBytes) marshalled = NULL;
    GBytes *raw = NULL;
    guint8 buffer[sizeof(*signature)];
    size_t used = 0;

    if (Tss2_MU_TPMT_SIGNATURE_Marshal(signature, buffer, sizeof(buffer),
                                       &used) != TSS2_RC_SUCCESS) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TPM,
                    "the TPM made a signature of an unknown kind");
        return NULL;
    }
    marshalled = g_bytes_new(buffer, used);
    vsm_tpm_signature_raw(marshalled, bytes, &raw, error);
    return raw;
}

GBytes *vsm_tpm_sign(GBytes *digest, gpointer opaque, GError **error)
{
    VsmTpm *tpm = opaque;
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    g_autoptr(VsmTpmKey) rk = NULL;
    g_auto(VsmTpmHandle) session = VSM_TPM_NO_HANDLE;
    g_autofree TPMT_SIGNATURE *signature = NULL;
    TPMT_TK_HASHCHECK ticket = {TPM2_ST_HASHCHECK, TPM2_RH_NULL, {0}};
    TPM2B_DIGEST value = {.size = g_bytes_get_size(digest)};
    TSS2_RC rc;

    if (!entered || !vsm_tpm_key_decode(tpm->keys->rk_public, &rk, error)) {
        return NULL;
    }
    if (value.size != rk->bytes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "the report key signs digests of %u bytes, not %u",
                    rk->bytes, value.size);
        return NULL;
    }
    memcpy(value.buffer, g_bytes_get_data(digest, NULL), value.size);
    if (!vsm_tpm_session_hmac(tpm, false, &session, error)) {
        return NULL;
    }
    rc = Esys_Sign(tpm->esys, tpm->fixed[VSM_TPM_RK],
                   vsm_tpm_use(&session, VSM_TPM_LAST), ESYS_TR_NONE,
                   ESYS_TR_NONE, &value, &own_scheme, &ticket, &signature);
    if (!vsm_tpm_ok(tpm, rc, "sign with the report key", error)) {
        return NULL;
    }
    vsm_tpm_used_up(&session);
    return signature_to_raw(signature, rk->bytes, error);
}
