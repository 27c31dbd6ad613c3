/*
 * Endorsement keys without a TPM: the public area, decoded and checked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <tss2/tss2_mu.h>
#include <vsm/error.h>

#include "tpm/structures.h"

#define RSA_BITS 2048
#define RSA_EXPONENT 65537 /* what 0 stands for, too */

/* What an EK must have, and what it must not have. */
#define NEEDED                                                                 \
    (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |                          \
     TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |                \
     TPMA_OBJECT_DECRYPT)
#define FORBIDDEN (TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_ENCRYPTEDDUPLICATION)

static bool format_error(GError **error, const char *what)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                "%s of the endorsement key is none that VSM knows: RSA-2048, "
                "P-256 and P-384 of TCG's profile are",
                what);
    return false;
}

static bool take_cipher(const TPMT_SYM_DEF_OBJECT *cipher, VsmTpmEk *ek)
{
    ek->aes_bits = cipher->keyBits.aes;
    return cipher->algorithm == TPM2_ALG_AES &&
           cipher->mode.aes == TPM2_ALG_CFB &&
           (ek->aes_bits == 128 || ek->aes_bits == 256);
}

static bool take_rsa(const TPMT_PUBLIC *public, VsmTpmEk *ek)
{
    const TPMS_RSA_PARMS *rsa = &public->parameters.rsaDetail;
    const TPM2B_PUBLIC_KEY_RSA *modulus = &public->unique.rsa;

    ek->exponent = rsa->exponent ? rsa->exponent : RSA_EXPONENT;
    ek->modulus = g_bytes_new(modulus->buffer, modulus->size);
    return take_cipher(&rsa->symmetric, ek) &&
           rsa->scheme.scheme == TPM2_ALG_NULL && rsa->keyBits == RSA_BITS &&
           modulus->size == RSA_BITS / 8 && ek->exponent == RSA_EXPONENT;
}

static bool take_ecc(const TPMT_PUBLIC *public, VsmTpmEk *ek)
{
    const TPMS_ECC_PARMS *ecc = &public->parameters.eccDetail;
    const TPMS_ECC_POINT *point = &public->unique.ecc;

    ek->curve_bytes = ecc->curveID == TPM2_ECC_NIST_P384 ? 48 : 32;
    ek->x = g_bytes_new(point->x.buffer, point->x.size);
    ek->y = g_bytes_new(point->y.buffer, point->y.size);
    return take_cipher(&ecc->symmetric, ek) &&
           (ecc->curveID == TPM2_ECC_NIST_P256 ||
            ecc->curveID == TPM2_ECC_NIST_P384) &&
           ecc->scheme.scheme == TPM2_ALG_NULL &&
           ecc->kdf.scheme == TPM2_ALG_NULL && point->x.size > 0 &&
           point->x.size <= ek->curve_bytes && point->y.size > 0 &&
           point->y.size <= ek->curve_bytes;
}

bool vsm_tpm_ek_decode(GBytes *public_area, VsmTpmEk **ret, GError **error)
{
    g_autoptr(VsmTpmEk) ek = g_new0(VsmTpmEk, 1);
    TPMT_PUBLIC public;
    gsize size, used = 0;
    const guint8 *data = g_bytes_get_data(public_area, &size);

    if (Tss2_MU_TPMT_PUBLIC_Unmarshal(data, size, &used, &public) !=
            TSS2_RC_SUCCESS ||
        used != size) {
        return format_error(error, "TPMT_PUBLIC");
    }
    if (!(public.type == TPM2_ALG_RSA && take_rsa(&public, ek)) &&
        !(public.type == TPM2_ALG_ECC && take_ecc(&public, ek))) {
        return format_error(error, "type or scheme");
    }
    /* Refuses every nameAlg but SHA-256 and SHA-384. */
    if (!vsm_tpm_public_name(public_area, &ek->name, error)) {
        return false;
    }
    ek->hash = public.nameAlg;
    if ((public.objectAttributes & (NEEDED | FORBIDDEN)) != NEEDED) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNTRUSTED,
                    "the endorsement key is no restricted decryption key that "
                    "its TPM made and keeps (attributes 0x%08x)",
                    public.objectAttributes);
        return false;
    }
    *ret = g_steal_pointer(&ek);
    return true;
}

void vsm_tpm_ek_free(VsmTpmEk *ek)
{
    if (ek) {
        g_clear_pointer(&ek->modulus, g_bytes_unref);
        g_clear_pointer(&ek->x, g_bytes_unref);
        g_clear_pointer(&ek->y, g_bytes_unref);
        g_clear_pointer(&ek->name, g_bytes_unref);
        g_free(ek);
    }
}
