/*
 * Checking a snapshot before, while and after QEMU loads it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_LOAD_H
#define VSM_LOAD_H

#include "migration/snapshot-guard.h"
#include "object.h"

/* The hooks of a load, in the order in which they are called.  */
bool vsm_load_begin(VsmManager *m,
                    const SnapshotRequest *request,
                    Error **errp);
QIOChannel *vsm_load_wrap(VsmManager *m,
                          BlockDriverState *bs,
                          const QEMUSnapshotInfo *sn,
                          Error **errp);
bool vsm_load_parse(VsmManager *m, Error **errp);
bool vsm_load_end(VsmManager *m, bool changed, int ret, Error **errp);

/* Adds to @err, which is of a load that failed late, what that means.  */
void vsm_load_say_changed(Error **err);

/**
 * vsm_load_prepare:
 * @check: (transfer full): begun and passed by vsm_pass() with tags, with a
 *         nonce; the next load of this snapshot goes on from there
 *
 * For vsm-rollback: the operation is its own, and the verdict is kept.
 */
void vsm_load_prepare(VsmManager *m, VsmCheck *check);

/**
 * vsm_load_take:
 * @ret_check: (transfer full): the check, for its record
 * @ret_changed: whether VM or disks were changed
 *
 * Ends a prepared load.  Returns: (transfer full): the verdict on what was
 * loaded, or NULL if it did not come so far.
 */
VsmVerdict *
vsm_load_take(VsmManager *m, VsmCheck **ret_check, bool *ret_changed);

#endif /* VSM_LOAD_H */
