/*
 * The NV budget in the store: a restart gives no new writes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/codec.h"
#include "host/internal.h"

#define MAGIC "VSM-BUDGET"
#define VERSION 1
#define WHAT "NV budget of the store"
#define BYTES_MAX 64 /* two numbers and the header */

/* Kept by the clock of the day: the monotonic one begins with each boot. */
static void save(VsmHost *host)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(GBytes) bytes =
        vsm_codec_encode(g_variant_new("(sqxx)", MAGIC, (guint16)VERSION,
                                       host->budget.left_us, g_get_real_time()),
                         BYTES_MAX, WHAT, &why);

    if (!bytes ||
        !vsm_file_replace(host->store, VSM_STORE_BUDGET, bytes, &why)) {
        vsm_host_note(host, why); /* the budget in memory still holds */
    }
}

static bool load(VsmHost *host, gint64 *left_us, gint64 *at_us, GError **error)
{
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GVariant) value = NULL;

    if (!vsm_file_read(host->store, VSM_STORE_BUDGET, BYTES_MAX, &bytes,
                       error)) {
        return false;
    }
    value = vsm_codec_decode(bytes, "(sqxx)", MAGIC, VERSION, BYTES_MAX, WHAT,
                             error);
    if (!value) {
        return false;
    }
    g_variant_get_child(value, 2, "x", left_us);
    g_variant_get_child(value, 3, "x", at_us);
    return true;
}

void vsm_host_budget_load(VsmHost *host, guint burst, guint interval_ms)
{
    VsmBudget *budget = &host->budget;
    g_autoptr(GError) why = NULL;
    gint64 left_us, at_us, now_us = g_get_real_time();

    vsm_budget_init(budget, burst, interval_ms, g_get_monotonic_time());
    if (load(host, &left_us, &at_us, &why)) {
        vsm_budget_resume(budget, left_us, now_us - at_us);
    } else if (!g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
        /* Whoever damages it gains nothing. */
        vsm_budget_resume(budget, 0, 0);
        vsm_host_note(host, why);
    }
}

bool vsm_host_budget_take(VsmHost *host, const char *vm, GError **error)
{
    gint64 now_us = g_get_monotonic_time();

    if (!(vm ? vsm_shares_take(host->shares, &host->budget, vm, now_us, error)
             : vsm_budget_take(&host->budget, now_us, error))) {
        return false;
    }
    save(host);
    return true;
}

void vsm_host_budget_give_back(VsmHost *host)
{
    vsm_budget_give_back(&host->budget);
    save(host);
}
