/*
 * Hashing threads: tasks in, groups of them bounded, joined, cancelled.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/pool.h"

#include <pthread.h>
#include <signal.h>
#include <vsm/error.h>

#include "base/limits.h"

typedef struct {
    VsmTaskFunc func;
    gpointer data;
    VsmGroup *group;
} Task;

typedef struct {
    VsmPool *pool;
    VsmHasher *hasher;
    GThread *thread; /* NULL when it could not be started */
} Worker;

/* pthread's locks rather than GLib's: ThreadSanitizer knows them. */
struct _VsmPool {
    pthread_mutex_t lock; /* of all below but hashed, and of all groups */
    pthread_cond_t work;
    GQueue tasks; /* of Task */
    bool stop;
    Worker *workers;
    guint n_workers;
    guint64 hashed; /* bytes; atomic */
};

struct _VsmGroup {
    VsmPool *pool;
    pthread_cond_t done; /* signalled whenever a task ends */
    guint in_flight, max_in_flight;
    GError *error; /* of the first task that failed */
    gint cancelled; /* atomic */
};

static void task_ended(Task *task, GError *error)
{
    VsmGroup *group = task->group;

    pthread_mutex_lock(&group->pool->lock);
    if (error) {
        if (!group->error) {
            group->error = g_steal_pointer(&error);
        }
        vsm_group_cancel(group);
    }
    group->in_flight--;
    pthread_cond_broadcast(&group->done);
    pthread_mutex_unlock(&group->pool->lock);
    g_clear_error(&error);
    g_free(task);
}

static gpointer worker_main(gpointer opaque)
{
    Worker *worker = opaque;
    VsmPool *pool = worker->pool;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        Task *task = g_queue_pop_head(&pool->tasks);
        GError *error = NULL;

        if (!task) {
            if (pool->stop) {
                break;
            }
            pthread_cond_wait(&pool->work, &pool->lock);
            continue;
        }
        pthread_mutex_unlock(&pool->lock);
        task->func(task->data, worker->hasher, &error);
        task_ended(task, error);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* A VMM's signals are for its own threads: ours block all of them. */
static bool start_worker(Worker *worker, GError **error)
{
    g_autoptr(GError) why = NULL;
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    worker->thread = g_thread_try_new("vsm-hash", worker_main, worker, &why);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!worker->thread) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "a hashing thread cannot be started: %s", why->message);
        return false;
    }
    return true;
}

VsmPool *vsm_pool_new(guint threads, VsmHashBackend backend, GError **error)
{
    g_autoptr(VsmPool) pool = NULL;

    if (threads > VSM_POOL_THREADS_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "%u hashing threads, at most %u are allowed", threads,
                    VSM_POOL_THREADS_MAX);
        return NULL;
    }
    if (threads == 0) {
        threads = MIN(g_get_num_processors(), VSM_POOL_THREADS_MAX);
    }
    pool = g_new0(VsmPool, 1);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    g_queue_init(&pool->tasks);
    pool->workers = g_new0(Worker, threads);
    for (guint i = 0; i < threads; i++) {
        Worker *worker = &pool->workers[i];

        pool->n_workers++;
        worker->pool = pool;
        worker->hasher = vsm_hasher_new(backend, error);
        if (!worker->hasher || !start_worker(worker, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&pool);
}

void vsm_pool_free(VsmPool *pool)
{
    if (!pool) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (guint i = 0; i < pool->n_workers; i++) {
        if (pool->workers[i].thread) {
            g_thread_join(pool->workers[i].thread);
        }
        vsm_hasher_free(pool->workers[i].hasher);
    }
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    g_free(pool->workers);
    g_free(pool);
}

guint64 vsm_pool_hashed_bytes(VsmPool *pool)
{
    return __atomic_load_n(&pool->hashed, __ATOMIC_RELAXED);
}

void vsm_pool_count_hashed(VsmPool *pool, guint64 bytes)
{
    __atomic_fetch_add(&pool->hashed, bytes, __ATOMIC_RELAXED);
}

const char *vsm_pool_backend_name(VsmPool *pool)
{
    return vsm_hasher_name(pool->workers[0].hasher);
}

guint vsm_pool_threads(VsmPool *pool)
{
    return pool->n_workers;
}

guint vsm_pool_in_flight(VsmPool *pool)
{
    return MAX(VSM_TASKS_IN_FLIGHT_MIN, 2 * pool->n_workers);
}

VsmHashBackend vsm_pool_backend(VsmPool *pool)
{
    return g_str_equal(vsm_pool_backend_name(pool), "openssl")
               ? VSM_HASH_BACKEND_OPENSSL
               : VSM_HASH_BACKEND_IPSEC_MB;
}

VsmGroup *vsm_group_new(VsmPool *pool, guint max_in_flight)
{
    VsmGroup *group = g_new0(VsmGroup, 1);

    group->pool = pool;
    group->max_in_flight = MAX(max_in_flight, 1);
    pthread_cond_init(&group->done, NULL);
    return group;
}

void vsm_group_push(VsmGroup *group, VsmTaskFunc func, gpointer data)
{
    VsmPool *pool = group->pool;
    Task *task = g_new(Task, 1);

    *task = (Task){func, data, group};
    pthread_mutex_lock(&pool->lock);
    while (group->in_flight >= group->max_in_flight) {
        pthread_cond_wait(&group->done, &pool->lock);
    }
    group->in_flight++;
    g_queue_push_tail(&pool->tasks, task);
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

bool vsm_group_wait(VsmGroup *group, GError **error)
{
    bool ok;

    pthread_mutex_lock(&group->pool->lock);
    while (group->in_flight > 0) {
        pthread_cond_wait(&group->done, &group->pool->lock);
    }
    ok = !group->error;
    if (!ok) {
        g_propagate_error(error, g_error_copy(group->error));
    }
    pthread_mutex_unlock(&group->pool->lock);
    return ok;
}

void vsm_group_cancel(VsmGroup *group)
{
    __atomic_store_n(&group->cancelled, 1, __ATOMIC_RELAXED);
}

bool vsm_group_is_cancelled(VsmGroup *group)
{
    return __atomic_load_n(&group->cancelled, __ATOMIC_RELAXED);
}

void vsm_group_free(VsmGroup *group)
{
    if (!group) {
        return;
    }
    vsm_group_wait(group, NULL);
    g_clear_error(&group->error);
    pthread_cond_destroy(&group->done);
    g_free(group);
}
