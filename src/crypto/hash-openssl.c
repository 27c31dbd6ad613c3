/*
 * Hash back end OpenSSL: one message after the other, on every CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <openssl/evp.h>
#include <vsm/error.h>

#include "crypto/hash-backends.h"
#include "crypto/openssl-error.h"

typedef struct {
    EVP_MD *md; /* fetched once: a fetch costs as much as a page */
    EVP_MD_CTX *context;
} OpensslHasher;

static bool openssl_available(void)
{
    return true;
}

static void openssl_destroy(void *opaque)
{
    OpensslHasher *self = opaque;

    EVP_MD_CTX_free(self->context);
    EVP_MD_free(self->md);
    g_free(self);
}

static void *openssl_create(GError **error)
{
    OpensslHasher *self = g_new0(OpensslHasher, 1);

    self->md = EVP_MD_fetch(NULL, "SHA2-384", NULL);
    self->context = EVP_MD_CTX_new();
    if (!self->md || !self->context) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "SHA-384 set-up");
        openssl_destroy(self);
        return NULL;
    }
    return self;
}

static bool
openssl_run(void *opaque, const VsmHashJob *jobs, guint n, GError **error)
{
    OpensslHasher *self = opaque;

    for (guint i = 0; i < n; i++) {
        const VsmHashJob *job = &jobs[i];

        if (EVP_DigestInit_ex(self->context, self->md, NULL) != 1 ||
            EVP_DigestUpdate(self->context, job->data, job->bytes) != 1 ||
            EVP_DigestFinal_ex(self->context, job->out->b, NULL) != 1) {
            vsm_openssl_error(error, VSM_ERROR_CRYPTO, "hashing");
            return false;
        }
    }
    return true;
}

const VsmHashOps vsm_hash_openssl = {
    .name = "openssl",
    .available = openssl_available,
    .create = openssl_create,
    .run = openssl_run,
    .destroy = openssl_destroy,
};
