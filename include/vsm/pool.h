/*
 * The hashing threads that all measuring runs on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef enum {
    VSM_HASH_BACKEND_AUTO, /* the fastest that this build and CPU have */
    VSM_HASH_BACKEND_OPENSSL,
    VSM_HASH_BACKEND_IPSEC_MB,
} VsmHashBackend;

typedef struct _VsmPool VsmPool;

/**
 * vsm_pool_new:
 * @threads: hashing threads; 0: as many as this process may run on
 * @backend: hash back end; no digest depends on it
 * @error: (out) (optional): set if and only if NULL is returned
 *
 * Errors: VSM_ERROR_UNSUPPORTED when @backend is not in this build or CPU,
 *         VSM_ERROR_LIMIT for more than VSM_POOL_THREADS_MAX threads,
 *         VSM_ERROR_CRYPTO when a back end cannot be set up.
 *
 * Returns: (transfer full): free with vsm_pool_free()
 */
VsmPool *vsm_pool_new(guint threads, VsmHashBackend backend, GError **error);

/**
 * vsm_pool_hashed_bytes:
 * @pool: not NULL
 *
 * Returns: bytes of pages and pieces hashed so far, for progress; any thread
 */
guint64 vsm_pool_hashed_bytes(VsmPool *pool);

/**
 * vsm_pool_backend_name:
 * @pool: not NULL
 *
 * Returns: "openssl" or "ipsec-mb"
 */
const char *vsm_pool_backend_name(VsmPool *pool);

/**
 * vsm_pool_threads:
 * @pool: not NULL
 *
 * Returns: number of hashing threads
 */
guint vsm_pool_threads(VsmPool *pool);

/**
 * vsm_pool_free:
 * @pool: (transfer full) (nullable)
 *
 * Joins all threads; nothing of the caller's memory is read afterwards.
 */
void vsm_pool_free(VsmPool *pool);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmPool, vsm_pool_free)

#pragma GCC visibility pop
G_END_DECLS
