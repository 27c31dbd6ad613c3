/*
 * Set-up of an NV index: find it by proof, or define it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/setup.h"

static bool is_our_index(VsmTpmSetup *setup,
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
    if (vsm_tpm_is_other_auth(rc)) {
        return true;
    }
    if (!vsm_tpm_is(rc, TPM2_RC_NV_UNINITIALIZED) &&
        !vsm_tpm_ok(tpm, rc, "try an NV index", error)) {
        return false;
    }
    *ret_ours = true;
    return true;
}

static bool make_index(VsmTpmSetup *setup,
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
        if (!vsm_tpm_next_free(handles, &handle, VSM_TPM_INDEX_LAST, error)) {
            break;
        }
        template->nvPublic.nvIndex = handle;
        rc = Esys_NV_DefineSpace(tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
                                 vsm_tpm_use(&setup->session, VSM_TPM_IN),
                                 ESYS_TR_NONE, &value, template, &tr);
    }
    vsm_wipe(&value, sizeof(value));
    return !vsm_tpm_is(rc, TPM2_RC_NV_DEFINED) &&
           vsm_tpm_owner_ok(tpm, rc, "define an NV index", error);
}

/* @template: without a handle; gets the one of the index. */
bool vsm_tpm_setup_index(VsmTpmSetup *setup,
                         TPM2B_NV_PUBLIC *template,
                         const VsmSecret *auth,
                         guint32 *ret_handle,
                         GBytes **ret_name,
                         GError **error)
{
    g_autoptr(GArray) handles = vsm_tpm_list_handles(
        setup->tpm, VSM_TPM_INDEX_FIRST, VSM_TPM_INDEX_LAST, error);
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
