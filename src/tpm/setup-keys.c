/*
 * Set-up of AK and RK: find them by proof, or make them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include "tpm/setup.h"

/* Makes the key sign something: only its auth value can. */
static TSS2_RC try_key(VsmTpm *tpm,
                       ESYS_TR key,
                       const VsmTpmKey *public,
                       VsmTpmHandle *session)
{
    g_autofree TPM2B_ATTEST *attest = NULL;
    g_autofree TPMT_SIGNATURE *signature = NULL;
    TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_NULL};
    TPM2B_DIGEST digest = {.size = public->bytes};
    TPMT_TK_HASHCHECK ticket = {TPM2_ST_HASHCHECK, TPM2_RH_NULL, {0}};
    TPML_PCR_SELECTION none = {0};
    TPM2B_DATA data = {0};

    if (public->kind == VSM_TPM_KEY_AK) {
        return Esys_Quote(tpm->esys, key, vsm_tpm_use(session, VSM_TPM_PLAIN),
                          ESYS_TR_NONE, ESYS_TR_NONE, &data, &scheme, &none,
                          &attest, &signature);
    }
    return Esys_Sign(tpm->esys, key, vsm_tpm_use(session, VSM_TPM_PLAIN),
                     ESYS_TR_NONE, ESYS_TR_NONE, &digest, &scheme, &ticket,
                     &signature);
}

/* Sets *@ret_ours; false only if that cannot be known. */
static bool is_our_key(VsmTpmSetup *setup,
                       guint32 handle,
                       VsmTpmKeyKind kind,
                       const VsmSecret *auth,
                       bool *ret_ours,
                       GBytes **ret,
                       GError **error)
{
    VsmTpm *tpm = setup->tpm;
    g_autofree TPM2B_PUBLIC *public = NULL;
    g_autoptr(GBytes) name = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(VsmTpmKey) key = NULL;
    ESYS_TR tr;
    TSS2_RC rc;

    *ret_ours = false;
    if (!vsm_tpm_open_handle(tpm, handle, "key", &tr, &name, error)) {
        return false;
    }
    rc = Esys_ReadPublic(tpm->esys, tr, ESYS_TR_NONE, ESYS_TR_NONE,
                         ESYS_TR_NONE, &public, NULL, NULL);
    if (!vsm_tpm_ok(tpm, rc, "read a key", error)) {
        return false;
    }
    bytes = vsm_tpm_public_to_bytes(public);
    if (!vsm_tpm_key_decode(bytes, &key, NULL) || key->kind != kind) {
        return true; /* somebody else's, of whatever kind */
    }
    if (!vsm_tpm_set_auth(tpm, tr, auth, error)) {
        return false;
    }
    rc = try_key(tpm, tr, key, &setup->session);
    if (vsm_tpm_is_other_auth(rc)) {
        return true;
    }
    if (!vsm_tpm_ok(tpm, rc, "try a key", error)) {
        return false;
    }
    *ret = g_steal_pointer(&bytes);
    *ret_ours = true;
    return true;
}

static TSS2_RC create_key(VsmTpmSetup *setup,
                          VsmTpmKeyKind kind,
                          guint bytes,
                          const VsmSecret *auth,
                          TPM2B_PRIVATE **ret_private,
                          TPM2B_PUBLIC **ret_public)
{
    VsmTpm *tpm = setup->tpm;
    TPM2B_PUBLIC template = vsm_tpm_template_key(kind, bytes);
    TPM2B_SENSITIVE_CREATE sensitive = {0};
    TPM2B_DATA outside = {0};
    TPML_PCR_SELECTION pcrs = {0};
    TSS2_RC rc;

    sensitive.sensitive.userAuth = vsm_tpm_auth(auth);
    rc = Esys_Create(tpm->esys, tpm->fixed[VSM_TPM_SRK],
                     vsm_tpm_use(&setup->session, VSM_TPM_IN), ESYS_TR_NONE,
                     ESYS_TR_NONE, &sensitive, &template, &outside, &pcrs,
                     ret_private, ret_public, NULL, NULL, NULL);
    vsm_wipe(&sensitive, sizeof(sensitive));
    return rc;
}

/* Keeps the loaded @key at a free handle. */
static bool persist(VsmTpm *tpm,
                    ESYS_TR key,
                    const GArray *handles,
                    guint32 *ret,
                    GError **error)
{
    guint32 handle = VSM_TPM_KEY_FIRST;
    ESYS_TR persistent = ESYS_TR_NONE;
    TSS2_RC rc;

    for (;; handle++) {
        if (!vsm_tpm_next_free(handles, &handle, VSM_TPM_KEY_LAST, error)) {
            return false;
        }
        rc = Esys_EvictControl(tpm->esys, ESYS_TR_RH_OWNER, key,
                               ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                               handle, &persistent);
        if (!vsm_tpm_is(rc, TPM2_RC_NV_DEFINED)) {
            break;
        }
    }
    if (!vsm_tpm_owner_ok(tpm, rc, "keep a key in the TPM", error)) {
        return false;
    }
    *ret = handle;
    return true;
}

static bool make_key(VsmTpmSetup *setup,
                     VsmTpmKeyKind kind,
                     const VsmSecret *auth,
                     const GArray *handles,
                     guint32 *ret_handle,
                     GBytes **ret,
                     GError **error)
{
    VsmTpm *tpm = setup->tpm;
    g_autofree TPM2B_PRIVATE *private = NULL;
    g_autofree TPM2B_PUBLIC *public = NULL;
    g_auto(VsmTpmHandle) key = VSM_TPM_NO_HANDLE;
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc = create_key(setup, kind, 48, auth, &private, &public);

    if (vsm_tpm_is(rc, TPM2_RC_CURVE) || vsm_tpm_is(rc, TPM2_RC_HASH)) {
        rc = create_key(setup, kind, 32, auth, &private, &public);
    }
    if (!vsm_tpm_ok(tpm, rc, "create a signing key", error)) {
        return false;
    }
    rc = Esys_Load(tpm->esys, tpm->fixed[VSM_TPM_SRK],
                   vsm_tpm_use(&setup->session, VSM_TPM_PLAIN), ESYS_TR_NONE,
                   ESYS_TR_NONE, private, public, &tr);
    if (!vsm_tpm_ok(tpm, rc, "load a signing key", error)) {
        return false;
    }
    key = vsm_tpm_handle(tpm, tr);
    if (!persist(tpm, key.tr, handles, ret_handle, error)) {
        return false;
    }
    *ret = vsm_tpm_public_to_bytes(public);
    return true;
}

bool vsm_tpm_setup_key(VsmTpmSetup *setup,
                       VsmTpmKeyKind kind,
                       const VsmSecret *auth,
                       guint32 *ret_handle,
                       GBytes **ret_public,
                       GBytes **ret_name,
                       GError **error)
{
    g_autoptr(GArray) handles = vsm_tpm_list_handles(
        setup->tpm, VSM_TPM_KEY_FIRST, VSM_TPM_KEY_LAST, error);
    bool ours = false;

    if (!handles) {
        return false;
    }
    for (guint i = 0; i < handles->len && !ours; i++) {
        *ret_handle = g_array_index(handles, guint32, i);
        if (!is_our_key(setup, *ret_handle, kind, auth, &ours, ret_public,
                        error)) {
            return false;
        }
    }
    return (ours || make_key(setup, kind, auth, handles, ret_handle, ret_public,
                             error)) &&
           vsm_tpm_public_name(*ret_public, ret_name, error);
}
