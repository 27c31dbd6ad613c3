/*
 * Loading a sealed snapshot, with a report on what was loaded
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "migration/snapshot.h"
#include "qapi/error.h"
#include "system/runstate.h"
#include "answers.h"
#include "call.h"
#include "disks.h"
#include "load.h"
#include "pass.h"
#include "preconditions.h"
#include "reaction.h"
#include "rollback.h"
#include "look.h"
#include "stored.h"

typedef struct Rollback {
    VsmJob *job;
    VsmManager *m;
    VsmCheck *check;
    VsmVerdict *verdict;
    bool changed;
    bool ok;
    Error *err;
} Rollback;

/*
 * The guest was rolled back for a mismatch of its runtime scope: it runs on
 * only if that is mended.
 */
static bool runtime_matches(Rollback *r)
{
    const char *profile = VsmRuntimeProfile_str(VSM_RUNTIME_PROFILE_STANDARD);
    GBytes *sealed = vsm_check_scope(r->check);
    VsmLook look = {0};
    bool ok;

    if (!vsm_look(r->m, sealed, profile, &look, &r->err)) {
        return false;
    }
    ok = look.verdict && look.verdict->result == VSM_RESULT_MATCH;
    if (!ok) {
        vsm_fail(r->m, VSM_ERROR_TAMPERED, &r->err,
                 "The VM was rolled back to '%s', and its runtime scope does "
                 "not match all the same; it stays stopped",
                 vsm_check_record(r->check)->tag);
    }
    vsm_look_clear(&look);
    return ok;
}

/*
 * @before: the run state.  What ended a VM for good, and would refuse "cont",
 * is undone by the load.
 */
static void run_on(Rollback *r, RunState before)
{
    if (runstate_needs_reset()) {
        runstate_set(RUN_STATE_PAUSED); /* neither may become RUNNING */
        before = RUN_STATE_PAUSED;
    }
    load_snapshot_resume(r->job->resume ? RUN_STATE_RUNNING : before);
}

static void rollback_load(void *opaque)
{
    Rollback *r = opaque;
    const VsmRecord *record = vsm_check_record(r->check);
    g_autoptr(strList) devices = NULL;
    g_autofree char *vmstate = NULL;
    g_autofree char *tag = g_strdup(record->tag);
    RunState state = runstate_get();

    if (r->m->quitting || g_cancellable_is_cancelled(r->m->op.cancel)) {
        vsm_fail(r->m, VSM_ERROR_CANCELLED, &r->err, "Cancelled");
        return;
    }
    /* Half a load would be worse than one that nobody wants any more.  */
    r->job->committed = true;
    if (!vsm_disks_of_record(r->m, record, &devices, &vmstate, &r->err)) {
        return;
    }
    vsm_load_prepare(r->m, g_steal_pointer(&r->check));
    r->ok = load_snapshot(tag, vmstate, true, devices, &r->err);
    r->verdict = vsm_load_take(r->m, &r->check, &r->changed);
    if (!r->ok && !r->m->op.code) {
        r->m->op.code = VSM_ERROR_STORE; /* QEMU's own, before any hook */
    }
    if (!r->ok && r->changed) {
        vsm_load_say_changed(&r->err);
    }
    if (r->changed && r->job->runtime) {
        vsm_reaction_rolled_back(r->m);
    }
    if (r->ok && r->job->runtime) {
        r->ok = runtime_matches(r);
    }
    if (r->ok) {
        run_on(r, state);
    }
}

VsmAnswer *coroutine_fn vsm_rollback_body(VsmJob *job, Error **errp)
{
    VsmManager *m = job->m;
    Rollback r = {.job = job, .m = m};
    VsmAnswer *answer = NULL;
    VsmStoredEntry entry;
    bool passed = false;

    if (!vsm_may_load(m, errp)) {
        return NULL;
    }
    r.check = vsm_glue_check_begin(m, VSM_PURPOSE_LOAD, job->snapshot,
                                   vsm_job_challenge(job), errp);
    if (!r.check) {
        return NULL;
    }
    /* The stream before the load, and again while it is loaded.  */
    vsm_job_expect(job, 2 * vsm_check_record(r.check)->container.vmstate_bytes);
    if (vsm_stored_entry_find(m, vsm_check_record(r.check), &entry, errp)) {
        passed = vsm_pass(m, r.check, entry.bs, entry.id, errp);
        vsm_stored_entry_release(&entry);
    }
    if (passed) {
        vsm_main_call(rollback_load, &r);
        error_propagate(errp, r.err);
        job->changed = r.changed;
    }
    if (r.verdict) {
        answer =
            vsm_answer_new(m, vsm_check_record(r.check), VSM_SCOPE_FULL,
                           r.verdict, job->recipient, 0,
                           vsm_pool_hashed_bytes(m->pool) - job->hashed_base);
    }
    if (answer && !r.ok) {
        /* The job fails; the report on what was loaded can be asked for.  */
        vsm_answers_keep(m, g_steal_pointer(&answer));
    }
    g_clear_pointer(&r.verdict, vsm_verdict_free);
    vsm_glue_check_free(m, r.check);
    return answer;
}
