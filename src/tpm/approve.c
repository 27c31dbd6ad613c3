/*
 * The boot-policy index: which boot states the operator approved.
 *
 * It is written by PolicySigned alone: the operator's signature over the TPM's
 * fresh nonce, the cpHash of one NV_Write and the host's policyRef authorises
 * exactly this value, here, once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/approve.h"

#include <string.h>
#include "tpm/esys.h"
#include "tpm/templates.h"

/* --- The list behind the digest --------------------------------------- */

void vsm_tpm_approved_set(VsmTpm *tpm, const VsmTpmPcrs *states, guint n)
{
    g_assert(n <= VSM_TPM_STATES_MAX);
    vsm_tpm_lock(tpm);
    g_free(tpm->approved);
    tpm->approved = n ? g_memdup2(states, n * sizeof(*states)) : NULL;
    tpm->n_approved = n;
    vsm_tpm_unlock(tpm);
}

/* Called with the TPM's lock held. */
static const VsmTpmPcrs *nearest(VsmTpm *tpm, const VsmTpmPcrs *boot)
{
    const VsmTpmPcrs *found = NULL;

    for (guint i = 0; i < tpm->n_approved; i++) {
        const VsmTpmPcrs *state = &tpm->approved[i];

        if (!found || vsm_tpm_pcrs_distance(state, boot) <
                          vsm_tpm_pcrs_distance(found, boot)) {
            found = state;
        }
    }
    return found;
}

bool vsm_tpm_approved_has(VsmTpm *tpm, const VsmTpmPcrs *boot)
{
    const VsmTpmPcrs *found;
    bool has;

    vsm_tpm_lock(tpm);
    found = nearest(tpm, boot);
    has = found && vsm_tpm_pcrs_distance(found, boot) == 0;
    vsm_tpm_unlock(tpm);
    return has;
}

char *vsm_tpm_approved_nearest(VsmTpm *tpm, const VsmTpmPcrs *boot)
{
    const VsmTpmPcrs *found;
    char *changes;

    vsm_tpm_lock(tpm);
    found = nearest(tpm, boot);
    changes = found ? vsm_tpm_pcrs_changes(found, boot) : NULL;
    vsm_tpm_unlock(tpm);
    return changes;
}

/* --- The index -------------------------------------------------------- */

static bool need_operator(VsmTpm *tpm, GError **error)
{
    if (tpm->keys->boot_index) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                "the boot policy is frozen: this store was set up without an "
                "operator's key, so nobody can approve another boot state");
    return false;
}

bool vsm_tpm_boot_index_read(VsmTpm *tpm, GBytes **ret, GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    g_auto(VsmTpmHandle) session = VSM_TPM_NO_HANDLE;
    g_autofree TPM2B_MAX_NV_BUFFER *data = NULL;
    ESYS_TR index;
    TSS2_RC rc;

    if (!entered || !need_operator(tpm, error) ||
        !vsm_tpm_session_hmac(tpm, false, &session, error)) {
        return false;
    }
    index = tpm->fixed[VSM_TPM_BOOT_INDEX];
    rc = Esys_NV_Read(tpm->esys, index, index,
                      vsm_tpm_use(&session, VSM_TPM_LAST), ESYS_TR_NONE,
                      ESYS_TR_NONE, VSM_TPM_BOOT_INDEX_BYTES, 0, &data);
    if (vsm_tpm_is(rc, TPM2_RC_NV_UNINITIALIZED)) {
        *ret = NULL;
        return true;
    }
    if (!vsm_tpm_ok(tpm, rc, "read the boot-policy index", error)) {
        return false;
    }
    vsm_tpm_used_up(&session);
    *ret = g_bytes_new(data->buffer, data->size);
    return true;
}

/* --- An approval ------------------------------------------------------ */

bool vsm_tpm_approve_begin(VsmTpm *tpm,
                           GBytes **ret_nonce,
                           GBytes **ret_index_name,
                           GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    g_autofree TPM2B_NONCE *nonce = NULL;
    g_autofree TPM2B_NAME *name = NULL;
    TSS2_RC rc;

    if (!entered || !need_operator(tpm, error)) {
        return false;
    }
    vsm_tpm_handle_clear(&tpm->approval);
    if (!vsm_tpm_session_policy(tpm, &tpm->approval, error)) {
        return false;
    }
    rc = Esys_TRSess_GetNonceTPM(tpm->esys, tpm->approval.tr, &nonce);
    if (rc == TSS2_RC_SUCCESS) {
        rc = Esys_TR_GetName(tpm->esys, tpm->fixed[VSM_TPM_BOOT_INDEX], &name);
    }
    if (!vsm_tpm_ok(tpm, rc, "begin an approval", error)) {
        vsm_tpm_handle_clear(&tpm->approval);
        return false;
    }
    *ret_nonce = g_bytes_new(nonce->buffer, nonce->size);
    *ret_index_name = g_bytes_new(name->name, name->size);
    return true;
}

static bool session_gone(GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_STALE,
                "the TPM does not know this approval any more: it or the "
                "connection was restarted, or the approval was used; begin "
                "anew");
    return false;
}

static bool to_signature(GBytes *raw, TPMT_SIGNATURE *ret, GError **error)
{
    TPMS_SIGNATURE_ECC *ecdsa = &ret->signature.ecdsa;
    gsize bytes;
    const guint8 *data = g_bytes_get_data(raw, &bytes);

    *ret = (TPMT_SIGNATURE){.sigAlg = TPM2_ALG_ECDSA};
    if (bytes != 64 && bytes != 96) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE,
                    "the operator's signature has a wrong length");
        return false;
    }
    ecdsa->hash = bytes == 96 ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256;
    ecdsa->signatureR.size = ecdsa->signatureS.size = bytes / 2;
    memcpy(ecdsa->signatureR.buffer, data, bytes / 2);
    memcpy(ecdsa->signatureS.buffer, data + bytes / 2, bytes / 2);
    return true;
}

static bool load_operator(VsmTpm *tpm, VsmTpmHandle *ret, GError **error)
{
    TPM2B_PUBLIC public;
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc;

    if (!vsm_tpm_public_from_bytes(tpm->keys->operator_public, &public)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "the operator's key in the host file is no key");
        return false;
    }
    rc = Esys_LoadExternal(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                           NULL, &public, ESYS_TR_RH_NULL, &tr);
    if (!vsm_tpm_ok(tpm, rc, "load the operator's key", error)) {
        return false;
    }
    *ret = vsm_tpm_handle(tpm, tr);
    return true;
}

static bool policy_signed(VsmTpm *tpm,
                          GBytes *contents,
                          const TPMT_SIGNATURE *signature,
                          GError **error)
{
    g_auto(VsmTpmHandle) key = VSM_TPM_NO_HANDLE;
    g_autofree TPM2B_NONCE *nonce = NULL;
    g_autofree TPM2B_NAME *name = NULL;
    g_autofree TPM2B_TIMEOUT *timeout = NULL;
    g_autofree TPMT_TK_AUTH *ticket = NULL;
    g_autoptr(GBytes) index_name = NULL;
    TPM2B_DIGEST cp_hash = {.size = VSM_TPM_POLICY_BYTES};
    TPM2B_NONCE ref = {.size = g_bytes_get_size(tpm->approval_ref)};
    ESYS_TR policy = tpm->approval.tr;
    TSS2_RC rc;

    if (!load_operator(tpm, &key, error)) {
        return false;
    }
    rc = Esys_TRSess_GetNonceTPM(tpm->esys, policy, &nonce);
    if (rc == TSS2_RC_SUCCESS) {
        rc = Esys_TR_GetName(tpm->esys, tpm->fixed[VSM_TPM_BOOT_INDEX], &name);
    }
    if (!vsm_tpm_ok(tpm, rc, "finish an approval", error)) {
        return false;
    }
    index_name = g_bytes_new(name->name, name->size);
    memcpy(ref.buffer, g_bytes_get_data(tpm->approval_ref, NULL), ref.size);
    vsm_tpm_approval_hash(index_name, contents, cp_hash.buffer);
    rc = Esys_PolicySigned(tpm->esys, key.tr, policy, ESYS_TR_NONE,
                           ESYS_TR_NONE, ESYS_TR_NONE, nonce, &cp_hash, &ref, 0,
                           signature, &timeout, &ticket);
    /* A handle that is not loaded: 0x910 to 0x916. */
    if (vsm_tpm_code(rc) >= TPM2_RC_REFERENCE_H0 &&
        vsm_tpm_code(rc) <= TPM2_RC_REFERENCE_H6) {
        return session_gone(error);
    }
    if (vsm_tpm_is(rc, TPM2_RC_SIGNATURE) || vsm_tpm_is(rc, TPM2_RC_SCHEME)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE,
                    "the TPM refuses the approval (0x%x): not the signature of "
                    "this host's operator over this very request; begin anew, "
                    "and sign with the key of the set-up",
                    vsm_tpm_code(rc));
        return false;
    }
    return vsm_tpm_ok(tpm, rc, "check the operator's signature", error);
}

/* The answer is lost: what does the index hold? */
static bool settle(VsmTpm *tpm, GBytes *contents, GError *why, GError **error)
{
    g_autoptr(GError) own_why = why;
    g_autoptr(GError) unread = NULL;
    g_autoptr(GBytes) now = NULL;

    if (!vsm_tpm_boot_index_read(tpm, &now, &unread)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_IN_DOUBT,
                    "%s; whether the approval happened cannot be read: %s",
                    why->message, unread->message);
        return false;
    }
    if (now && g_bytes_equal(now, contents)) {
        return true;
    }
    g_propagate_error(error, g_steal_pointer(&own_why));
    return false;
}

static bool write_index(VsmTpm *tpm, GBytes *contents, GError **error)
{
    ESYS_TR index = tpm->fixed[VSM_TPM_BOOT_INDEX];
    TPM2B_MAX_NV_BUFFER data = {.size = g_bytes_get_size(contents)};
    GError *why = NULL;
    TSS2_RC rc;

    g_assert(data.size == VSM_TPM_BOOT_INDEX_BYTES);
    memcpy(data.buffer, g_bytes_get_data(contents, NULL), data.size);
    rc = Esys_NV_Write(tpm->esys, index, index,
                       vsm_tpm_use(&tpm->approval, VSM_TPM_LAST), ESYS_TR_NONE,
                       ESYS_TR_NONE, &data, 0);
    if (vsm_tpm_ok(tpm, rc, "write the boot-policy index", &why)) {
        vsm_tpm_used_up(&tpm->approval);
        return true;
    }
    if (tpm->broken) {
        return settle(tpm, contents, why, error);
    }
    g_propagate_error(error, why);
    return false;
}

bool vsm_tpm_approve_finish(VsmTpm *tpm,
                            GBytes *contents,
                            GBytes *raw,
                            GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    TPMT_SIGNATURE signature;
    bool ok;

    if (!entered || !to_signature(raw, &signature, error)) {
        return false;
    }
    if (tpm->approval.tr == ESYS_TR_NONE ||
        tpm->approval.generation != tpm->generation) {
        return session_gone(error);
    }
    ok = policy_signed(tpm, contents, &signature, error) &&
         write_index(tpm, contents, error);
    vsm_tpm_handle_clear(&tpm->approval);
    return ok;
}

void vsm_tpm_approve_abort(VsmTpm *tpm)
{
    vsm_tpm_lock(tpm);
    if (tpm->esys) {
        vsm_tpm_handle_clear(&tpm->approval);
    }
    vsm_tpm_unlock(tpm);
}
