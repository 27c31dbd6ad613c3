/*
 * Host side of enrolment: the endorsement key, and what only its TPM can do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/enroll.h"

#include <string.h>
#include <tss2/tss2_mu.h>
#include "tpm/ek-templates.h"
#include "tpm/esys.h"

static const struct {
    const char *name;
    guint32 key, certificate; /* TCG EK Credential Profile 2.5, section 2.2 */
    TPM2_ALG_ID hash; /* of template and policy */
} kinds[VSM_TPM_EK_KINDS] = {
    [VSM_TPM_EK_P384] = {"p-384", 0x81010016, 0x1c00016, TPM2_ALG_SHA384},
    [VSM_TPM_EK_RSA2048] = {"rsa-2048", 0x81010001, 0x1c00002, TPM2_ALG_SHA256},
};

const char *vsm_tpm_ek_kind_name(VsmTpmEkKind kind)
{
    return kinds[kind].name;
}

bool vsm_tpm_ek_kind_from_name(const char *name, VsmTpmEkKind *ret)
{
    for (guint i = 0; i < VSM_TPM_EK_KINDS; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

guint32 vsm_tpm_ek_index(VsmTpmEkKind kind)
{
    return kinds[kind].certificate;
}

static bool endorsement_ok(VsmTpm *tpm, TSS2_RC rc, GError **error)
{
    if (vsm_tpm_is(rc, TPM2_RC_BAD_AUTH) || vsm_tpm_is(rc, TPM2_RC_AUTH_FAIL)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                    "the TPM's endorsement hierarchy has a password: take it "
                    "off for enrolment (tpm2_changeauth -c endorsement)");
        return false;
    }
    return vsm_tpm_ok(tpm, rc, "use the endorsement key", error);
}

/* Sets *@ret_found; false only if that cannot be known. */
static bool find_persistent(
    VsmTpm *tpm, guint32 handle, ESYS_TR *ret, bool *ret_found, GError **error)
{
    TSS2_RC rc = Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE,
                                       ESYS_TR_NONE, ESYS_TR_NONE, ret);

    *ret_found = rc == TSS2_RC_SUCCESS;
    return *ret_found || vsm_tpm_is(rc, TPM2_RC_HANDLE) ||
           vsm_tpm_ok(tpm, rc, "look for the endorsement key", error);
}

static bool make_ek(VsmTpm *tpm,
                    VsmTpmEkKind kind,
                    ESYS_TR *ret,
                    VsmTpmHandle *ret_own,
                    GError **error)
{
    TPM2B_PUBLIC template = vsm_tpm_template_ek(kind);
    const TPM2B_SENSITIVE_CREATE sensitive = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION pcrs = {0};
    TSS2_RC rc =
        Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
                           ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &template,
                           &outside, &pcrs, ret, NULL, NULL, NULL, NULL);

    if (!endorsement_ok(tpm, rc, error)) {
        return false;
    }
    *ret_own = vsm_tpm_handle(tpm, *ret);
    return true;
}

/* @ret_own: the handle, if it has to be flushed. */
static bool open_ek(VsmTpm *tpm,
                    VsmTpmEkKind kind,
                    ESYS_TR *ret,
                    VsmTpmHandle *ret_own,
                    GError **error)
{
    bool found;

    return find_persistent(tpm, kinds[kind].key, ret, &found, error) &&
           (found || make_ek(tpm, kind, ret, ret_own, error));
}

bool vsm_tpm_ek_public(VsmTpm *tpm,
                       VsmTpmEkKind kind,
                       GBytes **ret,
                       GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter(tpm, error);
    g_auto(VsmTpmHandle) own = VSM_TPM_NO_HANDLE;
    g_autofree TPM2B_PUBLIC *public = NULL;
    ESYS_TR ek = ESYS_TR_NONE;
    TSS2_RC rc;

    if (!entered || !open_ek(tpm, kind, &ek, &own, error)) {
        return false;
    }
    rc = Esys_ReadPublic(tpm->esys, ek, ESYS_TR_NONE, ESYS_TR_NONE,
                         ESYS_TR_NONE, &public, NULL, NULL);
    if (!vsm_tpm_ok(tpm, rc, "read the endorsement key", error)) {
        return false;
    }
    *ret = vsm_tpm_public_to_bytes(public);
    return true;
}

/* --- The policy ----------------------------------------------------------- */

static bool
start_policy(VsmTpm *tpm, VsmTpmEkKind kind, VsmTpmHandle *ret, GError **error)
{
    const TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc = Esys_StartAuthSession(
        tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
        ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &none, kinds[kind].hash, &tr);

    if (!vsm_tpm_ok(tpm, rc, "start a TPM session", error)) {
        return false;
    }
    *ret = vsm_tpm_handle(tpm, tr);
    return true;
}

/* PolicySecret (endorsement); in the high range one branch of a PolicyOR. */
static bool run_policy(VsmTpm *tpm,
                       VsmTpmEkKind kind,
                       VsmTpmHandle *session,
                       GError **error)
{
    const TPML_DIGEST branches = vsm_tpm_ek_branches();
    TSS2_RC rc = Esys_PolicySecret(
        tpm->esys, ESYS_TR_RH_ENDORSEMENT, session->tr, ESYS_TR_PASSWORD,
        ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0, NULL, NULL);

    if (!endorsement_ok(tpm, rc, error)) {
        return false;
    }
    if (kind == VSM_TPM_EK_RSA2048) {
        return true;
    }
    rc = Esys_PolicyOR(tpm->esys, session->tr, ESYS_TR_NONE, ESYS_TR_NONE,
                       ESYS_TR_NONE, &branches);
    return vsm_tpm_ok(tpm, rc, "satisfy the endorsement key's policy", error);
}

/* --- ActivateCredential --------------------------------------------------- */

static bool parse(GBytes *blob,
                  GBytes *secret,
                  TPM2B_ID_OBJECT *ret_blob,
                  TPM2B_ENCRYPTED_SECRET *ret_secret,
                  GError **error)
{
    gsize blob_size, secret_size, blob_used = 0, secret_used = 0;
    const guint8 *blob_data = g_bytes_get_data(blob, &blob_size);
    const guint8 *secret_data = g_bytes_get_data(secret, &secret_size);

    if (Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(blob_data, blob_size, &blob_used,
                                          ret_blob) != TSS2_RC_SUCCESS ||
        Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(secret_data, secret_size,
                                                 &secret_used, ret_secret) !=
            TSS2_RC_SUCCESS ||
        blob_used != blob_size || secret_used != secret_size) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "the challenge's credential is none");
        return false;
    }
    return true;
}

/* Made for another EK or AK, or altered: the TPM finds no meaning in it. */
static bool is_foreign(TSS2_RC rc)
{
    return vsm_tpm_is(rc, TPM2_RC_INTEGRITY) || vsm_tpm_is(rc, TPM2_RC_VALUE) ||
           vsm_tpm_is(rc, TPM2_RC_SIZE) || vsm_tpm_is(rc, TPM2_RC_ECC_POINT) ||
           vsm_tpm_is(rc, TPM2_RC_INSUFFICIENT) ||
           /* libtpms, for an RSA ciphertext whose padding is wrong. */
           vsm_tpm_is(rc, TPM2_RC_FAILURE);
}

static bool activate(VsmTpm *tpm,
                     VsmTpmEkKind kind,
                     ESYS_TR ek,
                     const TPM2B_ID_OBJECT *blob,
                     const TPM2B_ENCRYPTED_SECRET *secret,
                     VsmSecret **ret,
                     GError **error)
{
    g_auto(VsmTpmHandle) ak = VSM_TPM_NO_HANDLE;
    g_auto(VsmTpmHandle) policy = VSM_TPM_NO_HANDLE;
    TPM2B_DIGEST *credential = NULL;
    TSS2_RC rc;

    /* The session of the AK encrypts the answer as well. */
    if (!vsm_tpm_session_hmac(tpm, true, &ak, error) ||
        !start_policy(tpm, kind, &policy, error) ||
        !run_policy(tpm, kind, &policy, error)) {
        return false;
    }
    rc = Esys_ActivateCredential(tpm->esys, tpm->fixed[VSM_TPM_AK], ek,
                                 vsm_tpm_use(&ak, VSM_TPM_OUT | VSM_TPM_LAST),
                                 vsm_tpm_use(&policy, VSM_TPM_LAST),
                                 ESYS_TR_NONE, blob, secret, &credential);
    if (is_foreign(rc)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "the TPM cannot open the challenge's credential (0x%x): it "
                    "was made for another TPM or another attestation key, or "
                    "altered on its way",
                    vsm_tpm_code(rc));
        return false;
    }
    if (!vsm_tpm_ok(tpm, rc, "open the challenge's credential", error)) {
        return false;
    }
    vsm_tpm_used_up(&ak);
    vsm_tpm_used_up(&policy);
    *ret = credential->size ? vsm_secret_new_copy(credential->buffer,
                                                  credential->size, error)
                            : NULL;
    vsm_wipe(credential, sizeof(*credential));
    free(credential);
    if (!*ret && error && !*error) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "the challenge's credential is empty");
    }
    return *ret != NULL;
}

bool vsm_tpm_activate(VsmTpm *tpm,
                      VsmTpmEkKind kind,
                      GBytes *blob,
                      GBytes *secret,
                      VsmSecret **ret,
                      GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    g_auto(VsmTpmHandle) own = VSM_TPM_NO_HANDLE;
    TPM2B_ID_OBJECT id_object;
    TPM2B_ENCRYPTED_SECRET encrypted;
    ESYS_TR ek = ESYS_TR_NONE;

    return entered && parse(blob, secret, &id_object, &encrypted, error) &&
           open_ek(tpm, kind, &ek, &own, error) &&
           activate(tpm, kind, ek, &id_object, &encrypted, ret, error);
}
