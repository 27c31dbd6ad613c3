/*
 * What the files of the recheck share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <pthread.h>

#include "core/recheck.h"
#include "crypto/gmac.h"
#include "crypto/secret.h"

/* Neighbouring pages, in the stream and in RAM, under one tag. */
typedef struct {
    guint64 body; /* of the first page; the nonce */
    guint32 block, first, pages;
    VsmGmacTag tag;
} VsmPagesTag;

/* Whether a chunk has its tag. */
typedef enum {
    VSM_TAGGED_NOT,
    VSM_TAGGED_SOON, /* a thread is making it */
    VSM_TAGGED,
} VsmTagged;

struct _VsmRecheck {
    VsmPool *pool;
    VsmGroup *group; /* of checks */
    VsmSecret *key;
    guint64 bytes, chunks; /* of the stream */
    VsmGmacTag *tags; /* one a chunk */
    GQueue checks; /* of chunks under comparison, in their order */

    pthread_mutex_t lock; /* of their done flags and all below */
    pthread_cond_t checked; /* signalled when a check is done */
    guint8 *tagged; /* one a chunk: VsmTagged */
    GPtrArray *idle; /* of VsmGmac that no thread uses */
    GArray *pages; /* of VsmPagesTag */
};

/* A MAC for this thread to use, and back; any thread.  CRYPTO. */
VsmGmac *vsm_recheck_take_gmac(VsmRecheck *recheck, GError **error);
void vsm_recheck_give_gmac(VsmRecheck *recheck, VsmGmac *gmac);

/* Nonces of pages; those of chunks have the highest bit clear. */
#define VSM_RECHECK_PAGES_NONCE(body) ((body) | 1ull << 63)
