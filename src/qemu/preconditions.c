/*
 * What must hold of QEMU before a VM state is written or read
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "migration/misc.h"
#include "migration/options.h"
#include "qapi/error.h"
#include "hw/qdev-core.h"
#include "system/runstate.h"
#include "preconditions.h"

/*
 * QEMU compares some capabilities with the stream's, and reads pages otherwise
 * under others; it would notice only after the disks went back.
 */
bool vsm_may_load(VsmManager *m, Error **errp)
{
    const char *set = migrate_multifd()         ? "multifd"
                      : migrate_mapped_ram()    ? "mapped-ram"
                      : migrate_ignore_shared() ? "x-ignore-shared"
                                                : NULL;

    if (set) {
        vsm_fail(m, VSM_ERROR_UNSUPPORTED, errp,
                 "The migration capability '%s' is set, with which no sealed "
                 "snapshot can be loaded; switch it off with "
                 "migrate-set-capabilities",
                 set);
        return false;
    }
    if (migration_is_running()) {
        vsm_fail(m, VSM_ERROR_BUSY, errp,
                 "A migration is running; load the snapshot after it, or end "
                 "it with migrate_cancel");
        return false;
    }
    if (runstate_check(RUN_STATE_POSTMIGRATE)) {
        vsm_fail(m, VSM_ERROR_BUSY, errp,
                 "The VM has been migrated; load the snapshot where it runs "
                 "now, or let it run on here with cont");
        return false;
    }
    return true;
}

static bool capabilities_allow(VsmManager *m, Error **errp)
{
    const struct {
        bool set;
        const char *name;
    } unsafe[] = {
        {migrate_multifd(), "multifd"},
        {migrate_mapped_ram(), "mapped-ram"},
        {migrate_ignore_shared(), "x-ignore-shared"},
        {migrate_background_snapshot(), "background-snapshot"},
        {migrate_xbzrle(), "xbzrle"},
        {migrate_zero_copy_send(), "zero-copy-send"},
        {migrate_release_ram(), "release-ram"},
        {migrate_colo(), "x-colo"},
        {migrate_postcopy_ram(), "postcopy-ram"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(unsafe); i++) {
        if (unsafe[i].set) {
            vsm_fail(m, VSM_ERROR_UNSUPPORTED, errp,
                     "The migration capability '%s' is set, with which a "
                     "snapshot cannot be sealed; switch it off with "
                     "migrate-set-capabilities",
                     unsafe[i].name);
            return false;
        }
    }
    return true;
}

/*
 * A VFIO device that can be migrated sends what is in it as it likes, beside
 * the sections; nothing of it would be compared when the VM is attested.
 */
static int note_vfio(Object *object, void *opaque)
{
    DeviceState **ret = opaque;

    if (!object_dynamic_cast(object, "vfio-pci")) {
        return 0;
    }
    *ret = DEVICE(object);
    return 1;
}

static bool devices_allow(VsmManager *m, Error **errp)
{
    DeviceState *vfio = NULL;

    object_child_foreach_recursive(object_get_root(), note_vfio, &vfio);
    if (vfio) {
        vsm_fail(m, VSM_ERROR_UNSUPPORTED, errp,
                 "The state of VFIO device '%s' cannot be sealed; unplug it "
                 "before the snapshot is made",
                 vfio->id ?: vfio->canonical_path);
        return false;
    }
    return true;
}

bool vsm_may_save(VsmManager *m, Error **errp)
{
    if (!capabilities_allow(m, errp) || !devices_allow(m, errp)) {
        return false;
    }
    if (migration_is_running() || migration_incoming_postcopy_advised()) {
        vsm_fail(m, VSM_ERROR_BUSY, errp,
                 "A migration is running; make the snapshot after it");
        return false;
    }
    return true;
}
