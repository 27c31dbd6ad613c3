/*
 * The first pass over a stored snapshot: every byte is compared
 *
 * Hashing happens in libvsm's threads, without the BQL.  In a job the guest
 * runs on meanwhile.  In a hook of loadvm or snapshot-load the main thread
 * waits with the BQL held: the guest is not stopped, but a vCPU that needs the
 * BQL waits too, and so do the monitors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/block_int.h"
#include "qapi/error.h"
#include "qemu/coroutine.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "call.h"
#include "pass.h"
#include "reader.h"
#include "trace.h"

#define DRAINED_POLL_MS 10
#define CHUNKS_A_TURN 4

static bool finish_worker(void *opaque, GError **error)
{
    VsmRecheck *recheck = vsm_check_recheck(opaque);

    return vsm_stream_finish(vsm_check_stream(opaque), error) &&
           (!recheck || vsm_recheck_complete(recheck, error));
}

/* Begins to hash the chunk; it waits for nothing but a worker's next task.  */
static bool feed(VsmManager *m, VsmCheck *check, GBytes *chunk, Error **errp)
{
    GError *error = NULL;

    if (vsm_stream_feed(vsm_check_stream(check), chunk, &error)) {
        return true;
    }
    m->op.code = error->code;
    vsm_error_convert(errp, error);
    return false;
}

/* Lets everything else have its turn where the pages come from memory.  */
static void breathe(uint64_t index)
{
    if (index % CHUNKS_A_TURN == 0 && qemu_in_coroutine()) {
        aio_co_schedule(qemu_get_current_aio_context(), qemu_coroutine_self());
        qemu_coroutine_yield();
    }
}

/*
 * A drained section waits for this pass's requests, and nothing else keeps new
 * ones from coming.  A hook reads within a drained section of its own.
 */
static void wait_while_drained(VsmManager *m, BlockDriverState *bs)
{
    while (qemu_in_coroutine() && qatomic_read(&bs->quiesce_counter) &&
           !g_cancellable_is_cancelled(m->op.cancel)) {
        qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, DRAINED_POLL_MS * SCALE_MS);
    }
}

static bool pass(VsmManager *m,
                 VsmCheck *check,
                 BlockDriverState *bs,
                 const char *snapshot_id,
                 Error **errp)
{
    uint64_t bytes = vsm_check_record(check)->container.vmstate_bytes;
    g_autoptr(VsmReader) reader =
        vsm_reader_new(bs, snapshot_id, bytes, vsm_hashing_chunks(m));

    trace_vsm_pass(snapshot_id, bytes);
    for (uint64_t index = 0;; index++) {
        Error *err = NULL;
        g_autoptr(GBytes) chunk = NULL;

        wait_while_drained(m, bs);
        if (g_cancellable_is_cancelled(m->op.cancel)) {
            vsm_fail(m, VSM_ERROR_CANCELLED, errp, "Cancelled");
            return false;
        }
        breathe(index);
        chunk = vsm_reader_next(reader, &err);
        if (err) {
            m->op.code = VSM_ERROR_STORE;
            error_propagate(errp, err);
            return false;
        }
        if (!chunk) {
            break;
        }
        if (!feed(m, check, chunk, errp)) {
            return false;
        }
    }
    return vsm_work(m, finish_worker, check, errp);
}

bool vsm_pass(VsmManager *m,
              VsmCheck *check,
              BlockDriverState *bs,
              const char *snapshot_id,
              Error **errp)
{
    ERRP_GUARD();

    if (!pass(m, check, bs, snapshot_id, errp)) {
        error_prepend(errp, "Snapshot '%s': ", vsm_check_record(check)->tag);
        return false;
    }
    return true;
}
