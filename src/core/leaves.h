/*
 * A growing array of digests, and the leaf of some bytes.
 *
 * The leaf of bytes is SHA-384 of them, or 48 zero bytes if all are zero; how
 * many bytes a leaf stands for is bound elsewhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/pool.h"
#include "core/tree.h"

/* Leaves of one segment; a segment is one message: 768 KiB. */
#define VSM_LEAVES_SEGMENT 16384u

typedef struct _VsmLeaves VsmLeaves;

VsmLeaves *vsm_leaves_new(void);
guint64 vsm_leaves_count(const VsmLeaves *leaves);

/* Adds @n zeroed leaves; slots never move.  LIMIT without memory. */
bool vsm_leaves_grow(VsmLeaves *leaves, guint64 n, GError **error);
VsmDigest *vsm_leaves_at(VsmLeaves *leaves, guint64 index);
const VsmDigest *vsm_leaves_peek(const VsmLeaves *leaves, guint64 index);

/* Appends stored bytes; FORMAT unless a multiple of 48. */
bool vsm_leaves_append(VsmLeaves *leaves, GBytes *bytes, GError **error);

/* One segment's bytes; borrowed from @leaves, which must outlive it. */
GBytes *vsm_leaves_segment(VsmLeaves *leaves, guint64 segment);
VsmLeaves *vsm_leaves_copy(const VsmLeaves *leaves, GError **error);

bool vsm_leaves_root(const VsmLeaves *leaves,
                     VsmPool *pool,
                     VsmTreeKind kind,
                     VsmDigest *ret,
                     GError **error);
void vsm_leaves_free(VsmLeaves *leaves);

/* Leaves of many messages: zero ones are recognised, others hashed. */
bool vsm_leaf_run(VsmHasher *hasher,
                  const VsmHashJob *jobs,
                  guint n,
                  GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmLeaves, vsm_leaves_free)
