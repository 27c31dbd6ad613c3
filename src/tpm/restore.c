/*
 * NV indices that were lost, under the Names that they had.
 *
 * The owner of a TPM can undefine any index.  The Name of an index follows from
 * its public area alone, so the same one can be defined again; its contents are
 * gone, and what depends on them must be authorised anew.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/setup.h"

static bool is_lost(
    VsmTpm *tpm, guint32 handle, const char *what, bool *ret, GError **error)
{
    g_autoptr(GBytes) name = NULL;
    g_autoptr(GError) why = NULL;
    ESYS_TR tr;

    *ret = false;
    if (vsm_tpm_open_handle(tpm, handle, what, &tr, &name, &why)) {
        Esys_TR_Close(tpm->esys, &tr);
        return true;
    }
    if (!g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    *ret = true;
    return true;
}

static bool define(VsmTpm *tpm,
                   const TPM2B_NV_PUBLIC *template,
                   const VsmSecret *auth,
                   GError **error)
{
    g_auto(VsmTpmHandle) session = VSM_TPM_NO_HANDLE;
    TPM2B_AUTH value;
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc;

    if (!vsm_tpm_session_hmac(tpm, true, &session, error)) {
        return false;
    }
    value = vsm_tpm_auth(auth);
    rc = Esys_NV_DefineSpace(tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
                             vsm_tpm_use(&session, VSM_TPM_IN), ESYS_TR_NONE,
                             &value, template, &tr);
    vsm_wipe(&value, sizeof(value));
    return vsm_tpm_owner_ok(tpm, rc, "define a lost NV index again", error);
}

static bool open_srk(VsmTpm *tpm, const VsmTpmKeys *keys, GError **error)
{
    g_autoptr(GBytes) name = NULL;

    if (!vsm_tpm_open_handle(tpm, keys->srk, "storage root key",
                             &tpm->fixed[VSM_TPM_SRK], &name, error)) {
        return false;
    }
    if (!g_bytes_equal(name, keys->srk_name)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "the TPM's storage root key is another than this store's: "
                    "the TPM was cleared, and its snapshots are lost");
        return false;
    }
    return true;
}

static bool restore_boot(VsmTpm *tpm, const VsmTpmKeys *keys, GError **error)
{
    g_autoptr(GBytes) operator_name = NULL;
    TPM2B_NV_PUBLIC boot;
    bool lost;

    if (!keys->boot_index) {
        return true;
    }
    if (!is_lost(tpm, keys->boot_index, "boot-policy index", &lost, error) ||
        !vsm_tpm_public_name(keys->operator_public, &operator_name, error)) {
        return false;
    }
    boot = vsm_tpm_template_boot(keys->boot_index, operator_name,
                                 tpm->approval_ref);
    return !lost || define(tpm, &boot, tpm->auth[VSM_TPM_BOOT_INDEX], error);
}

bool vsm_tpm_keys_restore(VsmTpm *tpm,
                          const VsmSecret *secret,
                          const char *host_id,
                          const VsmTpmKeys *keys,
                          GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter(tpm, error);
    TPM2B_NV_PUBLIC commit = vsm_tpm_template_commit(keys->commit_index);
    bool lost;

    if (!entered || !vsm_tpm_keys_derive(tpm, secret, host_id, error) ||
        !open_srk(tpm, keys, error) ||
        !is_lost(tpm, keys->commit_index, "commit index", &lost, error) ||
        (lost &&
         !define(tpm, &commit, tpm->auth[VSM_TPM_COMMIT_INDEX], error)) ||
        !restore_boot(tpm, keys, error)) {
        return false;
    }
    return vsm_tpm_keys_use(tpm, secret, host_id, keys, error);
}
