/*
 * Set-up: find or make the host's keys and NV indices.
 *
 * What an interrupted set-up made is found again by proof: only an object with
 * the auth value that the host secret gives is this host's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/setup.h"

#define HANDLES_AT_ONCE 64 /* asked for in one GetCapability */

/* --- Shared ----------------------------------------------------------- */

/* Handles in use between @first and @last, ascending. */
GArray *
vsm_tpm_list_handles(VsmTpm *tpm, guint32 first, guint32 last, GError **error)
{
    g_autoptr(GArray) handles = g_array_new(FALSE, FALSE, sizeof(guint32));
    TPMI_YES_NO more = TPM2_YES;

    while (more) {
        g_autofree TPMS_CAPABILITY_DATA *data = NULL;
        TSS2_RC rc = Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE,
                                        ESYS_TR_NONE, TPM2_CAP_HANDLES, first,
                                        HANDLES_AT_ONCE, &more, &data);

        if (!vsm_tpm_ok(tpm, rc, "list the TPM's handles", error)) {
            return NULL;
        }
        more = more && data->data.handles.count;
        for (guint32 i = 0; i < data->data.handles.count; i++) {
            guint32 handle = data->data.handles.handle[i];

            if (handle < first || handle > last) {
                return g_steal_pointer(&handles);
            }
            g_array_append_val(handles, handle);
            first = handle + 1;
        }
    }
    return g_steal_pointer(&handles);
}

static bool contains(const GArray *handles, guint32 handle)
{
    for (guint i = 0; i < handles->len; i++) {
        if (g_array_index(handles, guint32, i) == handle) {
            return true;
        }
    }
    return false;
}

/* The first free handle after @from, which may have been taken by another. */
bool vsm_tpm_next_free(const GArray *handles,
                       guint32 *handle,
                       guint32 last,
                       GError **error)
{
    while (contains(handles, *handle)) {
        ++*handle;
    }
    if (*handle > last) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NO_SPACE,
                    "no free TPM handle up to 0x%x; destroy stores that are "
                    "not used any more",
                    last);
        return false;
    }
    return true;
}

/* vsm_tpm_ok() for commands that the owner hierarchy authorises. */
bool vsm_tpm_owner_ok(VsmTpm *tpm, TSS2_RC rc, const char *what, GError **error)
{
    if (vsm_tpm_is(rc, TPM2_RC_BAD_AUTH) || vsm_tpm_is(rc, TPM2_RC_AUTH_FAIL)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                    "cannot %s: the TPM's owner hierarchy has a password; set "
                    "VSM up before it is set, or clear it",
                    what);
        return false;
    }
    if (vsm_tpm_is(rc, TPM2_RC_NV_SPACE)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NO_SPACE,
                    "cannot %s: the TPM's memory is full; destroy stores that "
                    "are not used any more",
                    what);
        return false;
    }
    return vsm_tpm_ok(tpm, rc, what, error);
}

/* Whether a trial with our auth value was refused for the value alone. */
bool vsm_tpm_is_other_auth(TSS2_RC rc)
{
    return vsm_tpm_is(rc, TPM2_RC_AUTH_FAIL) ||
           vsm_tpm_is(rc, TPM2_RC_BAD_AUTH);
}

/* --- SRK -------------------------------------------------------------- */

static bool make_srk(VsmTpm *tpm, GError **error)
{
    g_auto(VsmTpmHandle) srk = VSM_TPM_NO_HANDLE;
    TPM2B_PUBLIC template = vsm_tpm_template_srk();
    TPM2B_SENSITIVE_CREATE sensitive = {0};
    TPM2B_DATA outside = {0};
    TPML_PCR_SELECTION pcrs = {0};
    ESYS_TR tr = ESYS_TR_NONE;
    ESYS_TR persistent = ESYS_TR_NONE;
    TSS2_RC rc =
        Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
                           ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &template,
                           &outside, &pcrs, &tr, NULL, NULL, NULL, NULL);

    if (!vsm_tpm_owner_ok(tpm, rc, "create the storage root key", error)) {
        return false;
    }
    srk = vsm_tpm_handle(tpm, tr);
    rc = Esys_EvictControl(tpm->esys, ESYS_TR_RH_OWNER, srk.tr,
                           ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                           VSM_TPM_SRK_HANDLE, &persistent);
    /* Another set-up may have been faster: it made the same key. */
    return vsm_tpm_is(rc, TPM2_RC_NV_DEFINED) ||
           vsm_tpm_owner_ok(tpm, rc, "keep the storage root key", error);
}

static bool open_srk(VsmTpmSetup *setup, GError **error)
{
    VsmTpm *tpm = setup->tpm;
    VsmTpmKeys *keys = setup->keys;
    g_autofree TPM2B_PUBLIC *public = NULL;
    TSS2_RC rc;

    if (!vsm_tpm_open_handle(tpm, VSM_TPM_SRK_HANDLE, "storage root key",
                             &tpm->fixed[VSM_TPM_SRK], &keys->srk_name,
                             error)) {
        return false;
    }
    rc = Esys_ReadPublic(tpm->esys, tpm->fixed[VSM_TPM_SRK], ESYS_TR_NONE,
                         ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL, NULL);
    if (!vsm_tpm_ok(tpm, rc, "read the storage root key", error)) {
        return false;
    }
    if (!vsm_tpm_template_is_srk(&public->publicArea)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                    "TPM handle 0x%x holds a key that cannot be a storage "
                    "root (SHA-256, AES-128-CFB, fixedTPM)",
                    VSM_TPM_SRK_HANDLE);
        return false;
    }
    keys->srk = VSM_TPM_SRK_HANDLE;
    return true;
}

static bool setup_srk(VsmTpmSetup *setup, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (open_srk(setup, &why)) {
        return true;
    }
    if (!g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    return make_srk(setup->tpm, error) && open_srk(setup, error);
}

/* --- All of it ----------------------------------------------------- */

static bool
setup_indices(VsmTpmSetup *setup, GBytes *operator_public, GError **error)
{
    VsmTpm *tpm = setup->tpm;
    VsmTpmKeys *keys = setup->keys;
    TPM2B_NV_PUBLIC commit = vsm_tpm_template_commit(0);
    g_autoptr(GBytes) operator_name = NULL;
    TPM2B_NV_PUBLIC boot;

    if (!vsm_tpm_setup_index(setup, &commit, tpm->auth[VSM_TPM_COMMIT_INDEX],
                             &keys->commit_index, &keys->commit_index_name,
                             error)) {
        return false;
    }
    if (!operator_public) {
        return true;
    }
    if (!vsm_tpm_public_name(operator_public, &operator_name, error)) {
        return false;
    }
    boot = vsm_tpm_template_boot(0, operator_name, tpm->approval_ref);
    keys->operator_public = g_bytes_ref(operator_public);
    return vsm_tpm_setup_index(setup, &boot, tpm->auth[VSM_TPM_BOOT_INDEX],
                               &keys->boot_index, &keys->boot_index_name,
                               error);
}

static bool certify(VsmTpmSetup *setup, GError **error)
{
    static const guint8 field[] = "\x00\x0bVSM-SETUP-1";
    g_auto(VsmTpmEvidence) evidence = {NULL, NULL};
    VsmDigest extra;
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA384);
    gsize bytes = sizeof(extra.b);

    g_checksum_update(sum, field, sizeof(field) - 1);
    g_checksum_get_digest(sum, extra.b, &bytes);
    if (!vsm_tpm_certify_rk(setup->tpm, &extra, &evidence, error)) {
        return false;
    }
    setup->tpm->keys->rk_attest = g_steal_pointer(&evidence.attest);
    setup->tpm->keys->rk_signature = g_steal_pointer(&evidence.signature);
    return true;
}

static bool
find_or_make(VsmTpmSetup *setup, GBytes *operator_public, GError **error)
{
    VsmTpm *tpm = setup->tpm;
    VsmTpmKeys *keys = setup->keys;

    return setup_srk(setup, error) &&
           vsm_tpm_session_hmac(tpm, true, &setup->session, error) &&
           vsm_tpm_setup_key(setup, VSM_TPM_KEY_AK, tpm->auth[VSM_TPM_AK],
                             &keys->ak, &keys->ak_public, &keys->ak_name,
                             error) &&
           vsm_tpm_setup_key(setup, VSM_TPM_KEY_RK, tpm->auth[VSM_TPM_RK],
                             &keys->rk, &keys->rk_public, &keys->rk_name,
                             error) &&
           setup_indices(setup, operator_public, error);
}

bool vsm_tpm_keys_setup(VsmTpm *tpm,
                        const VsmSecret *secret,
                        const char *host_id,
                        GBytes *operator_public,
                        VsmTpmKeys **ret,
                        GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter(tpm, error);
    g_autoptr(VsmTpmKeys) keys = g_new0(VsmTpmKeys, 1);
    VsmTpmSetup setup = {tpm, VSM_TPM_NO_HANDLE, keys};
    bool ok;

    if (!entered || !vsm_tpm_keys_derive(tpm, secret, host_id, error)) {
        return false;
    }
    g_clear_pointer(&tpm->keys, vsm_tpm_keys_free);
    ok = find_or_make(&setup, operator_public, error);
    vsm_tpm_handle_clear(&setup.session);
    if (!ok) {
        return false;
    }
    tpm->keys = g_steal_pointer(&keys);
    if (!vsm_tpm_keys_bind(tpm, error) || !certify(&setup, error)) {
        g_clear_pointer(&tpm->keys, vsm_tpm_keys_free);
        return false;
    }
    *ret = vsm_tpm_keys_copy(tpm->keys);
    return true;
}

/* --- The way back ----------------------------------------------------- */

static bool
evict(VsmTpm *tpm, VsmTpmFixed which, guint32 handle, GError **error)
{
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc = Esys_EvictControl(tpm->esys, ESYS_TR_RH_OWNER,
                                   tpm->fixed[which], ESYS_TR_PASSWORD,
                                   ESYS_TR_NONE, ESYS_TR_NONE, handle, &tr);

    return vsm_tpm_owner_ok(tpm, rc, "remove a key from the TPM", error);
}

static bool undefine(VsmTpm *tpm, VsmTpmFixed which, GError **error)
{
    TSS2_RC rc =
        Esys_NV_UndefineSpace(tpm->esys, ESYS_TR_RH_OWNER, tpm->fixed[which],
                              ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE);

    return vsm_tpm_owner_ok(tpm, rc, "undefine an NV index", error);
}

bool vsm_tpm_keys_destroy(VsmTpm *tpm, GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    const VsmTpmKeys *keys = entered ? tpm->keys : NULL;

    if (!keys || !undefine(tpm, VSM_TPM_COMMIT_INDEX, error) ||
        (keys->boot_index && !undefine(tpm, VSM_TPM_BOOT_INDEX, error)) ||
        !evict(tpm, VSM_TPM_RK, keys->rk, error) ||
        !evict(tpm, VSM_TPM_AK, keys->ak, error)) {
        return false;
    }
    g_clear_pointer(&tpm->keys, vsm_tpm_keys_free);
    return true;
}
