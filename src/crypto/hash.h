/*
 * SHA-384 of many messages side by side, behind a table of back ends; and the
 * plain one-message forms.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/digest.h>
#include <vsm/pool.h>

/* One message: @bytes at @data; its digest goes to @out. */
typedef struct {
    const void *data;
    gsize bytes;
    VsmDigest *out;
} VsmHashJob;

/* A back end.  An instance belongs to one thread. */
typedef struct {
    const char *name;
    bool (*available)(void); /* by this CPU */
    void *(*create)(GError **error);
    bool (*run)(void *self, const VsmHashJob *jobs, guint n, GError **error);
    void (*destroy)(void *self);
} VsmHashOps;

typedef struct _VsmHasher VsmHasher;

/**
 * vsm_hasher_new:
 *
 * UNSUPPORTED when @backend is not in this build or CPU, CRYPTO when it cannot
 * be set up.  AUTO takes the fastest that works.
 */
VsmHasher *vsm_hasher_new(VsmHashBackend backend, GError **error);
const char *vsm_hasher_name(const VsmHasher *hasher); /* static */

/**
 * vsm_hasher_run:
 *
 * All @n messages, in any order; 8 or more together are fastest.  One thread
 * at a time for each hasher.
 */
bool vsm_hasher_run(VsmHasher *hasher,
                    const VsmHashJob *jobs,
                    guint n,
                    GError **error);
void vsm_hasher_free(VsmHasher *hasher);

/* Whether @backend is in this build and CPU; AUTO: always. */
bool vsm_hash_backend_available(VsmHashBackend backend);

typedef enum {
    VSM_HASH_SHA256 = 1,
    VSM_HASH_SHA384 = 2,
} VsmHashAlg;

#define VSM_HASH_BYTES_MAX 48 /* of the largest VsmHashAlg */

gsize vsm_hash_bytes(VsmHashAlg alg); /* 32 or 48 */

/* One message, any thread; CRYPTO if OpenSSL fails. */
bool vsm_hash(
    VsmHashAlg alg, const void *data, gsize bytes, guint8 *ret, GError **error);
bool vsm_sha384(const void *data, gsize bytes, VsmDigest *ret, GError **error);
bool vsm_sha384_bytes(GBytes *bytes, VsmDigest *ret, GError **error);

/* One message in pieces. */
typedef struct _VsmSha384 VsmSha384;
VsmSha384 *vsm_sha384_new(GError **error);
bool vsm_sha384_update(VsmSha384 *hash,
                       const void *data,
                       gsize bytes,
                       GError **error);
bool vsm_sha384_finish(VsmSha384 *hash, VsmDigest *ret, GError **error);
void vsm_sha384_free(VsmSha384 *hash);

/* Constant time in the content; lengths are public. */
bool vsm_equal(const void *a, const void *b, gsize bytes);

/* Whether all bytes are zero; at memory speed, any alignment. */
bool vsm_is_zero(const void *data, gsize bytes);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmHasher, vsm_hasher_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmSha384, vsm_sha384_free)
