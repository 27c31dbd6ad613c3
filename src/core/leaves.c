/*
 * A growing array of digests in segments that never move.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/leaves.h"

#include <string.h>
#include <vsm/error.h>

#define SEGMENT_BYTES (VSM_LEAVES_SEGMENT * VSM_DIGEST_BYTES)

/* Leaves hashed in one go by vsm_leaf_run(). */
#define LEAF_BATCH 64

struct _VsmLeaves {
    GPtrArray *segments; /* of VsmDigest[VSM_LEAVES_SEGMENT] */
    guint64 count;
};

VsmLeaves *vsm_leaves_new(void)
{
    VsmLeaves *leaves = g_new0(VsmLeaves, 1);

    leaves->segments = g_ptr_array_new_with_free_func(g_free);
    return leaves;
}

guint64 vsm_leaves_count(const VsmLeaves *leaves)
{
    return leaves->count;
}

bool vsm_leaves_grow(VsmLeaves *leaves, guint64 n, GError **error)
{
    while (leaves->count + n >
           (guint64)leaves->segments->len * VSM_LEAVES_SEGMENT) {
        VsmDigest *segment = g_try_malloc0(SEGMENT_BYTES);

        if (!segment || leaves->segments->len == G_MAXINT) {
            g_free(segment);
            g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                        "no memory for %" G_GUINT64_FORMAT " page digests",
                        leaves->count + n);
            return false;
        }
        g_ptr_array_add(leaves->segments, segment);
    }
    leaves->count += n;
    return true;
}

VsmDigest *vsm_leaves_at(VsmLeaves *leaves, guint64 index)
{
    VsmDigest *segment =
        g_ptr_array_index(leaves->segments, index / VSM_LEAVES_SEGMENT);

    return &segment[index % VSM_LEAVES_SEGMENT];
}

const VsmDigest *vsm_leaves_peek(const VsmLeaves *leaves, guint64 index)
{
    return vsm_leaves_at((VsmLeaves *)leaves, index);
}

bool vsm_leaves_append(VsmLeaves *leaves, GBytes *bytes, GError **error)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    guint64 at = leaves->count;

    if (size % VSM_DIGEST_BYTES) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "page digests: %" G_GSIZE_FORMAT
                    " bytes are no multiple of %d",
                    size, VSM_DIGEST_BYTES);
        return false;
    }
    if (!vsm_leaves_grow(leaves, size / VSM_DIGEST_BYTES, error)) {
        return false;
    }
    while (size) {
        gsize room =
            SEGMENT_BYTES - at % VSM_LEAVES_SEGMENT * (gsize)VSM_DIGEST_BYTES;
        gsize n = MIN(size, room);

        memcpy(vsm_leaves_at(leaves, at), data, n);
        data += n;
        size -= n;
        at += n / VSM_DIGEST_BYTES;
    }
    return true;
}

GBytes *vsm_leaves_segment(VsmLeaves *leaves, guint64 segment)
{
    guint64 first = segment * VSM_LEAVES_SEGMENT;
    guint64 n = MIN(VSM_LEAVES_SEGMENT, leaves->count - first);

    return g_bytes_new_static(vsm_leaves_at(leaves, first),
                              n * VSM_DIGEST_BYTES);
}

VsmLeaves *vsm_leaves_copy(const VsmLeaves *leaves, GError **error)
{
    g_autoptr(VsmLeaves) copy = vsm_leaves_new();

    if (!vsm_leaves_grow(copy, leaves->count, error)) {
        return NULL;
    }
    for (guint i = 0; i < leaves->segments->len; i++) {
        memcpy(g_ptr_array_index(copy->segments, i),
               g_ptr_array_index(leaves->segments, i), SEGMENT_BYTES);
    }
    return g_steal_pointer(&copy);
}

static void
get_leaves(gconstpointer opaque, guint64 first, guint n, VsmDigest *out)
{
    const VsmLeaves *leaves = opaque;

    for (guint i = 0; i < n; i++) {
        out[i] = *vsm_leaves_peek(leaves, first + i);
    }
}

bool vsm_leaves_root(const VsmLeaves *leaves,
                     VsmPool *pool,
                     VsmTreeKind kind,
                     VsmDigest *ret,
                     GError **error)
{
    return vsm_tree_root(pool, kind, leaves->count, get_leaves, leaves, ret,
                         error);
}

void vsm_leaves_free(VsmLeaves *leaves)
{
    if (!leaves) {
        return;
    }
    g_ptr_array_unref(leaves->segments);
    g_free(leaves);
}

bool vsm_leaf_run(VsmHasher *hasher,
                  const VsmHashJob *jobs,
                  guint n,
                  GError **error)
{
    VsmHashJob batch[LEAF_BATCH];
    guint n_batch = 0;

    for (guint i = 0; i < n; i++) {
        if (vsm_is_zero(jobs[i].data, jobs[i].bytes)) {
            *jobs[i].out = vsm_leaf_zero;
        } else {
            batch[n_batch++] = jobs[i];
        }
        if (n_batch == LEAF_BATCH || (i + 1 == n && n_batch)) {
            if (!vsm_hasher_run(hasher, batch, n_batch, error)) {
                return false;
            }
            n_batch = 0;
        }
    }
    return true;
}
