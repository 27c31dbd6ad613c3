/*
 * Signing with a private key that lies in a file or in a PKCS #11 token.
 *
 * A token is reached through OpenSSL's provider (Debian 13: pkcs11-provider) or
 * through its engine (Debian 12: libengine-pkcs11-openssl).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* engines: Debian 12 has nothing else */
#include "crypto/private.h"

#include <openssl/engine.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <string.h>
#include <vsm/error.h>

#include "crypto/openssl-error.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_MD_CTX, EVP_MD_CTX_free)

#define PKCS11 "pkcs11"

/* The first private key that the store at @uri gives. */
static EVP_PKEY *from_store(const char *uri)
{
    OSSL_STORE_CTX *store =
        OSSL_STORE_open(uri, UI_get_default_method(), NULL, NULL, NULL);
    EVP_PKEY *key = NULL;

    if (!store) {
        return NULL;
    }
    while (!key && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);

        if (!info) {
            break;
        }
        if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY) {
            key = OSSL_STORE_INFO_get1_PKEY(info);
        }
        OSSL_STORE_INFO_free(info);
    }
    OSSL_STORE_close(store);
    return key;
}

#ifndef OPENSSL_NO_ENGINE
/* The engine stays loaded: the key is used through it. */
static EVP_PKEY *from_engine(const char *uri, bool *ret_there)
{
    ENGINE *engine = ENGINE_by_id(PKCS11);
    EVP_PKEY *key = NULL;

    *ret_there = engine && ENGINE_init(engine);
    if (*ret_there) {
        key = ENGINE_load_private_key(engine, uri, UI_OpenSSL(), NULL);
    }
    ENGINE_free(engine);
    return key;
}
#else
static EVP_PKEY *from_engine(const char *uri, bool *ret_there)
{
    (void)uri;
    *ret_there = false;
    return NULL;
}
#endif

static EVP_PKEY *from_token(const char *uri, GError **error)
{
    bool provider = OSSL_PROVIDER_try_load(NULL, PKCS11, 1) != NULL;
    bool engine = false;
    EVP_PKEY *key = provider ? from_store(uri) : from_engine(uri, &engine);

    if (!key && !provider && !engine) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                    "OpenSSL has neither a provider nor an engine for PKCS "
                    "#11: install pkcs11-provider or libengine-pkcs11-openssl");
    } else if (!key) {
        vsm_openssl_error(error, VSM_ERROR_INVALID,
                          "operator's key: no such private key in a PKCS #11 "
                          "token, or a wrong PIN; looking for it");
    }
    return key;
}

static EVP_PKEY *from_file(const char *path, GError **error)
{
    g_autofree char *full = g_canonicalize_filename(path, NULL);
    EVP_PKEY *key;

    if (!g_file_test(full, G_FILE_TEST_IS_REGULAR)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "operator's key %s: there is no such file", path);
        return NULL;
    }
    key = from_store(full);
    if (!key) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "operator's key %s: no private key in PEM form, or a wrong "
                    "password",
                    path);
    }
    return key;
}

/* The hash of the key's curve; NULL with @error for another kind of key. */
static const EVP_MD *hash_of(EVP_PKEY *key, GError **error)
{
    int bits =
        EVP_PKEY_get_base_id(key) == EVP_PKEY_EC ? EVP_PKEY_get_bits(key) : 0;

    if (bits == 256) {
        return EVP_sha256();
    }
    if (bits == 384) {
        return EVP_sha384();
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "operator's key: not an EC key on P-256 or P-384");
    return NULL;
}

bool vsm_private_sign(const char *where,
                      GBytes *message,
                      GBytes **ret_der,
                      GError **error)
{
    g_autoptr(EVP_PKEY) key = g_str_has_prefix(where, PKCS11 ":")
                                  ? from_token(where, error)
                                  : from_file(where, error);
    g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
    const EVP_MD *hash = key ? hash_of(key, error) : NULL;
    guint8 der[256];
    size_t bytes = sizeof(der), size;
    const guint8 *data = g_bytes_get_data(message, &size);

    if (!hash) {
        return false;
    }
    if (!context || EVP_DigestSignInit(context, NULL, hash, NULL, key) != 1 ||
        EVP_DigestSign(context, der, &bytes, data, size) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "the operator's signature");
        return false;
    }
    *ret_der = g_bytes_new(der, bytes);
    return true;
}
