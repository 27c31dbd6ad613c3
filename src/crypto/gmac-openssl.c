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

static bool openssl_tag(void *self,
                        const guint8 nonce[GMAC_NONCE_BYTES],
                        const VsmGmacPiece *pieces,
                        guint n,
                        VsmGmacTag *ret,
                        GError **error)
{
    EVP_CIPHER_CTX *context = self;
    VsmGmacTag tag;
    bool ok = EVP_EncryptInit_ex(context, NULL, NULL, NULL, nonce) == 1;
    int length;

    for (guint i = 0; i < n && ok; i++) {
        ok = pieces[i].bytes <= G_MAXINT &&
             EVP_EncryptUpdate(context, NULL, &length, pieces[i].data,
                               (int)pieces[i].bytes) == 1;
    }
    if (!ok || EVP_EncryptFinal_ex(context, tag.b, &length) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, VSM_GMAC_TAG_BYTES,
                            tag.b) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "GMAC");
        return false;
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
    .tag = openssl_tag,
    .destroy = openssl_destroy,
};
