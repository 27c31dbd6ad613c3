/*
 * Whose NV write the next one is: no VM uses up what the others need.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "host/budget.h"

typedef struct VsmShares VsmShares;

VsmShares *vsm_shares_new(void);
void vsm_shares_free(VsmShares *shares);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmShares, vsm_shares_free)

/* A VM's attester begins, and ends: in between a write is kept for it. */
void vsm_shares_join(VsmShares *shares, const char *vm);
void vsm_shares_leave(VsmShares *shares, const char *vm);

/**
 * vsm_shares_take:
 *
 * Takes a write from @budget, unless it is another VM's:
 *
 * * a VM that wrote something in the time in which the whole burst comes back
 *   leaves one to each other that is joined and did not, in all at most half of
 *   the burst;
 * * who was refused comes before who asks later, for as long as it was told to
 *   wait, and a minute; but who wrote lately comes before those alone that did,
 *   too.
 *
 * Errors: BUSY with the time to wait.
 */
bool vsm_shares_take(VsmShares *shares,
                     VsmBudget *budget,
                     const char *vm,
                     gint64 now_us,
                     GError **error);
