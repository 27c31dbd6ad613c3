/*
 * The host whose boot policy and snapshots an operator changes: opened in this
 * process, or behind the daemon's admin socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/host.h>

typedef struct {
    VsmHost *host; /* NULL: the daemon */
} Target;

/* With --daemon the daemon, else as --tcti and --state-dir say. */
bool target_open(Target *ret, GError **error);
void target_clear(Target *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Target, target_clear)

/* Whether a request outlives this process. */
bool target_stays(const Target *target);

/* As the functions of vsm/host.h. */
bool target_boot_state(Target *target, GVariant **ret, GError **error);
bool target_approve_begin(Target *target,
                          GVariant *states,
                          guint keep,
                          GBytes **ret_request,
                          GError **error);
bool target_revoke_begin(Target *target,
                         guint number,
                         GBytes **ret_request,
                         GError **error);
bool target_approve_finish(Target *target, GBytes *signature, GError **error);
bool target_reseal_begin(Target *target,
                         const char *uuid,
                         const char *const *snapshots,
                         const VsmDigest *hypervisor,
                         const char *config,
                         GBytes **ret_request,
                         GError **error);
bool target_reseal_finish(Target *target,
                          GBytes *signature,
                          guint *ret_n,
                          GError **error);
void target_abort(Target *target);
