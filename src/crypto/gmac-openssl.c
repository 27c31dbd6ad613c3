/*
 * GMAC with OpenSSL: AES-256-GCM with nothing to encrypt, on every CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <openssl/evp.h>
#include <vsm/error.h>

#include "crypto/gmac-backends.h"
#include "crypto/openssl-error.h"

static void *openssl_create(const guint8 key[VSM_GMAC_KEY_BYTES],
                            GError **error)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

    if (!context ||
        EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, NULL) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "GMAC set-up");
        EVP_CIPHER_CTX_free(context);
        return NULL;
    }
    return context;
}

static bool failed(GError **error)
{
    vsm_openssl_error(error, VSM_ERROR_CRYPTO, "GMAC");
    return false;
}

static bool
openssl_begin(void *self, const guint8 nonce[GMAC_NONCE_BYTES], GError **error)
{
    return EVP_EncryptInit_ex(self, NULL, NULL, NULL, nonce) == 1 ||
           failed(error);
}

static bool
openssl_update(void *self, const void *data, gsize bytes, GError **error)
{
    int length;

    return bytes == 0 ||
           (bytes <= G_MAXINT &&
            EVP_EncryptUpdate(self, NULL, &length, data, (int)bytes) == 1) ||
           failed(error);
}

static bool openssl_end(void *self, VsmGmacTag *ret, GError **error)
{
    VsmGmacTag tag;
    int length;

    if (EVP_EncryptFinal_ex(self, tag.b, &length) != 1 ||
        EVP_CIPHER_CTX_ctrl(self, EVP_CTRL_AEAD_GET_TAG, VSM_GMAC_TAG_BYTES,
                            tag.b) != 1) {
        return failed(error);
    }
    *ret = tag;
    return true;
}

static void openssl_destroy(void *self)
{
    EVP_CIPHER_CTX_free(self); /* wiped by OpenSSL */
}

const VsmGmacOps vsm_gmac_openssl = {
    .create = openssl_create,
    .begin = openssl_begin,
    .update = openssl_update,
    .end = openssl_end,
    .destroy = openssl_destroy,
};
