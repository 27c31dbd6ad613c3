/*
 * Loading a sealed snapshot, with a report on what was loaded
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "migration/snapshot.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/timer.h"
#include "answers.h"
#include "call.h"
#include "disks.h"
#include "events.h"
#include "load.h"
#include "pass.h"
#include "rollback.h"
#include "stored.h"
#include "trace.h"

/* A guest that is attacked again and again must not roll back for ever.  */
#define ROLLBACKS_PER_HOUR 3
#define HOUR_MS (60 * 60 * 1000)

typedef struct Rollback {
    VsmManager *m;
    RunState state; /* to go back to; RUN_STATE__MAX: the present one */
    VsmCheck *check;
    VsmVerdict *verdict;
    bool changed;
    bool ok;
    Error *err;
} Rollback;

static void rollback_load(void *opaque)
{
    Rollback *r = opaque;
    const VsmRecord *record = vsm_check_record(r->check);
    g_autoptr(strList) devices = NULL;
    g_autofree char *vmstate = NULL;
    g_autofree char *tag = g_strdup(record->tag);
    RunState state = r->state == RUN_STATE__MAX ? runstate_get() : r->state;

    if (!vsm_disks_of_record(r->m, record, &devices, &vmstate, &r->err)) {
        return;
    }
    vsm_load_prepare(r->m, g_steal_pointer(&r->check));
    r->ok = load_snapshot(tag, vmstate, true, devices, &r->err);
    r->verdict = vsm_load_take(r->m, &r->check, &r->changed);
    if (r->ok) {
        load_snapshot_resume(state);
    }
}

static VsmAnswer *coroutine_fn rollback(VsmJob *job,
                                        VsmChallenge challenge,
                                        RunState state,
                                        Error **errp)
{
    VsmManager *m = job->m;
    Rollback r = {.m = m, .state = state};
    VsmAnswer *answer = NULL;
    VsmStoredEntry entry;
    bool passed = false;

    r.check = vsm_glue_check_begin(m, VSM_PURPOSE_LOAD, job->snapshot,
                                   challenge, errp);
    if (!r.check) {
        return NULL;
    }
    vsm_job_expect(job, vsm_check_record(r.check)->container.vmstate_bytes);
    if (vsm_stored_entry_find(m, vsm_check_record(r.check), &entry, errp)) {
        passed = vsm_pass(m, r.check, entry.bs, entry.id, true, errp);
        vsm_stored_entry_release(&entry);
    }
    if (passed) {
        vsm_main_call(rollback_load, &r);
        error_propagate(errp, r.err);
        job->changed = r.changed;
    }
    if (r.ok) {
        answer =
            vsm_answer_new(m, vsm_check_record(r.check), VSM_SCOPE_FULL,
                           r.verdict, challenge.recipient, 0,
                           vsm_pool_hashed_bytes(m->pool) - job->hashed_base);
        answer->operation = VSM_OPERATION_ROLLBACK;
    }
    g_clear_pointer(&r.verdict, vsm_verdict_free);
    vsm_glue_check_free(m, r.check);
    return answer;
}

VsmAnswer *coroutine_fn vsm_rollback_body(VsmJob *job, Error **errp)
{
    return rollback(job, vsm_job_challenge(job), RUN_STATE__MAX, errp);
}

static bool too_many(void)
{
    static int64_t times_ms[ROLLBACKS_PER_HOUR]; /* of the last ones */
    static unsigned next;
    static unsigned made;
    int64_t now_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);

    if (made >= ROLLBACKS_PER_HOUR && now_ms - times_ms[next] < HOUR_MS) {
        return true;
    }
    times_ms[next] = now_ms;
    next = (next + 1) % ROLLBACKS_PER_HOUR;
    made++;
    return false;
}

void coroutine_fn vsm_rollback_after_mismatch(VsmJob *job, RunState state)
{
    VsmManager *m = job->m;
    VsmAnswer *answer;
    Error *err = NULL;

    if (too_many()) {
        warn_report("vsm: %d rollbacks in an hour; the VM stays stopped",
                    ROLLBACKS_PER_HOUR);
        return;
    }
    m->state = VSM_STATE_LOAD;
    answer = rollback(job, (VsmChallenge){0}, state, &err);
    if (answer) {
        vsm_event_answer(answer);
        qapi_free_VsmAnswer(answer);
    } else {
        vsm_event_refused(VSM_OPERATION_ROLLBACK, m->op.asked, m->op.job_id,
                          m->op.code, error_get_pretty(err), job->changed);
        error_report_err(err);
    }
}
