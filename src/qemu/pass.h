/*
 * The first pass over a stored snapshot: every byte is compared
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_PASS_H
#define VSM_PASS_H

#include "block/block.h"
#include "object.h"

/**
 * vsm_pass:
 * @bs: node with the stream
 * @snapshot_id: its entry there
 *
 * Reads the stream up to its sealed length and feeds it to the check's, in
 * chunks, of which a check before a load remembers the tags.  With a
 * difference: false, TAMPERED; at once, or at the end where the check's purpose
 * is to find all damage.  Cancelled by the operation's cancellable.
 */
bool vsm_pass(VsmManager *m,
              VsmCheck *check,
              BlockDriverState *bs,
              const char *snapshot_id,
              Error **errp);

#endif /* VSM_PASS_H */
