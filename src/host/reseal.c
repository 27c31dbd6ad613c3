/*
 * Reseal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/pending.h"
bool vsm_host_reseal_begin(VsmHost *host,
                           const char *uuid,
                           const char *const *snapshots,
                           const VsmDigest *hypervisor,
                           const char *config,
                           GBytes **ret_request,
                           GError **error)
{
    (void)host;
    (void)uuid;
    (void)snapshots;
    (void)hypervisor;
    (void)config;
    (void)ret_request;
    g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED, "not built yet");
    return false;
}
bool vsm_host_reseal_finish(VsmHost *host,
                            GBytes *signature,
                            guint *ret_n,
                            GError **error)
{
    (void)host;
    (void)signature;
    (void)ret_n;
    g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED, "not built yet");
    return false;
}
