/*
 * The channel that a sealed snapshot's stream is written through
 *
 * All bytes are copied once into aligned chunks; the same chunk is written
 * and hashed.  Pages are recognised by where their bytes come from: an iovec
 * into a RAM block is a page body, all else is skeleton.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/block_int.h"
#include "qapi/error.h"
#include "qemu/coroutine.h"
#include "buffer.h"
#include "channel.h"
#include "disks.h"
#include "progress.h"

/*
 * Written back early, so that little is left for the flush at the end, when
 * the VM is paused; bytes.
 */
#define FLUSH_INTERVAL (256 * 1024 * 1024)

struct VsmSaveChannel {
    QIOChannel parent_obj;

    BlockDriverState *bs;
    VsmRam *ram;
    VsmStream *stream;
    VsmBufferPool *buffers;
    VsmBuffer *filling;
    VsmProgress progress;
    uint64_t offset; /* of the next byte */
    unsigned in_flight; /* coroutines */
    char *disk; /* its name, for the error */
    int ret; /* of the first failed write or flush */
    GError *error; /* the first: of a write, a flush, a feed, an iovec */
    bool closed;
};

OBJECT_DEFINE_SIMPLE_TYPE(VsmSaveChannel,
                          vsm_save_channel,
                          VSM_SAVE_CHANNEL,
                          QIO_CHANNEL)

typedef struct Write {
    VsmSaveChannel *channel;
    GBytes *bytes; /* NULL: flush */
    uint64_t offset;
} Write;

static void write_failed(VsmSaveChannel *channel, int ret)
{
    bool full = ret == -ENOSPC || ret == -EDQUOT;

    if (channel->error) {
        return;
    }
    channel->ret = ret;
    g_set_error(&channel->error, VSM_ERROR,
                full ? VSM_ERROR_NO_SPACE : VSM_ERROR_STORE,
                "the VM state cannot be written to disk '%s' (%s): %s; %s",
                channel->disk, channel->bs->filename, strerror(-ret),
                full ? "make room where it lies, or delete snapshots"
                     : "check its storage");
}

static int coroutine_fn write_co(Write *write)
{
    BlockDriverState *bs = write->channel->bs;
    QEMUIOVector qiov;
    gsize size;
    void *data;

    if (!write->bytes) {
        return bdrv_flush(bs);
    }
    data = (void *)g_bytes_get_data(write->bytes, &size);
    qemu_iovec_init_buf(&qiov, data, size);
    return bdrv_writev_vmstate(bs, &qiov, write->offset);
}

static void coroutine_fn write_entry(void *opaque)
{
    Write *write = opaque;
    VsmSaveChannel *channel = write->channel;
    int ret = write_co(write);

    if (ret < 0) {
        write_failed(channel, ret);
    }
    g_clear_pointer(&write->bytes, g_bytes_unref);
    g_free(write);
    channel->in_flight--;
    aio_wait_kick();
}

static void start_write(VsmSaveChannel *channel, GBytes *bytes, uint64_t offset)
{
    Write *write = g_new(Write, 1);

    AIO_WAIT_WHILE(NULL, channel->in_flight >= VSM_IO_IN_FLIGHT);
    *write = (Write){channel, bytes ? g_bytes_ref(bytes) : NULL, offset};
    channel->in_flight++;
    qemu_coroutine_enter(qemu_coroutine_create(write_entry, write));
}

/* Hands the chunk that is being filled to the disk and to the stream.  */
static void submit_chunk(VsmSaveChannel *channel)
{
    VsmBuffer *buffer = g_steal_pointer(&channel->filling);
    uint64_t begin = channel->offset - buffer->bytes;
    g_autoptr(GBytes) bytes = vsm_buffer_to_bytes(buffer);

    start_write(channel, bytes, begin);
    if (!channel->error) {
        vsm_stream_feed(channel->stream, bytes, &channel->error);
    }
    vsm_progress_tell(&channel->progress);
    if (channel->offset % FLUSH_INTERVAL == 0) {
        start_write(channel, NULL, 0);
    }
}

static void append(VsmSaveChannel *channel, const uint8_t *data, size_t bytes)
{
    while (bytes) {
        VsmBuffer *buffer = channel->filling;
        size_t part;

        if (!buffer) {
            while (!(buffer = vsm_buffer_try_get(channel->buffers))) {
                vsm_buffer_wait(channel->buffers);
            }
            channel->filling = buffer;
        }
        part = MIN(bytes, VSM_CHUNK_BYTES - buffer->bytes);
        memcpy(buffer->data + buffer->bytes, data, part);
        buffer->bytes += part;
        channel->offset += part;
        data += part;
        bytes -= part;
        if (buffer->bytes == VSM_CHUNK_BYTES) {
            submit_chunk(channel);
        }
    }
}

/* Tells the stream of the page bodies that are about to be appended.  */
static void announce(VsmSaveChannel *channel, const struct iovec *iov)
{
    uint64_t offset;
    guint block;

    if (!vsm_ram_find(channel->ram, iov->iov_base, &block, &offset)) {
        return;
    }
    if (offset % VSM_PAGE_BYTES || iov->iov_len % VSM_PAGE_BYTES) {
        /* Never seen.  The root would lack this page, so fail the save.  */
        if (!channel->error) {
            g_set_error(&channel->error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                        "part of a RAM page is in the stream; the page "
                        "cannot be sealed");
        }
        return;
    }
    vsm_progress_page(&channel->progress, channel->ram, block,
                      offset + iov->iov_len - VSM_PAGE_BYTES);
    for (size_t at = 0; at < iov->iov_len; at += VSM_PAGE_BYTES) {
        vsm_stream_page(channel->stream, channel->offset + at, block,
                        (offset + at) / VSM_PAGE_BYTES);
    }
}

static ssize_t save_writev(QIOChannel *ioc,
                           const struct iovec *iov,
                           size_t niov,
                           int *fds,
                           size_t nfds,
                           int flags,
                           Error **errp)
{
    VsmSaveChannel *channel = VSM_SAVE_CHANNEL(ioc);
    ssize_t total = 0;

    for (size_t i = 0; i < niov; i++) {
        announce(channel, &iov[i]);
        append(channel, iov[i].iov_base, iov[i].iov_len);
        total += iov[i].iov_len;
    }
    if (channel->error) {
        error_setg(errp, "%s", channel->error->message);
        return -1;
    }
    return total;
}

static ssize_t save_readv(QIOChannel *ioc,
                          const struct iovec *iov,
                          size_t niov,
                          int **fds,
                          size_t *nfds,
                          int flags,
                          Error **errp)
{
    error_setg(errp, "The channel is for writing");
    return -1;
}

static int channel_set_blocking(QIOChannel *ioc, bool enabled, Error **errp)
{
    if (!enabled) {
        error_setg(errp, "Non-blocking mode is not supported for VM state");
        return -1;
    }
    return 0;
}

static int save_close(QIOChannel *ioc, Error **errp)
{
    VsmSaveChannel *channel = VSM_SAVE_CHANNEL(ioc);
    int ret;

    if (!channel->closed && channel->filling) {
        submit_chunk(channel);
    }
    AIO_WAIT_WHILE(NULL, channel->in_flight > 0);
    if (!channel->closed) {
        channel->closed = true;
        ret = bdrv_flush(channel->bs);
        if (ret < 0) {
            write_failed(channel, ret);
        }
    }
    if (channel->error) {
        error_setg(errp, "%s", channel->error->message);
        /* QEMUFile drops @errp and takes what is returned for an errno.  */
        return channel->ret ?: -EIO;
    }
    return 0;
}

QIOChannel *vsm_save_channel_new(BlockDriverState *bs,
                                 VsmRam *ram,
                                 VsmStream *stream,
                                 unsigned hashing)
{
    VsmSaveChannel *channel =
        VSM_SAVE_CHANNEL(object_new(TYPE_VSM_SAVE_CHANNEL));

    bdrv_ref(bs);
    channel->bs = bs;
    channel->disk = vsm_disk_name(bs);
    channel->ram = ram;
    vsm_progress_begin(&channel->progress, ram);
    channel->stream = stream;
    channel->buffers = vsm_buffer_pool_new(bs, hashing);
    return QIO_CHANNEL(channel);
}

bool vsm_save_channel_finish(QIOChannel *ioc, uint64_t bytes, GError **error)
{
    VsmSaveChannel *channel = VSM_SAVE_CHANNEL(ioc);

    if (channel->error) {
        g_propagate_error(error, g_error_copy(channel->error));
        return false;
    }
    if (!channel->closed || channel->offset != bytes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE,
                    "the VM state is %" PRIu64 " bytes long, but %" PRIu64
                    " were written; make the snapshot again",
                    bytes, channel->offset);
        return false;
    }
    return true;
}

const GError *vsm_save_channel_error(QIOChannel *ioc)
{
    return VSM_SAVE_CHANNEL(ioc)->error;
}

static void vsm_save_channel_init(Object *obj)
{
}

static void vsm_save_channel_finalize(Object *obj)
{
    VsmSaveChannel *channel = VSM_SAVE_CHANNEL(obj);

    AIO_WAIT_WHILE(NULL, channel->in_flight > 0);
    if (channel->filling) {
        g_bytes_unref(vsm_buffer_to_bytes(channel->filling));
    }
    g_clear_pointer(&channel->buffers, vsm_buffer_pool_unref);
    g_clear_pointer(&channel->bs, bdrv_unref);
    g_clear_error(&channel->error);
    g_free(channel->disk);
}

static void vsm_save_channel_class_init(ObjectClass *oc, void *data)
{
    QIOChannelClass *ioc = QIO_CHANNEL_CLASS(oc);

    ioc->io_writev = save_writev;
    ioc->io_readv = save_readv;
    ioc->io_set_blocking = channel_set_blocking;
    ioc->io_close = save_close;
}
