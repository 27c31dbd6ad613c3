/*
 * Measuring a snapshot's stored bytes; the VM is not touched
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/block_int-global-state.h"
#include "block/snapshot-disks.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "answers.h"
#include "attest.h"
#include "call.h"
#include "config.h"
#include "disks.h"
#include "pass.h"
#include "stored.h"

static void use_entry(VsmStoredEntry *entry, const BdrvSnapshotDisk *disk)
{
    bdrv_ref(disk->bs);
    entry->bs = disk->bs;
    pstrcpy(entry->id, sizeof(entry->id), disk->sn.id_str);
}

/*
 * Without a machine there are no devices, by which disks are known: the image
 * is the node, which may be read-only, whose one entry bears the mark and is
 * as long as the stream.
 */
static void find_on_nodes(VsmStoredEntry *entry)
{
    const VsmRecord *record = entry->record;
    g_autoptr(strList) names = NULL;
    g_autoptr(GPtrArray) disks = NULL;
    BlockDriverState *bs = NULL;

    while ((bs = bdrv_next_monitor_owned(bs))) {
        QAPI_LIST_PREPEND(names, g_strdup(bdrv_get_node_name(bs)));
    }
    disks = bdrv_snapshot_disks_find(NULL, true, names, &entry->err);
    for (guint i = 0; disks && i < disks->len; i++) {
        BdrvSnapshotDisk *disk = g_ptr_array_index(disks, i);

        if (vsm_find_entry(disk->bs, &record->container, &disk->sn) == 1 &&
            disk->sn.vm_state_size == record->container.vmstate_bytes) {
            use_entry(entry, disk);
            return;
        }
    }
    if (disks) {
        vsm_fail(entry->m, VSM_ERROR_NOT_FOUND, &entry->err,
                 "No image that is open has exactly one entry of the sealed "
                 "snapshot '%s' with %" PRIu64 " bytes of VM state; open the "
                 "image that held the VM state",
                 record->tag, record->container.vmstate_bytes);
    }
}

static void find_entry(void *opaque)
{
    VsmStoredEntry *entry = opaque;
    const VsmRecord *record = entry->record;
    g_autoptr(GPtrArray) disks = NULL;

    if (!vsm_config_has_machine()) {
        find_on_nodes(entry);
        return;
    }
    disks = bdrv_snapshot_disks_find(NULL, false, NULL, &entry->err);
    for (guint i = 0; disks && i < disks->len; i++) {
        BdrvSnapshotDisk *disk = g_ptr_array_index(disks, i);
        g_autofree char *name = vsm_disk_name(disk->bs);
        const VsmDisk *sealed = vsm_sealed_disk(&record->container, name);

        if (!sealed || !sealed->vmstate) {
            continue;
        }
        if (!vsm_disks_resolve_one(entry->m, record, disk, &entry->err)) {
            return;
        }
        use_entry(entry, disk);
        return;
    }
    if (disks) {
        vsm_fail(entry->m, VSM_ERROR_NOT_FOUND, &entry->err,
                 "The disk that holds the VM state of snapshot '%s' is not "
                 "attached",
                 record->tag);
    }
}

static void release_entry(void *opaque)
{
    VsmStoredEntry *entry = opaque;

    g_clear_pointer(&entry->bs, bdrv_unref);
}

bool coroutine_fn vsm_stored_entry_find(VsmManager *m,
                                        const VsmRecord *record,
                                        VsmStoredEntry *ret,
                                        Error **errp)
{
    *ret = (VsmStoredEntry){.m = m, .record = record};
    vsm_main_call(find_entry, ret);
    error_propagate(errp, ret->err);
    return ret->bs != NULL;
}

void coroutine_fn vsm_stored_entry_release(VsmStoredEntry *entry)
{
    vsm_main_call(release_entry, entry);
}

/* Damage is what is looked for: it ends the pass, but not the job.  */
static bool coroutine_fn pass(VsmJob *job,
                              VsmCheck *check,
                              VsmStoredEntry *entry,
                              Error **errp)
{
    VsmManager *m = job->m;
    Error *err = NULL;

    vsm_job_expect(job, vsm_check_record(check)->container.vmstate_bytes);
    if (vsm_pass(m, check, entry->bs, entry->id, &err)) {
        return true;
    }
    if (m->op.code == VSM_ERROR_TAMPERED) {
        m->op.code = 0;
        error_free(err);
        return true;
    }
    error_propagate(errp, err);
    return false;
}

VsmAnswer *coroutine_fn vsm_verify_body(VsmJob *job, Error **errp)
{
    VsmManager *m = job->m;
    VsmCheck *check = vsm_glue_check_begin(m, VSM_PURPOSE_STORED, job->snapshot,
                                           vsm_job_challenge(job), errp);
    g_autoptr(VsmVerdict) verdict = NULL;
    VsmAnswer *answer = NULL;
    VsmStoredEntry entry;

    if (!check) {
        return NULL;
    }
    if (vsm_stored_entry_find(m, vsm_check_record(check), &entry, errp)) {
        if (pass(job, check, &entry, errp)) {
            verdict = vsm_glue_check_finish(m, check, errp);
        }
        vsm_stored_entry_release(&entry);
    }
    if (verdict) {
        answer =
            vsm_answer_new(m, vsm_check_record(check), VSM_SCOPE_STORED,
                           verdict, job->recipient, 0,
                           vsm_pool_hashed_bytes(m->pool) - job->hashed_base);
    }
    vsm_glue_check_free(m, check);
    return answer;
}
