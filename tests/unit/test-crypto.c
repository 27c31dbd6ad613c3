/*
 * Known answers and refusals of GMAC, HMAC, key derivation, keys, signatures.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <string.h>
#include <vsm/error.h>

#include "base/codec.h"
#include "crypto/gmac.h"
#include "crypto/kdf.h"
#include "crypto/keys.h"
#include "crypto/secret.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_MD_CTX, EVP_MD_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_KDF, EVP_KDF_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_KDF_CTX, EVP_KDF_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free_all)

static void from_hex(const char *hex, guint8 *out, gsize bytes)
{
    g_assert_true(vsm_codec_parse_hex(hex, out, bytes));
}

/* SP 800-38D 6.3: the product in GF(2^128), bit by bit. */
static void gf_multiply(guint8 *x, const guint8 *h)
{
    guint8 z[16] = {0}, v[16];

    memcpy(v, h, 16);
    for (guint i = 0; i < 128; i++) {
        guint8 low = v[15] & 1;

        for (guint j = 0; j < 16 && x[i / 8] >> (7 - i % 8) & 1; j++) {
            z[j] ^= v[j];
        }
        for (guint j = 15; j > 0; j--) {
            v[j] = v[j] >> 1 | v[j - 1] << 7;
        }
        v[0] = (v[0] >> 1) ^ (low ? 0xe1 : 0);
    }
    memcpy(x, z, 16);
}

/*
 * The tag of @data with the zero key and nonce: test case 13 of the GCM
 * specification gives H = AES(0) and AES(nonce, 1) for them.
 */
static void reference_tag(const guint8 *data, gsize bytes, guint8 *tag)
{
    guint8 h[16], mask[16], y[16] = {0};
    guint64 bits = GUINT64_TO_BE((guint64)bytes * 8);

    from_hex("dc95c078a2408989ad48a21492842087", h, 16);
    from_hex("530f8afbc74536b9a963b4f1c4cb738b", mask, 16);
    for (gsize i = 0; i < bytes; i += 16) {
        for (gsize j = 0; j < MIN(16, bytes - i); j++) {
            y[j] ^= data[i + j];
        }
        gf_multiply(y, h);
    }
    for (guint j = 0; j < 8; j++) {
        y[j] ^= ((guint8 *)&bits)[j];
    }
    gf_multiply(y, h);
    for (guint j = 0; j < 16; j++) {
        tag[j] = y[j] ^ mask[j];
    }
}

static void test_gmac_gives_the_known_answers(void)
{
    static const guint8 key[VSM_GMAC_KEY_BYTES];
    g_autoptr(VsmGmac) gmac =
        vsm_gmac_new_with_key(VSM_HASH_BACKEND_AUTO, key, NULL);
    guint8 data[5000], expected[16];
    VsmGmacTag tag;

    g_assert_true(vsm_gmac_tag(gmac, 0, NULL, 0, &tag, NULL));
    from_hex("530f8afbc74536b9a963b4f1c4cb738b", expected, 16);
    g_assert_cmpmem(tag.b, 16, expected, 16);
    for (guint i = 0; i < sizeof(data); i++) {
        data[i] = g_test_rand_int();
    }
    for (guint bytes = 1; bytes < sizeof(data); bytes += bytes / 3 + 1) {
        reference_tag(data, bytes, expected);
        g_assert_true(vsm_gmac_tag(gmac, 0, data, bytes, &tag, NULL));
        g_assert_cmpmem(tag.b, 16, expected, 16);
    }
}

/* Parts that end anywhere in a block, with both back ends. */
static void test_gmac_of_parts_is_that_of_the_whole(void)
{
    static const guint8 key[VSM_GMAC_KEY_BYTES];

    for (guint backend = 0; backend < 2; backend++) {
        g_autoptr(VsmGmac) gmac = vsm_gmac_new_with_key(
            backend ? VSM_HASH_BACKEND_OPENSSL : VSM_HASH_BACKEND_AUTO, key,
            NULL);
        guint8 data[5000], expected[16];
        VsmGmacTag tag;

        for (guint i = 0; i < sizeof(data); i++) {
            data[i] = g_test_rand_int();
        }
        reference_tag(data, sizeof(data), expected);
        for (guint round = 0; round < 50; round++) {
            g_assert_true(vsm_gmac_begin(gmac, 0, NULL));
            for (gsize at = 0, n; at < sizeof(data); at += n) {
                n = g_test_rand_int_range(0, round % 2 ? 40 : 1000);
                n = MIN(n, sizeof(data) - at);
                g_assert_true(vsm_gmac_update(gmac, data + at, n, NULL));
            }
            if (round % 5) { /* one that is not ended leaves no trace */
                g_assert_true(vsm_gmac_end(gmac, &tag, NULL));
                g_assert_cmpmem(tag.b, 16, expected, 16);
            }
        }
    }
}

static void test_gmac_depends_on_key_and_index(void)
{
    g_autoptr(VsmGmac) a = vsm_gmac_new(NULL);
    g_autoptr(VsmGmac) b = vsm_gmac_new(NULL);
    VsmGmacTag one, other;

    g_assert_true(vsm_gmac_tag(a, 1, "abc", 3, &one, NULL));
    g_assert_true(vsm_gmac_tag(a, 2, "abc", 3, &other, NULL));
    g_assert_false(vsm_equal(one.b, other.b, 16));
    g_assert_true(vsm_gmac_tag(a, 1ull << 63, "abc", 3, &other, NULL));
    g_assert_false(vsm_equal(one.b, other.b, 16));
    g_assert_true(vsm_gmac_tag(b, 1, "abc", 3, &other, NULL));
    g_assert_false(vsm_equal(one.b, other.b, 16));
    g_assert_true(vsm_gmac_tag(a, 1, "abc", 3, &other, NULL));
    g_assert_true(vsm_equal(one.b, other.b, 16));
}

/* RFC 4231, test case 2. */
static void test_hmac_gives_the_known_answers(void)
{
    static const char text[] = "what do ya want for nothing?";
    g_autoptr(VsmSecret) key = vsm_secret_new_copy("Jefe", 4, NULL);
    guint8 expected[48], mac[48];

    from_hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
             expected, 32);
    g_assert_true(
        vsm_hmac(VSM_HASH_SHA256, key, text, strlen(text), mac, NULL));
    g_assert_cmpmem(mac, 32, expected, 32);
    from_hex("af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47"
             "e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
             expected, 48);
    g_assert_true(
        vsm_hmac(VSM_HASH_SHA384, key, text, strlen(text), mac, NULL));
    g_assert_cmpmem(mac, 48, expected, 48);
}

/* OpenSSL's SP 800-108 counter mode is another implementation of KDFa. */
static void openssl_kdfa(const char *digest,
                         const char *key,
                         const char *label,
                         const char *context,
                         guint8 *out,
                         gsize bytes)
{
    g_autoptr(EVP_KDF) kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
    g_autoptr(EVP_KDF_CTX) ctx = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("mac", (char *)"HMAC", 0),
        OSSL_PARAM_construct_utf8_string("digest", (char *)digest, 0),
        OSSL_PARAM_construct_octet_string("key", (char *)key, strlen(key)),
        OSSL_PARAM_construct_octet_string("salt", (char *)label, strlen(label)),
        OSSL_PARAM_construct_octet_string("info", (char *)context,
                                          strlen(context)),
        OSSL_PARAM_construct_end()};

    g_assert_cmpint(EVP_KDF_derive(ctx, out, bytes, params), ==, 1);
}

static void test_kdfa_is_sp_800_108(void)
{
    static const gsize sizes[] = {1, 16, 32, 48, 49, 200};
    g_autoptr(VsmSecret) key = vsm_secret_new_copy("a key", 5, NULL);

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        guint8 expected[200];
        g_autoptr(VsmSecret) a =
            vsm_kdfa(VSM_HASH_SHA384, key, "LABEL", (VsmKdfField){"con", 3},
                     (VsmKdfField){"text", 4}, sizes[i], NULL);
        g_autoptr(VsmSecret) b =
            vsm_kdfa(VSM_HASH_SHA256, key, "LABEL", (VsmKdfField){"con", 3},
                     (VsmKdfField){"text", 4}, sizes[i], NULL);

        openssl_kdfa("SHA384", "a key", "LABEL", "context", expected, sizes[i]);
        g_assert_cmpmem(vsm_secret_peek(a), sizes[i], expected, sizes[i]);
        openssl_kdfa("SHA256", "a key", "LABEL", "context", expected, sizes[i]);
        g_assert_cmpmem(vsm_secret_peek(b), sizes[i], expected, sizes[i]);
    }
}

/* KDFe: H(1 || Z || label || 0 || U || V), written out. */
static void test_kdfe_is_the_concatenation_form(void)
{
    static const char message[] = "\0\0\0\1ZZIDENTITY\0UV";
    g_autoptr(VsmSecret) z = vsm_secret_new_copy("ZZ", 2, NULL);
    g_autoptr(VsmSecret) key =
        vsm_kdfe(VSM_HASH_SHA256, z, "IDENTITY", (VsmKdfField){"U", 1},
                 (VsmKdfField){"V", 1}, 32, NULL);
    guint8 expected[32];

    g_assert_true(vsm_hash(VSM_HASH_SHA256, message, sizeof(message) - 1,
                           expected, NULL));
    g_assert_cmpmem(vsm_secret_peek(key), 32, expected, 32);
}

static void test_secrets_begin_zeroed_and_random_ones_differ(void)
{
    g_autoptr(VsmSecret) zero = vsm_secret_new(100, NULL);
    g_autoptr(VsmSecret) a = vsm_secret_new_random(32, NULL);
    g_autoptr(VsmSecret) b = vsm_secret_new_random(32, NULL);

    g_assert_cmpuint(vsm_secret_bytes(zero), ==, 100);
    g_assert_true(vsm_is_zero(vsm_secret_peek(zero), 100));
    g_assert_false(vsm_equal(vsm_secret_peek(a), vsm_secret_peek(b), 32));
}

static const char *const groups[] = {
    [VSM_CURVE_P256] = "P-256", [VSM_CURVE_P384] = "P-384"};

static char *public_pem(EVP_PKEY *pkey)
{
    g_autoptr(BIO) bio = BIO_new(BIO_s_mem());
    char *data;
    long n;

    g_assert_cmpint(PEM_write_bio_PUBKEY(bio, pkey), ==, 1);
    n = BIO_get_mem_data(bio, &data);
    return g_strndup(data, n);
}

static VsmKey *public_key(EVP_PKEY *pkey)
{
    g_autofree char *pem = public_pem(pkey);
    VsmKey *key = vsm_key_new_pem(pem, strlen(pem), NULL);

    g_assert_nonnull(key);
    return key;
}

static GBytes *sign(EVP_PKEY *pkey, VsmCurve curve, const char *text)
{
    g_autoptr(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    const EVP_MD *md = curve == VSM_CURVE_P256 ? EVP_sha256() : EVP_sha384();
    guint8 der[128];
    size_t n = sizeof(der);

    g_assert_cmpint(EVP_DigestSignInit(ctx, NULL, md, NULL, pkey), ==, 1);
    g_assert_cmpint(
        EVP_DigestSign(ctx, der, &n, (const guint8 *)text, strlen(text)), ==,
        1);
    return vsm_ecdsa_der_to_raw(curve, der, n, NULL);
}

static void test_verify_refuses_every_flipped_bit(void)
{
    for (VsmCurve curve = VSM_CURVE_P256; curve <= VSM_CURVE_P384; curve++) {
        g_autoptr(EVP_PKEY) pkey = EVP_EC_gen(groups[curve]);
        g_autoptr(VsmKey) key = public_key(pkey);
        g_autoptr(GBytes) sig = sign(pkey, curve, "text");
        g_autoptr(GError) other = NULL;
        VsmHashAlg alg = vsm_curve_hash(curve);
        gsize n;
        const guint8 *raw = g_bytes_get_data(sig, &n);

        g_assert_cmpuint(n, ==, 2 * vsm_curve_bytes(curve));
        g_assert_true(vsm_key_verify(key, alg, "text", 4, raw, n, NULL));
        g_assert_false(vsm_key_verify(key, alg, "texT", 4, raw, n, &other));
        g_assert_error(other, VSM_ERROR, VSM_ERROR_SIGNATURE);
        for (gsize bit = 0; bit < 8 * n; bit++) {
            g_autofree guint8 *bad = g_memdup2(raw, n);
            g_autoptr(GError) error = NULL;

            bad[bit / 8] ^= 1u << (bit % 8);
            g_assert_false(vsm_key_verify(key, alg, "text", 4, bad, n, &error));
            g_assert_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE);
        }
    }
}

static void check_refused(const VsmKey *key, const guint8 *raw, gsize n)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(
        vsm_key_verify(key, VSM_HASH_SHA384, "text", 4, raw, n, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE);
}

static void test_verify_refuses_wrong_lengths_and_zeros(void)
{
    g_autoptr(EVP_PKEY) pkey = EVP_EC_gen("P-384");
    g_autoptr(VsmKey) key = public_key(pkey);
    g_autoptr(GBytes) sig = sign(pkey, VSM_CURVE_P384, "text");
    guint8 raw[97] = {0};

    check_refused(key, raw, 96);
    memset(raw, 0xff, sizeof(raw));
    check_refused(key, raw, 96);
    memcpy(raw, g_bytes_get_data(sig, NULL), 96);
    check_refused(key, raw, 97);
    check_refused(key, raw, 95);
    check_refused(key, raw, 64);
    check_refused(key, raw, 0);
}

static void test_another_key_does_not_verify(void)
{
    g_autoptr(EVP_PKEY) pkey = EVP_EC_gen("P-384");
    g_autoptr(EVP_PKEY) other = EVP_EC_gen("P-384");
    g_autoptr(VsmKey) key = public_key(other);
    g_autoptr(GBytes) sig = sign(pkey, VSM_CURVE_P384, "text");

    check_refused(key, g_bytes_get_data(sig, NULL), 96);
}

static void test_a_key_is_a_point_on_its_curve(void)
{
    for (VsmCurve curve = VSM_CURVE_P256; curve <= VSM_CURVE_P384; curve++) {
        g_autoptr(EVP_PKEY) pkey = EVP_EC_gen(groups[curve]);
        g_autoptr(VsmKey) key = public_key(pkey);
        g_autoptr(VsmKey) same = NULL;
        gsize n = vsm_curve_bytes(curve);
        guint8 y[48], ones[48];

        same = vsm_key_new(curve, vsm_key_x(key), n, vsm_key_y(key), n, NULL);
        g_assert_true(vsm_key_equal(key, same));
        memset(ones, 0xff, sizeof(ones));
        for (guint bit = 0; bit < 8 * n; bit += 5) {
            g_autoptr(GError) error = NULL;

            memcpy(y, vsm_key_y(key), n);
            y[bit / 8] ^= 1u << (bit % 8);
            g_assert_null(vsm_key_new(curve, vsm_key_x(key), n, y, n, &error));
            g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
        }
        g_assert_null(vsm_key_new(curve, ones, n, ones, n, NULL));
        g_assert_null(vsm_key_new(curve, NULL, 0, NULL, 0, NULL));
        g_assert_null(vsm_key_new(curve, vsm_key_x(key), n, ones, n + 1, NULL));
    }
}

static void check_pem(const char *pem, gsize bytes, int code)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vsm_key_new_pem(pem, bytes, &error));
    g_assert_error(error, VSM_ERROR, code);
}

static void test_pem_holds_one_of_our_curves(void)
{
    g_autoptr(EVP_PKEY) pkey = EVP_EC_gen("P-384");
    g_autoptr(EVP_PKEY) p521 = EVP_EC_gen("P-521");
    g_autoptr(EVP_PKEY) rsa = EVP_RSA_gen(1024);
    g_autoptr(VsmKey) key = public_key(pkey);
    g_autofree char *pem = vsm_key_pem(key, NULL);
    g_autofree char *original = public_pem(pkey);
    g_autofree char *pem521 = public_pem(p521);
    g_autofree char *pem_rsa = public_pem(rsa);
    g_autofree char *huge = g_strnfill(100000, 'x');

    g_assert_cmpstr(pem, ==, original);
    check_pem(pem521, strlen(pem521), VSM_ERROR_UNSUPPORTED);
    check_pem(pem_rsa, strlen(pem_rsa), VSM_ERROR_UNSUPPORTED);
    check_pem("hello", 5, VSM_ERROR_FORMAT);
    check_pem("", 0, VSM_ERROR_FORMAT);
    check_pem(pem, strlen(pem) / 2, VSM_ERROR_FORMAT);
    check_pem(huge, 100000, VSM_ERROR_LIMIT);
}

static void test_a_signature_has_one_der_form(void)
{
    static const guint8 raw[64] = {[31] = 1, [32] = 0x80, [63] = 7};
    g_autoptr(GBytes) der = vsm_ecdsa_raw_to_der(VSM_CURVE_P256, raw, 64, NULL);
    g_autoptr(GBytes) back = NULL;
    g_autoptr(GBytes) padded = NULL;
    g_autoptr(GError) error = NULL;
    guint8 longer[128] = {0};
    gsize n;
    const guint8 *d = g_bytes_get_data(der, &n);

    back = vsm_ecdsa_der_to_raw(VSM_CURVE_P256, d, n, NULL);
    g_assert_cmpmem(g_bytes_get_data(back, NULL), 64, raw, 64);
    memcpy(longer, d, n);
    g_assert_null(vsm_ecdsa_der_to_raw(VSM_CURVE_P256, longer, n + 1, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    for (gsize i = 0; i < n; i++) {
        g_assert_null(vsm_ecdsa_der_to_raw(VSM_CURVE_P256, d, i, NULL));
    }
    padded = vsm_ecdsa_raw(VSM_CURVE_P256, raw + 31, 1, raw + 32, 32, NULL);
    g_assert_cmpmem(g_bytes_get_data(padded, NULL), 64, raw, 64);
    g_assert_null(vsm_ecdsa_raw(VSM_CURVE_P256, raw, 33, raw, 1, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gmac/gives-the-known-answers",
                    test_gmac_gives_the_known_answers);
    g_test_add_func("/gmac/of-parts-is-that-of-the-whole",
                    test_gmac_of_parts_is_that_of_the_whole);
    g_test_add_func("/gmac/depends-on-key-and-index",
                    test_gmac_depends_on_key_and_index);
    g_test_add_func("/kdf/hmac-gives-the-known-answers",
                    test_hmac_gives_the_known_answers);
    g_test_add_func("/kdf/kdfa-is-sp-800-108", test_kdfa_is_sp_800_108);
    g_test_add_func("/kdf/kdfe-is-the-concatenation-form",
                    test_kdfe_is_the_concatenation_form);
    g_test_add_func("/secret/begin-zeroed-and-random-ones-differ",
                    test_secrets_begin_zeroed_and_random_ones_differ);
    g_test_add_func("/keys/verify-refuses-every-flipped-bit",
                    test_verify_refuses_every_flipped_bit);
    g_test_add_func("/keys/verify-refuses-wrong-lengths-and-zeros",
                    test_verify_refuses_wrong_lengths_and_zeros);
    g_test_add_func("/keys/another-key-does-not-verify",
                    test_another_key_does_not_verify);
    g_test_add_func("/keys/a-key-is-a-point-on-its-curve",
                    test_a_key_is_a_point_on_its_curve);
    g_test_add_func("/keys/pem-holds-one-of-our-curves",
                    test_pem_holds_one_of_our_curves);
    g_test_add_func("/keys/a-signature-has-one-der-form",
                    test_a_signature_has_one_der_form);
    return g_test_run();
}
