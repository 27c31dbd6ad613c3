/*
 * Capture: registers and memory of a stopped VM in, a scope document out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/error.h>
#include <vsm/runtime.h>

bool vsm_scope_capture(const VsmGuest *guest,
                       VsmPool *pool,
                       GBytes *sealed,
                       GBytes **ret,
                       char **ret_reason,
                       VsmScopeStats *ret_stats,
                       GError **error)
{
    (void)guest, (void)pool, (void)sealed, (void)error;
    *ret = NULL;
    *ret_reason = g_strdup("the runtime scope is not built yet");
    if (ret_stats) {
        *ret_stats = (VsmScopeStats){0};
    }
    return true;
}
