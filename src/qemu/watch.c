/*
 * The watch: the runtime scope, measured again and again
 *
 * The baseline is proved once, by the TPM; then each look is judged here,
 * without the attester, and holds no transaction.  Only a result that is
 * another than before is signed: that very capture, while the VM stands still
 * if there is a finding.  Looks are made in one go on the main thread, so they
 * never keep an operation out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/guest-random.h"
#include "qemu/timer.h"
#include "system/runstate.h"
#include "answers.h"
#include "call.h"
#include "check.h"
#include "events.h"
#include "explain.h"
#include "reaction.h"
#include "look.h"
#include "trace.h"
#include "watch.h"

#define PROFILE VSM_RUNTIME_PROFILE_STANDARD
#define PROFILE_TEXT VsmRuntimeProfile_str(PROFILE)
#define NONCE_BYTES 32
#define BUSY_MS 1000 /* another operation is under way */

struct VsmWatch {
    VsmManager *m;
    QEMUTimer timer;
    uint32_t seconds;
    char *snapshot;
    GBytes *scope; /* proved; NULL: not yet */
    bool proved; /* @scope is known, or that there is none */
    char *last; /* the last result, and its findings; NULL: none yet */
    VsmOutcome outcome; /* valid if @last */
    unsigned patching; /* looks at a patch in flight, in a row */
    unsigned n_reports;
    bool working; /* a coroutine is at the attester */
    /* Of the look that is being reported.  */
    VsmHold hold;
    VsmLook look;
};

/* A guest that knows when it is looked at could hide meanwhile.  */
static void arm(VsmWatch *watch)
{
    uint32_t random;

    qemu_guest_getrandom_nofail(&random, sizeof(random));
    timer_mod(&watch->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) +
                                 watch->seconds * 500 +
                                 random % (watch->seconds * 1000 + 1));
}

static void arm_ms(VsmWatch *watch, unsigned ms)
{
    timer_mod(&watch->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + ms);
}

static void begin_op(VsmManager *m)
{
    /* Cannot fail: the tick looked at the state.  */
    vsm_op_begin(m, VSM_STATE_ATTEST, VSM_OPERATION_WATCH, m->watch->snapshot,
                 NULL, &error_abort);
}

/* Told once, not at every look: the failure has to change.  */
static void failed(VsmWatch *watch, Error *err)
{
    g_autofree char *text = g_strdup_printf("! %s", error_get_pretty(err));

    if (watch->m->op.code != VSM_ERROR_BUSY && g_strcmp0(watch->last, text)) {
        vsm_op_refused(watch->m, false, err);
        g_free(watch->last);
        watch->last = g_steal_pointer(&text);
        watch->outcome = VSM_OUTCOME_UNAVAILABLE;
    }
    error_free(err);
}

/* --- The baseline --------------------------------------------------------- */

static void coroutine_fn prove_co(void *opaque)
{
    VsmWatch *watch = opaque;
    VsmManager *m = watch->m;
    Error *err = NULL;
    VsmCheck *check = vsm_glue_check_begin(
        m, VSM_PURPOSE_WATCH, watch->snapshot,
        (VsmChallenge){.profile = PROFILE_TEXT}, &err);

    if (check) {
        GBytes *scope = vsm_check_scope(check);

        watch->scope = scope ? g_bytes_ref(scope) : NULL;
        watch->proved = true;
        vsm_glue_check_free(m, check);
    } else {
        failed(watch, err);
    }
    watch->working = false;
    vsm_op_end(m);
    arm_ms(watch, check ? 0 : watch->seconds * 1000);
}

void vsm_watch_renew(VsmManager *m)
{
    VsmWatch *watch = m->watch;

    if (watch && !watch->working) {
        g_clear_pointer(&watch->scope, g_bytes_unref);
        watch->proved = false;
    }
}

/* --- A report ------------------------------------------------------------- */

/* The attester's own judgement of what was seen, signed.  */
static VsmVerdict *coroutine_fn report_ask(VsmWatch *watch,
                                           VsmAnswer **ret,
                                           Error **errp)
{
    VsmManager *m = watch->m;
    uint8_t random[NONCE_BYTES];
    g_autoptr(GBytes) nonce = NULL;
    g_autoptr(GError) error = NULL;
    VsmVerdict *verdict = NULL;
    VsmCheck *check;

    qemu_guest_getrandom_nofail(random, sizeof(random));
    nonce = g_bytes_new(random, sizeof(random));
    check = vsm_glue_check_begin(
        m, VSM_PURPOSE_WATCH, watch->snapshot,
        (VsmChallenge){.nonce = nonce, .profile = PROFILE_TEXT},
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
        *ret = vsm_answer_new(m, vsm_check_record(check), VSM_SCOPE_RUNTIME,
                              verdict, false, watch->hold.pause_ms,
                              watch->look.hashed);
        vsm_reaction_note(m, vsm_check_record(check)->id, verdict,
                          vsm_hold_was_running(&watch->hold));
    }
    vsm_glue_check_free(m, check);
    return verdict;
}

typedef struct Release {
    VsmWatch *watch;
    bool resume;
} Release;

static void release(void *opaque)
{
    Release *r = opaque;

    vsm_hold_release(&r->watch->hold, r->resume);
    vsm_look_clear(&r->watch->look);
}

static void coroutine_fn report_co(void *opaque)
{
    VsmWatch *watch = opaque;
    VsmManager *m = watch->m;
    /* A finding stops the VM even if the attester is out of reach.  */
    Release r = {watch, !watch->look.verdict ||
                            !vsm_reaction_stops(m, watch->look.verdict)};
    g_autoptr(VsmVerdict) verdict = NULL;
    VsmAnswer *answer = NULL;
    Error *err = NULL;

    verdict = report_ask(watch, &answer, &err);
    if (answer) {
        g_free(answer->job_id);
        answer->job_id = g_strdup_printf("watch%u", watch->n_reports++);
        answer->has_profile = true;
        answer->profile = PROFILE;
        vsm_answers_keep(m, answer);
        vsm_event_answer(answer);
    } else {
        failed(watch, err);
    }
    vsm_main_call(release, &r);
    watch->working = false;
    vsm_op_end(m);
    arm(watch);
    vsm_reaction_act(m);
}

/* --- A look --------------------------------------------------------------- */

/* What tells one result from another: the findings' places, not values.  */
static char *result_text(const VsmLook *look)
{
    GString *text;

    if (!look->verdict) {
        return g_strdup_printf("unavailable %s", look->reason ?: "");
    }
    text = g_string_new(look->verdict->result == VSM_RESULT_MATCH ? "match"
                                                                  : "mismatch");
    for (guint i = 0; i < look->verdict->findings->len; i++) {
        const VsmFinding *finding =
            g_ptr_array_index(look->verdict->findings, i);

        g_string_append_printf(text, " %s:%s:%" PRIx64 ":%u", finding->kind,
                               finding->where, finding->offset, finding->vcpu);
    }
    return g_string_free(text, false);
}

static VsmOutcome outcome_of(const VsmLook *look)
{
    return !look->verdict                              ? VSM_OUTCOME_UNAVAILABLE
           : look->verdict->result == VSM_RESULT_MATCH ? VSM_OUTCOME_MATCH
                                                       : VSM_OUTCOME_MISMATCH;
}

static void work(VsmWatch *watch, CoroutineEntry *entry)
{
    watch->working = true;
    qemu_coroutine_enter(qemu_coroutine_create(entry, watch));
}

/* The VM is held; whether its result is to be reported.  */
static bool look_changed(VsmWatch *watch)
{
    g_autofree char *text = result_text(&watch->look);

    trace_vsm_watch_look(watch->snapshot, text, watch->hold.pause_ms);
    if (!g_strcmp0(watch->last, text)) {
        return false;
    }
    g_free(watch->last);
    watch->last = g_steal_pointer(&text);
    watch->outcome = outcome_of(&watch->look);
    return true;
}

static void look(VsmWatch *watch)
{
    VsmManager *m = watch->m;
    Error *err = NULL;
    bool looked, patching, changed;

    begin_op(m);
    watch->hold = (VsmHold){.m = m};
    looked =
        vsm_hold_take(&watch->hold, &err) &&
        vsm_look(m, watch->scope, PROFILE_TEXT, &watch->look, &err);
    vsm_hold_measured(&watch->hold);
    patching = looked && vsm_look_patching(&watch->look) &&
               watch->patching++ < VSM_SCOPE_RETRIES;
    changed = looked && !patching && look_changed(watch);
    if (!changed || outcome_of(&watch->look) != VSM_OUTCOME_MISMATCH) {
        vsm_hold_release(&watch->hold, true);
    }
    if (changed) {
        work(watch, report_co);
        return;
    }
    vsm_look_clear(&watch->look);
    if (!looked) {
        failed(watch, err);
    }
    vsm_op_end(m);
    if (patching) {
        arm_ms(watch, VSM_SCOPE_RETRY_MS);
    } else {
        watch->patching = 0;
        arm(watch);
    }
}

/* The snapshot has none: said once, and for as long as it is the baseline.  */
static void no_scope(VsmWatch *watch)
{
    watch->hold = (VsmHold){.m = watch->m};
    watch->look.reason = g_strdup("the snapshot has no runtime scope");
    if (!look_changed(watch)) {
        vsm_look_clear(&watch->look);
        arm(watch);
        return;
    }
    begin_op(watch->m);
    work(watch, report_co);
}

static void tick(void *opaque)
{
    VsmWatch *watch = opaque;
    VsmManager *m = watch->m;

    if (m->quitting || watch->working) {
        return;
    }
    if (m->state != VSM_STATE_IDLE) {
        arm_ms(watch, BUSY_MS);
    } else if (!runstate_is_running()) {
        arm(watch); /* nothing can have changed */
    } else if (!watch->proved) {
        begin_op(m);
        work(watch, prove_co);
    } else if (!watch->scope) {
        no_scope(watch);
    } else {
        look(watch);
    }
}

/* --- On and off ----------------------------------------------------------- */

bool vsm_watch_check(uint32_t seconds, const char *snapshot, Error **errp)
{
    if (seconds && (seconds < VSM_WATCH_S_MIN || seconds > VSM_WATCH_S_MAX)) {
        error_setg(errp, "A watch looks every %d to %d seconds; 0 ends it",
                   VSM_WATCH_S_MIN, VSM_WATCH_S_MAX);
        return false;
    }
    if (seconds && !snapshot) {
        error_setg(errp, "A watch needs a snapshot to compare with, for "
                         "example tag:clean");
        return false;
    }
    return true;
}

void vsm_watch_set(VsmManager *m, uint32_t seconds, const char *snapshot)
{
    VsmWatch *watch = m->watch;

    if (!watch) {
        watch = m->watch = g_new0(VsmWatch, 1);
        watch->m = m;
        timer_init_ms(&watch->timer, QEMU_CLOCK_REALTIME, tick, watch);
    }
    vsm_watch_renew(m);
    g_clear_pointer(&watch->last, g_free);
    watch->seconds = seconds;
    if (!seconds) {
        timer_del(&watch->timer);
        return;
    }
    g_free(watch->snapshot);
    watch->snapshot = g_strdup(snapshot);
    arm_ms(watch, 0);
}

VsmWatchInfo *vsm_watch_info(VsmManager *m)
{
    const VsmWatch *watch = m->watch;
    VsmWatchInfo *info;

    if (!watch || !watch->seconds) {
        return NULL;
    }
    info = g_new0(VsmWatchInfo, 1);
    info->seconds = watch->seconds;
    info->snapshot = g_strdup(watch->snapshot);
    info->has_result = watch->last != NULL;
    info->result = watch->outcome;
    info->reports = watch->n_reports;
    return info;
}
