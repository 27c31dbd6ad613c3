/*
 * Body of the job that loads a sealed snapshot and reports on it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_ROLLBACK_H
#define VSM_ROLLBACK_H

#include "jobs.h"
#include "system/runstate.h"

/* Returns: (transfer full): NULL with @errp set */
VsmAnswer *coroutine_fn vsm_rollback_body(VsmJob *job, Error **errp);

/**
 * vsm_rollback_after_mismatch:
 * @state: the run state to go back to after the load
 *
 * For on-mismatch=rollback: rolls the stopped VM back, without a report,
 * unless that happened too often; then, or on failure, it stays stopped.
 */
void coroutine_fn vsm_rollback_after_mismatch(VsmJob *job, RunState state);

#endif /* VSM_ROLLBACK_H */
