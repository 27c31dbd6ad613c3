/*
 * Hash trees of fan-out 64 over 48-byte leaves.
 *
 * node = SHA-384("VSM-NODE-1" || u8 level || u64 index || children), but a node
 * whose children are all zero bytes is 48 zero bytes itself, and one whose
 * children are all 0xff is 48 times 0xff: sparse and absent memory cost
 * nothing.  The top is the only node of the highest level, which is at least 1;
 * without leaves 48 zero bytes.  root = SHA-384("VSM-ROOT-1" || u8 kind || u64
 * count || top).  The shape follows from count, which the root binds.  Integers
 * little-endian.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/pool.h"

#define VSM_TREE_FANOUT 64

typedef enum {
    VSM_TREE_RAM = 1, /* pages of a RAM block by address */
    VSM_TREE_BODIES = 2, /* page bodies in stream order */
    VSM_TREE_SKELETON = 3, /* pieces of the skeleton */
} VsmTreeKind;

extern const VsmDigest vsm_leaf_zero; /* a zero page; never streamed */
extern const VsmDigest vsm_leaf_absent; /* no memory behind it: 48 x 0xff */

/* Copies the leaves [@first, @first + @n) to @out; any thread. */
typedef void (*VsmTreeLeafFunc)(gconstpointer opaque,
                                guint64 first,
                                guint n,
                                VsmDigest *out);

/**
 * vsm_tree_root:
 *
 * Of @count leaves, on the pool.  Errors: LIMIT (no memory), CRYPTO,
 * CANCELLED.
 */
bool vsm_tree_root(VsmPool *pool,
                   VsmTreeKind kind,
                   guint64 count,
                   VsmTreeLeafFunc leaves,
                   gconstpointer opaque,
                   VsmDigest *ret,
                   GError **error);

/* Number of nodes on level 1 of a tree of @count leaves. */
guint64 vsm_tree_width(guint64 count);

/**
 * vsm_tree_nodes:
 * @level: of the nodes made, 1 above the leaves
 * @first: index of the first node made
 * @children: @n_children of the level below; a multiple of the fan-out but at
 *            the end of the level
 * @out: one for each fan-out children begun
 */
bool vsm_tree_nodes(VsmHasher *hasher,
                    guint8 level,
                    guint64 first,
                    const VsmDigest *children,
                    gsize n_children,
                    VsmDigest *out,
                    GError **error);

/* The root from all nodes of level 1, which are overwritten. */
bool vsm_tree_finish(VsmHasher *hasher,
                     VsmTreeKind kind,
                     guint64 count,
                     VsmDigest *level1,
                     VsmDigest *ret,
                     GError **error);
