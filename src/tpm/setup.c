/*
 * Set-up: find or make the host's keys and NV indices.
 *
 * What an interrupted set-up made is found again by proof: only an object with
 * the auth value that the host secret gives is this host's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include "tpm/esys.h"
#include "tpm/nv.h"
#include "tpm/templates.h"

#define HANDLES_AT_ONCE 64 /* asked for in one GetCapability */

/* What the steps of one set-up share. */
typedef struct {
    VsmTpm *tpm;
    VsmTpmHandle session; /* encrypts: new auth values go to the TPM */
    VsmTpmKeys *keys; /* filled step by step */
} Setup;

/* --- Shared ----------------------------------------------------------- */

/* Handles in use between @first and @last, ascending. */
static GArray *
list_handles(VsmTpm *tpm, guint32 first, guint32 last, GError **error)
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
static bool
next_free(const GArray *handles, guint32 *handle, guint32 last, GError **error)
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
static bool owner_ok(VsmTpm *tpm, TSS2_RC rc, const char *what, GError **error)
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
static bool is_other_auth(TSS2_RC rc)
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

    if (!owner_ok(tpm, rc, "create the storage root key", error)) {
        return false;
    }
    srk = vsm_tpm_handle(tpm, tr);
    rc = Esys_EvictControl(tpm->esys, ESYS_TR_RH_OWNER, srk.tr,
                           ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                           VSM_TPM_SRK_HANDLE, &persistent);
    /* Another set-up may have been faster: it made the same key. */
    return vsm_tpm_is(rc, TPM2_RC_NV_DEFINED) ||
           owner_ok(tpm, rc, "keep the storage root key", error);
}

static bool open_srk(Setup *setup, GError **error)
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

static bool setup_srk(Setup *setup, GError **error)
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

/* --- AK and RK -------------------------------------------------------- */

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
static bool is_our_key(Setup *setup,
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
    if (is_other_auth(rc)) {
        return true;
    }
    if (!vsm_tpm_ok(tpm, rc, "try a key", error)) {
        return false;
    }
    *ret = g_steal_pointer(&bytes);
    *ret_ours = true;
    return true;
}

static TSS2_RC create_key(Setup *setup,
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
        if (!next_free(handles, &handle, VSM_TPM_KEY_LAST, error)) {
            return false;
        }
        rc = Esys_EvictControl(tpm->esys, ESYS_TR_RH_OWNER, key,
                               ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                               handle, &persistent);
        if (!vsm_tpm_is(rc, TPM2_RC_NV_DEFINED)) {
            break;
        }
    }
    if (!owner_ok(tpm, rc, "keep a key in the TPM", error)) {
        return false;
    }
    *ret = handle;
    return true;
}

static bool make_key(Setup *setup,
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

static bool setup_key(Setup *setup,
                      VsmTpmKeyKind kind,
                      const VsmSecret *auth,
                      guint32 *ret_handle,
                      GBytes **ret_public,
                      GBytes **ret_name,
                      GError **error)
{
    g_autoptr(GArray) handles =
        list_handles(setup->tpm, VSM_TPM_KEY_FIRST, VSM_TPM_KEY_LAST, error);
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

/* --- NV indices ------------------------------------------------------- */

static bool is_our_index(Setup *setup,
                         const TPM2B_NV_PUBLIC *template,
                         const VsmSecret *auth,
                         bool *ret_ours,
                         GError **error)
{
    VsmTpm *tpm = setup->tpm;
    g_autofree TPM2B_MAX_NV_BUFFER *data = NULL;
    g_autoptr(GBytes) name = NULL;
    g_autoptr(GBytes) written = vsm_tpm_index_name(template, true);
    g_autoptr(GBytes) unwritten = vsm_tpm_index_name(template, false);
    ESYS_TR tr;
    TSS2_RC rc;

    *ret_ours = false;
    if (!vsm_tpm_open_handle(tpm, template->nvPublic.nvIndex, "index", &tr,
                             &name, error)) {
        return false;
    }
    if (!g_bytes_equal(name, written) && !g_bytes_equal(name, unwritten)) {
        return true;
    }
    if (!vsm_tpm_set_auth(tpm, tr, auth, error)) {
        return false;
    }
    rc = Esys_NV_Read(tpm->esys, tr, tr,
                      vsm_tpm_use(&setup->session, VSM_TPM_PLAIN), ESYS_TR_NONE,
                      ESYS_TR_NONE, template->nvPublic.dataSize, 0, &data);
    if (is_other_auth(rc)) {
        return true;
    }
    if (!vsm_tpm_is(rc, TPM2_RC_NV_UNINITIALIZED) &&
        !vsm_tpm_ok(tpm, rc, "try an NV index", error)) {
        return false;
    }
    *ret_ours = true;
    return true;
}

static bool make_index(Setup *setup,
                       TPM2B_NV_PUBLIC *template,
                       const VsmSecret *auth,
                       const GArray *handles,
                       GError **error)
{
    VsmTpm *tpm = setup->tpm;
    guint32 handle = VSM_TPM_INDEX_FIRST;
    TPM2B_AUTH value = vsm_tpm_auth(auth);
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc = TPM2_RC_NV_DEFINED;

    for (; vsm_tpm_is(rc, TPM2_RC_NV_DEFINED); handle++) {
        if (!next_free(handles, &handle, VSM_TPM_INDEX_LAST, error)) {
            break;
        }
        template->nvPublic.nvIndex = handle;
        rc = Esys_NV_DefineSpace(tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
                                 vsm_tpm_use(&setup->session, VSM_TPM_IN),
                                 ESYS_TR_NONE, &value, template, &tr);
    }
    vsm_wipe(&value, sizeof(value));
    return !vsm_tpm_is(rc, TPM2_RC_NV_DEFINED) &&
           owner_ok(tpm, rc, "define an NV index", error);
}

/* @template: without a handle; gets the one of the index. */
static bool setup_index(Setup *setup,
                        TPM2B_NV_PUBLIC *template,
                        const VsmSecret *auth,
                        guint32 *ret_handle,
                        GBytes **ret_name,
                        GError **error)
{
    g_autoptr(GArray) handles = list_handles(setup->tpm, VSM_TPM_INDEX_FIRST,
                                             VSM_TPM_INDEX_LAST, error);
    bool ours = false;

    if (!handles) {
        return false;
    }
    for (guint i = 0; i < handles->len && !ours; i++) {
        template->nvPublic.nvIndex = g_array_index(handles, guint32, i);
        if (!is_our_index(setup, template, auth, &ours, error)) {
            return false;
        }
    }
    if (!ours && !make_index(setup, template, auth, handles, error)) {
        return false;
    }
    *ret_handle = template->nvPublic.nvIndex;
    *ret_name = vsm_tpm_index_name(template, true);
    return true;
}

static bool setup_indices(Setup *setup, GBytes *operator_public, GError **error)
{
    VsmTpm *tpm = setup->tpm;
    VsmTpmKeys *keys = setup->keys;
    TPM2B_NV_PUBLIC commit = vsm_tpm_template_commit(0);
    g_autoptr(GBytes) operator_name = NULL;
    TPM2B_NV_PUBLIC boot;

    if (!setup_index(setup, &commit, tpm->auth[VSM_TPM_COMMIT_INDEX],
                     &keys->commit_index, &keys->commit_index_name, error)) {
        return false;
    }
    if (!operator_public) {
        return true;
    }
    if (!vsm_tpm_public_name(operator_public, &operator_name, error)) {
        return false;
    }
    boot = vsm_tpm_template_boot(0, operator_name);
    keys->operator_public = g_bytes_ref(operator_public);
    return setup_index(setup, &boot, tpm->auth[VSM_TPM_BOOT_INDEX],
                       &keys->boot_index, &keys->boot_index_name, error);
}

/* --- All of it -------------------------------------------------------- */

static bool certify(Setup *setup, GError **error)
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

static bool find_or_make(Setup *setup, GBytes *operator_public, GError **error)
{
    VsmTpm *tpm = setup->tpm;
    VsmTpmKeys *keys = setup->keys;

    return setup_srk(setup, error) &&
           vsm_tpm_session_hmac(tpm, true, &setup->session, error) &&
           setup_key(setup, VSM_TPM_KEY_AK, tpm->auth[VSM_TPM_AK], &keys->ak,
                     &keys->ak_public, &keys->ak_name, error) &&
           setup_key(setup, VSM_TPM_KEY_RK, tpm->auth[VSM_TPM_RK], &keys->rk,
                     &keys->rk_public, &keys->rk_name, error) &&
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
    Setup setup = {tpm, VSM_TPM_NO_HANDLE, keys};
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

    return owner_ok(tpm, rc, "remove a key from the TPM", error);
}

static bool undefine(VsmTpm *tpm, VsmTpmFixed which, GError **error)
{
    TSS2_RC rc =
        Esys_NV_UndefineSpace(tpm->esys, ESYS_TR_RH_OWNER, tpm->fixed[which],
                              ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE);

    return owner_ok(tpm, rc, "undefine an NV index", error);
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
