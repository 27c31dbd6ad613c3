/*
 * The channels that a sealed snapshot's stream passes through
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_CHANNEL_H
#define VSM_CHANNEL_H

#include "block/block.h"
#include "io/channel.h"
#include "ram.h"
#include <vsm/stream.h>

#define TYPE_VSM_SAVE_CHANNEL "vsm-save-channel"
OBJECT_DECLARE_SIMPLE_TYPE(VsmSaveChannel, VSM_SAVE_CHANNEL)

#define TYPE_VSM_LOAD_CHANNEL "vsm-load-channel"
OBJECT_DECLARE_SIMPLE_TYPE(VsmLoadChannel, VSM_LOAD_CHANNEL)

/**
 * vsm_save_channel_new:
 * @ram: borrowed, must outlive the channel's use
 * @stream: borrowed, must outlive the channel's use
 * @hashing: chunks that may wait for hashing
 *
 * Writes to the VM state of @bs and feeds the same buffers to @stream.
 */
QIOChannel *vsm_save_channel_new(BlockDriverState *bs,
                                 VsmRam *ram,
                                 VsmStream *stream,
                                 unsigned hashing);

/**
 * vsm_save_channel_finish:
 * @bytes: length that the stream must have
 *
 * After the channel was closed: whether everything was written, flushed and
 * fed.
 */
bool vsm_save_channel_finish(QIOChannel *ioc, uint64_t bytes, GError **error);

/* The channel's own reason of its failure, or NULL; borrowed.  */
const GError *vsm_save_channel_error(QIOChannel *ioc);

/**
 * vsm_load_channel_new:
 * @snapshot_id: entry of @bs
 * @bytes: length of the sealed stream: the channel ends there
 * @recheck: tags of pass 1; borrowed, must outlive the channel's use
 *
 * Reads the VM state; what the parser gets is what pass 1 saw, or an error.
 */
QIOChannel *vsm_load_channel_new(BlockDriverState *bs,
                                 const char *snapshot_id,
                                 uint64_t bytes,
                                 VsmRecheck *recheck);

/* The channel's own reason of its failure, or NULL; borrowed.  */
const GError *vsm_load_channel_error(QIOChannel *ioc);

#endif /* VSM_CHANNEL_H */
