/*
 * Whose turn it is: one request at a time uses the TPM, VMs in turn; and how
 * often one VM may ask.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/turns.h"
#include <vsm/error.h>

/* A waiter looks at its cancellable so often; microseconds. */
#define TICK_US (100 * G_TIME_SPAN_MILLISECOND)

/* VMs whose last turn is remembered; who is forgotten had it long ago. */
#define REMEMBERED_MAX 8192

typedef struct {
    const char *vm;
    guint64 arrived, last; /* orders: of coming, of this VM's last turn */
} Waiter;

struct VsmTurns {
    GMutex mutex;
    GCond cond;
    bool held;
    guint64 clock; /* counts comings and turns */
    GPtrArray *waiting; /* of Waiter, on their threads' stacks */
    GHashTable *last; /* vm → its last turn */
    gint64 since_us; /* when the turn was taken */
    gint64 usual_us; /* how long a turn lasts, smoothed */
};

VsmTurns *vsm_turns_new(void)
{
    VsmTurns *turns = g_new0(VsmTurns, 1);

    g_mutex_init(&turns->mutex);
    g_cond_init(&turns->cond);
    turns->waiting = g_ptr_array_new();
    turns->last =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return turns;
}

void vsm_turns_free(VsmTurns *turns)
{
    if (turns) {
        g_ptr_array_unref(turns->waiting);
        g_hash_table_unref(turns->last);
        g_cond_clear(&turns->cond);
        g_mutex_clear(&turns->mutex);
        g_free(turns);
    }
}

static bool goes_before(const Waiter *a, const Waiter *b)
{
    return a->last != b->last ? a->last < b->last : a->arrived < b->arrived;
}

/* Called with the mutex held. */
static bool is_next(const VsmTurns *turns, const Waiter *self)
{
    for (guint i = 0; i < turns->waiting->len; i++) {
        if (goes_before(turns->waiting->pdata[i], self)) {
            return false;
        }
    }
    return true;
}

/* Called with the mutex held. */
static void remember(VsmTurns *turns, const char *vm)
{
    if (g_hash_table_size(turns->last) >= REMEMBERED_MAX) {
        g_hash_table_remove_all(turns->last);
    }
    turns->clock++;
    g_hash_table_insert(turns->last, g_strdup(vm),
                        g_memdup2(&turns->clock, sizeof(turns->clock)));
}

static bool busy(VsmTurns *turns, GError **error)
{
    gint64 wait = turns->usual_us * turns->waiting->len;

    g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                "the TPM serves others, and %u wait for it: try again in "
                "%" G_GINT64_FORMAT " s",
                turns->waiting->len, wait / G_USEC_PER_SEC + 1);
    return false;
}

bool vsm_turns_take(VsmTurns *turns,
                    const char *vm,
                    gint64 deadline_us,
                    GCancellable *cancel,
                    GError **error)
{
    Waiter self = {.vm = vm};
    const guint64 *last;
    bool ok = true;

    g_mutex_lock(&turns->mutex);
    last = g_hash_table_lookup(turns->last, vm);
    self.last = last ? *last : 0;
    self.arrived = ++turns->clock;
    g_ptr_array_add(turns->waiting, &self);
    while (ok && (turns->held || !is_next(turns, &self))) {
        gint64 now = g_get_monotonic_time();

        if (g_cancellable_is_cancelled(cancel)) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_CANCELLED, "cancelled");
            ok = false;
        } else if (now >= deadline_us) {
            ok = busy(turns, error);
        } else {
            g_cond_wait_until(&turns->cond, &turns->mutex,
                              MIN(deadline_us, now + TICK_US));
        }
    }
    g_ptr_array_remove(turns->waiting, &self);
    if (ok) {
        turns->held = true;
        turns->since_us = g_get_monotonic_time();
        remember(turns, vm);
    } else {
        g_cond_broadcast(&turns->cond); /* another may be next now */
    }
    g_mutex_unlock(&turns->mutex);
    return ok;
}

void vsm_turns_give(VsmTurns *turns)
{
    gint64 lasted;

    g_mutex_lock(&turns->mutex);
    lasted = g_get_monotonic_time() - turns->since_us;
    turns->usual_us = (turns->usual_us * 7 + lasted) / 8;
    turns->held = false;
    g_cond_broadcast(&turns->cond);
    g_mutex_unlock(&turns->mutex);
}

guint vsm_turns_waiting(VsmTurns *turns)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&turns->mutex);

    return turns->waiting->len;
}

bool vsm_rate_take(VsmRate *rate,
                   guint interval_ms,
                   guint pace_ms,
                   gint64 now_us,
                   const char *what,
                   gint64 *ret_wait_us,
                   GError **error)
{
    gint64 wait = MAX(rate->next_us - now_us, 0);

    if (wait > (gint64)pace_ms * 1000) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "this VM's %s may come every %u ms: try again in "
                    "%" G_GINT64_FORMAT " s",
                    what, interval_ms, wait / G_USEC_PER_SEC + 1);
        return false;
    }
    rate->next_us = now_us + wait + (gint64)interval_ms * 1000;
    *ret_wait_us = wait;
    return true;
}

bool vsm_rate_owes_little(const VsmRate *rate,
                          guint burst_ms,
                          gint64 now_us,
                          const char *what,
                          GError **error)
{
    gint64 over = rate->next_us - now_us - (gint64)burst_ms * 1000;

    if (over > 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "this VM's %s took more than their share: try again in "
                    "%" G_GINT64_FORMAT " s",
                    what, over / G_USEC_PER_SEC + 1);
    }
    return over <= 0;
}

void vsm_rate_charge(VsmRate *rate, gint64 cost_us, gint64 now_us)
{
    rate->next_us = MAX(rate->next_us, now_us) + cost_us;
}
