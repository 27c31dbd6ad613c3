/*
 * What the manager tells the world
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/qapi-events-vsm.h"
#include "events.h"
#include "trace.h"

void vsm_event_sealed(const VsmRecord *record)
{
    g_autofree char *state = vsm_digest_hex(&record->state);
    g_autofree char *commit = vsm_digest_hex(&record->commit);

    trace_vsm_sealed(record->id, record->tag);
    qapi_event_send_vsm_snapshot_sealed(record->id, record->tag, record->time,
                                        state, commit);
}

void vsm_event_progress(uint64_t done, uint64_t total)
{
    const VsmOp *op = &vsm_manager()->op;

    qapi_event_send_vsm_progress(op->operation, op->asked, done, total);
}

void vsm_event_answer(VsmAnswer *answer)
{
    trace_vsm_answer(answer->job_id, VsmOperation_str(answer->operation));
    if (answer->operation == VSM_OPERATION_ROLLBACK) {
        qapi_event_send_vsm_rolled_back(answer);
    } else {
        qapi_event_send_vsm_attested(answer);
    }
}

void vsm_event_refused(VsmOperation operation,
                       const char *asked,
                       const char *job_id,
                       int code,
                       const char *message,
                       bool vm_changed)
{
    VsmManager *m = vsm_manager();

    trace_vsm_refused(VsmOperation_str(operation), asked ?: "",
                      vsm_error_name(code), vm_changed);
    qapi_event_send_vsm_refused(operation, asked, job_id, vsm_error_name(code),
                                message, vm_changed);
    if (m) {
        qapi_free_VsmRefusal(m->refusal);
        m->refusal = g_new(VsmRefusal, 1);
        *m->refusal = (VsmRefusal){
            .operation = operation,
            .snapshot = g_strdup(asked),
            .job_id = g_strdup(job_id),
            .code = g_strdup(vsm_error_name(code)),
            .message = g_strdup(message),
            .vm_changed = vm_changed,
        };
    }
}
