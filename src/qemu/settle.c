/*
 * Sweeping what an interrupted save or delete left behind
 *
 * A snapshot exists if and only if the committed catalogue lists it.  All
 * else that bears a record's mark is debris.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/block.h"
#include "block/snapshot-disks.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "call.h"
#include "config.h"
#include "disks.h"
#include "settle.h"
#include "trace.h"

typedef struct ListCall {
    VsmAttester *attester;
    GCancellable *cancel;
    GPtrArray *records;
} ListCall;

static bool list_worker(void *opaque, GError **error)
{
    ListCall *call = opaque;

    return vsm_attester_list(call->attester, &call->records, call->cancel,
                             error);
}

bool vsm_list(VsmManager *m, Error **errp)
{
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    ListCall call = {.attester = m->attester, .cancel = cancel};

    if (!vsm_query(m, list_worker, &call, cancel, errp)) {
        return false;
    }
    g_ptr_array_unref(m->records);
    m->records = call.records;
    return true;
}

typedef struct ForgetCall {
    VsmAttester *attester;
    const char *id;
} ForgetCall;

static bool forget_worker(void *opaque, GError **error)
{
    ForgetCall *call = opaque;

    return vsm_attester_forget(call->attester, call->id, NULL, error);
}

/* Deletes all entries of @bs that are the debris' and no listed record's.  */
static bool sweep_disk(VsmManager *m,
                       const VsmRecord *debris,
                       BlockDriverState *bs,
                       Error **errp)
{
    QEMUSnapshotInfo sn;

    while (vsm_find_entry(bs, &debris->container, &sn) > 0) {
        if (vsm_record_of_entry(m, &sn)) {
            return true;
        }
        trace_vsm_sweep(debris->id, sn.name, sn.id_str);
        GRAPH_RDLOCK_GUARD_MAINLOOP();
        if (bdrv_snapshot_delete(bs, sn.id_str, sn.name, errp) < 0) {
            return false;
        }
    }
    return true;
}

static bool sweep(VsmManager *m,
                  const VsmRecord *debris,
                  GPtrArray *disks,
                  bool *ret_all_seen,
                  Error **errp)
{
    guint seen = 0;

    for (guint i = 0; i < disks->len; i++) {
        BdrvSnapshotDisk *disk = g_ptr_array_index(disks, i);
        g_autofree char *name = vsm_disk_name(disk->bs);

        if (!sweep_disk(m, debris, disk->bs, errp)) {
            return false;
        }
        seen += vsm_sealed_disk(&debris->container, name) != NULL;
    }
    *ret_all_seen = seen == debris->container.disks->len;
    return true;
}

bool vsm_settle(VsmManager *m, Error **errp)
{
    g_autoptr(GPtrArray) disks = NULL;
    g_autoptr(GPtrArray) records = NULL;
    bool changed = false;

    m->unsettled = true;
    if (!vsm_list(m, errp)) {
        return false;
    }
    if (!vsm_config_has_machine()) {
        return true; /* its disks are not all there: nothing is swept */
    }
    disks = bdrv_snapshot_disks_find(NULL, false, NULL, errp);
    if (!disks) {
        return false;
    }

    /*
     * Metadata that cannot be read may be that of a snapshot which the debris
     * claims to be: its entries would go.
     */
    for (guint i = 0; i < m->records->len; i++) {
        const VsmRecord *record = g_ptr_array_index(m->records, i);

        if (record->damaged) {
            warn_report("vsm: unfinished snapshots stay while the metadata of "
                        "snapshot %s is altered; delete id:%s, or restore it",
                        record->id, record->id);
            m->unsettled = false;
            return true;
        }
    }

    records = g_ptr_array_ref(m->records);
    for (guint i = 0; i < records->len; i++) {
        const VsmRecord *record = g_ptr_array_index(records, i);
        ForgetCall forget = {m->attester, record->id};
        bool all_seen = !record->has_mark;

        if (record->listed) {
            continue;
        }
        if (record->has_mark && !sweep(m, record, disks, &all_seen, errp)) {
            return false;
        }
        if (!all_seen) {
            warn_report("vsm: the unfinished snapshot '%s' (%s) stays until "
                        "all of its disks are attached writable",
                        record->tag, record->id);
            continue;
        }
        if (!vsm_call(m, forget_worker, &forget, errp)) {
            return false;
        }
        changed = true;
    }
    m->unsettled = false;
    return !changed || vsm_list(m, errp);
}
