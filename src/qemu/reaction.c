/*
 * What a mismatch of the runtime scope does to the VM: on-mismatch
 *
 * A guest that is rolled back may be attacked again at once, and each
 * rollback throws work away: after three in an hour it stays stopped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/timer.h"
#include "system/runstate.h"
#include "jobs.h"
#include "reaction.h"
#include "trace.h"
#include "watch.h"

#define HOUR_MS (60 * 60 * 1000)

bool vsm_reaction_stops(VsmManager *m, const VsmVerdict *verdict)
{
    return verdict->result == VSM_RESULT_MISMATCH &&
           m->on_mismatch != VSM_MISMATCH_ACTION_REPORT;
}

void vsm_reaction_note(VsmManager *m,
                       const char *id,
                       const VsmVerdict *verdict,
                       bool ran)
{
    if (verdict->result != VSM_RESULT_MISMATCH ||
        m->on_mismatch != VSM_MISMATCH_ACTION_ROLLBACK) {
        return;
    }
    /* The VM may stand still for an earlier mismatch.  */
    m->reaction.ran = ran || (m->reaction.id && m->reaction.ran);
    g_free(m->reaction.id);
    m->reaction.id = g_strdup(id);
}

/* Where to note one more rollback of this hour; NULL: there were enough.  */
static int64_t *free_rollback(VsmManager *m)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);

    for (size_t i = 0; i < ARRAY_SIZE(m->reaction.rollbacks_ms); i++) {
        int64_t *at = &m->reaction.rollbacks_ms[i];

        if (!*at || now - *at >= HOUR_MS) {
            return at;
        }
    }
    return NULL;
}

void vsm_reaction_rolled_back(VsmManager *m)
{
    int64_t *at = free_rollback(m);

    if (at) {
        *at = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    }
}

void vsm_reaction_act(VsmManager *m)
{
    g_autofree char *id = NULL;
    g_autofree char *snapshot = NULL;
    g_autofree char *job_id = NULL;
    Error *err = NULL;

    /* The report on what it is done for comes first.  */
    if (vsm_watch_keeps(m)) {
        return;
    }
    id = g_steal_pointer(&m->reaction.id);
    if (!id || m->quitting || runstate_is_running()) {
        return;
    }
    if (!free_rollback(m)) {
        warn_report("vsm: the guest was rolled back %zu times within an hour; "
                    "it stays stopped",
                    ARRAY_SIZE(m->reaction.rollbacks_ms));
        return;
    }
    snapshot = g_strdup_printf("id:%s", id);
    job_id = g_strdup_printf("vsm-rollback%u", m->reaction.n_jobs++);
    trace_vsm_reaction(job_id, id);
    vsm_job_start(
        &(VsmJobRequest){
            .operation = VSM_OPERATION_ROLLBACK,
            .job_id = job_id,
            .snapshot = snapshot,
            .dismiss = true,
            .resume = m->reaction.ran,
            .runtime = true,
        },
        &err);
    if (err) {
        error_reportf_err(err, "vsm: no rollback, the guest stays stopped: ");
    }
}

void vsm_reaction_drop(VsmManager *m)
{
    g_clear_pointer(&m->reaction.id, g_free);
}
