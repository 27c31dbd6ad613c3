/*
 * Answers of attestation jobs, as QMP shows them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "answers.h"

/* Answers outlive their jobs, for clients that cannot wait for events.  */
#define ANSWERS_KEPT 16

char *vsm_hex(const void *data, size_t bytes)
{
    const uint8_t *byte = data;
    GString *hex = g_string_sized_new(2 * bytes);

    for (size_t i = 0; i < bytes; i++) {
        g_string_append_printf(hex, "%02x", byte[i]);
    }
    return g_string_free(hex, false);
}

char *vsm_hex_bytes(GBytes *bytes)
{
    gsize size = 0;
    const void *data = bytes ? g_bytes_get_data(bytes, &size) : NULL;

    return vsm_hex(data, size);
}

char *vsm_first_finding(const VsmVerdict *verdict)
{
    const VsmFinding *first;

    if (!verdict->findings->len) {
        return g_strdup(verdict->reason ?: "the digests differ");
    }
    first = g_ptr_array_index(verdict->findings, 0);
    if (!first->bytes) {
        return g_strdup_printf("%s '%s'", first->kind, first->where);
    }
    return g_strdup_printf("%s '%s' at offset 0x%" PRIx64 ", %" PRIu64 " bytes",
                           first->kind, first->where, first->offset,
                           first->bytes);
}

static strList *strings(GPtrArray *texts)
{
    strList *list = NULL;

    for (guint i = texts ? texts->len : 0; i > 0; i--) {
        QAPI_LIST_PREPEND(list, g_strdup(g_ptr_array_index(texts, i - 1)));
    }
    return list;
}

static VsmDifferenceList *differences(GPtrArray *findings, VsmScope scope)
{
    VsmDifferenceList *list = NULL;

    for (guint i = findings ? findings->len : 0; i > 0; i--) {
        const VsmFinding *finding = g_ptr_array_index(findings, i - 1);
        VsmDifference *difference = g_new0(VsmDifference, 1);

        difference->kind = g_strdup(finding->kind);
        difference->where = g_strdup(finding->where);
        difference->bytes = finding->bytes;
        if (scope == VSM_SCOPE_RUNTIME) {
            difference->va = g_strdup_printf("0x%016" PRIx64, finding->offset);
            difference->pa = g_strdup_printf("0x%016" PRIx64, finding->address);
        } else {
            difference->offset = finding->offset;
        }
        difference->has_vcpu = finding->vcpu > 0;
        difference->vcpu = finding->vcpu - difference->has_vcpu;
        difference->sealed =
            finding->sealed ? vsm_hex_bytes(finding->sealed) : NULL;
        difference->measured =
            finding->measured ? vsm_hex_bytes(finding->measured) : NULL;
        QAPI_LIST_PREPEND(list, difference);
    }
    return list;
}

static VsmOutcome outcome(uint8_t result)
{
    switch (result) {
    case VSM_RESULT_MATCH:
        return VSM_OUTCOME_MATCH;
    case VSM_RESULT_MISMATCH:
        return VSM_OUTCOME_MISMATCH;
    default:
        return VSM_OUTCOME_UNAVAILABLE;
    }
}

static VsmJudgement *
judgement(const VsmRecord *record, VsmScope scope, const VsmVerdict *verdict)
{
    VsmJudgement *judgement = g_new0(VsmJudgement, 1);
    const VsmDigest *sealed = scope == VSM_SCOPE_STORED    ? &record->stream
                              : scope == VSM_SCOPE_RUNTIME ? &record->scope
                                                           : &record->state;

    judgement->snapshot_id = g_strdup(record->id);
    judgement->tag = g_strdup(record->tag);
    judgement->result = outcome(verdict->result);
    judgement->reason = g_strdup(verdict->reason);
    judgement->sealed = vsm_digest_hex(sealed);
    judgement->measured = vsm_digest_hex(&verdict->measured);
    judgement->unsealed = verdict->unsealed;
    judgement->findings = differences(verdict->findings, scope);
    judgement->findings_left_out = verdict->findings_left_out;
    judgement->host_clock = strings(verdict->host_clock);
    judgement->accepted = strings(verdict->accepted);
    judgement->has_tolerated = verdict->tolerated != NULL;
    judgement->tolerated = strings(verdict->tolerated);
    judgement->has_unattested = verdict->unattested != NULL;
    judgement->unattested = strings(verdict->unattested);
    return judgement;
}

VsmAnswer *vsm_answer_new(VsmManager *m,
                          const VsmRecord *record,
                          VsmScope scope,
                          const VsmVerdict *verdict,
                          bool secret,
                          unsigned pause_ms,
                          uint64_t bytes_hashed)
{
    VsmAnswer *answer = g_new0(VsmAnswer, 1);

    answer->job_id = g_strdup(m->op.job_id);
    answer->operation = m->op.operation;
    answer->snapshot = g_strdup(m->op.asked);
    answer->scope = scope;
    answer->report = g_strdup(verdict->report);
    if (!secret) {
        answer->verdict = judgement(record, scope, verdict);
        answer->verdict->pause_ms = pause_ms;
        answer->verdict->bytes_hashed = bytes_hashed;
    }
    return answer;
}

void vsm_answers_keep(VsmManager *m, VsmAnswer *answer)
{
    g_queue_push_tail(&m->answers, answer);
    if (m->answers.length > ANSWERS_KEPT) {
        qapi_free_VsmAnswer(g_queue_pop_head(&m->answers));
    }
}

const VsmAnswer *vsm_answers_find(VsmManager *m, const char *job_id)
{
    /* The newest one: job ids may be used again.  */
    for (GList *iter = m->answers.tail; iter; iter = iter->prev) {
        const VsmAnswer *answer = iter->data;

        if (!strcmp(answer->job_id, job_id)) {
            return answer;
        }
    }
    return NULL;
}

void vsm_answers_clear(VsmManager *m)
{
    VsmAnswer *answer;

    while ((answer = g_queue_pop_head(&m->answers))) {
        qapi_free_VsmAnswer(answer);
    }
}
