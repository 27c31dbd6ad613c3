/*
 * The one engine for save and verify: buffers in order become messages.
 *
 * The map cuts the stream into page bodies and skeleton.  A body that lies in
 * one buffer is hashed where it is; one that crosses a border, and the
 * skeleton, are gathered in buffers of a page first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "core/stream-internal.h"

/* A batch is handed over when it is this big: messages. */
#define BATCH_FULL 256
/* ... or this big at the end of a feed, so that small feeds share batches. */
#define BATCH_WORTH 64

static VsmStream *stream_new(VsmPool *pool)
{
    VsmStream *stream = g_new0(VsmStream, 1);

    stream->pool = pool;
    stream->group = vsm_group_new(pool, vsm_pool_in_flight(pool));
    stream->bad_offset = G_MAXUINT64;
    stream->damage = g_array_new(FALSE, FALSE, sizeof(VsmDamage));
    g_queue_init(&stream->batches);
    g_queue_init(&stream->taps);
    pthread_mutex_init(&stream->lock, NULL);
    return stream;
}

VsmStream *vsm_stream_new_save(VsmPool *pool, VsmStreamPut put, gpointer opaque)
{
    VsmStream *stream = stream_new(pool);

    stream->put = put;
    stream->opaque = opaque;
    stream->manifest = vsm_manifest_new();
    stream->map = vsm_map_new();
    stream->leaves = vsm_leaves_new();
    stream->skeleton = vsm_leaves_new();
    vsm_map_first(stream->map, &stream->cursor);
    return stream;
}

VsmStream *
vsm_stream_new_verify(VsmPool *pool, const VsmStored *stored, bool to_the_end)
{
    VsmStream *stream = stream_new(pool);

    g_assert(vsm_stored_view(stored)); /* proved */
    stream->stored = stored;
    stream->to_the_end = to_the_end;
    vsm_map_first(vsm_stored_map(stored), &stream->cursor);
    return stream;
}

void vsm_stream_free(VsmStream *stream)
{
    if (!stream) {
        return;
    }
    vsm_group_free(stream->group);
    g_queue_clear_full(&stream->batches, (GDestroyNotify)vsm_batch_free);
    g_clear_pointer(&stream->batch, vsm_batch_free);
    g_queue_clear_full(&stream->taps, (GDestroyNotify)vsm_tap_free);
    g_free(stream->body);
    g_free(stream->piece);
    vsm_manifest_free(stream->manifest);
    vsm_geometry_free(stream->geometry);
    vsm_map_free(stream->map);
    vsm_leaves_free(stream->leaves);
    vsm_leaves_free(stream->skeleton);
    g_clear_error(&stream->failure);
    g_array_unref(stream->damage);
    pthread_mutex_destroy(&stream->lock);
    g_free(stream);
}

void vsm_stream_set_recheck(VsmStream *stream, VsmRecheck *recheck)
{
    g_assert(stream->stored && stream->position == 0);
    stream->recheck = recheck;
}

guint64 vsm_stream_position(const VsmStream *stream)
{
    return stream->position;
}

bool vsm_stream_fail(VsmStream *stream, GError *failure, GError **error)
{
    if (stream->failure) {
        g_error_free(failure);
    } else {
        stream->failure = failure;
    }
    g_propagate_error(error, g_error_copy(stream->failure));
    return false;
}

/* Hands the batch over; blocks while too many are in flight. */
static void submit(VsmStream *stream)
{
    VsmBatch *batch = g_steal_pointer(&stream->batch);

    batch->bodies_end = stream->cursor.body;
    g_queue_push_tail(&stream->batches, batch);
    vsm_group_push(stream->group, vsm_batch_run, batch);
}

/* Adds a whole message; in a save its digest's place is made now. */
static bool add_message(VsmStream *stream,
                        const void *data,
                        gsize bytes,
                        VsmBatchItem item,
                        GError **error)
{
    VsmHashJob job = {data, bytes, NULL};

    if (!stream->stored) {
        VsmLeaves *leaves = item.skeleton ? stream->skeleton : stream->leaves;

        if (!vsm_leaves_grow(leaves, 1, error)) {
            return false;
        }
        job.out = vsm_leaves_at(leaves, item.index);
    }
    g_array_append_val(stream->batch->jobs, job);
    g_array_append_val(stream->batch->items, item);
    stream->batch->bytes += bytes;
    return true;
}

static bool end_piece(VsmStream *stream, GError **error)
{
    guint8 *piece = g_steal_pointer(&stream->piece);
    VsmBatchItem item = {.index = stream->pieces - 1,
                         .offset = stream->piece_offset,
                         .skeleton = true};

    g_ptr_array_add(stream->batch->scratch, piece);
    return add_message(stream, piece, stream->piece_fill, item, error);
}

static bool take_skeleton(VsmStream *stream,
                          const guint8 *data,
                          gsize bytes,
                          GError **error)
{
    while (bytes) {
        gsize n;

        if (!stream->piece) {
            stream->piece = g_malloc(VSM_PAGE_BYTES);
            stream->piece_fill = 0;
            stream->piece_offset = stream->position;
            stream->pieces++;
        }
        n = MIN(bytes, VSM_PAGE_BYTES - stream->piece_fill);
        memcpy(stream->piece + stream->piece_fill, data, n);
        stream->piece_fill += n;
        stream->skeleton_bytes += n;
        stream->position += n;
        data += n;
        bytes -= n;
        if (stream->piece_fill == VSM_PAGE_BYTES && !end_piece(stream, error)) {
            return false;
        }
    }
    return true;
}

/* What the cursor's body is; its run is the one that vsm_map_offset() saw. */
static VsmBatchItem body_item(const VsmStream *stream, guint64 offset)
{
    const VsmMapCursor *cursor = &stream->cursor;
    VsmBatchItem item = {.index = cursor->body, .offset = offset};

    if (stream->recheck) {
        VsmRun run = vsm_map_run(cursor->map, cursor->run);

        item.block = run.block;
        item.page = run.first + cursor->in_run;
    }
    return item;
}

/* The next bytes of a body that does not lie in one buffer. */
static bool
gather_body(VsmStream *stream, const guint8 *data, gsize bytes, GError **error)
{
    VsmBatchItem item = body_item(stream, 0);
    guint8 *body;

    if (!stream->body) {
        stream->body = g_malloc(VSM_PAGE_BYTES);
        stream->body_fill = 0;
        stream->body_offset = stream->position;
    }
    memcpy(stream->body + stream->body_fill, data, bytes);
    stream->body_fill += bytes;
    stream->position += bytes;
    if (stream->body_fill < VSM_PAGE_BYTES) {
        return true;
    }
    body = g_steal_pointer(&stream->body);
    item.offset = stream->body_offset;
    vsm_map_next(&stream->cursor);
    g_ptr_array_add(stream->batch->scratch, body);
    return add_message(stream, body, VSM_PAGE_BYTES, item, error);
}

static bool take_body(VsmStream *stream, const guint8 *data, GError **error)
{
    VsmBatchItem item = body_item(stream, stream->position);

    vsm_map_next(&stream->cursor);
    stream->position += VSM_PAGE_BYTES;
    return add_message(stream, data, VSM_PAGE_BYTES, item, error);
}

/*
 * The chunk's tag is made by the task that hashes most of it, from the CPU's
 * cache.  A whole chunk has more messages than wait for the next feed, so its
 * batch is handed over with it, and no batch gets two.  Pass 2 refuses what is
 * not fed as a whole chunk.
 */
static void attach_chunk(VsmStream *stream, GBytes *chunk)
{
    guint64 left =
        vsm_stored_document(stream->stored)->bytes - stream->position;

    if (left == 0 || stream->position % VSM_CHUNK_BYTES ||
        g_bytes_get_size(chunk) != MIN(VSM_CHUNK_BYTES, left)) {
        return;
    }
    if (!stream->batch) {
        stream->batch = vsm_batch_new(stream);
    }
    g_assert(!stream->batch->chunk);
    stream->batch->chunk = g_bytes_ref(chunk);
    stream->batch->chunk_index = stream->position / VSM_CHUNK_BYTES;
}

/* Cuts the bytes at @position into messages; ret_held: a job points there. */
static bool cut(VsmStream *stream,
                GBytes *next,
                const guint8 *data,
                gsize bytes,
                GError **error)
{
    bool held = false;

    while (bytes) {
        guint64 before = stream->position;
        bool ok;

        if (!stream->batch) {
            stream->batch = vsm_batch_new(stream);
            held = false;
        }
        if (stream->body) {
            gsize need = VSM_PAGE_BYTES - stream->body_fill;

            ok = gather_body(stream, data, MIN(bytes, need), error);
        } else {
            guint64 body = vsm_map_offset(&stream->cursor);

            if (body > before) {
                ok = take_skeleton(stream, data, MIN(bytes, body - before),
                                   error);
            } else if (bytes < VSM_PAGE_BYTES) {
                ok = gather_body(stream, data, bytes, error);
            } else {
                if (!held) {
                    g_ptr_array_add(stream->batch->held, g_bytes_ref(next));
                    held = true;
                }
                ok = take_body(stream, data, error);
            }
        }
        if (!ok) {
            return false;
        }
        data += stream->position - before;
        bytes -= stream->position - before;
        if (stream->batch->jobs->len >= BATCH_FULL) {
            submit(stream);
        }
    }
    return true;
}

/* Frees what is hashed, and puts the leaves that are complete. */
static bool settle(VsmStream *stream, bool last, GError **error)
{
    VsmBatch *batch;

    while ((batch = g_queue_peek_head(&stream->batches)) != NULL) {
        bool done;

        pthread_mutex_lock(&stream->lock);
        done = batch->done;
        pthread_mutex_unlock(&stream->lock);
        if (!done) {
            break;
        }
        stream->complete = batch->bodies_end;
        vsm_batch_free(g_queue_pop_head(&stream->batches));
    }
    return stream->stored || vsm_stream_put_leaves(stream, last, error);
}

static bool check_feed(VsmStream *stream, gsize bytes, GError **error)
{
    GError *why = NULL;

    if (stream->finished || stream->failure) {
        why = stream->failure ? g_error_copy(stream->failure)
                              : g_error_new(VSM_ERROR, VSM_ERROR_INVALID,
                                            "stream: fed after its end");
        g_propagate_error(error, why);
        return false;
    }
    if (!stream->stored && !stream->geometry) {
        why = g_error_new(VSM_ERROR, VSM_ERROR_INVALID,
                          "stream: fed before its RAM blocks were set");
    } else if (bytes > VSM_STREAM_BYTES_MAX - stream->position) {
        why =
            g_error_new(VSM_ERROR, VSM_ERROR_LIMIT,
                        "stream: longer than %llu bytes", VSM_STREAM_BYTES_MAX);
    }
    return !why || vsm_stream_fail(stream, why, error);
}

bool vsm_stream_feed(VsmStream *stream, GBytes *next, GError **error)
{
    gsize bytes;
    const guint8 *data = g_bytes_get_data(next, &bytes);
    GError *why = NULL;

    if (!check_feed(stream, bytes, error)) {
        return false;
    }
    if (stream->stored) {
        guint64 left =
            vsm_stored_document(stream->stored)->bytes - stream->position;

        if (bytes > left) {
            vsm_stream_note_bad(stream, stream->position + left);
            stream->excess += bytes - left;
            bytes = left;
        }
    }
    if (stream->recheck) {
        attach_chunk(stream, next);
    }
    if (!vsm_stream_tap(stream, data, bytes, &why) ||
        !cut(stream, next, data, bytes, &why)) {
        return vsm_stream_fail(stream, why, error);
    }
    if (stream->batch && stream->batch->jobs->len >= BATCH_WORTH) {
        submit(stream);
    }
    if (!settle(stream, false, &why)) {
        return vsm_stream_fail(stream, why, error);
    }
    return stream->to_the_end || vsm_stream_check_bad(stream, error);
}

/* The last messages: what is gathered and what no batch has taken yet. */
static bool flush(VsmStream *stream, GError **error)
{
    if (!stream->batch) {
        stream->batch = vsm_batch_new(stream);
    }
    if (stream->piece && !end_piece(stream, error)) {
        return false;
    }
    submit(stream);
    return true;
}

static bool finish(VsmStream *stream, GError **error)
{
    if (!flush(stream, error) || !vsm_group_wait(stream->group, error) ||
        !settle(stream, true, error)) {
        return false;
    }
    if (!stream->stored) {
        return vsm_stream_finish_save(stream, error);
    }
    if (stream->position < vsm_stored_document(stream->stored)->bytes) {
        vsm_stream_note_bad(stream, stream->position);
    }
    return true;
}

bool vsm_stream_finish(VsmStream *stream, GError **error)
{
    GError *why = NULL;

    if (stream->failure) {
        g_propagate_error(error, g_error_copy(stream->failure));
        return false;
    }
    if (!stream->finished) {
        stream->finished = true;
        if (!finish(stream, &why)) {
            return vsm_stream_fail(stream, why, error);
        }
    }
    return vsm_stream_check_bad(stream, error);
}
