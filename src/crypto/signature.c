/*
 * ECDSA signatures: the check, and their three forms.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <string.h>
#include <vsm/error.h>

#include "crypto/keys-internal.h"
#include "crypto/openssl-error.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ECDSA_SIG, ECDSA_SIG_free)

/* Bytes of a DER signature over P-384: at most 104. */
#define DER_BYTES_MAX 128

static bool bad_form(GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                "signature: is not two numbers of the curve's length");
    return false;
}

static ECDSA_SIG *parse_raw(VsmCurve curve, const guint8 *raw, gsize bytes)
{
    g_autoptr(ECDSA_SIG) sig = NULL;
    gsize n = vsm_curve_bytes(curve);
    BIGNUM *r, *s;

    if (bytes != 2 * n) {
        return NULL;
    }
    sig = ECDSA_SIG_new();
    r = BN_bin2bn(raw, (int)n, NULL);
    s = BN_bin2bn(raw + n, (int)n, NULL);
    if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return NULL;
    }
    return g_steal_pointer(&sig);
}

GBytes *vsm_ecdsa_raw_to_der(VsmCurve curve,
                             const guint8 *raw,
                             gsize bytes,
                             GError **error)
{
    g_autoptr(ECDSA_SIG) sig = parse_raw(curve, raw, bytes);
    guint8 der[DER_BYTES_MAX], *end = der;
    int n = sig ? i2d_ECDSA_SIG(sig, NULL) : 0;

    if (n <= 0 || n > DER_BYTES_MAX || i2d_ECDSA_SIG(sig, &end) != n) {
        bad_form(error);
        return NULL;
    }
    return g_bytes_new(der, n);
}

GBytes *vsm_ecdsa_der_to_raw(VsmCurve curve,
                             const guint8 *der,
                             gsize bytes,
                             GError **error)
{
    g_autoptr(ECDSA_SIG) sig = NULL;
    g_autoptr(GBytes) again = NULL;
    int n = (int)vsm_curve_bytes(curve);
    guint8 raw[2 * VSM_CURVE_BYTES_MAX];
    const guint8 *p = der;

    if (bytes > DER_BYTES_MAX) {
        bad_form(error);
        return NULL;
    }
    sig = d2i_ECDSA_SIG(NULL, &p, (long)bytes);
    if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, n) != n ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + n, n) != n) {
        vsm_openssl_error(error, VSM_ERROR_FORMAT, "reading a signature");
        return NULL;
    }
    /* Strict: one signature has one form (no BER, nothing behind it). */
    again = vsm_ecdsa_raw_to_der(curve, raw, 2 * n, error);
    if (!again) {
        return NULL;
    }
    if (g_bytes_get_size(again) != bytes ||
        memcmp(g_bytes_get_data(again, NULL), der, bytes) != 0) {
        bad_form(error);
        return NULL;
    }
    return g_bytes_new(raw, 2 * n);
}

GBytes *vsm_ecdsa_raw(VsmCurve curve,
                      const guint8 *r,
                      gsize r_bytes,
                      const guint8 *s,
                      gsize s_bytes,
                      GError **error)
{
    guint8 raw[2 * VSM_CURVE_BYTES_MAX] = {0};
    gsize n = vsm_curve_bytes(curve);

    if (r_bytes == 0 || s_bytes == 0 || r_bytes > n || s_bytes > n) {
        bad_form(error);
        return NULL;
    }
    memcpy(raw + n - r_bytes, r, r_bytes);
    memcpy(raw + 2 * n - s_bytes, s, s_bytes);
    return g_bytes_new(raw, 2 * n);
}

bool vsm_key_verify_digest(const VsmKey *key,
                           const guint8 *digest,
                           gsize digest_bytes,
                           const guint8 *raw,
                           gsize raw_bytes,
                           GError **error)
{
    g_autoptr(EVP_PKEY_CTX) context =
        EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    g_autoptr(GBytes) der = NULL;
    gsize der_bytes;
    const guint8 *p;
    int rc;

    /* A wrong form is a wrong signature: nobody may tell them apart. */
    der = vsm_ecdsa_raw_to_der(key->curve, raw, raw_bytes, NULL);
    if (!der) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE,
                    "signature does not verify: it has a wrong length");
        return false;
    }
    if (!context || EVP_PKEY_verify_init(context) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "signature check set-up");
        return false;
    }
    p = g_bytes_get_data(der, &der_bytes);
    rc = EVP_PKEY_verify(context, p, der_bytes, digest, digest_bytes);
    if (rc == 1) {
        return true; /* the only path that returns true */
    }
    /* 0 or negative: OpenSSL answers a wrong signature with either. */
    vsm_openssl_error(error, VSM_ERROR_SIGNATURE, "signature check");
    return false;
}

bool vsm_key_verify(const VsmKey *key,
                    VsmHashAlg alg,
                    const void *message,
                    gsize message_bytes,
                    const guint8 *raw,
                    gsize raw_bytes,
                    GError **error)
{
    guint8 digest[VSM_HASH_BYTES_MAX];

    return vsm_hash(alg, message, message_bytes, digest, error) &&
           vsm_key_verify_digest(key, digest, vsm_hash_bytes(alg), raw,
                                 raw_bytes, error);
}
