/*
 * How far a save has come
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "events.h"
#include "progress.h"

#define INTERVAL_MS 500

void vsm_progress_begin(VsmProgress *progress, VsmRam *ram)
{
    *progress = (VsmProgress){
        .total = vsm_ram_bytes(ram),
        .told_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME),
    };
}

void vsm_progress_page(VsmProgress *progress,
                       VsmRam *ram,
                       guint block,
                       uint64_t offset)
{
    if (block != progress->block) {
        guint n;
        const VsmRamBlock *blocks = vsm_ram_blocks(ram, &n);

        /* Pages of zeros at its end were written without their bodies.  */
        if (progress->in_block) {
            progress->before += blocks[progress->block].bytes;
        }
        progress->block = block;
    }
    progress->in_block = offset + VSM_PAGE_BYTES;
}

void vsm_progress_tell(VsmProgress *progress)
{
    int64_t now_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);

    if (now_ms - progress->told_ms < INTERVAL_MS) {
        return;
    }
    progress->told_ms = now_ms;
    vsm_event_progress(
        MIN(progress->before + progress->in_block, progress->total),
        progress->total);
}
