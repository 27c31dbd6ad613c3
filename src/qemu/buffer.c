/*
 * Aligned buffers of one chunk, used again and again
 *
 * A fresh megabyte costs 256 page faults, which is a tenth of the time that
 * it takes to hash and write it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qemu/memalign.h"
#include "qemu/thread.h"
#include "buffer.h"
#include <vsm/stream.h>

struct VsmBufferPool {
    gint refs; /* the owner, and each buffer that is out; atomic */
    size_t alignment;
    QemuMutex lock;
    GQueue idle; /* of VsmBuffer; under @lock */
};

VsmBufferPool *vsm_buffer_pool_new(BlockDriverState *bs)
{
    VsmBufferPool *pool = g_new0(VsmBufferPool, 1);

    pool->refs = 1;
    pool->alignment = MAX(bdrv_opt_mem_align(bs), qemu_real_host_page_size());
    qemu_mutex_init(&pool->lock);
    g_queue_init(&pool->idle);
    return pool;
}

static void buffer_free(void *opaque)
{
    VsmBuffer *buffer = opaque;

    qemu_vfree(buffer->data);
    g_free(buffer);
}

void vsm_buffer_pool_unref(VsmBufferPool *pool)
{
    if (!g_atomic_int_dec_and_test(&pool->refs)) {
        return;
    }
    g_queue_clear_full(&pool->idle, buffer_free);
    qemu_mutex_destroy(&pool->lock);
    g_free(pool);
}

VsmBuffer *vsm_buffer_get(VsmBufferPool *pool)
{
    VsmBuffer *buffer;

    WITH_QEMU_LOCK_GUARD(&pool->lock)
    {
        buffer = g_queue_pop_tail(&pool->idle);
    }
    if (!buffer) {
        buffer = g_new0(VsmBuffer, 1);
        buffer->pool = pool;
        buffer->data = qemu_memalign(pool->alignment, VSM_CHUNK_BYTES);
    }
    buffer->bytes = 0;
    g_atomic_int_inc(&pool->refs);
    return buffer;
}

static void buffer_return(void *opaque)
{
    VsmBuffer *buffer = opaque;
    VsmBufferPool *pool = buffer->pool;

    WITH_QEMU_LOCK_GUARD(&pool->lock)
    {
        g_queue_push_tail(&pool->idle, buffer);
    }
    vsm_buffer_pool_unref(pool);
}

GBytes *vsm_buffer_to_bytes(VsmBuffer *buffer)
{
    return g_bytes_new_with_free_func(buffer->data, buffer->bytes,
                                      buffer_return, buffer);
}
