/*
 * Aligned buffers of one chunk, used again and again
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_BUFFER_H
#define VSM_BUFFER_H

#include "block/block.h"

typedef struct VsmBufferPool VsmBufferPool;

typedef struct VsmBuffer {
    VsmBufferPool *pool;
    uint8_t *data; /* VSM_CHUNK_BYTES, aligned for direct I/O on the node */
    size_t bytes; /* in use */
} VsmBuffer;

/* Chunks that may be on their way to or from the disk.  */
#define VSM_IO_IN_FLIGHT 16 /* more gave nothing, fewer cost time */

/*
 * @hashing: chunks that may wait for hashing besides those in flight.  No more
 * than all of these exist: whoever wants another one waits.
 */
VsmBufferPool *vsm_buffer_pool_new(BlockDriverState *bs, unsigned hashing);
void vsm_buffer_pool_unref(VsmBufferPool *pool);

/* (transfer full): ends with vsm_buffer_to_bytes().  NULL: all are out.  */
VsmBuffer *vsm_buffer_try_get(VsmBufferPool *pool);

/* Waits, as vsm_call() does, until one of them is back.  Main context.  */
void vsm_buffer_wait(VsmBufferPool *pool);

/*
 * The first @buffer->bytes as a GBytes, which returns the buffer to its pool
 * when the last reference goes, in whichever thread that is.
 */
GBytes *vsm_buffer_to_bytes(VsmBuffer *buffer);

#endif /* VSM_BUFFER_H */
