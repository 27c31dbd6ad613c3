/*
 * Secret bytes: not swapped, not dumped, wiped when freed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crypto/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/mman.h>
#include <vsm/error.h>

#include "crypto/openssl-error.h"

/* A mapping of its own, so that the flags touch nothing else; bytes. */
#define SECRET_MAPPING 4096

struct _VsmSecret {
    guint8 *data;
    gsize bytes;
};

VsmSecret *vsm_secret_new(gsize bytes, GError **error)
{
    VsmSecret *secret;
    void *data;

    g_assert(bytes > 0 && bytes <= SECRET_MAPPING);
    data = mmap(NULL, SECRET_MAPPING, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CRYPTO,
                    "no memory for a secret: %s", g_strerror(errno));
        return NULL;
    }
    /* Both are best effort: RLIMIT_MEMLOCK may be 0. */
    (void)mlock(data, SECRET_MAPPING);
    (void)madvise(data, SECRET_MAPPING, MADV_DONTDUMP);

    secret = g_new0(VsmSecret, 1);
    secret->data = data;
    secret->bytes = bytes;
    return secret;
}

VsmSecret *vsm_secret_new_copy(const void *data, gsize bytes, GError **error)
{
    VsmSecret *secret = vsm_secret_new(bytes, error);

    if (secret) {
        memcpy(secret->data, data, bytes);
    }
    return secret;
}

VsmSecret *vsm_secret_new_random(gsize bytes, GError **error)
{
    g_autoptr(VsmSecret) secret = vsm_secret_new(bytes, error);

    if (!secret) {
        return NULL;
    }
    if (RAND_priv_bytes(secret->data, bytes) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "random numbers");
        return NULL;
    }
    return g_steal_pointer(&secret);
}

guint8 *vsm_secret_data(VsmSecret *secret)
{
    return secret->data;
}

const guint8 *vsm_secret_peek(const VsmSecret *secret)
{
    return secret->data;
}

gsize vsm_secret_bytes(const VsmSecret *secret)
{
    return secret->bytes;
}

void vsm_secret_free(VsmSecret *secret)
{
    if (!secret) {
        return;
    }
    vsm_wipe(secret->data, SECRET_MAPPING);
    munmap(secret->data, SECRET_MAPPING);
    g_free(secret);
}

void vsm_wipe(void *data, gsize bytes)
{
    OPENSSL_cleanse(data, bytes);
}

bool vsm_random(void *data, gsize bytes, GError **error)
{
    if (bytes > G_MAXINT || RAND_bytes(data, bytes) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "random numbers");
        return false;
    }
    return true;
}
