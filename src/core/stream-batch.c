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

/* Whether all are equal. */
static bool compare(VsmBatch *batch, const VsmDigest *digests)
{
    const VsmStored *stored = batch->stream->stored;
    bool equal = true;

    for (guint i = 0; i < batch->items->len; i++) {
        const VsmBatchItem *item =
            &g_array_index(batch->items, VsmBatchItem, i);
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

/* The bodies, found equal just now, are remembered for the RAM they go to. */
static bool tag_bodies(VsmBatch *batch, GError **error)
{
    g_autofree VsmRecheckPage *pages =
        g_new(VsmRecheckPage, batch->items->len + 1);
    guint n = 0;

    for (guint i = 0; i < batch->items->len; i++) {
        const VsmBatchItem *item =
            &g_array_index(batch->items, VsmBatchItem, i);

        if (!item->skeleton) {
            pages[n++] =
                (VsmRecheckPage){g_array_index(batch->jobs, VsmHashJob, i).data,
                                 item->index, item->block, item->page};
        }
    }
    return vsm_recheck_tag_pages(batch->stream->recheck, pages, n, error);
}

/* Save: each job's digest goes straight to its leaf.  Verify: compared. */
bool vsm_batch_run(gpointer data, VsmHasher *hasher, GError **error)
{
    VsmBatch *batch = data;
    VsmStream *stream = batch->stream;
    VsmHashJob *jobs = (VsmHashJob *)batch->jobs->data;
    g_autofree VsmDigest *digests = NULL;
    bool ok;

    if (stream->stored) {
        digests = g_new(VsmDigest, batch->jobs->len);
        for (guint i = 0; i < batch->jobs->len; i++) {
            jobs[i].out = &digests[i];
        }
    }
    ok = vsm_leaf_run(hasher, jobs, batch->jobs->len, error);
    if (ok && stream->stored && compare(batch, digests) && stream->recheck) {
        ok = tag_bodies(batch, error);
    }
    vsm_pool_count_hashed(stream->pool, batch->bytes);

    /* Memory goes at once: the caller may wait for its buffers. */
    g_clear_pointer(&batch->held, g_ptr_array_unref);
    g_clear_pointer(&batch->scratch, g_ptr_array_unref);
    pthread_mutex_lock(&stream->lock);
    batch->done = true;
    pthread_mutex_unlock(&stream->lock);
    return ok;
}
