/*
 * Measuring the whole VM against a sealed snapshot
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "migration/blocker.h"
#include "qapi/error.h"
#include "qemu/timer.h"
#include "system/reset.h"
#include "system/runstate.h"
#include "answers.h"
#include "attest.h"
#include "call.h"
#include "sections.h"

typedef struct Attest {
    VsmJob *job;
    VsmManager *m;
    VsmCheck *check;
    VsmRam *ram;
    RunState state; /* to go back to */
    Error *blocker; /* of migrations; set while held */
    bool held;
    bool was_reset;
    int64_t stopped_ms;
    unsigned pause_ms;
    bool ok;
    Error *err;
} Attest;

static void note_reset(void *opaque)
{
    ((Attest *)opaque)->was_reset = true;
}

/* From here on nothing may move: vCPUs, RAM, devices.  */
static void attest_hold(void *opaque)
{
    Attest *a = opaque;
    VsmManager *m = a->m;

    a->state = runstate_get();
    if (runstate_check(RUN_STATE_INMIGRATE) ||
        runstate_check(RUN_STATE_FINISH_MIGRATE) ||
        runstate_check(RUN_STATE_POSTMIGRATE)) {
        vsm_fail(m, VSM_ERROR_BUSY, &a->err,
                 "The VM is being migrated; attest it at its destination");
        return;
    }
    error_setg(&a->blocker, "The VM is being attested (job '%s')",
               m->op.job_id);
    /* For a while only, so -only-migratable does not object.  */
    if (migrate_add_blocker_internal(&a->blocker, &a->err) < 0) {
        m->op.code = VSM_ERROR_BUSY;
        return;
    }
    a->held = true;
    m->hold = true;
    a->stopped_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    vm_stop(RUN_STATE_PAUSED);
    qemu_register_reset(note_reset, a);
    a->ram = vsm_ram_new(m, &a->err);
    if (!a->ram || !vsm_ram_watch(a->ram, true, &a->err)) {
        return;
    }
    a->ok = true;
}

static void attest_sections(void *opaque)
{
    Attest *a = opaque;

    a->ok = vsm_sections_capture(a->m, a->check, false, &a->err) &&
            vsm_ram_unwritten(a->m, a->ram, "the measurement began", &a->err);
    if (a->ok && a->was_reset) {
        vsm_fail(a->m, VSM_ERROR_BUSY, &a->err,
                 "The VM was reset while it was measured; try again");
        a->ok = false;
    }
}

/* Lets go of the VM, which runs on if it ran before.  */
static void attest_resume(void *opaque)
{
    Attest *a = opaque;

    if (!a->held) {
        return;
    }
    a->pause_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) - a->stopped_ms;
    g_clear_pointer(&a->ram, vsm_ram_free);
    qemu_unregister_reset(note_reset, a);
    migrate_del_blocker(&a->blocker);
    a->m->hold = false;
    /* A reset of a stopped VM leaves it in PRELAUNCH.  */
    if (runstate_is_live(a->state) && !a->m->quitting &&
        (runstate_check(RUN_STATE_PAUSED) ||
         (a->was_reset && runstate_check(RUN_STATE_PRELAUNCH)))) {
        vm_resume(a->state);
    }
}

static bool coroutine_fn attest_measure(Attest *a, Error **errp)
{
    vsm_main_call(attest_hold, a);
    if (!a->ok) {
        error_propagate(errp, a->err);
        return false;
    }
    vsm_job_expect(a->job, vsm_ram_bytes(a->ram));
    if (!vsm_glue_check_ram(a->m, a->check, a->ram, errp)) {
        return false;
    }
    vsm_main_call(attest_sections, a);
    error_propagate(errp, a->err);
    return a->ok;
}

VsmAnswer *coroutine_fn vsm_attest_body(VsmJob *job, Error **errp)
{
    VsmManager *m = job->m;
    Attest a = {.job = job, .m = m};
    g_autoptr(VsmVerdict) verdict = NULL;
    VsmAnswer *answer = NULL;
    bool measured;

    a.check = vsm_glue_check_begin(m, VSM_PURPOSE_FULL, job->snapshot,
                                   vsm_job_challenge(job), errp);
    if (!a.check) {
        return NULL;
    }
    measured = attest_measure(&a, errp);
    vsm_main_call(attest_resume, &a);
    if (measured) {
        vsm_check_set_pause(a.check, a.pause_ms);
        verdict = vsm_glue_check_finish(m, a.check, errp);
    }
    if (verdict) {
        answer =
            vsm_answer_new(m, vsm_check_record(a.check), VSM_SCOPE_FULL,
                           verdict, job->recipient, a.pause_ms,
                           vsm_pool_hashed_bytes(m->pool) - job->hashed_base);
    }
    vsm_glue_check_free(m, a.check);
    return answer;
}
