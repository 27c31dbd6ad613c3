/*
 * The guard that QEMU's snapshot code asks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "migration/snapshot-guard.h"
#include "qapi/error.h"
#include "delete.h"
#include "guard.h"
#include "load.h"
#include "object.h"
#include "save.h"
#include "qemu/main-loop.h"

static bool guard_save_begin(const SnapshotRequest *request, Error **errp)
{
    return vsm_save_begin(vsm_manager(), request, errp);
}

static bool
guard_save_seal(const QEMUSnapshotInfo *sn, uint64_t size, Error **errp)
{
    return vsm_save_seal(vsm_manager(), sn, size, errp);
}

static SnapshotCommit guard_save_commit(const QEMUSnapshotInfo *sn,
                                        Error **errp)
{
    return vsm_save_commit(vsm_manager(), errp);
}

static void guard_save_end(const QEMUSnapshotInfo *sn, bool committed)
{
    vsm_save_end(vsm_manager(), committed);
}

static bool guard_load_begin(const SnapshotRequest *request, Error **errp)
{
    return vsm_load_begin(vsm_manager(), request, errp);
}

static bool guard_load_end(bool changed, int ret, Error **errp)
{
    return vsm_load_end(vsm_manager(), changed, ret, errp);
}

static bool guard_delete_begin(const SnapshotRequest *request, Error **errp)
{
    return vsm_delete_begin(vsm_manager(), request, errp);
}

static void guard_delete_end(const SnapshotRequest *request, bool done)
{
    vsm_delete_end(vsm_manager(), done);
}

static bool guard_delete_entry(BlockDriverState *bs,
                               const QEMUSnapshotInfo *sn,
                               Error **errp)
{
    return vsm_delete_entry(vsm_manager(), bs, sn, errp);
}

static QIOChannel *guard_wrap(BlockDriverState *bs,
                              bool out,
                              const QEMUSnapshotInfo *sn,
                              Error **errp)
{
    return out ? vsm_save_wrap(vsm_manager(), bs, errp)
               : vsm_load_wrap(vsm_manager(), bs, sn, errp);
}

static void guard_section(SnapshotSectionPhase phase,
                          const char *idstr,
                          uint32_t instance_id,
                          uint32_t version_id,
                          uint64_t offset)
{
    VsmManager *m = vsm_manager();

    /* A migration and COLO come here too, in their own thread.  */
    if (bql_locked() && m->save) {
        vsm_save_section(m, phase, idstr, instance_id, version_id, offset);
    }
}

static bool guard_untouched(const void *host, size_t size)
{
    VsmManager *m = vsm_manager();

    /*
     * m->save is there within one call of the main thread, with the VM stopped
     * and no migration running; other threads do not hold the BQL here.
     */
    return size == VSM_PAGE_BYTES && bql_locked() && m->save &&
           vsm_save_untouched(m, host);
}

static bool guard_parse(Error **errp)
{
    return vsm_load_parse(vsm_manager(), errp);
}

static bool guard_start(Error **errp)
{
    VsmManager *m = vsm_manager();

    if (m->hold) {
        error_setg(errp,
                   "The VM must stay stopped while it is measured "
                   "(%s of '%s'); wait for the end of the operation or cancel "
                   "its job",
                   VsmOperation_str(m->op.operation), m->op.asked);
        return false;
    }
    return true;
}

static bool guard_hotplug(Error **errp)
{
    VsmManager *m = vsm_manager();

    if (m->state != VSM_STATE_IDLE) {
        error_setg(errp,
                   "No device can be plugged or unplugged while the "
                   "snapshot manager is busy (%s of '%s'); try again later",
                   VsmOperation_str(m->op.operation), m->op.asked);
        return false;
    }
    return true;
}

static const SnapshotGuardOps guard_ops = {
    .save_begin = guard_save_begin,
    .save_seal = guard_save_seal,
    .save_commit = guard_save_commit,
    .save_end = guard_save_end,
    .load_begin = guard_load_begin,
    .load_end = guard_load_end,
    .delete_begin = guard_delete_begin,
    .delete_end = guard_delete_end,
    .delete_entry = guard_delete_entry,
    .wrap = guard_wrap,
    .section = guard_section,
    .untouched = guard_untouched,
    .parse = guard_parse,
    .start = guard_start,
    .hotplug = guard_hotplug,
};

void vsm_guard_register(void)
{
    snapshot_guard = &guard_ops;
}

void vsm_guard_unregister(void)
{
    snapshot_guard = NULL;
}
