/*
 * Snapshot guard: one observer that may refuse internal snapshot operations
 *
 * savevm, loadvm, delvm and their QMP jobs ask the registered guard before
 * they change anything, show it the VM state on its way to and from the disk,
 * and let it say when a new snapshot counts.  Without a guard each hook is a
 * test of one pointer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_SNAPSHOT_GUARD_H
#define QEMU_MIGRATION_SNAPSHOT_GUARD_H

#include "block/snapshot.h"
#include "io/channel.h"

/*
 * What was asked for.  Borrowed: valid until the matching _end hook has
 * returned.
 */
typedef struct SnapshotRequest {
    /*
     * The name as the user gave it.  A save without a name gets one before
     * the guard is asked, so this is never NULL.
     */
    const char *name;

    /* Save only: an existing snapshot of this name is to be replaced.  */
    bool overwrite;

    /* The node that holds the VM state, one of @disks; NULL in a delete.  */
    BlockDriverState *vmstate_bs;

    /*
     * Every disk that takes part, as BdrvSnapshotDisk *; each holds a
     * reference to its node, which may be a filter above the image.
     *
     * In load_begin and delete_begin, sn is the entry that QEMU would use:
     * the one called @name, or sn.id_str empty where the disk has none.  The
     * guard may put another entry of the same node there (all of it, as
     * bdrv_snapshot_list() gave it), or clear sn.id_str.  QEMU then acts on
     * exactly these entries, found by sn.id_str; the guard sees to it that
     * no other entry of that node bears the same id.  In save_begin sn is
     * empty.
     */
    GPtrArray *disks;
} SnapshotRequest;

typedef enum SnapshotCommit {
    /* The snapshot counts.  Entries that it replaces are deleted next.  */
    SNAPSHOT_COMMITTED,
    /* It never will.  The entries just made are deleted; @errp says why.  */
    SNAPSHOT_REFUSED,
    /*
     * Unknown.  No entry is touched, neither the new nor the old; the save
     * fails with @errp, and the guard settles the matter later.
     */
    SNAPSHOT_IN_DOUBT,
} SnapshotCommit;

typedef enum SnapshotSectionPhase {
    SNAPSHOT_SECTION_BEGIN,
    SNAPSHOT_SECTION_END,
} SnapshotSectionPhase;

/*
 * All hooks are set.  All run in the main thread with the BQL held and not in
 * a coroutine, except @section, which also runs in the migration thread.
 * Nested event loops are allowed, so the guard itself keeps a second
 * operation out: QEMU has no such lock.
 *
 * A hook with @errp sets it if and only if it refuses.
 */
typedef struct SnapshotGuardOps {
    /*
     * A save is asked for.  The VM runs on, the old snapshot of that name is
     * alive, nothing has changed; a refusal keeps it so.  After true,
     * save_end always follows.
     */
    bool (*save_begin)(const SnapshotRequest *request, Error **errp);

    /*
     * Save: after the last byte of the stream was written and the image was
     * flushed, before any snapshot entry exists.  @sn bears the tag, dates
     * and clocks that every entry will have; @size is the stream's length in
     * bytes.  The VM is stopped and drained.  Here the guard makes its own
     * record durable.  Also the place to report a failure of the channel
     * from wrap with its reason.
     */
    bool (*save_seal)(const QEMUSnapshotInfo *sn, uint64_t size, Error **errp);

    /*
     * Save: every disk has its entry, durably; the entries to be replaced
     * still exist.
     */
    SnapshotCommit (*save_commit)(const QEMUSnapshotInfo *sn, Error **errp);

    /*
     * Save: the end, before the VM resumes.  @committed: save_commit said
     * so.  Replaced entries are gone, unless their deletion failed; that
     * does not undo the commit.
     */
    void (*save_end)(const QEMUSnapshotInfo *sn, bool committed);

    /*
     * A load is asked for.  VM and disks are untouched and the guest may be
     * running, also while this hook runs a nested event loop.  The guard
     * resolves request->name to an entry of each disk (see SnapshotRequest)
     * and checks what is stored.  A refusal leaves the VM as it is.  After
     * true, load_end always follows.
     *
     * When this returns, QEMU checks that each disk can go back (entry
     * present, VM state not empty, no dirty bitmap, size can be restored).
     * Only then the VM is stopped.
     */
    bool (*load_begin)(const SnapshotRequest *request, Error **errp);

    /*
     * Load: the end, before the VM may resume.
     * @changed: the first disk was about to go back, so VM and disks can no
     * longer be what they were.  false: they are untouched.
     * @ret: 0 if the whole stream was parsed, else negative errno.
     *
     * With @ret 0 the guard has the last word: on false the VM stays stopped
     * in RUN_STATE_INTERNAL_ERROR.  With @ret negative the load has failed
     * whatever is returned; setting @errp replaces the reason (@errp may be
     * NULL if it is known already).
     */
    bool (*load_end)(bool changed, int ret, Error **errp);

    /*
     * A delete is asked for; see SnapshotRequest for @request->disks, whose
     * entries are deleted.  After true, delete_end always follows.
     */
    bool (*delete_begin)(const SnapshotRequest *request, Error **errp);
    /* @done: every entry of @request->disks is gone.  */
    void (*delete_end)(const SnapshotRequest *request, bool done);

    /* A single disk's entry is to be deleted, without those of other disks. */
    bool (*delete_entry)(BlockDriverState *bs, const QEMUSnapshotInfo *sn,
                         Error **errp);

    /*
     * The channel that a snapshot's stream is written to (@out) or read
     * from.  @bs: the node with the VM state.  @sn: in a load, the entry
     * that @bs has gone back to; in a save, the tag, dates and clocks.
     * Returns: (transfer full) the channel, or NULL with @errp set.
     *
     * Its offsets start at 0.  io_close must leave everything on stable
     * storage; its error text is lost, so finish in save_seal.
     */
    QIOChannel *(*wrap)(BlockDriverState *bs, bool out,
                        const QEMUSnapshotInfo *sn, Error **errp);

    /*
     * A device's payload begins or ends in the stream that is being saved:
     * after the section's header, before its footer.  @offset: bytes since
     * the start of the stream, whether flushed to the channel or not.  Also
     * called for migration and COLO: look at the guard's own state.
     */
    void (*section)(SnapshotSectionPhase phase, const char *idstr,
                    uint32_t instance_id, uint32_t version_id,
                    uint64_t offset);

    /*
     * The loader is about to parse a stream, of whatever origin: a snapshot,
     * an incoming migration, xen-load-devices-state.  A guard that did not
     * check it refuses here.  Called in the main thread, for an incoming
     * migration from a coroutine.
     */
    bool (*parse)(Error **errp);

    /*
     * The VM is about to start or continue: "cont", gdb, end of a save or
     * load.  Not called if it runs already.
     */
    bool (*start)(Error **errp);
} SnapshotGuardOps;

/*
 * The guard, or NULL.  Set it in the main thread, and never while one of the
 * operations above is under way.
 */
extern const SnapshotGuardOps *snapshot_guard;

/* The hooks as QEMU calls them: without a guard everything is allowed.  */

static inline bool snapshot_guard_save_begin(const SnapshotRequest *request,
                                             Error **errp)
{
    return !snapshot_guard || snapshot_guard->save_begin(request, errp);
}

static inline bool snapshot_guard_save_seal(const QEMUSnapshotInfo *sn,
                                            uint64_t size, Error **errp)
{
    return !snapshot_guard || snapshot_guard->save_seal(sn, size, errp);
}

static inline SnapshotCommit
snapshot_guard_save_commit(const QEMUSnapshotInfo *sn, Error **errp)
{
    return snapshot_guard ? snapshot_guard->save_commit(sn, errp)
                          : SNAPSHOT_COMMITTED;
}

static inline void snapshot_guard_save_end(const QEMUSnapshotInfo *sn,
                                           bool committed)
{
    if (snapshot_guard) {
        snapshot_guard->save_end(sn, committed);
    }
}

static inline bool snapshot_guard_load_begin(const SnapshotRequest *request,
                                             Error **errp)
{
    return !snapshot_guard || snapshot_guard->load_begin(request, errp);
}

static inline bool snapshot_guard_load_end(bool changed, int ret, Error **errp)
{
    return !snapshot_guard || snapshot_guard->load_end(changed, ret, errp);
}

static inline bool snapshot_guard_delete_begin(const SnapshotRequest *request,
                                               Error **errp)
{
    return !snapshot_guard || snapshot_guard->delete_begin(request, errp);
}

static inline void snapshot_guard_delete_end(const SnapshotRequest *request,
                                             bool done)
{
    if (snapshot_guard) {
        snapshot_guard->delete_end(request, done);
    }
}

static inline bool snapshot_guard_delete_entry(BlockDriverState *bs,
                                               const QEMUSnapshotInfo *sn,
                                               Error **errp)
{
    return !snapshot_guard || snapshot_guard->delete_entry(bs, sn, errp);
}

static inline void snapshot_guard_section(SnapshotSectionPhase phase,
                                          const char *idstr,
                                          uint32_t instance_id,
                                          uint32_t version_id,
                                          uint64_t offset)
{
    if (snapshot_guard) {
        snapshot_guard->section(phase, idstr, instance_id, version_id, offset);
    }
}

static inline bool snapshot_guard_parse(Error **errp)
{
    return !snapshot_guard || snapshot_guard->parse(errp);
}

static inline bool snapshot_guard_start(Error **errp)
{
    return !snapshot_guard || snapshot_guard->start(errp);
}

/*
 * savevm_visit_device_state:
 * @visit: called once for each section; @data (@size bytes) is the payload
 *         that a save would put between the section's header and footer,
 *         borrowed.  It returns false, with @errp set, to end the visit.
 * @opaque: passed to @visit
 * @errp: set if and only if false is returned
 *
 * Shows the state of every vCPU and device, in the order of a save: all
 * sections but RAM and other iterative ones.  The VM must be stopped (some
 * pre_save functions assert it) and no save, load or migration may be under
 * way.  The state itself does not change, other than by what pre_save does.
 *
 * Returns: true if every section was visited.
 */
typedef bool SavevmVisitFn(const char *idstr, uint32_t instance_id,
                           uint32_t version_id, const uint8_t *data,
                           size_t size, void *opaque, Error **errp);
bool savevm_visit_device_state(SavevmVisitFn *visit, void *opaque,
                               Error **errp);

#endif /* QEMU_MIGRATION_SNAPSHOT_GUARD_H */
