/*
 * Deleting a sealed snapshot
 *
 * It goes from the catalogue first, and from the disks after that; what a
 * crash leaves between the two is debris, which vsm_settle() sweeps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/snapshot-disks.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "call.h"
#include "delete.h"
#include "disks.h"
#include "settle.h"

typedef struct RemoveCall {
    VsmAttester *attester;
    char *id;
    GCancellable *cancel;
} RemoveCall;

static bool remove_worker(void *opaque, GError **error)
{
    RemoveCall *call = opaque;

    return vsm_attester_remove(call->attester, call->id, call->cancel, error);
}

/* A listed record whose entries are among @disks, or NULL.  */
static const VsmRecord *record_of_disks(VsmManager *m, GPtrArray *disks)
{
    for (guint i = 0; i < disks->len; i++) {
        BdrvSnapshotDisk *disk = g_ptr_array_index(disks, i);
        const VsmRecord *record =
            disk->sn.id_str[0] ? vsm_record_of_entry(m, &disk->sn) : NULL;

        if (record) {
            return record;
        }
    }
    return NULL;
}

/* Deleting it on some of its disks would leave half of a snapshot.  */
static bool covers_disks(VsmManager *m,
                         const VsmRecord *record,
                         GPtrArray *disks,
                         Error **errp)
{
    g_autoptr(GPtrArray) all =
        bdrv_snapshot_disks_find(NULL, false, NULL, errp);

    if (!all || !vsm_disks_resolve(m, record, all, false, errp)) {
        return false;
    }
    for (guint i = 0; i < all->len; i++) {
        BdrvSnapshotDisk *disk = g_ptr_array_index(all, i);

        if (disk->sn.id_str[0] && !bdrv_snapshot_disks_entry(disks, disk->bs)) {
            g_autofree char *name = vsm_disk_name(disk->bs);

            vsm_fail(m, VSM_ERROR_INVALID, errp,
                     "The sealed snapshot '%s' is also on disk '%s'; delete "
                     "it on all of its disks",
                     record->tag, name);
            return false;
        }
    }
    return true;
}

static bool
delete_begin(VsmManager *m, const SnapshotRequest *request, Error **errp)
{
    g_autofree char *id = NULL;
    const VsmRecord *record;
    RemoveCall call;

    if (!vsm_settle(m, errp)) {
        return false;
    }
    record = vsm_record_of_name(m, request->name);
    if (record) {
        if (!vsm_disks_resolve(m, record, request->disks, false, errp)) {
            return false;
        }
    } else {
        record = record_of_disks(m, request->disks);
    }
    if (!record) {
        return true; /* never sealed: it is the user's own affair */
    }
    if (!covers_disks(m, record, request->disks, errp)) {
        return false;
    }
    id = g_strdup(record->id);
    call = (RemoveCall){m->attester, id, m->op.cancel};
    return vsm_call(m, remove_worker, &call, errp);
}

bool vsm_delete_begin(VsmManager *m,
                      const SnapshotRequest *request,
                      Error **errp)
{
    Error *err = NULL;

    if (!vsm_op_begin(m, VSM_STATE_DELETE, VSM_OPERATION_DELETE, request->name,
                      NULL, errp)) {
        return false;
    }
    if (!delete_begin(m, request, &err)) {
        m->unsettled |= m->op.code == VSM_ERROR_IN_DOUBT;
        vsm_op_refused(m, false, err);
        error_propagate(errp, err);
        vsm_op_end(m);
        return false;
    }
    return true;
}

void vsm_delete_end(VsmManager *m, bool done)
{
    Error *err = NULL;

    /* Forgets the record, and sweeps what could not be deleted.  */
    if (!vsm_settle(m, &err)) {
        warn_report_err(err);
    }
    vsm_op_end(m);
}

bool vsm_delete_entry(VsmManager *m,
                      BlockDriverState *bs,
                      const QEMUSnapshotInfo *sn,
                      Error **errp)
{
    const VsmRecord *record = vsm_record_of_entry(m, sn);

    if (m->state != VSM_STATE_IDLE) {
        error_setg(errp, "The snapshot manager is busy (%s); try again later",
                   VsmState_str(m->state));
        return false;
    }
    if (record) {
        error_setg(errp,
                   "Snapshot '%s' is sealed and covers all of the VM's "
                   "disks; delete it with snapshot-delete",
                   record->tag);
        return false;
    }
    return true;
}
