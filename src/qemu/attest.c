/*
 * Measuring the whole VM against a sealed snapshot
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "answers.h"
#include "attest.h"
#include "call.h"
#include "hold.h"
#include "sections.h"

typedef struct Attest {
    VsmJob *job;
    VsmManager *m;
    VsmCheck *check;
    VsmHold hold;
    VsmRam *ram;
    bool ok;
    Error *err;
} Attest;

/* From here on nothing may move: vCPUs, RAM, devices.  */
static void attest_hold(void *opaque)
{
    Attest *a = opaque;

    if (!vsm_hold_take(&a->hold, &a->err)) {
        return;
    }
    a->ram = vsm_ram_new(a->m, &a->err);
    a->ok = a->ram && vsm_ram_watch(a->ram, true, &a->err);
}

static void attest_sections(void *opaque)
{
    Attest *a = opaque;

    a->ok = vsm_sections_capture(a->m, a->check, false, &a->err) &&
            vsm_ram_unwritten(a->m, a->ram, "the measurement began", &a->err);
    if (a->ok && a->hold.was_reset) {
        vsm_fail(a->m, VSM_ERROR_BUSY, &a->err,
                 "The VM was reset while it was measured; try again");
        a->ok = false;
    }
}

/* Lets go of the VM, which runs on if it ran before.  */
static void attest_resume(void *opaque)
{
    Attest *a = opaque;

    g_clear_pointer(&a->ram, vsm_ram_free);
    vsm_hold_release(&a->hold, true);
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

    a.hold.m = m;
    if (job->scope == VSM_SCOPE_RUNTIME) {
        return vsm_attest_runtime_body(job, errp);
    }
    a.check = vsm_glue_check_begin(m, VSM_PURPOSE_FULL, job->snapshot,
                                   vsm_job_challenge(job), errp);
    if (!a.check) {
        return NULL;
    }
    measured = attest_measure(&a, errp);
    vsm_main_call(attest_resume, &a);
    if (measured) {
        vsm_check_set_pause(a.check, a.hold.pause_ms);
        verdict = vsm_glue_check_finish(m, a.check, errp);
    }
    if (verdict) {
        answer =
            vsm_answer_new(m, vsm_check_record(a.check), VSM_SCOPE_FULL,
                           verdict, job->recipient, a.hold.pause_ms,
                           vsm_pool_hashed_bytes(m->pool) - job->hashed_base);
    }
    vsm_glue_check_free(m, a.check);
    return answer;
}
