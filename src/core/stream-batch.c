/*
 * A batch of the stream: hashed by one task, stored or compared.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/stream-internal.h"

VsmBatch *vsm_batch_new(VsmStream *stream)
{
    VsmBatch *batch = g_new0(VsmBatch, 1);

    batch->stream = stream;
    batch->held = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    batch->scratch = g_ptr_array_new_with_free_func(g_free);
    batch->jobs = g_array_new(FALSE, FALSE, sizeof(VsmHashJob));
    batch->items = g_array_new(FALSE, FALSE, sizeof(VsmBatchItem));
    return batch;
}

void vsm_batch_free(VsmBatch *batch)
{
    g_clear_pointer(&batch->held, g_ptr_array_unref);
    g_clear_pointer(&batch->scratch, g_ptr_array_unref);
    g_clear_pointer(&batch->chunk, g_bytes_unref);
    g_array_unref(batch->jobs);
    g_array_unref(batch->items);
    g_free(batch);
}

void vsm_stream_note_bad(VsmStream *stream, guint64 offset)
{
    pthread_mutex_lock(&stream->lock);
    stream->bad_offset = MIN(stream->bad_offset, offset);
    pthread_mutex_unlock(&stream->lock);
}

static void note_damage(VsmStream *stream,
                        const VsmBatchItem *item,
                        const VsmDigest *digest)
{
    VsmDamage damage = {*item, *digest};

    pthread_mutex_lock(&stream->lock);
    stream->bad_offset = MIN(stream->bad_offset, item->offset);
    g_array_append_val(stream->damage, damage);
    pthread_mutex_unlock(&stream->lock);
}

/*
 * Messages that are hashed, compared and tagged before the next ones: little
 * enough to stay in the CPU's cache, and a multiple of what a hasher does at
 * once.
 */
#define SLICE 32

/* Whether all of them are equal. */
static bool compare(VsmBatch *batch, guint first, guint n, VsmDigest *digests)
{
    const VsmStored *stored = batch->stream->stored;
    bool equal = true;

    for (guint i = 0; i < n; i++) {
        const VsmBatchItem *item =
            &g_array_index(batch->items, VsmBatchItem, first + i);
        const VsmLeaves *leaves = item->skeleton ? vsm_stored_skeleton(stored)
                                                 : vsm_stored_leaves(stored);

        if (!vsm_digest_equal(&digests[i],
                              vsm_leaves_peek(leaves, item->index))) {
            note_damage(batch->stream, item, &digests[i]);
            equal = false;
        }
    }
    return equal;
}

/*
 * The bodies, found equal just now, are remembered for the RAM they go to, and
 * the chunk for pass 2.
 */
static bool remember(
    VsmBatch *batch, guint first, guint n, VsmTagging *chunk, GError **error)
{
    VsmRecheckPage pages[SLICE];
    guint bodies = 0;

    for (guint i = first; i < first + n; i++) {
        const VsmBatchItem *item =
            &g_array_index(batch->items, VsmBatchItem, i);
        const guint8 *data = g_array_index(batch->jobs, VsmHashJob, i).data;

        if (!item->skeleton) {
            pages[bodies++] =
                (VsmRecheckPage){data, item->index, item->block, item->page};
            if (chunk &&
                !vsm_tagging_up_to(chunk, data + VSM_PAGE_BYTES, error)) {
                return false;
            }
        }
    }
    return vsm_recheck_tag_pages(batch->stream->recheck, pages, bodies, error);
}

static bool verify(VsmBatch *batch, VsmHasher *hasher, GError **error)
{
    VsmStream *stream = batch->stream;
    VsmHashJob *jobs = (VsmHashJob *)batch->jobs->data;
    g_autoptr(VsmTagging) chunk = NULL;
    VsmDigest digests[SLICE];
    bool equal = true;

    if (batch->chunk) {
        chunk = vsm_tagging_new(stream->recheck, batch->chunk_index,
                                batch->chunk, error);
        if (!chunk) {
            return false;
        }
    }
    for (guint first = 0; first < batch->jobs->len; first += SLICE) {
        guint n = MIN(SLICE, batch->jobs->len - first);

        for (guint i = 0; i < n; i++) {
            jobs[first + i].out = &digests[i];
        }
        if (!vsm_leaf_run(hasher, jobs + first, n, error)) {
            return false;
        }
        equal &= compare(batch, first, n, digests);
        if (equal && stream->recheck &&
            !remember(batch, first, n, chunk, error)) {
            return false;
        }
    }
    return !chunk || !equal || vsm_tagging_end(chunk, error);
}

/* Save: each job's digest goes straight to its leaf.  Verify: compared. */
bool vsm_batch_run(gpointer data, VsmHasher *hasher, GError **error)
{
    VsmBatch *batch = data;
    VsmStream *stream = batch->stream;
    bool ok = stream->stored
                  ? verify(batch, hasher, error)
                  : vsm_leaf_run(hasher, (VsmHashJob *)batch->jobs->data,
                                 batch->jobs->len, error);

    vsm_pool_count_hashed(stream->pool, batch->bytes);

    /* Memory goes at once: the caller may wait for its buffers. */
    g_clear_pointer(&batch->held, g_ptr_array_unref);
    g_clear_pointer(&batch->scratch, g_ptr_array_unref);
    g_clear_pointer(&batch->chunk, g_bytes_unref);
    pthread_mutex_lock(&stream->lock);
    batch->done = true;
    pthread_mutex_unlock(&stream->lock);
    return ok;
}
