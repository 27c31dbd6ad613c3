/*
 * SHA-384 of one message that comes in pieces.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <openssl/evp.h>
#include <string.h>
#include <vsm/error.h>

#include "crypto/hash.h"
#include "crypto/openssl-error.h"

struct _VsmSha384 {
    EVP_MD_CTX *context;
};

VsmSha384 *vsm_sha384_new(GError **error)
{
    g_autoptr(VsmSha384) hash = g_new0(VsmSha384, 1);

    hash->context = EVP_MD_CTX_new();
    if (!hash->context ||
        EVP_DigestInit_ex(hash->context, EVP_sha384(), NULL) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "SHA-384 set-up");
        return NULL;
    }
    return g_steal_pointer(&hash);
}

bool vsm_sha384_update(VsmSha384 *hash,
                       const void *data,
                       gsize bytes,
                       GError **error)
{
    if (EVP_DigestUpdate(hash->context, data, bytes) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "hashing");
        return false;
    }
    return true;
}

bool vsm_sha384_finish(VsmSha384 *hash, VsmDigest *ret, GError **error)
{
    guint8 digest[EVP_MAX_MD_SIZE];

    if (EVP_DigestFinal_ex(hash->context, digest, NULL) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "hashing");
        return false;
    }
    memcpy(ret->b, digest, VSM_DIGEST_BYTES);
    return true;
}

void vsm_sha384_free(VsmSha384 *hash)
{
    if (!hash) {
        return;
    }
    EVP_MD_CTX_free(hash->context);
    g_free(hash);
}
