/*
 * Verifying: what differs from the sealed stream, and where.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/error.h>

#include "base/limits.h"
#include "core/stream-internal.h"

/* The run that covers a body at @offset; false: @offset is in no body. */
static bool find_run(const VsmMap *map,
                     guint64 offset,
                     guint32 *ret_run,
                     guint32 *ret_in_run)
{
    guint32 low = 0, high = vsm_map_runs(map);
    VsmRun run;
    guint64 in_run;

    while (low < high) { /* the first run that begins behind @offset */
        guint32 middle = low + (high - low) / 2;

        if (vsm_map_run(map, middle).offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return false;
    }
    run = vsm_map_run(map, low - 1);
    in_run = (offset - run.offset) / run.stride;
    if (in_run >= run.pages ||
        (offset - run.offset) % run.stride >= VSM_PAGE_BYTES) {
        return false;
    }
    *ret_run = low - 1;
    *ret_in_run = in_run;
    return true;
}

static const char *block_name(const VsmStream *stream, guint32 block)
{
    return vsm_stored_manifest(stream->stored)->geometry->blocks[block].idstr;
}

static char *describe(const VsmStream *stream, guint64 offset)
{
    const VsmMap *map = vsm_stored_map(stream->stored);
    guint64 end = vsm_stored_document(stream->stored)->bytes;
    guint32 index, in_run;
    VsmRun run;

    if (offset >= end) {
        return g_strdup_printf("it is longer than %" G_GUINT64_FORMAT " bytes",
                               end);
    }
    if (stream->finished && offset == stream->position) {
        return g_strdup_printf("it ends %" G_GUINT64_FORMAT " bytes too early",
                               end - offset);
    }
    if (!find_run(map, offset, &index, &in_run)) {
        return g_strdup("device state or headers");
    }
    run = vsm_map_run(map, index);
    return g_strdup_printf("RAM block '%s', page %" G_GUINT64_FORMAT,
                           block_name(stream, run.block),
                           (guint64)run.first + in_run);
}

bool vsm_stream_check_bad(VsmStream *stream, GError **error)
{
    g_autofree char *where = NULL;
    guint64 offset;

    pthread_mutex_lock(&stream->lock);
    offset = stream->bad_offset;
    pthread_mutex_unlock(&stream->lock);
    if (offset == G_MAXUINT64) {
        return true;
    }
    where = describe(stream, offset);
    g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                "the stored snapshot is not what was sealed: first difference "
                "at byte %" G_GUINT64_FORMAT " (%s): take another snapshot",
                offset, where);
    return false;
}

static gint by_offset(gconstpointer a, gconstpointer b)
{
    const VsmDamage *x = a, *y = b;

    return x->item.offset < y->item.offset   ? -1
           : x->item.offset > y->item.offset ? 1
                                             : 0;
}

/* Whether @item goes on where the last damaged one ended, in the same run. */
static bool joins(const VsmStream *stream,
                  const VsmBatchItem *last,
                  const VsmBatchItem *item)
{
    const VsmMap *map = vsm_stored_map(stream->stored);
    guint32 a, b, in_run;

    if (!last || last->skeleton != item->skeleton ||
        last->index + 1 != item->index) {
        return false;
    }
    return item->skeleton ||
           (find_run(map, last->offset, &a, &in_run) &&
            find_run(map, item->offset, &b, &in_run) && a == b);
}

static VsmFinding *new_finding(const VsmStream *stream,
                               const VsmBatchItem *item)
{
    const VsmMap *map = vsm_stored_map(stream->stored);
    VsmFinding *finding = g_new0(VsmFinding, 1);
    guint32 index, in_run;

    finding->kind = item->skeleton ? "skeleton" : "body";
    finding->offset = item->offset;
    if (!item->skeleton && find_run(map, item->offset, &index, &in_run)) {
        finding->where =
            g_strdup(block_name(stream, vsm_map_run(map, index).block));
    } else {
        finding->where = g_strdup("stream");
    }
    return finding;
}

GPtrArray *vsm_stream_damage(VsmStream *stream, guint64 *ret_left_out)
{
    GPtrArray *findings =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_finding_free);
    const VsmBatchItem *last = NULL;
    VsmFinding *finding = NULL;

    *ret_left_out = 0;
    g_array_sort(stream->damage, by_offset);
    for (guint i = 0; i < stream->damage->len; i++) {
        const VsmBatchItem *item =
            &g_array_index(stream->damage, VsmDamage, i).item;

        if (!joins(stream, last, item)) {
            finding = NULL;
            if (findings->len == VSM_FINDINGS_MAX) {
                (*ret_left_out)++;
            } else {
                finding = new_finding(stream, item);
                g_ptr_array_add(findings, finding);
            }
        }
        if (finding) {
            finding->bytes += VSM_PAGE_BYTES;
        }
        last = item;
    }
    return findings;
}

/* The sealed leaves with what was measured in its place. */
static bool patched_root(VsmStream *stream,
                         bool skeleton,
                         guint64 came,
                         VsmDigest *ret,
                         GError **error)
{
    const VsmLeaves *sealed = skeleton ? vsm_stored_skeleton(stream->stored)
                                       : vsm_stored_leaves(stream->stored);
    g_autoptr(VsmLeaves) leaves = vsm_leaves_copy(sealed, error);

    if (!leaves) {
        return false;
    }
    for (guint i = 0; i < stream->damage->len; i++) {
        const VsmDamage *damage = &g_array_index(stream->damage, VsmDamage, i);

        if (damage->item.skeleton == skeleton) {
            *vsm_leaves_at(leaves, damage->item.index) = damage->digest;
        }
    }
    for (guint64 i = came; i < vsm_leaves_count(leaves); i++) {
        *vsm_leaves_at(leaves, i) = vsm_leaf_absent;
    }
    return vsm_leaves_root(leaves, stream->pool,
                           skeleton ? VSM_TREE_SKELETON : VSM_TREE_BODIES, ret,
                           error);
}

bool vsm_stream_measured(VsmStream *stream,
                         GBytes **ret_document,
                         GError **error)
{
    VsmDocument document;
    GBytes *encoded;

    if (!stream->stored || !stream->finished) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "stream: it was not verified to its end");
        return false;
    }
    document = *vsm_stored_document(stream->stored);
    if (stream->bad_offset != G_MAXUINT64) {
        guint64 bodies = stream->cursor.body;

        /* What is no whole body counts as skeleton: the lengths must fit. */
        document.bytes = stream->position + stream->excess;
        document.skeleton_bytes = document.bytes - bodies * VSM_PAGE_BYTES;
        document.runs = MIN(document.runs, bodies);
        if (!patched_root(stream, false, bodies, &document.bodies, error) ||
            !patched_root(stream, true, stream->pieces, &document.skeleton,
                          error)) {
            return false;
        }
    }
    encoded = vsm_document_encode(&document, error);
    if (!encoded) {
        return false;
    }
    *ret_document = encoded;
    return true;
}
