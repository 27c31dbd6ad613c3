/*
 * Reads a snapshot's stored stream in order, far ahead
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_READER_H
#define VSM_READER_H

#include "block/block.h"

typedef struct VsmReader VsmReader;

/**
 * vsm_reader_new:
 * @bs: node that holds the stream; a reference is held
 * @snapshot_id: its entry; the disks need not have gone back to it
 * @bytes: length of the stream
 * @hashing: chunks that the caller may keep besides those being read
 */
VsmReader *vsm_reader_new(BlockDriverState *bs,
                          const char *snapshot_id,
                          uint64_t bytes,
                          unsigned hashing);

/**
 * vsm_reader_ready:
 *
 * Whether vsm_reader_next() would return at once.  Not in a coroutine.
 */
bool vsm_reader_ready(VsmReader *reader);

/**
 * vsm_reader_next:
 *
 * The next VSM_CHUNK_BYTES, or fewer at the end; waits as vsm_call() does.
 *
 * Returns: (transfer full): NULL at the end, or with @errp set
 */
GBytes *vsm_reader_next(VsmReader *reader, Error **errp);

/* Waits for the reads under way.  */
void vsm_reader_free(VsmReader *reader);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmReader, vsm_reader_free)

#endif /* VSM_READER_H */
