/*
 * Aligned buffers of one chunk, used again and again
 *
 * A fresh megabyte costs 256 page faults, which is a tenth of the time that
 * it takes to hash and write it.  And as there are only so many, whoever is
 * ahead of disk or hashing waits, and memory is bounded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/block-io.h"
#include "qemu/coroutine.h"
#include "qemu/memalign.h"
#include "qemu/thread.h"
#include "buffer.h"
#include <vsm/stream.h>

struct VsmBufferPool {
    gint refs; /* the owner, and each buffer that is out; atomic */
    size_t alignment;
    QemuMutex lock; /* of all below */
    GQueue idle; /* of VsmBuffer */
    unsigned left; /* that may still be made */
    bool wanted; /* somebody waits */
    Coroutine *waiter;
};

VsmBufferPool *vsm_buffer_pool_new(BlockDriverState *bs, unsigned hashing)
{
    VsmBufferPool *pool = g_new0(VsmBufferPool, 1);

    pool->refs = 1;
    pool->alignment = MAX(bdrv_opt_mem_align(bs), qemu_real_host_page_size());
    qemu_mutex_init(&pool->lock);
    g_queue_init(&pool->idle);
    pool->left = VSM_IO_IN_FLIGHT + hashing;
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

VsmBuffer *vsm_buffer_try_get(VsmBufferPool *pool)
{
    VsmBuffer *buffer;
    bool make = false;

    WITH_QEMU_LOCK_GUARD(&pool->lock)
    {
        buffer = g_queue_pop_tail(&pool->idle);
        if (!buffer && pool->left) {
            pool->left--;
            make = true;
        }
    }
    if (!buffer && !make) {
        return NULL;
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

static bool any_left(VsmBufferPool *pool)
{
    QEMU_LOCK_GUARD(&pool->lock);
    pool->wanted = !pool->left && g_queue_is_empty(&pool->idle);
    return !pool->wanted;
}

void vsm_buffer_wait(VsmBufferPool *pool)
{
    bool must_wait = false;

    if (!qemu_in_coroutine()) {
        AIO_WAIT_WHILE(NULL, !any_left(pool));
        return;
    }
    WITH_QEMU_LOCK_GUARD(&pool->lock)
    {
        if (!pool->left && g_queue_is_empty(&pool->idle)) {
            pool->waiter = qemu_coroutine_self();
            must_wait = true;
        }
    }
    if (must_wait) {
        qemu_coroutine_yield(); /* woken in the main context, or right now */
    }
}

static void buffer_return(void *opaque)
{
    VsmBuffer *buffer = opaque;
    VsmBufferPool *pool = buffer->pool;
    Coroutine *waiter;
    bool wanted;

    WITH_QEMU_LOCK_GUARD(&pool->lock)
    {
        g_queue_push_tail(&pool->idle, buffer);
        wanted = pool->wanted;
        pool->wanted = false;
        waiter = pool->waiter;
        pool->waiter = NULL;
    }
    if (waiter) {
        aio_co_wake(waiter);
    } else if (wanted) {
        aio_wait_kick();
    }
    vsm_buffer_pool_unref(pool);
}

GBytes *vsm_buffer_to_bytes(VsmBuffer *buffer)
{
    return g_bytes_new_with_free_func(buffer->data, buffer->bytes,
                                      buffer_return, buffer);
}
