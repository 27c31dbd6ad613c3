/*
 * The watch: the signed report of a result that is another than before
 *
 * Whether the VM stays stopped follows from what was seen here, not from the
 * attester, which may be out of reach.  A capture that stopped the VM is kept
 * until its report is made; without it the VM runs on and is looked at anew.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/guest-random.h"
#include "system/runstate.h"
#include "answers.h"
#include "call.h"
#include "check.h"
#include "events.h"
#include "explain.h"
#include "reaction.h"
#include "watch-state.h"

#define NONCE_BYTES 32
#define RETRY_MS 5000 /* the attester is out of reach */

/* The attester's own judgement of what was seen, signed.  */
static VsmAnswer *coroutine_fn report_ask(VsmWatch *watch, Error **errp)
{
    VsmManager *m = watch->m;
    uint8_t random[NONCE_BYTES];
    g_autoptr(GBytes) nonce = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    VsmAnswer *answer = NULL;
    VsmCheck *check;

    qemu_guest_getrandom_nofail(random, sizeof(random));
    nonce = g_bytes_new(random, sizeof(random));
    check = vsm_glue_check_begin(
        m, VSM_PURPOSE_WATCH, watch->snapshot,
        (VsmChallenge){
            .nonce = nonce,
            .profile = VsmRuntimeProfile_str(VSM_WATCH_PROFILE),
        },
        errp);
    if (!check) {
        return NULL;
    }
    vsm_check_set_pause(check, watch->hold.pause_ms);
    if (!vsm_check_set_scope(check, watch->look.measured, watch->look.reason,
                             watch->look.hashed, &error)) {
        vsm_fail(m, error->code, errp, "%s", error->message);
    } else {
        vsm_explain(m, check, watch->look.pages, watch->look.verdict);
        verdict = vsm_glue_check_finish(m, check, errp);
    }
    if (verdict) {
        answer = vsm_answer_new(m, vsm_check_record(check), VSM_SCOPE_RUNTIME,
                                verdict, false, watch->hold.pause_ms,
                                watch->look.hashed);
    }
    vsm_glue_check_free(m, check);
    return answer;
}

bool vsm_watch_stops(const VsmWatch *watch)
{
    return watch->look.verdict &&
           vsm_reaction_stops(watch->m, watch->look.verdict);
}

static void reported(VsmWatch *watch, VsmAnswer *answer)
{
    g_free(answer->job_id);
    answer->job_id = g_strdup_printf("watch%u", watch->n_reports++);
    answer->has_profile = true;
    answer->profile = VSM_WATCH_PROFILE;
    vsm_answers_keep(watch->m, answer);
    vsm_event_answer(answer);
    g_free(watch->last);
    watch->last = g_steal_pointer(&watch->text);
    g_clear_pointer(&watch->told, g_free);
    watch->kept = false;
}

/* Unless somebody let the VM run in spite of what was found.  */
static bool stands_still(const VsmWatch *watch)
{
    return vsm_watch_stops(watch) &&
           (watch->hold.held || !runstate_is_running());
}

/* A mismatch is told at once, be it without a signature.  */
static void unreported(VsmWatch *watch, Error *err)
{
    VsmManager *m = watch->m;
    const VsmVerdict *verdict = watch->look.verdict;

    if (verdict && verdict->result == VSM_RESULT_MISMATCH && !m->quitting) {
        g_autofree char *first = vsm_first_finding(verdict);

        error_prepend(&err,
                      "The watch found a mismatch (%s), and its report could "
                      "not be made yet: ",
                      first);
        if (g_strcmp0(watch->told, error_get_pretty(err))) {
            vsm_op_refused(
                m, stands_still(watch) && vsm_hold_was_running(&watch->hold),
                err);
            g_free(watch->told);
            watch->told = g_strdup(error_get_pretty(err));
        }
        error_free(err);
    } else {
        vsm_watch_failed(watch, err);
    }
    g_clear_pointer(&watch->last, g_free);
    watch->kept = stands_still(watch);
}

static void release(void *opaque)
{
    VsmWatch *watch = opaque;

    vsm_hold_release(&watch->hold, !vsm_watch_stops(watch));
    if (!watch->kept) {
        vsm_look_clear(&watch->look);
        g_clear_pointer(&watch->text, g_free);
    }
}

static void coroutine_fn report_co(void *opaque)
{
    VsmWatch *watch = opaque;
    VsmManager *m = watch->m;
    Error *err = NULL;
    VsmAnswer *answer = report_ask(watch, &err);
    bool busy = m->op.code == VSM_ERROR_BUSY;

    if (answer) {
        reported(watch, answer);
    } else {
        unreported(watch, err);
    }
    vsm_main_call(release, watch);
    watch->working = false;
    vsm_op_end(m);
    if (answer) {
        vsm_watch_arm(watch);
    } else if (busy) {
        vsm_watch_arm_ms(watch, VSM_WATCH_BUSY_MS);
    } else {
        vsm_watch_arm_ms(watch, MIN(watch->seconds * 1000, RETRY_MS));
    }
    if (!watch->kept) {
        vsm_reaction_act(m);
    }
    vsm_watch_worked(watch);
}

void vsm_watch_report(VsmWatch *watch)
{
    VsmManager *m = watch->m;

    if (!watch->kept && watch->look.verdict) {
        vsm_reaction_note(m, watch->id, watch->look.verdict,
                          vsm_hold_was_running(&watch->hold));
    }
    vsm_watch_work(watch, report_co);
}
