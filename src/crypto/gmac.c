/*
 * AES-256-GMAC under a key that lives in this object only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crypto/gmac.h"

#include <openssl/evp.h>
#include <vsm/error.h>

#include "crypto/openssl-error.h"
#include "crypto/secret.h"

#define GMAC_NONCE_BYTES 12

struct _VsmGmac {
    EVP_CIPHER_CTX *context; /* wiped by OpenSSL when freed */
};

VsmGmac *vsm_gmac_new_with_key(const guint8 key[VSM_GMAC_KEY_BYTES],
                               GError **error)
{
    g_autoptr(VsmGmac) gmac = g_new0(VsmGmac, 1);

    gmac->context = EVP_CIPHER_CTX_new();
    if (!gmac->context || EVP_EncryptInit_ex(gmac->context, EVP_aes_256_gcm(),
                                             NULL, key, NULL) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "GMAC set-up");
        return NULL;
    }
    return g_steal_pointer(&gmac);
}

VsmGmac *vsm_gmac_new(GError **error)
{
    g_autoptr(VsmSecret) key = vsm_secret_new_random(VSM_GMAC_KEY_BYTES, error);

    return key ? vsm_gmac_new_with_key(vsm_secret_peek(key), error) : NULL;
}

bool vsm_gmac_tag(VsmGmac *gmac,
                  guint64 index,
                  const void *data,
                  gsize bytes,
                  VsmGmacTag *ret,
                  GError **error)
{
    guint8 nonce[GMAC_NONCE_BYTES] = {0};
    VsmGmacTag tag;
    int n;

    for (guint i = 0; i < 8; i++) {
        nonce[GMAC_NONCE_BYTES - 1 - i] = index >> (8 * i);
    }
    if (bytes > G_MAXINT ||
        EVP_EncryptInit_ex(gmac->context, NULL, NULL, NULL, nonce) != 1 ||
        EVP_EncryptUpdate(gmac->context, NULL, &n, data, (int)bytes) != 1 ||
        EVP_EncryptFinal_ex(gmac->context, tag.b, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(gmac->context, EVP_CTRL_AEAD_GET_TAG,
                            VSM_GMAC_TAG_BYTES, tag.b) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "GMAC");
        return false;
    }
    *ret = tag;
    return true;
}

void vsm_gmac_free(VsmGmac *gmac)
{
    if (!gmac) {
        return;
    }
    EVP_CIPHER_CTX_free(gmac->context);
    g_free(gmac);
}
