/*
 * The watch: looks that were due and could not be made
 *
 * A watch that looks at nothing must not pass for one that finds nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "events.h"
#include "trace.h"
#include "watch-state.h"

#define INTERVALS 3 /* without a look, until that is told */

static int64_t now_ms(void)
{
    return qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
}

/* What comes next is told, whatever it is.  */
static void unavailable(VsmWatch *watch)
{
    g_clear_pointer(&watch->last, g_free);
    watch->outcome = VSM_OUTCOME_UNAVAILABLE;
    watch->has_outcome = true;
}

void vsm_watch_looked(VsmWatch *watch)
{
    watch->skips.looked_ms = now_ms();
    watch->skips.told = false;
}

bool vsm_watch_skipped(VsmWatch *watch, const char *why)
{
    int64_t now = now_ms(), interval = watch->seconds * (int64_t)1000;

    if (!watch->skips.waiting || now - watch->skips.counted_ms >= interval) {
        watch->skips.n++;
        watch->skips.counted_ms = now;
    }
    g_free(watch->skips.reason);
    watch->skips.reason = g_strdup(why);
    watch->skips.time = g_get_real_time() / G_USEC_PER_SEC;
    trace_vsm_watch_skipped(watch->snapshot, watch->skips.n, why);
    if (watch->skips.told ||
        now - watch->skips.looked_ms <= INTERVALS * interval) {
        return false;
    }
    watch->skips.told = true;
    unavailable(watch);
    return true;
}

void vsm_watch_tell_skipped(VsmWatch *watch)
{
    g_autofree char *text = g_strdup_printf(
        "The watch could not look at the VM for more than %d intervals: %s",
        INTERVALS, watch->skips.reason);

    vsm_event_refused(VSM_OPERATION_WATCH, watch->snapshot, NULL,
                      VSM_ERROR_BUSY, text, false);
}

void vsm_watch_failed(VsmWatch *watch, Error *err)
{
    const char *text = error_get_pretty(err);

    if (watch->m->op.code != VSM_ERROR_BUSY && !watch->m->quitting &&
        g_strcmp0(watch->told, text)) {
        vsm_op_refused(watch->m, false, err);
        g_free(watch->told);
        watch->told = g_strdup(text);
        watch->skips.told = true;
        unavailable(watch);
    }
    error_free(err);
}
