/*
 * Pass 2 of a load, and RAM after it: bytes are those that pass 1 verified.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/pool.h"
#include "core/ram.h"
#include <vsm/stream.h>

/* For a stream of this length; pass 2 compares on @pool.  LIMIT, CRYPTO. */
VsmRecheck *
vsm_recheck_new(VsmPool *pool, guint64 stream_bytes, GError **error);
void vsm_recheck_free(VsmRecheck *recheck); /* wipes key and tags */

/**
 * vsm_tagging_new:
 * @chunk: index of the chunk, each once; VSM_CHUNK_BYTES long but the last
 *
 * Pass 1: makes the tag of a chunk, in parts, each while it is in the CPU's
 * cache, and vsm_tagging_end() remembers it.  One that is freed before leaves
 * the chunk without a tag.  One thread.  INVALID, CRYPTO.
 */
typedef struct _VsmTagging VsmTagging;
VsmTagging *vsm_tagging_new(VsmRecheck *recheck,
                            guint64 chunk,
                            GBytes *bytes,
                            GError **error);

/* @end: in the chunk, behind what is to be tagged now; elsewhere, or before
 * what is tagged already: nothing to do. */
bool vsm_tagging_up_to(VsmTagging *tagging, const void *end, GError **error);
bool vsm_tagging_end(VsmTagging *tagging, GError **error); /* and the rest */
void vsm_tagging_free(VsmTagging *tagging);

/* A page body of the stream. */
typedef struct {
    const void *data; /* VSM_PAGE_BYTES */
    guint64 body; /* its index */
    guint32 block, page; /* where a load puts it */
} VsmRecheckPage;

/**
 * vsm_recheck_tag_pages:
 * @pages: bodies in the order of the stream, each of which was found equal to
 *         its sealed leaf
 *
 * Pass 1: remembers tags of neighbouring pages, for vsm_recheck_ram().  Any
 * thread; each body once.
 */
bool vsm_recheck_tag_pages(VsmRecheck *recheck,
                           const VsmRecheckPage *pages,
                           guint n,
                           GError **error);

/**
 * vsm_recheck_ram:
 * @stored: proved; @recheck's pass 1 found all of it equal
 * @blocks: with @host set; the caller has stopped whoever writes there
 * @manifest: gets geometry and roots if RAM is equal
 * @ret_equal: (out): whether each page is, by its tag, what pass 1 hashed, or
 *             zero where the stream has no body
 *
 * Then the sealed roots are the roots of this RAM, and are given as such.  If
 * not equal, or where tags cannot tell, nothing is given: vsm_ram_measure()
 * says what differs.  false: INVALID, LIMIT, CANCELLED, CRYPTO.
 */
bool vsm_recheck_ram(VsmRecheck *recheck,
                     const VsmStored *stored,
                     const VsmRamBlock *blocks,
                     guint n_blocks,
                     VsmManifest *manifest,
                     VsmRamResult *ret,
                     bool *ret_equal,
                     GCancellable *cancel,
                     GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmRecheck, vsm_recheck_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmTagging, vsm_tagging_free)
