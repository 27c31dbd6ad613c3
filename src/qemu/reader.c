/*
 * Reads a snapshot's stored stream in order, far ahead
 *
 * Stock QEMU reads 32 KiB at a time and waits for each.  Here up to
 * VSM_IO_IN_FLIGHT requests of a whole chunk are under way, each a coroutine of
 * the main context.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qemu/coroutine.h"
#include "qemu/main-loop.h"
#include "buffer.h"
#include "reader.h"
#include <vsm/stream.h>

typedef struct Read {
    VsmReader *reader;
    VsmBuffer *buffer;
    uint64_t offset;
    int ret;
    bool done;
} Read;

struct VsmReader {
    BlockDriverState *bs;
    char *snapshot_id;
    uint64_t bytes;
    uint64_t next; /* offset of the next read to be started */
    GQueue reads; /* of Read, in order of their offsets */
    unsigned in_flight;
    VsmBufferPool *buffers;
    Coroutine *waiter;
};

static void wake(VsmReader *reader)
{
    Coroutine *waiter = reader->waiter;

    aio_wait_kick();
    if (waiter) {
        reader->waiter = NULL;
        aio_co_wake(waiter);
    }
}

static void coroutine_fn read_entry(void *opaque)
{
    Read *read = opaque;
    VsmReader *reader = read->reader;
    QEMUIOVector qiov;

    qemu_iovec_init_buf(&qiov, read->buffer->data, read->buffer->bytes);
    read->ret = bdrv_readv_vmstate(reader->bs, reader->snapshot_id, &qiov,
                                   read->offset);
    read->done = true;
    reader->in_flight--;
    wake(reader);
}

static void start_reads(VsmReader *reader)
{
    while (reader->reads.length < VSM_IO_IN_FLIGHT &&
           reader->next < reader->bytes) {
        VsmBuffer *buffer = vsm_buffer_try_get(reader->buffers);
        Read *read;

        if (!buffer) {
            break; /* hashing is behind */
        }
        read = g_new0(Read, 1);
        read->reader = reader;
        read->offset = reader->next;
        read->buffer = buffer;
        read->buffer->bytes =
            MIN(VSM_CHUNK_BYTES, reader->bytes - reader->next);
        reader->next += read->buffer->bytes;
        g_queue_push_tail(&reader->reads, read);
        reader->in_flight++;
        qemu_coroutine_enter(qemu_coroutine_create(read_entry, read));
    }
}

#define WAIT_UNTIL(reader, cond)                                               \
    do {                                                                       \
        if (qemu_in_coroutine()) {                                             \
            while (!(cond)) {                                                  \
                (reader)->waiter = qemu_coroutine_self();                      \
                qemu_coroutine_yield();                                        \
            }                                                                  \
        } else {                                                               \
            AIO_WAIT_WHILE(NULL, !(cond));                                     \
        }                                                                      \
    } while (0)

VsmReader *vsm_reader_new(BlockDriverState *bs,
                          const char *snapshot_id,
                          uint64_t bytes,
                          unsigned hashing)
{
    VsmReader *reader = g_new0(VsmReader, 1);

    bdrv_ref(bs);
    reader->bs = bs;
    reader->snapshot_id = g_strdup(snapshot_id);
    reader->bytes = bytes;
    reader->buffers = vsm_buffer_pool_new(bs, hashing);
    g_queue_init(&reader->reads);
    return reader;
}

GBytes *vsm_reader_next(VsmReader *reader, Error **errp)
{
    GBytes *bytes;
    Read *read;

    start_reads(reader);
    while (!reader->reads.length && reader->next < reader->bytes) {
        vsm_buffer_wait(reader->buffers);
        start_reads(reader);
    }
    read = g_queue_peek_head(&reader->reads);
    if (!read) {
        return NULL;
    }
    WAIT_UNTIL(reader, read->done);

    g_queue_pop_head(&reader->reads);
    bytes = vsm_buffer_to_bytes(g_steal_pointer(&read->buffer));
    if (read->ret < 0) {
        error_setg_errno(errp, -read->ret,
                         "Cannot read the stored VM state at offset %" PRIu64,
                         read->offset);
        g_clear_pointer(&bytes, g_bytes_unref);
    }
    g_free(read);
    start_reads(reader);
    return bytes;
}

bool vsm_reader_ready(VsmReader *reader)
{
    Read *read;

    /* Takes what is complete, or nothing further would be read meanwhile.  */
    aio_poll(qemu_get_aio_context(), false);
    start_reads(reader);
    read = g_queue_peek_head(&reader->reads);
    return read ? read->done : reader->next == reader->bytes;
}

void vsm_reader_free(VsmReader *reader)
{
    Read *read;

    if (!reader) {
        return;
    }
    WAIT_UNTIL(reader, reader->in_flight == 0);
    while ((read = g_queue_pop_head(&reader->reads))) {
        g_bytes_unref(vsm_buffer_to_bytes(read->buffer));
        g_free(read);
    }
    vsm_buffer_pool_unref(reader->buffers);
    bdrv_unref(reader->bs);
    g_free(reader->snapshot_id);
    g_free(reader);
}
