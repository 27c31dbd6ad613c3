/*
 * Holding the VM still while it is measured
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "migration/blocker.h"
#include "migration/misc.h"
#include "qapi/error.h"
#include "qemu/timer.h"
#include "system/reset.h"
#include "system/runstate.h"
#include "call.h"
#include "hold.h"
#include "pauses.h"

static void note_reset(void *opaque)
{
    ((VsmHold *)opaque)->was_reset = true;
}

static int64_t now_ms(void)
{
    return qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
}

static void stop(VsmHold *hold)
{
    RunState asked;

    hold->m->hold = true;
    hold->stopped_ms = now_ms();
    vm_stop(RUN_STATE_PAUSED);
    /* Of what was drained: the main loop would drop it, the VM is stopped.  */
    if (qemu_vmstop_requested(&asked)) {
        hold->stop_asked = true;
        hold->asked = asked;
    }
}

bool vsm_hold_take(VsmHold *hold, Error **errp)
{
    VsmManager *m = hold->m;

    hold->state = runstate_get();
    if (runstate_check(RUN_STATE_INMIGRATE) ||
        runstate_check(RUN_STATE_FINISH_MIGRATE) ||
        runstate_check(RUN_STATE_POSTMIGRATE)) {
        vsm_fail(m, VSM_ERROR_BUSY, errp,
                 "The VM is being migrated; attest it at its destination");
        return false;
    }
    /* What has not arrived yet reads as it will, and looks untouched.  */
    if (migration_incoming_postcopy_advised()) {
        vsm_fail(m, VSM_ERROR_BUSY, errp,
                 "The VM's memory may still come from another host (postcopy); "
                 "attest it when that migration has ended");
        return false;
    }
    if (vsm_hold_was_running(hold) && !vsm_pauses_allow(m, errp)) {
        return false;
    }
    error_setg(&hold->blocker, "The VM is being attested (%s of '%s')",
               VsmOperation_str(m->op.operation), m->op.asked);
    /* For a while only, so -only-migratable does not object.  */
    if (migrate_add_blocker_internal(&hold->blocker, errp) < 0) {
        m->op.code = VSM_ERROR_BUSY;
        return false;
    }
    hold->held = true;
    stop(hold);
    qemu_register_reset(note_reset, hold);
    return true;
}

bool vsm_hold_was_running(const VsmHold *hold)
{
    return runstate_is_live(hold->state);
}

/* A reset of a stopped VM leaves it in PRELAUNCH.  */
static void run_on(VsmHold *hold)
{
    hold->m->hold = false;
    if (!vsm_hold_was_running(hold) || hold->m->quitting ||
        (!runstate_check(RUN_STATE_PAUSED) &&
         !(hold->was_reset && runstate_check(RUN_STATE_PRELAUNCH)))) {
        return;
    }
    if (!hold->stop_asked) {
        vm_resume(hold->state);
        return;
    }
    /*
     * Such as for an I/O error under werror=stop.  Only a VM that runs can
     * stop so; no vCPU runs meanwhile.
     */
    hold->stop_asked = false;
    vm_prepare_start(false);
    vm_stop(runstate_is_running() ? hold->asked : RUN_STATE_PAUSED);
}

/* Only a guest that would have run loses time.  */
static void count_pause(VsmHold *hold)
{
    unsigned ms = now_ms() - hold->stopped_ms;

    hold->pause_ms += ms;
    if (vsm_hold_was_running(hold)) {
        vsm_pauses_add(hold->m, ms);
    }
}

static void let_run(void *opaque)
{
    VsmHold *hold = opaque;

    count_pause(hold);
    run_on(hold);
}

static void stop_again(void *opaque)
{
    VsmHold *hold = opaque;

    hold->state = runstate_is_live(hold->state) ? runstate_get() : hold->state;
    stop(hold);
}

void coroutine_fn vsm_hold_let_run(VsmHold *hold, unsigned ms)
{
    vsm_main_call(let_run, hold);
    qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, ms * SCALE_MS);
    vsm_main_call(stop_again, hold);
}

void vsm_hold_measured(VsmHold *hold)
{
    if (hold->held && !hold->counted) {
        count_pause(hold);
        hold->counted = true;
    }
}

void vsm_hold_release(VsmHold *hold, bool resume)
{
    if (!hold->held) {
        return;
    }
    vsm_hold_measured(hold);
    hold->held = false;
    qemu_unregister_reset(note_reset, hold);
    migrate_del_blocker(&hold->blocker);
    if (resume) {
        run_on(hold);
    }
    hold->m->hold = false;
}
