/*
 * QMP commands of the snapshot manager
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/clone-visitor.h"
#include "qemu/cutils.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-vsm.h"
#include "qapi/qapi-visit-vsm.h"
#include "answers.h"
#include "call.h"
#include "disks.h"
#include "jobs.h"
#include "settle.h"
#include "status.h"
#include "watch.h"

static uint8List *pcr_list(uint32_t mask)
{
    uint8List *list = NULL;

    for (int pcr = 31; pcr >= 0; pcr--) {
        if (mask & BIT(pcr)) {
            QAPI_LIST_PREPEND(list, pcr);
        }
    }
    return list;
}

static strList *debris_list(VsmManager *m)
{
    strList *list = NULL;

    for (guint i = 0; i < m->records->len; i++) {
        const VsmRecord *record = g_ptr_array_index(m->records, i);

        if (!record->listed) {
            QAPI_LIST_PREPEND(list, g_strdup(record->id));
        }
    }
    return list;
}

VsmInfo *coroutine_fn qmp_query_vsm(Error **errp)
{
    VsmManager *m = vsm_manager_or_error(errp);
    const VsmStatus *status;
    VsmInfo *info;

    if (!m || !vsm_refresh_status(m, errp)) {
        return NULL;
    }
    status = m->status;
    info = g_new0(VsmInfo, 1);
    info->id = g_strdup(m->id);
    info->state = m->state;
    info->uuid = g_strdup(m->uuid);
    info->attester = g_strdup(status->kind);
    info->measured_by = g_strdup(status->measured_by);
    info->tpm = g_strdup(status->tpm);
    info->pcr_bank = g_strdup(status->pcr_bank);
    info->boot_pcrs = pcr_list(status->boot_pcrs);
    info->boot_policy = g_strdup(status->boot_policy);
    info->boot_approved = status->boot_approved;
    info->boot_measured = status->boot_measured;
    info->hypervisor = vsm_digest_hex(&status->hypervisor);
    info->config = vsm_digest_hex(&status->config);
    info->config_text = g_strdup(m->config);
    info->commit = vsm_digest_hex(&status->commit);
    info->ak = g_strdup(status->ak_jwk);
    info->rk = g_strdup(status->rk_jwk);
    info->hash_backend = g_strdup(vsm_pool_backend_name(m->pool));
    info->require_sealed = m->require_sealed;
    info->allow_unmeasured_boot = m->allow_unmeasured_boot;
    info->on_mismatch = m->on_mismatch;
    info->watch = vsm_watch_info(m);
    info->debris = debris_list(m);
    info->last_error = g_strdup(status->last_error);
    info->last_refusal = m->refusal ? QAPI_CLONE(VsmRefusal, m->refusal) : NULL;
    return info;
}

static bool is_zero_digest(const VsmDigest *digest)
{
    return buffer_is_zero(digest->b, sizeof(digest->b));
}

static VsmSnapshot *snapshot_new(const VsmRecord *record)
{
    VsmSnapshot *snapshot = g_new0(VsmSnapshot, 1);

    snapshot->id = g_strdup(record->id);
    snapshot->tag = g_strdup(record->tag ?: "");
    snapshot->time = record->time;
    snapshot->state = vsm_digest_hex(&record->state);
    snapshot->stream = vsm_digest_hex(&record->stream);
    if (!is_zero_digest(&record->scope)) {
        snapshot->scope = vsm_digest_hex(&record->scope);
    }
    snapshot->scope_reason = g_strdup(record->scope_reason);
    snapshot->metadata = vsm_digest_hex(&record->metadata);
    snapshot->ssk = vsm_hex_bytes(record->ssk_name);
    snapshot->sealed = vsm_hex_bytes(record->sealed_name);
    snapshot->commit = vsm_digest_hex(&record->commit);
    snapshot->vmstate_bytes = record->container.vmstate_bytes;
    snapshot->verified = !record->damaged;
    snapshot->damaged = g_strdup(record->damaged);
    snapshot->on_disks =
        record->has_mark ? vsm_disks_presence(record) : VSM_PRESENCE_ORPHANED;
    return snapshot;
}

static int compare_age(const void *a, const void *b)
{
    const VsmRecord *first = *(const VsmRecord *const *)a;
    const VsmRecord *second = *(const VsmRecord *const *)b;

    return first->time < second->time ? -1 : first->time > second->time;
}

typedef struct ListQuery {
    VsmManager *m;
    VsmSnapshotList *list;
} ListQuery;

/* Looks at the disks, which wants the main thread outside of coroutines.  */
static void list_snapshots(void *opaque)
{
    ListQuery *query = opaque;
    g_autoptr(GPtrArray) records = g_ptr_array_new();

    for (guint i = 0; i < query->m->records->len; i++) {
        VsmRecord *record = g_ptr_array_index(query->m->records, i);

        if (record->listed) {
            g_ptr_array_add(records, record);
        }
    }
    g_ptr_array_sort(records, compare_age);
    for (guint i = records->len; i > 0; i--) {
        QAPI_LIST_PREPEND(query->list,
                          snapshot_new(g_ptr_array_index(records, i - 1)));
    }
}

VsmSnapshotList *coroutine_fn qmp_query_vsm_snapshots(Error **errp)
{
    VsmManager *m = vsm_manager_or_error(errp);
    ListQuery query = {.m = m};

    if (!m || (m->state == VSM_STATE_IDLE && !vsm_list(m, errp))) {
        return NULL;
    }
    vsm_main_call(list_snapshots, &query);
    return query.list;
}

VsmAnswer *qmp_query_vsm_report(const char *job_id, Error **errp)
{
    VsmManager *m = vsm_manager_or_error(errp);
    const VsmAnswer *answer = m ? vsm_answers_find(m, job_id) : NULL;

    if (m && !answer) {
        error_setg(errp,
                   "No answer of job '%s' is kept; it failed, has not "
                   "ended yet, or 16 others came after it",
                   job_id);
    }
    return answer ? QAPI_CLONE(VsmAnswer, answer) : NULL;
}

void qmp_vsm_verify(const char *job_id,
                    const char *snapshot,
                    const char *nonce,
                    const char *recipient,
                    Error **errp)
{
    vsm_job_start(
        &(VsmJobRequest){
            .operation = VSM_OPERATION_VERIFY,
            .job_id = job_id,
            .snapshot = snapshot,
            .nonce = nonce,
            .recipient = recipient,
        },
        errp);
}

void qmp_vsm_attest(const char *job_id,
                    const char *snapshot,
                    const char *nonce,
                    VsmScope scope,
                    bool has_profile,
                    VsmRuntimeProfile profile,
                    const char *recipient,
                    Error **errp)
{
    if (scope == VSM_SCOPE_STORED) {
        error_setg(errp, "Scope 'stored' is not measured here: use "
                         "vsm-verify");
        return;
    }
    if (has_profile && scope != VSM_SCOPE_RUNTIME) {
        error_setg(errp, "'profile' belongs to scope 'runtime'");
        return;
    }
    vsm_job_start(
        &(VsmJobRequest){
            .operation = VSM_OPERATION_ATTEST,
            .job_id = job_id,
            .snapshot = snapshot,
            .nonce = nonce,
            .recipient = recipient,
            .scope = scope,
            .profile = has_profile ? profile : VSM_RUNTIME_PROFILE_STANDARD,
        },
        errp);
}

void qmp_vsm_watch(const char *snapshot, uint32_t seconds, Error **errp)
{
    VsmManager *m = vsm_manager_or_error(errp);

    if (!m || !vsm_watch_check(seconds, snapshot, errp)) {
        return;
    }
    if (m->state != VSM_STATE_IDLE) {
        error_setg(errp,
                   "The snapshot manager is busy (%s of '%s'); try again when "
                   "that has ended",
                   VsmOperation_str(m->op.operation), m->op.asked);
        return;
    }
    vsm_watch_set(m, seconds, snapshot);
}

void qmp_vsm_rollback(const char *job_id,
                      const char *snapshot,
                      const char *nonce,
                      const char *recipient,
                      Error **errp)
{
    vsm_job_start(
        &(VsmJobRequest){
            .operation = VSM_OPERATION_ROLLBACK,
            .job_id = job_id,
            .snapshot = snapshot,
            .nonce = nonce,
            .recipient = recipient,
        },
        errp);
}
