/*
 * X.509: whether a certificate leads to an authority that is trusted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crypto/x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <vsm/error.h>

#include "crypto/openssl-error.h"
#include "crypto/public-key.h"

/* Refuses signatures of less than 80 bits: SHA-1, RSA under 1024 bits. */
#define SECURITY_LEVEL 1

typedef STACK_OF(X509) X509Stack;

static void x509_stack_free(X509Stack *stack)
{
    sk_X509_pop_free(stack, X509_free);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509Stack, x509_stack_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_STORE, X509_STORE_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_STORE_CTX, X509_STORE_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free)

static bool untrusted(GError **error, const char *what, const char *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_UNTRUSTED,
                "the endorsement key's certificate %s%s%s", what,
                why ? ": " : "", why ? why : "");
    return false;
}

static X509 *parse(GBytes *der, GError **error)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(der, &size), *end = data;
    g_autoptr(X509) certificate = NULL;

    if (size > VSM_CERTIFICATE_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "a certificate has %" G_GSIZE_FORMAT " bytes, at most %d "
                    "are allowed",
                    size, VSM_CERTIFICATE_BYTES_MAX);
        return NULL;
    }
    certificate = size ? d2i_X509(NULL, &end, (long)size) : NULL;
    if (!certificate || end != data + size) {
        vsm_openssl_error(error, VSM_ERROR_FORMAT, "reading a certificate");
        return NULL;
    }
    return g_steal_pointer(&certificate);
}

static X509Stack *parse_chain(const GPtrArray *chain, GError **error)
{
    g_autoptr(X509Stack) stack = sk_X509_new_null();

    if (chain->len < 1 || chain->len > VSM_CERTIFICATES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "a chain of %u certificates; 1 to %d are allowed",
                    chain->len, VSM_CERTIFICATES_MAX);
        return NULL;
    }
    for (guint i = 0; i < chain->len; i++) {
        X509 *certificate = parse(chain->pdata[i], error);

        if (!certificate || sk_X509_push(stack, certificate) <= 0) {
            X509_free(certificate);
            return NULL;
        }
    }
    return g_steal_pointer(&stack);
}

/* Every certificate of the bundle; one that cannot be read is an error. */
static X509_STORE *load_trusted(const char *pem, GError **error)
{
    gsize bytes = strnlen(pem, VSM_CA_BYTES_MAX + 1);
    g_autoptr(BIO) bio = NULL;
    g_autoptr(X509_STORE) store = X509_STORE_new();
    X509 *certificate = NULL;
    bool ok = false;

    if (bytes > VSM_CA_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "the bundle of trusted certificates has more than %u bytes",
                    VSM_CA_BYTES_MAX);
        return NULL;
    }
    bio = BIO_new_mem_buf(pem, (int)bytes);
    while (bio && store &&
           (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        ok = X509_STORE_add_cert(store, certificate) == 1;
        X509_free(certificate);
        if (!ok) {
            break;
        }
    }
    /* After the last one OpenSSL finds no further BEGIN line. */
    if (!ok || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        vsm_openssl_error(error, VSM_ERROR_INVALID,
                          "reading the trusted certificates (PEM)");
        return NULL;
    }
    ERR_clear_error();
    return g_steal_pointer(&store);
}

static bool
check_chain(X509Stack *chain, X509_STORE *trusted, gint64 now, GError **error)
{
    g_autoptr(X509_STORE_CTX) context = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;
    int code;

    if (!context || X509_STORE_CTX_init(context, trusted,
                                        sk_X509_value(chain, 0), chain) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "certificate check set-up");
        return false;
    }
    param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_time(param, (time_t)now);
    X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
    if (X509_verify_cert(context) == 1) {
        return true;
    }
    code = X509_STORE_CTX_get_error(context);
    return untrusted(error, "leads to none that is trusted",
                     X509_verify_cert_error_string(code));
}

static bool
check_purpose(X509 *certificate, const char *purpose, GError **error)
{
    g_autoptr(EXTENDED_KEY_USAGE) usage =
        X509_get_ext_d2i(certificate, NID_ext_key_usage, NULL, NULL);
    char oid[64];

    if (X509_check_ca(certificate) != 0) {
        return untrusted(error, "is an authority's, no key's", NULL);
    }
    for (int i = 0; usage && i < sk_ASN1_OBJECT_num(usage); i++) {
        if (OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(usage, i), 1) >
                0 &&
            strcmp(oid, purpose) == 0) {
            return true;
        }
    }
    return untrusted(error, "is none of a TPM: its extended key usage lacks",
                     purpose);
}

static bool check_key(X509 *certificate, const VsmEkKey *key, GError **error)
{
    g_autoptr(EVP_PKEY) wanted = vsm_ek_pkey(key, error);
    EVP_PKEY *held = X509_get0_pubkey(certificate);

    if (!wanted) {
        return false;
    }
    if (!held) {
        vsm_openssl_error(error, VSM_ERROR_UNSUPPORTED,
                          "reading the key of a certificate");
        return false;
    }
    return EVP_PKEY_eq(held, wanted) == 1 ||
           untrusted(error, "is another key's", NULL);
}

bool vsm_x509_check(const GPtrArray *chain,
                    const char *ca_pem,
                    const char *purpose,
                    gint64 now,
                    const VsmEkKey *key,
                    GError **error)
{
    g_autoptr(X509_STORE) trusted = load_trusted(ca_pem, error);
    g_autoptr(X509Stack) stack = trusted ? parse_chain(chain, error) : NULL;
    X509 *certificate;
    bool ok;

    if (!stack) {
        return false;
    }
    certificate = sk_X509_value(stack, 0);
    ok = check_chain(stack, trusted, now, error) &&
         check_purpose(certificate, purpose, error) &&
         check_key(certificate, key, error);
    ERR_clear_error(); /* what was tried on the way is nobody's business */
    return ok;
}

/* A SEQUENCE with a definite length (X.690, 8.1). */
gsize vsm_x509_length(const guint8 *data, gsize bytes)
{
    gsize n, length = 0;

    if (bytes < 2 || data[0] != 0x30) {
        return 0;
    }
    n = data[1] & 0x80 ? data[1] & 0x7f : 0;
    if (n > 2 || (n == 0 && data[1] == 0x80) || 2 + n > bytes) {
        return 0;
    }
    for (gsize i = 0; i < n; i++) {
        length = length << 8 | data[2 + i];
    }
    length = 2 + n + (n == 0 ? data[1] : length);
    return length <= bytes ? length : 0;
}
