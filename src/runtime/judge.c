/*
 * Two scope documents and a profile in, findings out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/error.h>
#include <vsm/runtime.h>

bool vsm_scope_judge(GBytes *sealed,
                     GBytes *measured,
                     const char *profile,
                     VsmVerdict **ret,
                     GError **error)
{
    (void)sealed, (void)measured, (void)profile, (void)ret;
    g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                "the runtime scope is not built yet");
    return false;
}

GPtrArray *vsm_scope_explain(GBytes *sealed,
                             GPtrArray *findings,
                             VsmScopePageFunc before,
                             VsmScopePageFunc now,
                             gpointer opaque,
                             guint64 *ret_left_out,
                             GError **error)
{
    (void)sealed, (void)findings, (void)before, (void)now, (void)opaque;
    (void)ret_left_out;
    g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                "the runtime scope is not built yet");
    return NULL;
}
