/*
 * Measuring the runtime scope
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "answers.h"
#include "attest.h"
#include "call.h"
#include "check.h"
#include "explain.h"
#include "guest.h"
#include "reaction.h"
#include "look.h"
#include "trace.h"

void vsm_look_clear(VsmLook *look)
{
    g_clear_pointer(&look->measured, g_bytes_unref);
    g_clear_pointer(&look->reason, g_free);
    g_clear_pointer(&look->verdict, vsm_verdict_free);
    g_clear_pointer(&look->pages, g_hash_table_unref);
}

bool vsm_look(VsmManager *m,
              GBytes *sealed,
              const char *profile,
              VsmLook *ret,
              Error **errp)
{
    VsmScopeStats stats = {0};
    g_autoptr(VsmGuestView) view = NULL;
    g_autoptr(GError) error = NULL;
    bool ok = true;

    vsm_look_clear(ret);
    view = vsm_guest_view_new(m, &ret->reason);
    if (view) {
        ok = vsm_scope_capture(vsm_guest_view(view), m->pool, sealed,
                               &ret->measured, &ret->reason, &stats, &error);
    }
    if (ok && ret->measured && sealed) {
        ok = vsm_scope_judge(sealed, ret->measured, profile, &ret->verdict,
                             &error);
    }
    if (!ok) {
        vsm_fail(m, error->code, errp, "%s", error->message);
        return false;
    }
    if (ret->verdict && ret->verdict->findings->len) {
        ret->pages = vsm_pages_keep(view, ret->verdict);
    }
    ret->hashed = stats.hashed_bytes;
    trace_vsm_look(ret->measured ? g_bytes_get_size(ret->measured) : 0,
                   ret->hashed, ret->verdict ? ret->verdict->result : 0);
    return true;
}

bool vsm_look_patching(const VsmLook *look)
{
    return look->verdict && vsm_scope_may_retry(look->verdict);
}

typedef struct Measure {
    VsmHold *hold;
    GBytes *sealed;
    const char *profile;
    VsmLook *look;
    Error *err;
    bool ok;
} Measure;

static void measure_look(void *opaque)
{
    Measure *measure = opaque;
    VsmHold *hold = measure->hold;

    measure->ok = (hold->held || vsm_hold_take(hold, &measure->err)) &&
                  vsm_look(hold->m, measure->sealed, measure->profile,
                           measure->look, &measure->err);
}

bool coroutine_fn vsm_runtime_measure(VsmHold *hold,
                                      GBytes *sealed,
                                      const char *profile,
                                      VsmLook *ret,
                                      Error **errp)
{
    Measure measure = {hold, sealed, profile, ret};

    vsm_main_call(measure_look, &measure);
    for (unsigned i = 0; measure.ok && i < VSM_SCOPE_RETRIES; i++) {
        if (!vsm_look_patching(ret) || !vsm_hold_was_running(hold)) {
            break;
        }
        vsm_hold_let_run(hold, VSM_SCOPE_RETRY_MS);
        vsm_main_call(measure_look, &measure);
    }
    error_propagate(errp, measure.err);
    return measure.ok;
}

typedef struct Attest {
    VsmJob *job;
    VsmCheck *check;
    VsmHold hold;
    VsmLook look;
    bool stay; /* the VM does not run on */
} Attest;

static void attest_measured(void *opaque)
{
    Attest *a = opaque;

    vsm_hold_measured(&a->hold);
    if (!a->stay) {
        vsm_hold_release(&a->hold, true);
    }
}

static void attest_release(void *opaque)
{
    Attest *a = opaque;

    vsm_hold_release(&a->hold, !a->stay);
}

/* What is sealed, or else the reason, goes to the attester.  */
static bool coroutine_fn attest_measure(Attest *a, Error **errp)
{
    VsmManager *m = a->job->m;
    const char *profile = VsmRuntimeProfile_str(a->job->profile);
    GBytes *sealed = vsm_check_scope(a->check);
    g_autoptr(GError) error = NULL;

    if (!sealed) {
        a->look.reason =
            g_strdup(vsm_check_record(a->check)->scope_reason ?: "");
    } else if (!vsm_runtime_measure(&a->hold, sealed, profile, &a->look,
                                    errp)) {
        return false;
    }
    a->stay = a->look.verdict && vsm_reaction_stops(m, a->look.verdict);
    if (!vsm_check_set_scope(a->check, a->look.measured, a->look.reason,
                             a->look.hashed, &error)) {
        vsm_fail(m, error->code, errp, "%s", error->message);
        return false;
    }
    return true;
}

/* The VM stays stopped for what was seen here: that is told all the same.  */
static void attest_unreported(Attest *a, Error **errp)
{
    g_autofree char *first = vsm_first_finding(a->look.verdict);

    a->job->changed = vsm_hold_was_running(&a->hold);
    error_prepend(errp,
                  "The guest differs from '%s' (%s) and stays stopped; no "
                  "report on that could be made: ",
                  vsm_check_record(a->check)->tag, first);
}

VsmAnswer *coroutine_fn vsm_attest_runtime_body(VsmJob *job, Error **errp)
{
    ERRP_GUARD();
    VsmManager *m = job->m;
    Attest a = {.job = job};
    g_autoptr(VsmVerdict) verdict = NULL;
    VsmAnswer *answer = NULL;
    bool measured;

    a.hold.m = m;
    a.check = vsm_glue_check_begin(m, VSM_PURPOSE_RUNTIME, job->snapshot,
                                   vsm_job_challenge(job), errp);
    if (!a.check) {
        return NULL;
    }
    measured = attest_measure(&a, errp);
    vsm_main_call(attest_measured, &a);
    if (a.stay) {
        vsm_reaction_note(m, vsm_check_record(a.check)->id, a.look.verdict,
                          vsm_hold_was_running(&a.hold));
    }
    if (measured) {
        vsm_explain(m, a.check, a.look.pages, a.look.verdict);
        vsm_check_set_pause(a.check, a.hold.pause_ms);
        verdict = vsm_glue_check_finish(m, a.check, errp);
    }
    if (verdict) {
        answer = vsm_answer_new(m, vsm_check_record(a.check), VSM_SCOPE_RUNTIME,
                                verdict, job->recipient, a.hold.pause_ms,
                                a.look.hashed);
        answer->has_profile = true;
        answer->profile = job->profile;
    } else if (a.stay) {
        attest_unreported(&a, errp);
    }
    vsm_main_call(attest_release, &a);
    vsm_glue_check_free(m, a.check);
    vsm_look_clear(&a.look);
    return answer;
}
