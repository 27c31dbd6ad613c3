/*
 * The first pass over a stored snapshot: every byte is compared
 *
 * The guest may run meanwhile, so hashing and waiting for it happen in worker
 * threads, without the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "call.h"
#include "pass.h"
#include "reader.h"
#include "trace.h"

typedef struct Feed {
    VsmCheck *check;
    GBytes *chunk;
    uint64_t index;
    bool recheck;
} Feed;

static bool feed_worker(void *opaque, GError **error)
{
    Feed *feed = opaque;

    if (feed->recheck && !vsm_recheck_add(vsm_check_recheck(feed->check),
                                          feed->index, feed->chunk, error)) {
        return false;
    }
    return vsm_stream_feed(vsm_check_stream(feed->check), feed->chunk, error);
}

static bool finish_worker(void *opaque, GError **error)
{
    Feed *feed = opaque;

    return vsm_stream_finish(vsm_check_stream(feed->check), error);
}

static bool pass(VsmManager *m,
                 VsmCheck *check,
                 BlockDriverState *bs,
                 const char *snapshot_id,
                 bool recheck,
                 Error **errp)
{
    uint64_t bytes = vsm_check_record(check)->container.vmstate_bytes;
    g_autoptr(VsmReader) reader = vsm_reader_new(bs, snapshot_id, bytes);
    Feed feed = {.check = check, .recheck = recheck};

    trace_vsm_pass(snapshot_id, bytes);
    for (;; feed.index++) {
        Error *err = NULL;
        g_autoptr(GBytes) chunk = vsm_reader_next(reader, &err);

        if (err) {
            m->op.code = VSM_ERROR_STORE;
            error_propagate(errp, err);
            return false;
        }
        if (!chunk) {
            break;
        }
        if (g_cancellable_is_cancelled(m->op.cancel)) {
            vsm_fail(m, VSM_ERROR_CANCELLED, errp, "Cancelled");
            return false;
        }
        feed.chunk = chunk;
        if (!vsm_work(m, feed_worker, &feed, errp)) {
            return false;
        }
    }
    return vsm_work(m, finish_worker, &feed, errp);
}

bool vsm_pass(VsmManager *m,
              VsmCheck *check,
              BlockDriverState *bs,
              const char *snapshot_id,
              bool recheck,
              Error **errp)
{
    ERRP_GUARD();

    if (!pass(m, check, bs, snapshot_id, recheck, errp)) {
        error_prepend(errp, "Snapshot '%s': ", vsm_check_record(check)->tag);
        return false;
    }
    return true;
}
