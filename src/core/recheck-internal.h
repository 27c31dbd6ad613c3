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

struct _VsmRecheck {
    VsmPool *pool;
    VsmGroup *group; /* tags of chunks being made or compared */
    VsmSecret *key;
    guint64 bytes, chunks; /* of the stream */
    VsmGmacTag *tags; /* one a chunk */
    guint8 *seen; /* one a chunk */
    bool added; /* since the last wait for @group */
    GQueue checks; /* of chunks under comparison, in their order */

    pthread_mutex_t lock; /* of all below */
    GPtrArray *idle; /* of VsmGmac that no thread uses */
    GArray *pages; /* of VsmPagesTag */
};

/* A MAC for this thread to use, and back; any thread.  CRYPTO. */
VsmGmac *vsm_recheck_take_gmac(VsmRecheck *recheck, GError **error);
void vsm_recheck_give_gmac(VsmRecheck *recheck, VsmGmac *gmac);

/* Nonces of pages; those of chunks have the highest bit clear. */
#define VSM_RECHECK_PAGES_NONCE(body) ((body) | 1ull << 63)
