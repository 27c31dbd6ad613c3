/*
 * Snapshot entries on the VM's disks, found by their mark
 *
 * The mark is what all entries of a snapshot have in common and what was
 * sealed: tag, date and clocks.  An entry's id is the image's own affair.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/block.h"
#include "block/snapshot-disks.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "system/block-backend.h"
#include "disks.h"

#define HEX_ID_LENGTH 32 /* digits of a record's id */

char *vsm_disk_name(BlockDriverState *bs)
{
    BlockBackend *blk = NULL;

    while ((blk = blk_all_next(blk))) {
        if (blk_bs(blk) == bs && blk_get_attached_dev(blk)) {
            return blk_get_attached_dev_id(blk);
        }
    }
    GRAPH_RDLOCK_GUARD_MAINLOOP();
    return g_strdup(bdrv_get_device_or_node_name(bs));
}

bool vsm_container_init(VsmContainer *container,
                        GPtrArray *disks,
                        BlockDriverState *vmstate_bs,
                        const QEMUSnapshotInfo *sn,
                        uint64_t bytes,
                        Error **errp)
{
    *container = (VsmContainer){
        .kind = VSM_CONTAINER_INTERNAL,
        .tag = g_strdup(sn->name),
        .date_sec = sn->date_sec,
        .date_nsec = sn->date_nsec,
        .vm_clock_nsec = sn->vm_clock_nsec,
        .icount = sn->icount,
        .vmstate_bytes = bytes,
        .disks = g_ptr_array_new_with_free_func((GDestroyNotify)vsm_disk_free),
    };

    for (guint i = 0; i < disks->len; i++) {
        BdrvSnapshotDisk *disk = g_ptr_array_index(disks, i);
        int64_t length = bdrv_getlength(disk->bs);
        VsmDisk *described;

        if (length < 0) {
            vsm_container_clear(container);
            error_setg_errno(errp, -length, "Cannot get the size of a disk");
            return false;
        }
        described = g_new0(VsmDisk, 1);
        described->device = vsm_disk_name(disk->bs);
        described->bytes = length;
        described->vmstate = disk->bs == vmstate_bs;
        g_ptr_array_add(container->disks, described);
    }
    return true;
}

static bool mark_equal(const VsmContainer *mark, const QEMUSnapshotInfo *sn)
{
    return !strcmp(mark->tag, sn->name) && mark->date_sec == sn->date_sec &&
           mark->date_nsec == sn->date_nsec &&
           mark->vm_clock_nsec == sn->vm_clock_nsec &&
           mark->icount == sn->icount;
}

const VsmRecord *vsm_record_of_entry(VsmManager *m, const QEMUSnapshotInfo *sn)
{
    for (guint i = 0; i < m->records->len; i++) {
        const VsmRecord *record = g_ptr_array_index(m->records, i);

        if (record->listed && record->has_mark &&
            mark_equal(&record->container, sn)) {
            return record;
        }
    }
    return NULL;
}

static const VsmRecord *
record_by(VsmManager *m, const char *tag, const char *id)
{
    for (guint i = 0; i < m->records->len; i++) {
        const VsmRecord *record = g_ptr_array_index(m->records, i);

        if (record->listed && ((tag && !g_strcmp0(record->tag, tag)) ||
                               (id && !strcmp(record->id, id)))) {
            return record;
        }
    }
    return NULL;
}

const VsmRecord *vsm_record_of_name(VsmManager *m, const char *name)
{
    const VsmRecord *record;

    if (g_str_has_prefix(name, "tag:")) {
        return record_by(m, name + strlen("tag:"), NULL);
    }
    if (g_str_has_prefix(name, "id:")) {
        return record_by(m, NULL, name + strlen("id:"));
    }
    record = record_by(m, name, NULL);
    if (!record && strlen(name) == HEX_ID_LENGTH) {
        record = record_by(m, NULL, name);
    }
    return record;
}

int vsm_find_entry(BlockDriverState *bs,
                   const VsmContainer *mark,
                   QEMUSnapshotInfo *ret)
{
    g_autofree QEMUSnapshotInfo *table = NULL;
    int found = 0, same_id = 0;
    int n = bdrv_snapshot_list(bs, &table);

    for (int i = 0; i < n; i++) {
        if (mark_equal(mark, &table[i])) {
            *ret = table[i];
            found++;
        }
    }
    for (int i = 0; found == 1 && i < n; i++) {
        same_id += !strcmp(table[i].id_str, ret->id_str);
    }
    /* QEMU goes back by id: a second entry with this id is as bad.  */
    return MAX(found, same_id);
}

const VsmDisk *vsm_sealed_disk(const VsmContainer *container, const char *name)
{
    for (guint i = 0; i < container->disks->len; i++) {
        const VsmDisk *disk = g_ptr_array_index(container->disks, i);

        if (!strcmp(disk->device, name)) {
            return disk;
        }
    }
    return NULL;
}

bool vsm_disks_resolve_one(VsmManager *m,
                           const VsmRecord *record,
                           BdrvSnapshotDisk *disk,
                           Error **errp)
{
    g_autofree char *name = vsm_disk_name(disk->bs);
    const VsmDisk *sealed = vsm_sealed_disk(&record->container, name);
    int n;

    disk->sn.id_str[0] = '\0';
    if (!sealed) {
        vsm_fail(m, VSM_ERROR_CONFIG, errp,
                 "Disk '%s' takes part, but is not in the sealed snapshot "
                 "'%s'; load with exactly the disks that it was made of",
                 name, record->tag);
        return false;
    }
    n = vsm_find_entry(disk->bs, &record->container, &disk->sn);
    if (n == 0) {
        disk->sn.id_str[0] = '\0';
        vsm_fail(m, VSM_ERROR_NOT_FOUND, errp,
                 "Disk '%s' has no entry of the sealed snapshot '%s'; was the "
                 "entry deleted, or another image attached?",
                 name, record->tag);
        return false;
    }
    if (n > 1) {
        disk->sn.id_str[0] = '\0';
        vsm_fail(m, VSM_ERROR_TAMPERED, errp,
                 "Disk '%s' has %d entries that look like the sealed snapshot "
                 "'%s'; delete all but the right one with qemu-img",
                 name, n, record->tag);
        return false;
    }
    if (sealed->vmstate &&
        disk->sn.vm_state_size != record->container.vmstate_bytes) {
        vsm_fail(m, VSM_ERROR_TAMPERED, errp,
                 "Snapshot '%s' on disk '%s' holds %" PRIu64 " bytes of VM "
                 "state, but %" PRIu64 " were sealed; do not use it",
                 record->tag, name, disk->sn.vm_state_size,
                 record->container.vmstate_bytes);
        disk->sn.id_str[0] = '\0';
        return false;
    }
    return true;
}

bool vsm_disks_resolve(VsmManager *m,
                       const VsmRecord *record,
                       GPtrArray *disks,
                       bool complete,
                       Error **errp)
{
    for (guint i = 0; i < disks->len; i++) {
        BdrvSnapshotDisk *disk = g_ptr_array_index(disks, i);

        if (complete) {
            if (!vsm_disks_resolve_one(m, record, disk, errp)) {
                return false;
            }
        } else {
            disk->sn.id_str[0] = '\0';
            if (vsm_find_entry(disk->bs, &record->container, &disk->sn) == 0) {
                disk->sn.id_str[0] = '\0';
            }
        }
    }
    if (complete && disks->len != record->container.disks->len) {
        vsm_fail(m, VSM_ERROR_CONFIG, errp,
                 "Snapshot '%s' was made of %u disks, but %u take part; load "
                 "with exactly the disks that it was made of",
                 record->tag, record->container.disks->len, disks->len);
        return false;
    }
    return true;
}

bool vsm_disks_of_record(VsmManager *m,
                         const VsmRecord *record,
                         strList **ret_devices,
                         char **ret_vmstate,
                         Error **errp)
{
    g_autoptr(GPtrArray) disks =
        bdrv_snapshot_disks_find(NULL, false, NULL, errp);
    g_autoptr(strList) devices = NULL;
    g_autofree char *vmstate = NULL;
    guint found = 0;

    if (!disks) {
        return false;
    }
    for (guint i = 0; i < disks->len; i++) {
        BdrvSnapshotDisk *disk = g_ptr_array_index(disks, i);
        g_autofree char *name = vsm_disk_name(disk->bs);
        const VsmDisk *sealed = vsm_sealed_disk(&record->container, name);
        const char *node;

        if (!sealed) {
            continue;
        }
        node = bdrv_get_node_name(disk->bs);
        QAPI_LIST_PREPEND(devices, g_strdup(node));
        found++;
        if (sealed->vmstate) {
            g_free(vmstate);
            vmstate = g_strdup(node);
        }
    }
    if (!vmstate || found != record->container.disks->len) {
        vsm_fail(m, VSM_ERROR_NOT_FOUND, errp,
                 "Snapshot '%s' was made of %u disks, of which %u are "
                 "attached; attach the others",
                 record->tag, record->container.disks->len, found);
        return false;
    }
    *ret_devices = g_steal_pointer(&devices);
    *ret_vmstate = g_steal_pointer(&vmstate);
    return true;
}

VsmPresence vsm_disks_presence(const VsmRecord *record)
{
    g_autoptr(GPtrArray) disks =
        bdrv_snapshot_disks_find(NULL, false, NULL, NULL);
    guint whole = 0, any = 0;

    for (guint i = 0; disks && i < disks->len; i++) {
        BdrvSnapshotDisk *disk = g_ptr_array_index(disks, i);
        g_autofree char *name = vsm_disk_name(disk->bs);
        QEMUSnapshotInfo sn;
        int n;

        if (!vsm_sealed_disk(&record->container, name)) {
            continue;
        }
        n = vsm_find_entry(disk->bs, &record->container, &sn);
        whole += n == 1;
        any += n > 0;
    }
    if (whole == record->container.disks->len) {
        return VSM_PRESENCE_PRESENT;
    }
    return any ? VSM_PRESENCE_PARTIAL : VSM_PRESENCE_ORPHANED;
}
