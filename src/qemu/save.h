/*
 * Sealing a snapshot while QEMU makes it
 *
 * The hooks of a save, in the order in which they are called; see
 * migration/snapshot-guard.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_SAVE_H
#define VSM_SAVE_H

#include "migration/snapshot-guard.h"
#include "object.h"

bool vsm_save_begin(VsmManager *m,
                    const SnapshotRequest *request,
                    Error **errp);
QIOChannel *vsm_save_wrap(VsmManager *m, BlockDriverState *bs, Error **errp);
void vsm_save_section(VsmManager *m,
                      SnapshotSectionPhase phase,
                      const char *idstr,
                      uint32_t instance_id,
                      uint32_t version_id,
                      uint64_t offset);
bool vsm_save_untouched(VsmManager *m, const void *host);
bool vsm_save_seal(VsmManager *m,
                   const QEMUSnapshotInfo *sn,
                   uint64_t size,
                   Error **errp);
SnapshotCommit vsm_save_commit(VsmManager *m, Error **errp);
void vsm_save_end(VsmManager *m, bool committed);

#endif /* VSM_SAVE_H */
