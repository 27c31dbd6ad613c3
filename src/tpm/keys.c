/*
 * The host's keys and NV indices in use: derived auth values, pinned Names.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/keys.h"

#include <string.h>
#include "crypto/kdf.h"
#include "tpm/esys.h"
#include "tpm/templates.h"

void vsm_tpm_keys_free(VsmTpmKeys *keys)
{
    if (keys) {
        g_clear_pointer(&keys->srk_name, g_bytes_unref);
        g_clear_pointer(&keys->ak_name, g_bytes_unref);
        g_clear_pointer(&keys->rk_name, g_bytes_unref);
        g_clear_pointer(&keys->commit_index_name, g_bytes_unref);
        g_clear_pointer(&keys->boot_index_name, g_bytes_unref);
        g_clear_pointer(&keys->ak_public, g_bytes_unref);
        g_clear_pointer(&keys->rk_public, g_bytes_unref);
        g_clear_pointer(&keys->rk_attest, g_bytes_unref);
        g_clear_pointer(&keys->rk_signature, g_bytes_unref);
        g_clear_pointer(&keys->operator_public, g_bytes_unref);
        g_free(keys);
    }
}

static GBytes *ref(GBytes *bytes)
{
    return bytes ? g_bytes_ref(bytes) : NULL;
}

VsmTpmKeys *vsm_tpm_keys_copy(const VsmTpmKeys *keys)
{
    VsmTpmKeys *copy = g_new0(VsmTpmKeys, 1);

    *copy = *keys;
    copy->srk_name = ref(keys->srk_name);
    copy->ak_name = ref(keys->ak_name);
    copy->rk_name = ref(keys->rk_name);
    copy->commit_index_name = ref(keys->commit_index_name);
    copy->boot_index_name = ref(keys->boot_index_name);
    copy->ak_public = ref(keys->ak_public);
    copy->rk_public = ref(keys->rk_public);
    copy->rk_attest = ref(keys->rk_attest);
    copy->rk_signature = ref(keys->rk_signature);
    copy->operator_public = ref(keys->operator_public);
    return copy;
}

const VsmTpmKeys *vsm_tpm_keys(VsmTpm *tpm)
{
    return tpm->keys;
}

/* --- Auth values ------------------------------------------------------ */

static VsmSecret *derive(const VsmSecret *secret,
                         const char *label,
                         const char *host_id,
                         GError **error)
{
    VsmKdfField context = {host_id, host_id ? strlen(host_id) : 0};
    VsmKdfField none = {NULL, 0};
    VsmSecret *auth = vsm_kdfa(VSM_HASH_SHA256, secret, label, context, none,
                               VSM_TPM_SECRET_BYTES, error);

    if (auth) {
        /* The TPM drops trailing zero bytes of an auth value: have none. */
        vsm_secret_data(auth)[VSM_TPM_SECRET_BYTES - 1] |= 1;
    }
    return auth;
}

bool vsm_tpm_keys_derive(VsmTpm *tpm,
                         const VsmSecret *secret,
                         const char *host_id,
                         GError **error)
{
    g_autoptr(VsmSecret) ak = NULL;
    g_autoptr(VsmSecret) rk = NULL;
    g_autoptr(VsmSecret) commit = NULL;
    g_autoptr(VsmSecret) boot = NULL;
    g_autoptr(VsmSecret) snapshot = NULL;

    if (vsm_secret_bytes(secret) != VSM_TPM_SECRET_BYTES || !*host_id) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "host secret must be %u bytes, host id not empty",
                    VSM_TPM_SECRET_BYTES);
        return false;
    }
    /* The indices are one store's alone; keys are shared with the secret. */
    if (!(ak = derive(secret, "VSM-AK", NULL, error)) ||
        !(rk = derive(secret, "VSM-RK", NULL, error)) ||
        !(commit = derive(secret, "VSM-COMMIT", host_id, error)) ||
        !(boot = derive(secret, "VSM-BOOT", host_id, error)) ||
        !(snapshot = derive(secret, "VSM-SNAPSHOT", host_id, error))) {
        return false;
    }
    for (guint i = 0; i < VSM_TPM_FIXED; i++) {
        g_clear_pointer(&tpm->auth[i], vsm_secret_free);
    }
    g_clear_pointer(&tpm->approval_ref, g_bytes_unref);
    tpm->approval_ref = vsm_tpm_approval_ref(host_id);
    vsm_secret_free(tpm->snapshot_auth);
    tpm->auth[VSM_TPM_AK] = g_steal_pointer(&ak);
    tpm->auth[VSM_TPM_RK] = g_steal_pointer(&rk);
    tpm->auth[VSM_TPM_COMMIT_INDEX] = g_steal_pointer(&commit);
    tpm->auth[VSM_TPM_BOOT_INDEX] = g_steal_pointer(&boot);
    tpm->snapshot_auth = g_steal_pointer(&snapshot);
    return true;
}

bool vsm_tpm_set_auth(VsmTpm *tpm,
                      ESYS_TR tr,
                      const VsmSecret *secret,
                      GError **error)
{
    TPM2B_AUTH auth = vsm_tpm_auth(secret);
    TSS2_RC rc = Esys_TR_SetAuth(tpm->esys, tr, &auth);

    vsm_wipe(&auth, sizeof(auth));
    return vsm_tpm_ok(tpm, rc, "set an auth value", error);
}

/* --- Bind to a connection --------------------------------------------- */

bool vsm_tpm_open_handle(VsmTpm *tpm,
                         guint32 handle,
                         const char *what,
                         ESYS_TR *ret_tr,
                         GBytes **ret_name,
                         GError **error)
{
    g_autofree TPM2B_NAME *name = NULL;
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc = Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE,
                                       ESYS_TR_NONE, ESYS_TR_NONE, &tr);

    if (vsm_tpm_is(rc, TPM2_RC_HANDLE)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "the TPM has no %s at 0x%x: it was cleared, or is another "
                    "TPM; run set-up again",
                    what, handle);
        return false;
    }
    if (!vsm_tpm_ok(tpm, rc, "open a key or index of the TPM", error)) {
        return false;
    }
    rc = Esys_TR_GetName(tpm->esys, tr, &name);
    if (!vsm_tpm_ok(tpm, rc, "read a Name", error)) {
        return false;
    }
    *ret_tr = tr;
    *ret_name = g_bytes_new(name->name, name->size);
    return true;
}

static bool bind_one(VsmTpm *tpm,
                     VsmTpmFixed which,
                     guint32 handle,
                     GBytes *pinned,
                     GBytes *also,
                     const char *what,
                     GError **error)
{
    g_autoptr(GBytes) name = NULL;
    ESYS_TR tr;

    if (!vsm_tpm_open_handle(tpm, handle, what, &tr, &name, error)) {
        return false;
    }
    if (!g_bytes_equal(name, pinned) && !(also && g_bytes_equal(name, also))) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "handle 0x%x of the TPM holds something else than this "
                    "host's %s",
                    handle, what);
        return false;
    }
    tpm->fixed[which] = tr;
    return vsm_tpm_set_auth(tpm, tr, tpm->auth[which], error);
}

/* An index of another policy would take another host's approvals, or none. */
static bool bind_boot_index(VsmTpm *tpm, GError **error)
{
    const VsmTpmKeys *keys = tpm->keys;
    g_autoptr(GBytes) operator_name = NULL;
    g_autoptr(GBytes) written = NULL;
    g_autoptr(GBytes) unwritten = NULL;
    TPM2B_NV_PUBLIC boot;

    if (!keys->boot_index) {
        return true;
    }
    if (!vsm_tpm_public_name(keys->operator_public, &operator_name, error)) {
        return false;
    }
    boot = vsm_tpm_template_boot(keys->boot_index, operator_name,
                                 tpm->approval_ref);
    written = vsm_tpm_index_name(&boot, true);
    unwritten = vsm_tpm_index_name(&boot, false);
    if (!g_bytes_equal(written, keys->boot_index_name)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                    "the boot-policy index of this store does not bind "
                    "approvals to this host: an older VSM set it up; set up a "
                    "new store, and take the snapshots anew");
        return false;
    }
    return bind_one(tpm, VSM_TPM_BOOT_INDEX, keys->boot_index,
                    keys->boot_index_name, unwritten, "boot-policy index",
                    error);
}

bool vsm_tpm_keys_bind(VsmTpm *tpm, GError **error)
{
    const VsmTpmKeys *keys = tpm->keys;
    TPM2B_NV_PUBLIC commit = vsm_tpm_template_commit(keys->commit_index);
    g_autoptr(GBytes) unwritten = vsm_tpm_index_name(&commit, false);

    return bind_one(tpm, VSM_TPM_SRK, keys->srk, keys->srk_name, NULL,
                    "storage root key", error) &&
           bind_one(tpm, VSM_TPM_AK, keys->ak, keys->ak_name, NULL,
                    "attestation key", error) &&
           bind_one(tpm, VSM_TPM_RK, keys->rk, keys->rk_name, NULL,
                    "report key", error) &&
           bind_one(tpm, VSM_TPM_COMMIT_INDEX, keys->commit_index,
                    keys->commit_index_name, unwritten, "commit index",
                    error) &&
           bind_boot_index(tpm, error);
}

bool vsm_tpm_keys_use(VsmTpm *tpm,
                      const VsmSecret *secret,
                      const char *host_id,
                      const VsmTpmKeys *keys,
                      GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter(tpm, error);

    if (!entered || !vsm_tpm_keys_derive(tpm, secret, host_id, error)) {
        return false;
    }
    g_clear_pointer(&tpm->keys, vsm_tpm_keys_free);
    tpm->keys = vsm_tpm_keys_copy(keys);
    if (!vsm_tpm_keys_bind(tpm, error)) {
        g_clear_pointer(&tpm->keys, vsm_tpm_keys_free);
        return false;
    }
    return true;
}
