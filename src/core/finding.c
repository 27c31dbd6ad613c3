/*
 * A difference as it is reported.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/state.h>

void vsm_finding_free(VsmFinding *finding)
{
    if (!finding) {
        return;
    }
    g_free(finding->where);
    g_clear_pointer(&finding->sealed, g_bytes_unref);
    g_clear_pointer(&finding->measured, g_bytes_unref);
    g_free(finding);
}
