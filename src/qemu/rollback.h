/*
 * Body of the job that loads a sealed snapshot and reports on it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_ROLLBACK_H
#define VSM_ROLLBACK_H

#include "jobs.h"

/* Returns: (transfer full): NULL with @errp set */
VsmAnswer *coroutine_fn vsm_rollback_body(VsmJob *job, Error **errp);

#endif /* VSM_ROLLBACK_H */
