/*
 * The budget of NV writes: NV memory wears out, so no VM may write it at will.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define VSM_BUDGET_BURST 20
#define VSM_BUDGET_INTERVAL_MS 10000

/* A bucket of @burst writes that gains one each @interval_ms. */
typedef struct {
    guint burst, interval_ms;
    gint64 left_us; /* writes left, in units of time: interval_ms * 1000 each */
    gint64 at_us; /* when @left_us was true */
} VsmBudget;

/* 0: the defaults above. */
void vsm_budget_init(VsmBudget *budget,
                     guint burst,
                     guint interval_ms,
                     gint64 now_us);

/* Until there are @writes of them; 0: there are. */
gint64 vsm_budget_wait(VsmBudget *budget, guint writes, gint64 now_us);

/* Sets BUSY, with the time to wait. */
void vsm_budget_busy(const VsmBudget *budget, gint64 wait_us, GError **error);

/* BUSY, with the time to wait, when none is left. */
bool vsm_budget_take(VsmBudget *budget, gint64 now_us, GError **error);

/*
 * Goes on after a restart: @left_us were left @passed_us ago.  Both are
 * clipped: a clock that went back, or a smaller burst, gives nothing away.
 */
void vsm_budget_resume(VsmBudget *budget, gint64 left_us, gint64 passed_us);

/* Writes that may come at once at @now_us. */
guint vsm_budget_left(const VsmBudget *budget, gint64 now_us);

void vsm_budget_give_back(VsmBudget *budget);
