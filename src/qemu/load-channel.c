/*
 * The channel that a sealed snapshot's stream is read through
 *
 * Storage can change between the pass that verified it and the load: each
 * chunk is checked again, in the memory that the parser's bytes come from.
 * Workers do that, ahead of the parser, which gets no byte before its chunk
 * was found equal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "channel.h"
#include "reader.h"

#define CHECKED_AHEAD 4 /* chunks */

struct VsmLoadChannel {
    QIOChannel parent_obj;

    VsmReader *reader;
    VsmRecheck *recheck;
    GQueue checking; /* of GBytes that workers check, in order */
    bool ended; /* the last chunk was read */
    GBytes *chunk; /* checked; NULL: none at hand */
    gsize used; /* bytes of @chunk that the parser has got */
    uint64_t n_chunks;
    GError *error;
};

OBJECT_DEFINE_SIMPLE_TYPE(VsmLoadChannel,
                          vsm_load_channel,
                          VSM_LOAD_CHANNEL,
                          QIO_CHANNEL)

/* Reads one more chunk and lets a worker check it.  */
static bool read_ahead(VsmLoadChannel *channel, Error **errp)
{
    Error *err = NULL;
    g_autoptr(GBytes) chunk = vsm_reader_next(channel->reader, &err);

    if (err) {
        g_set_error(&channel->error, VSM_ERROR, VSM_ERROR_STORE, "%s",
                    error_get_pretty(err));
        error_propagate(errp, err);
        return false;
    }
    if (!chunk) {
        channel->ended = true;
        return true;
    }
    if (!vsm_recheck_begin(channel->recheck, channel->n_chunks, chunk,
                           &channel->error)) {
        error_setg(errp, "%s", channel->error->message);
        return false;
    }
    channel->n_chunks++;
    g_queue_push_tail(&channel->checking, g_steal_pointer(&chunk));
    return true;
}

/* Makes @chunk the next one; at the end it stays NULL.  */
static bool next_chunk(VsmLoadChannel *channel, Error **errp)
{
    g_autoptr(GBytes) chunk = NULL;

    g_clear_pointer(&channel->chunk, g_bytes_unref);
    channel->used = 0;
    while (!channel->ended && channel->checking.length < CHECKED_AHEAD &&
           (!channel->checking.length || vsm_reader_ready(channel->reader))) {
        if (!read_ahead(channel, errp)) {
            return false;
        }
    }
    chunk = g_queue_pop_head(&channel->checking);
    if (!chunk) {
        return true;
    }
    if (!vsm_recheck_end(channel->recheck, &channel->error)) {
        error_setg(errp, "%s", channel->error->message);
        return false;
    }
    channel->chunk = g_steal_pointer(&chunk);
    return true;
}

static ssize_t load_readv(QIOChannel *ioc,
                          const struct iovec *iov,
                          size_t niov,
                          int **fds,
                          size_t *nfds,
                          int flags,
                          Error **errp)
{
    VsmLoadChannel *channel = VSM_LOAD_CHANNEL(ioc);
    const uint8_t *data;
    gsize size, part;

    if (channel->error) {
        error_setg(errp, "%s", channel->error->message);
        return -1;
    }
    if (!channel->chunk || channel->used == g_bytes_get_size(channel->chunk)) {
        if (!next_chunk(channel, errp)) {
            return -1;
        }
        if (!channel->chunk) {
            return 0;
        }
    }
    data = g_bytes_get_data(channel->chunk, &size);
    part = iov_from_buf(iov, niov, 0, data + channel->used,
                        MIN(size - channel->used, iov_size(iov, niov)));
    channel->used += part;
    return part;
}

static ssize_t load_writev(QIOChannel *ioc,
                           const struct iovec *iov,
                           size_t niov,
                           int *fds,
                           size_t nfds,
                           int flags,
                           Error **errp)
{
    error_setg(errp, "The channel is for reading");
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

static int load_close(QIOChannel *ioc, Error **errp)
{
    g_clear_pointer(&VSM_LOAD_CHANNEL(ioc)->reader, vsm_reader_free);
    return 0;
}

QIOChannel *vsm_load_channel_new(BlockDriverState *bs,
                                 const char *snapshot_id,
                                 uint64_t bytes,
                                 VsmRecheck *recheck)
{
    VsmLoadChannel *channel =
        VSM_LOAD_CHANNEL(object_new(TYPE_VSM_LOAD_CHANNEL));

    channel->reader = vsm_reader_new(bs, snapshot_id, bytes, CHECKED_AHEAD + 1);
    channel->recheck = recheck;
    return QIO_CHANNEL(channel);
}

const GError *vsm_load_channel_error(QIOChannel *ioc)
{
    return VSM_LOAD_CHANNEL(ioc)->error;
}

static void vsm_load_channel_init(Object *obj)
{
    g_queue_init(&VSM_LOAD_CHANNEL(obj)->checking);
}

static void vsm_load_channel_finalize(Object *obj)
{
    VsmLoadChannel *channel = VSM_LOAD_CHANNEL(obj);

    g_clear_pointer(&channel->reader, vsm_reader_free);
    g_clear_pointer(&channel->chunk, g_bytes_unref);
    g_queue_clear_full(&channel->checking, (GDestroyNotify)g_bytes_unref);
    g_clear_error(&channel->error);
}

static void vsm_load_channel_class_init(ObjectClass *oc, void *data)
{
    QIOChannelClass *ioc = QIO_CHANNEL_CLASS(oc);

    ioc->io_writev = load_writev;
    ioc->io_readv = load_readv;
    ioc->io_set_blocking = channel_set_blocking;
    ioc->io_close = load_close;
}
