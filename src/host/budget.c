/*
 * The budget of NV writes: NV memory wears out, so no VM may write it at will.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/budget.h"
#include <vsm/error.h>

static gint64 unit(const VsmBudget *budget)
{
    return (gint64)budget->interval_ms * 1000;
}

void vsm_budget_init(VsmBudget *budget,
                     guint burst,
                     guint interval_ms,
                     gint64 now_us)
{
    budget->burst = burst ? burst : VSM_BUDGET_BURST;
    budget->interval_ms = interval_ms ? interval_ms : VSM_BUDGET_INTERVAL_MS;
    budget->left_us = budget->burst * unit(budget);
    budget->at_us = now_us;
}

static void gain(VsmBudget *budget, gint64 now_us)
{
    gint64 most = budget->burst * unit(budget);

    budget->left_us = MIN(most, budget->left_us + now_us - budget->at_us);
    budget->at_us = now_us;
}

gint64 vsm_budget_wait(VsmBudget *budget, guint writes, gint64 now_us)
{
    gain(budget, now_us);
    return MAX(writes * unit(budget) - budget->left_us, 0);
}

void vsm_budget_busy(const VsmBudget *budget, gint64 wait_us, GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                "the TPM's NV memory may be written %u times at once and "
                "then every %u ms, to spare it, and each VM has its share: "
                "try again in %u s",
                budget->burst, budget->interval_ms,
                (guint)(wait_us / G_USEC_PER_SEC + 1));
}

bool vsm_budget_take(VsmBudget *budget, gint64 now_us, GError **error)
{
    gint64 wait = vsm_budget_wait(budget, 1, now_us);

    if (wait > 0) {
        vsm_budget_busy(budget, wait, error);
        return false;
    }
    budget->left_us -= unit(budget);
    return true;
}

void vsm_budget_give_back(VsmBudget *budget)
{
    budget->left_us += unit(budget); /* the next take clips it */
}

void vsm_budget_resume(VsmBudget *budget, gint64 left_us, gint64 passed_us)
{
    gint64 most = budget->burst * unit(budget);

    budget->left_us = CLAMP(left_us, 0, most);
    budget->left_us += CLAMP(passed_us, 0, most - budget->left_us);
}

guint vsm_budget_left(const VsmBudget *budget, gint64 now_us)
{
    gint64 most = budget->burst * unit(budget);
    gint64 gained = CLAMP(now_us - budget->at_us, 0, most);

    return MIN(most, budget->left_us + gained) / unit(budget);
}
