/*
 * MakeCredential in software: a secret that only one TPM gives out, and only
 * beside one key.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crypto/credential.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>
#include <vsm/error.h>

#include "crypto/openssl-error.h"
#include "crypto/public-key.h"

/* The seed's label, with its terminating zero (Part 1, B.10.4 and C.6.4). */
static const char identity[] = "IDENTITY";

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIGNUM, BN_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OSSL_PARAM, OSSL_PARAM_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

static bool failed(GError **error, const char *what)
{
    vsm_openssl_error(error, VSM_ERROR_CRYPTO, what);
    return false;
}

/* --- The key -------------------------------------------------------------- */

static EVP_PKEY *rsa_pkey(const VsmEkKey *ek)
{
    gsize size;
    const guint8 *modulus = g_bytes_get_data(ek->modulus, &size);
    g_autoptr(BIGNUM) n = BN_bin2bn(modulus, (int)size, NULL);
    g_autoptr(BIGNUM) e = BN_new();
    g_autoptr(OSSL_PARAM_BLD) build = OSSL_PARAM_BLD_new();
    g_autoptr(OSSL_PARAM) params = NULL;
    g_autoptr(EVP_PKEY_CTX) context =
        EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *pkey = NULL;

    if (!n || !e || !build || !context || BN_set_word(e, ek->exponent) != 1 ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1 ||
        !(params = OSSL_PARAM_BLD_to_param(build)) ||
        EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        return NULL;
    }
    return pkey;
}

EVP_PKEY *vsm_ek_pkey(const VsmEkKey *ek, GError **error)
{
    g_autoptr(VsmKey) key = NULL;
    EVP_PKEY *pkey;
    gsize x_bytes, y_bytes;
    const guint8 *x, *y;

    if (ek->modulus) {
        pkey = rsa_pkey(ek);
        if (!pkey) {
            vsm_openssl_error(error, VSM_ERROR_FORMAT,
                              "reading an RSA endorsement key");
        }
        return pkey;
    }
    x = g_bytes_get_data(ek->x, &x_bytes);
    y = g_bytes_get_data(ek->y, &y_bytes);
    key = vsm_key_new(ek->curve, x, x_bytes, y, y_bytes, error);
    if (!key) {
        return NULL;
    }
    EVP_PKEY_up_ref(key->pkey);
    return key->pkey;
}

/* --- The seed ------------------------------------------------------------- */

static void append_sized(GByteArray *out, const void *data, gsize bytes)
{
    guint8 size[2] = {bytes >> 8, bytes & 0xff};

    g_byte_array_append(out, size, sizeof(size));
    g_byte_array_append(out, data, bytes);
}

static GBytes *sized(const void *data, gsize bytes)
{
    GByteArray *out = g_byte_array_new();

    append_sized(out, data, bytes);
    return g_byte_array_free_to_bytes(out);
}

/* OAEP with the key's nameAlg, for the hash and in MGF1. */
static bool oaep(EVP_PKEY_CTX *context, VsmHashAlg hash)
{
    const EVP_MD *md = hash == VSM_HASH_SHA256 ? EVP_sha256() : EVP_sha384();
    /* The context takes it over. */
    char *label = OPENSSL_memdup(identity, sizeof(identity));

    if (!label || EVP_PKEY_encrypt_init(context) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(context, md) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(context, md) != 1 ||
        EVP_PKEY_CTX_set0_rsa_oaep_label(context, label, sizeof(identity)) !=
            1) {
        OPENSSL_free(label);
        return false;
    }
    return true;
}

static VsmSecret *
rsa_seed(const VsmEkKey *ek, EVP_PKEY *pkey, GBytes **ret, GError **error)
{
    g_autoptr(VsmSecret) seed =
        vsm_secret_new_random(vsm_hash_bytes(ek->hash), error);
    g_autoptr(EVP_PKEY_CTX) context =
        EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    guint8 out[1024]; /* RSA up to 8192 bits */
    size_t size = sizeof(out);

    if (!seed) {
        return NULL;
    }
    if (!context || EVP_PKEY_get_size(pkey) > (int)sizeof(out) ||
        !oaep(context, ek->hash) ||
        EVP_PKEY_encrypt(context, out, &size, vsm_secret_peek(seed),
                         vsm_secret_bytes(seed)) != 1) {
        failed(error, "encrypting for an endorsement key");
        return NULL;
    }
    *ret = sized(out, size);
    return g_steal_pointer(&seed);
}

static VsmSecret *
shared_x(EVP_PKEY *own, EVP_PKEY *peer, gsize bytes, GError **error)
{
    g_autoptr(VsmSecret) z = vsm_secret_new(bytes, error);
    g_autoptr(EVP_PKEY_CTX) context =
        EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    size_t size = bytes;

    if (!z) {
        return NULL;
    }
    if (!context || EVP_PKEY_derive_init(context) != 1 ||
        EVP_PKEY_derive_set_peer(context, peer) != 1 ||
        EVP_PKEY_derive(context, vsm_secret_data(z), &size) != 1 ||
        size != bytes) {
        failed(error, "key agreement with an endorsement key");
        return NULL;
    }
    return g_steal_pointer(&z);
}

static bool own_point(EVP_PKEY *own, guint8 *x, guint8 *y, gsize bytes)
{
    BIGNUM *bx = NULL, *by = NULL;
    bool ok = EVP_PKEY_get_bn_param(own, OSSL_PKEY_PARAM_EC_PUB_X, &bx) == 1 &&
              EVP_PKEY_get_bn_param(own, OSSL_PKEY_PARAM_EC_PUB_Y, &by) == 1 &&
              BN_bn2binpad(bx, x, (int)bytes) == (int)bytes &&
              BN_bn2binpad(by, y, (int)bytes) == (int)bytes;

    BN_free(bx);
    BN_free(by);
    return ok;
}

static VsmSecret *
ec_seed(const VsmEkKey *ek, EVP_PKEY *pkey, GBytes **ret, GError **error)
{
    const char *group = ek->curve == VSM_CURVE_P384 ? "P-384" : "P-256";
    gsize bytes = vsm_curve_bytes(ek->curve), ek_x_bytes;
    const guint8 *ek_x = g_bytes_get_data(ek->x, &ek_x_bytes);
    g_autoptr(EVP_PKEY) own = EVP_EC_gen(group);
    g_autoptr(VsmSecret) z = NULL;
    g_autoptr(VsmSecret) seed = NULL;
    g_autoptr(GByteArray) point = g_byte_array_new();
    guint8 x[VSM_CURVE_BYTES_MAX], y[VSM_CURVE_BYTES_MAX];

    if (!own || !own_point(own, x, y, bytes)) {
        failed(error, "making a key for one exchange");
        return NULL;
    }
    z = shared_x(own, pkey, bytes, error);
    seed = z ? vsm_kdfe(ek->hash, z, identity, (VsmKdfField){x, bytes},
                        (VsmKdfField){ek_x, ek_x_bytes},
                        vsm_hash_bytes(ek->hash), error)
             : NULL;
    if (!seed) {
        return NULL;
    }
    append_sized(point, x, bytes);
    append_sized(point, y, bytes);
    *ret = sized(point->data, point->len);
    return g_steal_pointer(&seed);
}

/* --- The credential ------------------------------------------------------- */

/* AES-CFB with an all-zero IV: the key is used once. */
static bool encrypt(const VsmSecret *key,
                    const void *plain,
                    gsize bytes,
                    guint8 *ret,
                    GError **error)
{
    g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = vsm_secret_bytes(key) == 32
                                   ? EVP_aes_256_cfb128()
                                   : EVP_aes_128_cfb128();
    const guint8 iv[16] = {0};
    int size = 0;

    if (!context ||
        EVP_EncryptInit_ex2(context, cipher, vsm_secret_peek(key), iv, NULL) !=
            1 ||
        EVP_EncryptUpdate(context, ret, &size, plain, (int)bytes) != 1 ||
        size != (int)bytes) {
        return failed(error, "encrypting a credential");
    }
    return true;
}

static bool wrap(const VsmEkKey *ek,
                 const VsmSecret *seed,
                 GBytes *name,
                 const VsmSecret *credential,
                 GBytes **ret,
                 GError **error)
{
    gsize name_bytes, hash_bytes = vsm_hash_bytes(ek->hash);
    const guint8 *name_data = g_bytes_get_data(name, &name_bytes);
    const VsmKdfField none = {NULL, 0};
    g_autoptr(VsmSecret) cipher_key = vsm_kdfa(
        ek->hash, seed, "STORAGE", (VsmKdfField){name_data, name_bytes}, none,
        ek->aes_bytes, error);
    g_autoptr(VsmSecret) mac_key = cipher_key
                                       ? vsm_kdfa(ek->hash, seed, "INTEGRITY",
                                                  none, none, hash_bytes, error)
                                       : NULL;
    g_autoptr(GByteArray) inner = g_byte_array_new();
    g_autoptr(GByteArray) blob = g_byte_array_new();
    guint8 plain[2 + VSM_CREDENTIAL_BYTES] = {0, VSM_CREDENTIAL_BYTES};
    guint8 secret[sizeof(plain)], mac[VSM_HASH_BYTES_MAX];
    bool ok;

    memcpy(plain + 2, vsm_secret_peek(credential), VSM_CREDENTIAL_BYTES);
    ok = mac_key && encrypt(cipher_key, plain, sizeof(plain), secret, error);
    vsm_wipe(plain, sizeof(plain));
    if (!ok) {
        return false;
    }
    g_byte_array_append(inner, secret, sizeof(secret));
    g_byte_array_append(inner, name_data, name_bytes);
    if (!vsm_hmac(ek->hash, mac_key, inner->data, inner->len, mac, error)) {
        return false;
    }
    append_sized(blob, mac, hash_bytes);
    g_byte_array_append(blob, secret, sizeof(secret));
    *ret = sized(blob->data, blob->len);
    return true;
}

bool vsm_make_credential(const VsmEkKey *ek,
                         GBytes *name,
                         const VsmSecret *credential,
                         GBytes **ret_blob,
                         GBytes **ret_secret,
                         GError **error)
{
    g_autoptr(EVP_PKEY) pkey = vsm_ek_pkey(ek, error);
    g_autoptr(VsmSecret) seed = NULL;
    g_autoptr(GBytes) secret = NULL;

    g_assert(vsm_secret_bytes(credential) == VSM_CREDENTIAL_BYTES);
    if (!pkey) {
        return false;
    }
    seed = ek->modulus ? rsa_seed(ek, pkey, &secret, error)
                       : ec_seed(ek, pkey, &secret, error);
    if (!seed || !wrap(ek, seed, name, credential, ret_blob, error)) {
        return false;
    }
    *ret_secret = g_steal_pointer(&secret);
    return true;
}
