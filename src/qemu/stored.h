/*
 * Finding a snapshot's stored stream from a job
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_GLUE_STORED_H
#define VSM_GLUE_STORED_H

#include "block/block.h"
#include "object.h"

typedef struct VsmStoredEntry {
    VsmManager *m;
    const VsmRecord *record;
    BlockDriverState *bs; /* a reference */
    char id[128]; /* of the entry on @bs */
    Error *err;
} VsmStoredEntry;

/* The node with the stream; released by vsm_stored_entry_release().  */
bool coroutine_fn vsm_stored_entry_find(VsmManager *m,
                                        const VsmRecord *record,
                                        VsmStoredEntry *ret,
                                        Error **errp);
void coroutine_fn vsm_stored_entry_release(VsmStoredEntry *entry);

#endif /* VSM_GLUE_STORED_H */
