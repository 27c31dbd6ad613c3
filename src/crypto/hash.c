/*
 * The front of the hash back ends, and the plain one-message forms.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crypto/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <vsm/error.h>

#include "crypto/hash-backends.h"
#include "crypto/openssl-error.h"

struct _VsmHasher {
    const VsmHashOps *ops;
    void *self;
};

static const VsmHashOps *find_ops(VsmHashBackend backend)
{
    switch (backend) {
    case VSM_HASH_BACKEND_OPENSSL:
        return &vsm_hash_openssl;
#ifdef VSM_HAVE_IPSEC_MB
    case VSM_HASH_BACKEND_IPSEC_MB:
        return &vsm_hash_ipsec_mb;
#endif
    default:
        return NULL;
    }
}

bool vsm_hash_backend_available(VsmHashBackend backend)
{
    const VsmHashOps *ops = find_ops(backend);

    return backend == VSM_HASH_BACKEND_AUTO || (ops && ops->available());
}

/* A wrong digest would be sealed and never noticed: one known answer first. */
static bool self_test(VsmHasher *hasher, GError **error)
{
    static const guint8 abc[VSM_DIGEST_BYTES] = {
        /* SHA-384("abc"), FIPS 180 example */
        0xcb, 0x00, 0x75, 0x3f, 0x45, 0xa3, 0x5e, 0x8b, 0xb5, 0xa0, 0x3d, 0x69,
        0x9a, 0xc6, 0x50, 0x07, 0x27, 0x2c, 0x32, 0xab, 0x0e, 0xde, 0xd1, 0x63,
        0x1a, 0x8b, 0x60, 0x5a, 0x43, 0xff, 0x5b, 0xed, 0x80, 0x86, 0x07, 0x2b,
        0xa1, 0xe7, 0xcc, 0x23, 0x58, 0xba, 0xec, 0xa1, 0x34, 0xc8, 0x25, 0xa7};
    VsmDigest got[9];
    VsmHashJob jobs[G_N_ELEMENTS(got)];

    for (guint i = 0; i < G_N_ELEMENTS(got); i++) {
        jobs[i] = (VsmHashJob){"abc", 3, &got[i]};
    }
    if (!vsm_hasher_run(hasher, jobs, G_N_ELEMENTS(got), error)) {
        return false;
    }
    for (guint i = 0; i < G_N_ELEMENTS(got); i++) {
        if (!vsm_equal(got[i].b, abc, sizeof(abc))) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_CRYPTO,
                        "hash back end %s gives wrong digests: use another "
                        "one",
                        hasher->ops->name);
            return false;
        }
    }
    return true;
}

static VsmHasher *create(const VsmHashOps *ops, GError **error)
{
    g_autoptr(VsmHasher) hasher = NULL;
    void *self = ops->create(error);

    if (!self) {
        return NULL;
    }
    hasher = g_new0(VsmHasher, 1);
    hasher->ops = ops;
    hasher->self = self;
    if (!self_test(hasher, error)) {
        return NULL;
    }
    return g_steal_pointer(&hasher);
}

VsmHasher *vsm_hasher_new(VsmHashBackend backend, GError **error)
{
    const VsmHashOps *ops = find_ops(backend);

    if (backend == VSM_HASH_BACKEND_AUTO) {
        ops = find_ops(VSM_HASH_BACKEND_IPSEC_MB);
        if (ops && ops->available()) {
            VsmHasher *hasher = create(ops, NULL);

            if (hasher) {
                return hasher;
            }
        }
        return create(&vsm_hash_openssl, error);
    }
    if (!ops || !ops->available()) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                    "hash back end %d is not in this %s: use another one",
                    backend, ops ? "CPU" : "build");
        return NULL;
    }
    return create(ops, error);
}

const char *vsm_hasher_name(const VsmHasher *hasher)
{
    return hasher->ops->name;
}

bool vsm_hasher_run(VsmHasher *hasher,
                    const VsmHashJob *jobs,
                    guint n,
                    GError **error)
{
    return hasher->ops->run(hasher->self, jobs, n, error);
}

void vsm_hasher_free(VsmHasher *hasher)
{
    if (!hasher) {
        return;
    }
    hasher->ops->destroy(hasher->self);
    g_free(hasher);
}

gsize vsm_hash_bytes(VsmHashAlg alg)
{
    return alg == VSM_HASH_SHA256 ? 32 : 48;
}

bool vsm_hash(
    VsmHashAlg alg, const void *data, gsize bytes, guint8 *ret, GError **error)
{
    const EVP_MD *md = alg == VSM_HASH_SHA256 ? EVP_sha256() : EVP_sha384();
    guint8 digest[EVP_MAX_MD_SIZE];

    if (EVP_Digest(data, bytes, digest, NULL, md, NULL) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "hashing");
        return false;
    }
    memcpy(ret, digest, vsm_hash_bytes(alg));
    return true;
}

bool vsm_sha384(const void *data, gsize bytes, VsmDigest *ret, GError **error)
{
    return vsm_hash(VSM_HASH_SHA384, data, bytes, ret->b, error);
}

bool vsm_sha384_bytes(GBytes *bytes, VsmDigest *ret, GError **error)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);

    return vsm_sha384(data, size, ret, error);
}

bool vsm_equal(const void *a, const void *b, gsize bytes)
{
    return CRYPTO_memcmp(a, b, bytes) == 0;
}
