/*
 * HMP commands of the snapshot manager
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "hmp.h"
#include "jobs.h"
#include "watch.h"

static void
start(Monitor *mon, const QDict *qdict, VsmOperation operation, VsmScope scope)
{
    static unsigned n_jobs;
    g_autofree char *job_id = g_strdup_printf("vsm-hmp%u", n_jobs++);
    Error *err = NULL;

    vsm_job_start(
        &(VsmJobRequest){
            .operation = operation,
            .job_id = job_id,
            .snapshot = qdict_get_str(qdict, "snapshot"),
            .nonce = qdict_get_try_str(qdict, "nonce"),
            .scope = scope,
            .dismiss = true,
        },
        &err);
    if (!hmp_handle_error(mon, err)) {
        monitor_printf(mon,
                       "job %s; its end comes as an event, its answer, or "
                       "why it was refused, with \"info vsm\"\n",
                       job_id);
    }
}

static void hmp_vsm_verify(Monitor *mon, const QDict *qdict)
{
    start(mon, qdict, VSM_OPERATION_VERIFY, VSM_SCOPE_STORED);
}

static void hmp_vsm_attest(Monitor *mon, const QDict *qdict)
{
    start(mon, qdict, VSM_OPERATION_ATTEST,
          qdict_get_try_bool(qdict, "runtime", false) ? VSM_SCOPE_RUNTIME
                                                      : VSM_SCOPE_FULL);
}

static void hmp_vsm_rollback(Monitor *mon, const QDict *qdict)
{
    start(mon, qdict, VSM_OPERATION_ROLLBACK, VSM_SCOPE_FULL);
}

/* The first difference: query-vsm-report has all of them.  */
static void print_judgement(Monitor *mon, const VsmJudgement *judgement)
{
    uint64_t n = judgement->findings_left_out;

    for (VsmDifferenceList *each = judgement->findings; each;
         each = each->next) {
        n++;
    }
    monitor_printf(mon, ": %s", VsmOutcome_str(judgement->result));
    if (judgement->reason) {
        monitor_printf(mon, ", %s", judgement->reason);
    }
    if (judgement->findings) {
        const VsmDifference *first = judgement->findings->value;

        monitor_printf(mon, ", %" PRIu64 " differences, the first: %s '%s'", n,
                       first->kind, first->where);
    }
}

static void print_answer(Monitor *mon, const VsmAnswer *answer)
{
    monitor_printf(mon, "answer %s: %s of '%s'", answer->job_id,
                   VsmOperation_str(answer->operation), answer->snapshot);
    if (answer->verdict) {
        print_judgement(mon, answer->verdict);
    }
    monitor_printf(mon, "\n");
}

static void print_refusal(Monitor *mon, const VsmRefusal *refusal)
{
    monitor_printf(mon, "last refusal: %s of '%s': %s: %s%s\n",
                   VsmOperation_str(refusal->operation),
                   refusal->snapshot ?: "", refusal->code, refusal->message,
                   refusal->vm_changed ? " (the VM was changed)" : "");
}

static void print_watch(Monitor *mon, VsmManager *m)
{
    g_autoptr(VsmWatchInfo) watch = vsm_watch_info(m);

    if (!watch) {
        return;
    }
    monitor_printf(mon, "watch of '%s': %s, %" PRIu32 " looks skipped",
                   watch->snapshot,
                   watch->has_result ? VsmOutcome_str(watch->result)
                                     : "no result yet",
                   watch->skipped);
    if (watch->skip_reason) {
        monitor_printf(mon, ", the last one: %s", watch->skip_reason);
    }
    monitor_printf(mon, "\n");
}

static void hmp_info_vsm(Monitor *mon, const QDict *qdict)
{
    Error *err = NULL;
    VsmManager *m = vsm_manager_or_error(&err);

    if (hmp_handle_error(mon, err)) {
        return;
    }
    monitor_printf(mon, "%s: VM %s, %s, require-sealed=%s\n", m->id, m->uuid,
                   VsmState_str(m->state), m->require_sealed ? "on" : "off");
    for (guint i = 0; i < m->records->len; i++) {
        const VsmRecord *record = g_ptr_array_index(m->records, i);

        monitor_printf(mon, "%s %s '%s'\n",
                       record->listed ? "snapshot" : "debris", record->id,
                       record->tag ?: "(damaged)");
    }
    print_watch(mon, m);
    for (GList *iter = m->answers.head; iter; iter = iter->next) {
        print_answer(mon, iter->data);
    }
    if (m->refusal) {
        print_refusal(mon, m->refusal);
    }
}

void vsm_hmp_register(void)
{
    monitor_register_hmp("vsm_verify", false, hmp_vsm_verify);
    monitor_register_hmp("vsm_attest", false, hmp_vsm_attest);
    monitor_register_hmp("vsm_rollback", false, hmp_vsm_rollback);
    monitor_register_hmp("vsm", true, hmp_info_vsm);
}
