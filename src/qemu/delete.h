/*
 * Deleting a sealed snapshot
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_DELETE_H
#define VSM_DELETE_H

#include "migration/snapshot-guard.h"
#include "object.h"

bool vsm_delete_begin(VsmManager *m,
                      const SnapshotRequest *request,
                      Error **errp);
void vsm_delete_end(VsmManager *m, bool done);
bool vsm_delete_entry(VsmManager *m,
                      BlockDriverState *bs,
                      const QEMUSnapshotInfo *sn,
                      Error **errp);

#endif /* VSM_DELETE_H */
