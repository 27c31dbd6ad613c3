/*
 * Bodies of the jobs that measure
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_ATTEST_H
#define VSM_ATTEST_H

#include "jobs.h"

/* Returns: (transfer full): NULL with @errp set */
VsmAnswer *coroutine_fn vsm_attest_body(VsmJob *job, Error **errp);
VsmAnswer *coroutine_fn vsm_attest_runtime_body(VsmJob *job, Error **errp);
VsmAnswer *coroutine_fn vsm_verify_body(VsmJob *job, Error **errp);

#endif /* VSM_ATTEST_H */
