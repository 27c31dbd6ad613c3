/*
 * Handles and sessions that flush themselves, and conversions to GBytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/esys.h"

#include <string.h>
#include <tss2/tss2_mu.h>

/* Session hash and cipher; the SRK's, so that every TPM has them. */
static const TPMT_SYM_DEF aes_cfb = {
    .algorithm = TPM2_ALG_AES,
    .keyBits.aes = 128,
    .mode.aes = TPM2_ALG_CFB,
};
static const TPMT_SYM_DEF no_cipher = {.algorithm = TPM2_ALG_NULL};

VsmTpmHandle vsm_tpm_handle(VsmTpm *tpm, ESYS_TR tr)
{
    return (VsmTpmHandle){.tpm = tpm, .tr = tr, .generation = tpm->generation};
}

void vsm_tpm_handle_clear(VsmTpmHandle *handle)
{
    VsmTpm *tpm = handle->tpm;

    if (handle->tr != ESYS_TR_NONE && tpm->esys && !tpm->broken &&
        handle->generation == tpm->generation) {
        /* No reason to fail, but to connect anew: that flushes, too. */
        if (Esys_FlushContext(tpm->esys, handle->tr) != TSS2_RC_SUCCESS) {
            tpm->broken = true;
        }
    }
    handle->tr = ESYS_TR_NONE;
}

static bool session_start(
    VsmTpm *tpm, TPM2_SE type, bool encrypts, VsmTpmHandle *ret, GError **error)
{
    ESYS_TR tr = ESYS_TR_NONE;
    ESYS_TR salt = encrypts ? tpm->fixed[VSM_TPM_SRK] : ESYS_TR_NONE;
    TSS2_RC rc = Esys_StartAuthSession(
        tpm->esys, salt, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
        NULL, type, encrypts ? &aes_cfb : &no_cipher, TPM2_ALG_SHA256, &tr);

    if (!vsm_tpm_ok(tpm, rc, "start a TPM session", error)) {
        return false;
    }
    *ret = vsm_tpm_handle(tpm, tr);
    ret->encrypts = encrypts;
    return true;
}

bool vsm_tpm_session_hmac(VsmTpm *tpm,
                          bool encrypts,
                          VsmTpmHandle *ret,
                          GError **error)
{
    return session_start(tpm, TPM2_SE_HMAC, encrypts, ret, error);
}

bool vsm_tpm_session_policy(VsmTpm *tpm, VsmTpmHandle *ret, GError **error)
{
    return session_start(tpm, TPM2_SE_POLICY, false, ret, error);
}

ESYS_TR vsm_tpm_use(VsmTpmHandle *session, VsmTpmUse use)
{
    TPMA_SESSION attributes = 0;
    TSS2_RC rc;

    g_assert(session->encrypts || !(use & (VSM_TPM_IN | VSM_TPM_OUT)));
    if (use & VSM_TPM_IN) {
        attributes |= TPMA_SESSION_DECRYPT;
    }
    if (use & VSM_TPM_OUT) {
        attributes |= TPMA_SESSION_ENCRYPT;
    }
    if (!(use & VSM_TPM_LAST)) {
        attributes |= TPMA_SESSION_CONTINUESESSION;
    }
    rc = Esys_TRSess_SetAttributes(session->tpm->esys, session->tr, attributes,
                                   0xff);
    /* Must not go on: the secret would leave unencrypted. */
    return rc == TSS2_RC_SUCCESS ? session->tr : ESYS_TR_NONE;
}

void vsm_tpm_used_up(VsmTpmHandle *session)
{
    session->tr = ESYS_TR_NONE;
}

/* --- Conversions ------------------------------------------------------ */

GBytes *vsm_tpm_public_to_bytes(const TPM2B_PUBLIC *public_area)
{
    guint8 buffer[sizeof(TPMT_PUBLIC)];
    size_t used = 0;
    TSS2_RC rc = Tss2_MU_TPMT_PUBLIC_Marshal(&public_area->publicArea, buffer,
                                             sizeof(buffer), &used);

    /* It came from Tss2_MU, and a marshalled form is never the longer one. */
    g_assert(rc == TSS2_RC_SUCCESS);
    return g_bytes_new(buffer, used);
}

bool vsm_tpm_public_from_bytes(GBytes *bytes, TPM2B_PUBLIC *ret)
{
    TPM2B_PUBLIC public = {0};
    gsize size, used = 0;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    if (Tss2_MU_TPMT_PUBLIC_Unmarshal(data, size, &used, &public.publicArea) !=
            TSS2_RC_SUCCESS ||
        used != size) {
        return false;
    }
    *ret = public;
    return true;
}

TPM2B_AUTH vsm_tpm_auth(const VsmSecret *secret)
{
    TPM2B_AUTH auth = {0};

    if (secret) {
        auth.size = vsm_secret_bytes(secret);
        g_assert(auth.size <= sizeof(auth.buffer));
        memcpy(auth.buffer, vsm_secret_peek(secret), auth.size);
    }
    return auth;
}

TPM2B_DATA vsm_tpm_data(const VsmDigest *digest)
{
    TPM2B_DATA data = {.size = sizeof(digest->b)};

    memcpy(data.buffer, digest->b, sizeof(digest->b));
    return data;
}

TPML_PCR_SELECTION vsm_tpm_selection(guint16 bank, guint32 mask)
{
    return (TPML_PCR_SELECTION){
        .count = 1,
        .pcrSelections[0] =
            {
                .hash = bank,
                .sizeofSelect = VSM_TPM_PCRS / 8,
                .pcrSelect = {mask & 0xff, mask >> 8 & 0xff, mask >> 16 & 0xff},
            },
    };
}

bool vsm_tpm_evidence(TPM2B_ATTEST *attest,
                      TPMT_SIGNATURE *signature,
                      VsmTpmEvidence *ret,
                      GError **error)
{
    g_autofree TPM2B_ATTEST *own_attest = attest;
    g_autofree TPMT_SIGNATURE *own_signature = signature;
    guint8 buffer[sizeof(*signature)];
    size_t used = 0;

    if (Tss2_MU_TPMT_SIGNATURE_Marshal(signature, buffer, sizeof(buffer),
                                       &used) != TSS2_RC_SUCCESS) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TPM,
                    "the TPM made a signature of an unknown kind");
        return false;
    }
    ret->attest = g_bytes_new(attest->attestationData, attest->size);
    ret->signature = g_bytes_new(buffer, used);
    return true;
}
