/*
 * Snapshot entries on the VM's disks, found by their mark
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_DISKS_H
#define VSM_DISKS_H

#include "block/snapshot-disks.h"
#include "migration/snapshot-guard.h"
#include "object.h"

/**
 * vsm_disk_name:
 *
 * The name under which a disk is sealed: the device that it is plugged into,
 * or the node's own name.  Images may move and be renamed, so their names are
 * not used.
 *
 * Returns: (transfer full): free with g_free()
 */
char *vsm_disk_name(BlockDriverState *bs);

/* The record's container for a save; free with vsm_container_clear().  */
bool vsm_container_init(VsmContainer *container,
                        GPtrArray *disks,
                        BlockDriverState *vmstate_bs,
                        const QEMUSnapshotInfo *sn,
                        uint64_t bytes,
                        Error **errp);

/* Number of entries of @bs with this mark; *@ret is one of them.  */
int vsm_find_entry(BlockDriverState *bs,
                   const VsmContainer *mark,
                   QEMUSnapshotInfo *ret);

/* The disk of that name in the container, or NULL; borrowed.  */
const VsmDisk *vsm_sealed_disk(const VsmContainer *container, const char *name);

/* The listed record whose entry @sn is, or NULL; borrowed.  */
const VsmRecord *vsm_record_of_entry(VsmManager *m, const QEMUSnapshotInfo *sn);

/* The listed record that a "tag:", "id:" or bare name means, or NULL.  */
const VsmRecord *vsm_record_of_name(VsmManager *m, const char *name);

/**
 * vsm_disks_resolve:
 * @disks: of BdrvSnapshotDisk: their entries are replaced by the record's
 * @complete: whether each disk of the record must have exactly one entry, and
 *            no other disk may take part; else missing ones are left empty
 */
bool vsm_disks_resolve(VsmManager *m,
                       const VsmRecord *record,
                       GPtrArray *disks,
                       bool complete,
                       Error **errp);

/* The same for one disk, which must have exactly one entry.  */
bool vsm_disks_resolve_one(VsmManager *m,
                           const VsmRecord *record,
                           BdrvSnapshotDisk *disk,
                           Error **errp);

/* Node names of the record's disks, for load_snapshot(); full.  */
bool vsm_disks_of_record(VsmManager *m,
                         const VsmRecord *record,
                         strList **ret_devices,
                         char **ret_vmstate,
                         Error **errp);

VsmPresence vsm_disks_presence(const VsmRecord *record);

#endif /* VSM_DISKS_H */
