/*
 * The watch: the runtime scope, measured again and again
 *
 * The baseline is proved once, by the TPM; then each look is judged here,
 * without the attester, and holds no transaction.  Only a result that is
 * another than before is signed: that very capture, of which there are copies,
 * so the VM waits for that only if it is to stay stopped.  Looks are made in
 * one go on the main thread, so they never keep an operation out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "qapi/error.h"
#include "qemu/guest-random.h"
#include "system/runstate.h"
#include "answers.h"
#include "check.h"
#include "reaction.h"
#include "trace.h"
#include "watch.h"
#include "watch-state.h"

/* A guest that knows when it is looked at could hide meanwhile.  */
void vsm_watch_arm(VsmWatch *watch)
{
    uint32_t random;

    watch->skips.waiting = false;
    qemu_guest_getrandom_nofail(&random, sizeof(random));
    vsm_watch_arm_ms(watch, watch->seconds * 500 +
                                random % (watch->seconds * 1000 + 1));
}

void vsm_watch_arm_ms(VsmWatch *watch, unsigned ms)
{
    timer_mod(&watch->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + ms);
}

void vsm_watch_work(VsmWatch *watch, CoroutineEntry *entry)
{
    object_ref(OBJECT(watch->m));
    watch->working = true;
    qemu_coroutine_enter(qemu_coroutine_create(entry, watch));
}

void coroutine_fn vsm_watch_worked(VsmWatch *watch)
{
    watch->working = false;
    aio_wait_kick();
    object_unref(OBJECT(watch->m)); /* and @watch with it */
}

static void begin_op(VsmManager *m)
{
    /* Cannot fail: the tick looked at the state.  */
    vsm_op_begin(m, VSM_STATE_ATTEST, VSM_OPERATION_WATCH, m->watch->snapshot,
                 NULL, &error_abort);
}

/* --- The baseline --------------------------------------------------------- */

static void proved(VsmWatch *watch, VsmCheck *check)
{
    GBytes *scope = vsm_check_scope(check);
    const char *id = vsm_check_record(check)->id;

    watch->scope = scope ? g_bytes_ref(scope) : NULL;
    watch->proved = true;
    /* To match another snapshot, or to differ from it so, is news.  */
    if (g_strcmp0(watch->id, id)) {
        g_clear_pointer(&watch->last, g_free);
        g_free(watch->id);
        watch->id = g_strdup(id);
    }
}

static void coroutine_fn prove_co(void *opaque)
{
    VsmWatch *watch = opaque;
    VsmManager *m = watch->m;
    Error *err = NULL;
    VsmCheck *check = vsm_glue_check_begin(
        m, VSM_PURPOSE_WATCH, watch->snapshot,
        (VsmChallenge){.profile = VsmRuntimeProfile_str(VSM_WATCH_PROFILE)},
        &err);

    if (check) {
        proved(watch, check);
        vsm_glue_check_free(m, check);
    } else {
        bool tell = vsm_watch_skipped(watch, error_get_pretty(err));

        if (tell && m->op.code == VSM_ERROR_BUSY) {
            vsm_watch_tell_skipped(watch);
        }
        vsm_watch_failed(watch, err);
    }
    vsm_op_end(m);
    if (check) {
        vsm_watch_arm_ms(watch, 0);
    } else {
        vsm_watch_arm(watch);
    }
    vsm_watch_worked(watch);
}

/* But for its id, which tells another one.  */
static void forget_baseline(VsmWatch *watch)
{
    g_clear_pointer(&watch->scope, g_bytes_unref);
    watch->proved = false;
}

void vsm_watch_renew(VsmManager *m)
{
    if (m->watch && !m->watch->working) {
        forget_baseline(m->watch);
    }
}

/* --- A look --------------------------------------------------------------- */

/*
 * What tells one result from another: the findings' places, not values, and
 * the bytes of pages that differ.
 */
static char *result_text(const VsmLook *look)
{
    const VsmVerdict *verdict = look->verdict;
    GString *text;

    if (!verdict) {
        return g_strdup_printf("unavailable %s", look->reason ?: "");
    }
    if (verdict->result == VSM_RESULT_MATCH) {
        return g_strdup("match");
    }
    text = g_string_new("mismatch");
    for (guint i = 0; i < verdict->findings->len; i++) {
        const VsmFinding *finding = g_ptr_array_index(verdict->findings, i);

        g_string_append_printf(text, " %s:%s:%" PRIx64 "+%" PRIx64 ":%u",
                               finding->kind, finding->where, finding->offset,
                               finding->bytes, finding->vcpu);
    }
    g_string_append_printf(text, " left-out:%" PRIu64 " pages:",
                           verdict->findings_left_out);
    for (guint i = 0; i < VSM_DIGEST_BYTES; i++) {
        g_string_append_printf(text, "%02x", verdict->pages.b[i]);
    }
    return g_string_free(text, false);
}

static VsmOutcome outcome_of(const VsmLook *look)
{
    return !look->verdict                              ? VSM_OUTCOME_UNAVAILABLE
           : look->verdict->result == VSM_RESULT_MATCH ? VSM_OUTCOME_MATCH
                                                       : VSM_OUTCOME_MISMATCH;
}

/* Whether the look at hand is to be reported.  */
static bool look_changed(VsmWatch *watch)
{
    g_free(watch->text);
    watch->text = result_text(&watch->look);
    watch->outcome = outcome_of(&watch->look);
    watch->has_outcome = true;
    trace_vsm_watch_look(watch->snapshot, watch->text, watch->hold.pause_ms);
    if (g_strcmp0(watch->last, watch->text)) {
        return true;
    }
    g_clear_pointer(&watch->told, g_free);
    return false;
}

/* As look_changed(), without a look.  */
static bool look_failed(VsmWatch *watch, Error *err)
{
    bool tell = vsm_watch_skipped(watch, error_get_pretty(err)) &&
                watch->m->op.code == VSM_ERROR_BUSY;

    vsm_watch_failed(watch, err);
    if (!tell) {
        return false;
    }
    vsm_look_clear(&watch->look);
    watch->look.reason = g_strdup_printf(
        "no look for more than three intervals: %s", watch->skips.reason);
    return look_changed(watch);
}

static void look(VsmWatch *watch)
{
    VsmManager *m = watch->m;
    Error *err = NULL;
    bool looked, patching, changed;

    begin_op(m);
    watch->hold = (VsmHold){.m = m};
    looked = vsm_hold_take(&watch->hold, &err) &&
             vsm_look(m, watch->scope, VsmRuntimeProfile_str(VSM_WATCH_PROFILE),
                      &watch->look, &err);
    vsm_hold_measured(&watch->hold);
    patching = looked && vsm_look_patching(&watch->look) &&
               watch->patching < VSM_SCOPE_RETRIES;
    watch->patching = patching ? watch->patching + 1 : 0;
    changed = looked && !patching && look_changed(watch);
    /* An attester that hangs costs a guest that is to run on no time.  */
    if (!changed || !vsm_watch_stops(watch)) {
        vsm_hold_release(&watch->hold, true);
    }
    if (looked) {
        vsm_watch_looked(watch);
    } else {
        changed = look_failed(watch, err);
    }
    if (changed) {
        vsm_watch_report(watch);
        return;
    }
    vsm_look_clear(&watch->look);
    vsm_op_end(m);
    if (patching) {
        vsm_watch_arm_ms(watch, VSM_SCOPE_RETRY_MS);
    } else {
        vsm_watch_arm(watch);
    }
}

/* The snapshot has none: said once, and for as long as it is the baseline.  */
static void no_scope(VsmWatch *watch)
{
    watch->hold = (VsmHold){.m = watch->m};
    watch->look.reason = g_strdup("the snapshot has no runtime scope");
    vsm_watch_looked(watch);
    if (!look_changed(watch)) {
        vsm_look_clear(&watch->look);
        vsm_watch_arm(watch);
        return;
    }
    begin_op(watch->m);
    vsm_watch_report(watch);
}

/* The look is made as soon as the other operation has ended.  */
static void wait_for_operation(VsmWatch *watch)
{
    const VsmOp *op = &watch->m->op;
    g_autofree char *why =
        g_strdup_printf("the snapshot manager is busy (%s of '%s')",
                        VsmOperation_str(op->operation), op->asked);

    if (!runstate_is_running()) {
        vsm_watch_looked(watch);
    } else if (vsm_watch_skipped(watch, why)) {
        vsm_watch_tell_skipped(watch);
    }
    watch->skips.waiting = true;
    vsm_watch_arm_ms(watch, VSM_WATCH_BUSY_MS);
}

static void tick(void *opaque)
{
    VsmWatch *watch = opaque;
    VsmManager *m = watch->m;

    if (m->quitting || watch->working) {
        return;
    }
    if (m->state != VSM_STATE_IDLE) {
        wait_for_operation(watch);
    } else if (watch->kept) {
        begin_op(m);
        vsm_watch_report(watch);
    } else if (!runstate_is_running()) {
        vsm_watch_looked(watch);
        vsm_watch_arm(watch);
    } else if (!watch->proved) {
        begin_op(m);
        vsm_watch_work(watch, prove_co);
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

/* Nothing is known of the VM, and nothing is left to be done to it.  */
static void forget_vm(VsmWatch *watch)
{
    vsm_look_clear(&watch->look);
    g_clear_pointer(&watch->text, g_free);
    g_clear_pointer(&watch->last, g_free);
    g_clear_pointer(&watch->told, g_free);
    watch->has_outcome = watch->kept = false;
    watch->patching = 0;
    vsm_reaction_drop(watch->m);
}

static void forget(VsmWatch *watch)
{
    forget_baseline(watch);
    g_clear_pointer(&watch->id, g_free);
    forget_vm(watch);
    g_clear_pointer(&watch->skips.reason, g_free);
    memset(&watch->skips, 0, sizeof(watch->skips));
}

void vsm_watch_loaded(VsmManager *m)
{
    if (m->watch) {
        forget_vm(m->watch);
        vsm_watch_looked(m->watch); /* it is stopped */
    }
}

bool vsm_watch_keeps(VsmManager *m)
{
    return m->watch && m->watch->kept;
}

void vsm_watch_set(VsmManager *m, uint32_t seconds, const char *snapshot)
{
    VsmWatch *watch = m->watch;

    if (!watch) {
        watch = m->watch = g_new0(VsmWatch, 1);
        watch->m = m;
        timer_init_ms(&watch->timer, QEMU_CLOCK_REALTIME, tick, watch);
    }
    forget(watch);
    watch->seconds = seconds;
    if (!seconds) {
        timer_del(&watch->timer);
        return;
    }
    g_free(watch->snapshot);
    watch->snapshot = g_strdup(snapshot);
    vsm_watch_looked(watch);
    vsm_watch_arm_ms(watch, 0);
}

void vsm_watch_shutdown(VsmManager *m)
{
    VsmWatch *watch = m->watch;

    if (!watch) {
        return;
    }
    if (watch->working) {
        g_cancellable_cancel(m->op.cancel);
    }
    AIO_WAIT_WHILE(NULL, watch->working);
    timer_del(&watch->timer); /* the coroutine armed it */
}

void vsm_watch_free(VsmManager *m)
{
    VsmWatch *watch = g_steal_pointer(&m->watch);

    if (watch) {
        forget(watch);
        timer_deinit(&watch->timer);
        g_free(watch->snapshot);
        g_free(watch);
    }
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
    info->has_result = watch->has_outcome;
    info->result = watch->outcome;
    info->reports = watch->n_reports;
    info->reported = watch->last != NULL;
    info->skipped = watch->skips.n;
    info->skip_reason = g_strdup(watch->skips.reason);
    info->has_skip_time = watch->skips.reason != NULL;
    info->skip_time = watch->skips.time;
    return info;
}
