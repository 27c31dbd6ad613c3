/*
 * HMAC and the TPM's key derivations KDFa and KDFe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crypto/kdf.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <vsm/error.h>

#include "crypto/openssl-error.h"

/* Bytes of a derived key; far above any use. */
#define KDF_BYTES_MAX 1024

static bool hmac(VsmHashAlg alg,
                 const guint8 *key,
                 gsize key_bytes,
                 const void *data,
                 gsize bytes,
                 guint8 *ret,
                 GError **error)
{
    const EVP_MD *md = alg == VSM_HASH_SHA256 ? EVP_sha256() : EVP_sha384();
    guint8 out[EVP_MAX_MD_SIZE];

    if (!HMAC(md, key, (int)key_bytes, data, bytes, out, NULL)) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "HMAC");
        return false;
    }
    memcpy(ret, out, vsm_hash_bytes(alg));
    vsm_wipe(out, sizeof(out));
    return true;
}

bool vsm_hmac(VsmHashAlg alg,
              const VsmSecret *key,
              const void *data,
              gsize bytes,
              guint8 *ret,
              GError **error)
{
    return hmac(alg, vsm_secret_peek(key), vsm_secret_bytes(key), data, bytes,
                ret, error);
}

static void put_be32(guint8 *out, guint32 value)
{
    out[0] = value >> 24;
    out[1] = value >> 16;
    out[2] = value >> 8;
    out[3] = value;
}

static void append_be32(GByteArray *out, guint32 value)
{
    guint8 bytes[4];

    put_be32(bytes, value);
    g_byte_array_append(out, bytes, sizeof(bytes));
}

static void append(GByteArray *out, VsmKdfField field)
{
    if (field.bytes) {
        g_byte_array_append(out, field.data, field.bytes);
    }
}

static void wipe_array(GByteArray *array)
{
    vsm_wipe(array->data, array->len);
    g_byte_array_unref(array);
}

/*
 * Block after block into a secret; @message begins with the counter's four
 * bytes.  @key NULL: plain hash.
 */
static VsmSecret *expand(VsmHashAlg alg,
                         const VsmSecret *key,
                         GByteArray *message,
                         gsize bytes,
                         GError **error)
{
    g_autoptr(VsmSecret) out = vsm_secret_new(bytes, error);
    guint8 block[VSM_HASH_BYTES_MAX];
    gsize done = 0;

    if (!out) {
        return NULL;
    }
    for (guint32 i = 1; done < bytes; i++) {
        gsize part = MIN(vsm_hash_bytes(alg), bytes - done);

        put_be32(message->data, i);
        if (key ? !vsm_hmac(alg, key, message->data, message->len, block, error)
                : !vsm_hash(alg, message->data, message->len, block, error)) {
            return NULL;
        }
        memcpy(vsm_secret_data(out) + done, block, part);
        done += part;
    }
    vsm_wipe(block, sizeof(block));
    return g_steal_pointer(&out);
}

VsmSecret *vsm_kdfa(VsmHashAlg alg,
                    const VsmSecret *key,
                    const char *label,
                    VsmKdfField u,
                    VsmKdfField v,
                    gsize bytes,
                    GError **error)
{
    g_autoptr(GByteArray) message = g_byte_array_new();

    g_assert(bytes > 0 && bytes <= KDF_BYTES_MAX);
    append_be32(message, 0);
    append(message, (VsmKdfField){label, strlen(label) + 1});
    append(message, u);
    append(message, v);
    append_be32(message, bytes * 8);
    return expand(alg, key, message, bytes, error);
}

VsmSecret *vsm_kdfe(VsmHashAlg alg,
                    const VsmSecret *z,
                    const char *label,
                    VsmKdfField party_u,
                    VsmKdfField party_v,
                    gsize bytes,
                    GError **error)
{
    GByteArray *message = g_byte_array_new();
    VsmSecret *ret;

    g_assert(bytes > 0 && bytes <= KDF_BYTES_MAX);
    append_be32(message, 0);
    append(message, (VsmKdfField){vsm_secret_peek(z), vsm_secret_bytes(z)});
    append(message, (VsmKdfField){label, strlen(label) + 1});
    append(message, party_u);
    append(message, party_v);
    ret = expand(alg, NULL, message, bytes, error);
    wipe_array(message); /* holds a copy of @z */
    return ret;
}
