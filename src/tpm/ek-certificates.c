/*
 * Certificates that the TPM's maker left in it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crypto/x509.h"
#include "tpm/ek-templates.h"
#include "tpm/esys.h"

/* NV indices of the maker's other certificates, which follow each other. */
#define CHAIN_FIRST 0x1c00100u
#define CHAIN_LAST 0x1c001ffu
/* One answer of NV_Read; every TPM has a buffer of at least 512 bytes. */
#define NV_READ_BYTES 512u
#define NV_BYTES_MAX (64u * 1024) /* of all of them together */

/* Sets *@ret_size to 0 if there is no such index. */
static bool nv_size(
    VsmTpm *tpm, guint32 handle, ESYS_TR *ret, guint *ret_size, GError **error)
{
    g_autofree TPM2B_NV_PUBLIC *public = NULL;
    TSS2_RC rc = Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE,
                                       ESYS_TR_NONE, ESYS_TR_NONE, ret);

    *ret_size = 0;
    if (vsm_tpm_is(rc, TPM2_RC_HANDLE)) {
        return true;
    }
    if (!vsm_tpm_ok(tpm, rc, "open a certificate's index", error)) {
        return false;
    }
    rc = Esys_NV_ReadPublic(tpm->esys, *ret, ESYS_TR_NONE, ESYS_TR_NONE,
                            ESYS_TR_NONE, &public, NULL);
    if (!vsm_tpm_ok(tpm, rc, "look at a certificate's index", error)) {
        return false;
    }
    *ret_size = public->nvPublic.dataSize;
    return true;
}

/* Appends an index's contents; nothing if there is none. */
static bool
nv_append(VsmTpm *tpm, guint32 handle, GByteArray *out, GError **error)
{
    ESYS_TR index = ESYS_TR_NONE;
    guint size, offset = 0;

    if (!nv_size(tpm, handle, &index, &size, error)) {
        return false;
    }
    while (offset < size) {
        g_autofree TPM2B_MAX_NV_BUFFER *data = NULL;
        guint wanted = MIN(size - offset, NV_READ_BYTES);
        TSS2_RC rc =
            Esys_NV_Read(tpm->esys, index, index, ESYS_TR_PASSWORD,
                         ESYS_TR_NONE, ESYS_TR_NONE, wanted, offset, &data);

        if (!vsm_tpm_ok(tpm, rc, "read a certificate", error)) {
            return false;
        }
        if (data->size != wanted || out->len > NV_BYTES_MAX) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                        "the TPM's certificates are longer than 64 KiB, or "
                        "torn");
            return false;
        }
        g_byte_array_append(out, data->buffer, data->size);
        offset += wanted;
    }
    return true;
}

/* Cuts the maker's certificates apart; what follows the last is padding. */
static void cut(const GByteArray *bytes, GPtrArray *out)
{
    gsize used = 0, length;

    while (used < bytes->len && out->len < VSM_CERTIFICATES_MAX &&
           (length = vsm_x509_length(bytes->data + used, bytes->len - used))) {
        g_ptr_array_add(out, g_bytes_new(bytes->data + used, length));
        used += length;
    }
}

bool vsm_tpm_ek_certificates(VsmTpm *tpm,
                             VsmTpmEkKind kind,
                             GPtrArray **ret,
                             GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter(tpm, error);
    g_autoptr(GByteArray) own = g_byte_array_new();
    g_autoptr(GByteArray) makers = g_byte_array_new();
    g_autoptr(GPtrArray) chain =
        g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    guint before;

    if (!entered || !nv_append(tpm, vsm_tpm_ek_index(kind), own, error)) {
        return false;
    }
    cut(own, chain);
    if (chain->len == 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "the TPM holds no certificate of a %s endorsement key "
                    "(NV index 0x%x): ask its maker for one",
                    vsm_tpm_ek_kind_name(kind), vsm_tpm_ek_index(kind));
        return false;
    }
    g_ptr_array_set_size(chain, 1);
    for (guint32 handle = CHAIN_FIRST; handle <= CHAIN_LAST; handle++) {
        before = makers->len;
        if (!nv_append(tpm, handle, makers, error)) {
            return false;
        }
        if (makers->len == before) {
            break;
        }
    }
    cut(makers, chain);
    *ret = g_steal_pointer(&chain);
    return true;
}
