/*
 * Blocking calls into libvsm, off the main thread
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/thread-pool.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "call.h"

#define QUERY_MS 10000 /* that other monitors may wait for an answer */

typedef struct Call {
    VsmManager *m;
    VsmCall *fn;
    void *opaque;
    bool attester;
    GError *error;
    bool ok;
    bool done;
} Call;

void vsm_error_convert(Error **errp, GError *error)
{
    error_setg(errp, "%s", error->message);
    g_error_free(error);
}

static int call_worker(void *opaque)
{
    Call *call = opaque;

    call->ok = call->fn(call->opaque, &call->error);
    return 0;
}

static void coroutine_fn call_co(Call *call)
{
    if (call->attester) {
        qemu_co_mutex_lock(&call->m->attester_lock);
    }
    thread_pool_submit_co(call_worker, call);
    if (call->attester) {
        qemu_co_mutex_unlock(&call->m->attester_lock);
    }
}

static void coroutine_fn call_entry(void *opaque)
{
    Call *call = opaque;

    call_co(call);
    call->done = true;
    aio_wait_kick();
}

static bool call_run(Call *call, int *ret_code, Error **errp)
{
    if (qemu_in_coroutine()) {
        call_co(call);
    } else {
        qemu_coroutine_enter(qemu_coroutine_create(call_entry, call));
        AIO_WAIT_WHILE(NULL, !call->done);
    }
    if (call->ok) {
        return true;
    }
    if (ret_code) {
        *ret_code = call->error->domain == VSM_ERROR ? call->error->code
                                                     : VSM_ERROR_STORE;
    }
    vsm_error_convert(errp, call->error);
    return false;
}

bool vsm_call(VsmManager *m, VsmCall *fn, void *opaque, Error **errp)
{
    Call call = {.m = m, .fn = fn, .opaque = opaque, .attester = true};

    return call_run(&call, &m->op.code, errp);
}

static void too_late(void *opaque)
{
    g_cancellable_cancel(opaque);
}

bool vsm_query(VsmManager *m,
               VsmCall *fn,
               void *opaque,
               GCancellable *cancel,
               Error **errp)
{
    Call call = {.m = m, .fn = fn, .opaque = opaque, .attester = true};
    QEMUTimer *timer = NULL;
    Error *err = NULL;
    bool ok;

    if (qemu_in_coroutine()) {
        timer = timer_new_ms(QEMU_CLOCK_REALTIME, too_late, cancel);
        timer_mod(timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + QUERY_MS);
    }
    ok = call_run(&call, NULL, &err);
    timer_free(timer);
    if (!ok && g_cancellable_is_cancelled(cancel)) {
        error_free(err);
        error_setg(errp,
                   "The attester has not answered for %d s; its TPM is busy "
                   "or hangs: try again, or see to the TPM",
                   QUERY_MS / 1000);
        return false;
    }
    error_propagate(errp, err);
    return ok;
}

bool vsm_work(VsmManager *m, VsmCall *fn, void *opaque, Error **errp)
{
    Call call = {.m = m, .fn = fn, .opaque = opaque};

    return call_run(&call, &m->op.code, errp);
}

typedef struct MainCall {
    void (*fn)(void *opaque);
    void *opaque;
    Coroutine *co;
} MainCall;

static void main_call_bh(void *opaque)
{
    MainCall *call = opaque;

    call->fn(call->opaque);
    aio_co_wake(call->co);
}

void coroutine_fn vsm_main_call(void (*fn)(void *opaque), void *opaque)
{
    MainCall call = {fn, opaque, qemu_coroutine_self()};

    aio_bh_schedule_oneshot(qemu_get_aio_context(), main_call_bh, &call);
    qemu_coroutine_yield();
}
