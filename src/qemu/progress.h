/*
 * How far a save has come
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_PROGRESS_H
#define VSM_PROGRESS_H

#include "ram.h"

/* Of the RAM blocks, which are written one after the other.  */
typedef struct VsmProgress {
    uint64_t total; /* bytes of RAM */
    uint64_t before; /* of the blocks that came before the present one */
    uint64_t in_block; /* bytes up to the last page that was written */
    guint block; /* the present one */
    int64_t told_ms;
} VsmProgress;

void vsm_progress_begin(VsmProgress *progress, VsmRam *ram);

/* A page of that block, at @offset bytes, is being written.  */
void vsm_progress_page(VsmProgress *progress,
                       VsmRam *ram,
                       guint block,
                       uint64_t offset);

/*
 * Emits VSM_PROGRESS, if the last one is some time ago.  Events reach monitors
 * while the main thread is in a save, where nobody can ask it.
 */
void vsm_progress_tell(VsmProgress *progress);

#endif /* VSM_PROGRESS_H */
