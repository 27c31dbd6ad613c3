/*
 * The admin socket of vsmd: what root asks the daemon.
 *
 * Framing as in docs/protocol.md; bodies are GVariants of the types below.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/error.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

#define VSM_ADMIN_SOCKET "/run/vsm/admin.sock"
#define VSM_ATTESTER_SOCKET "/run/vsm/vsmd.sock"

/* Numbers are on the wire: never renumber.  "request" -> "answer" */
typedef enum {
    VSM_ADMIN_STATUS = 64, /* () -> (a{sv}aa{sv}): daemon and host; VMs */
    VSM_ADMIN_VM_REGISTER = 65, /* (sus) -> (): uuid, pid or 0, domain or "" */
    VSM_ADMIN_VM_UNREGISTER = 66, /* (s) -> (): uuid */
    VSM_ADMIN_VM_LIST = 67, /* () -> (aa{sv}) */
    VSM_ADMIN_KEYS = 68, /* () -> (s): a trust file */
    VSM_ADMIN_METRICS = 69, /* () -> (s): Prometheus' text format */

    VSM_ADMIN_ENROLL_REQUEST = 72, /* (s) -> (s) */
    VSM_ADMIN_ENROLL_RESPOND = 73, /* (s) -> (s) */
    VSM_ADMIN_EVIDENCE = 74, /* (ss) -> (s): VM's uuid, snapshot */

    VSM_ADMIN_POLICY_SHOW = 80, /* () -> (sba(xsuay)(suay)) */
    VSM_ADMIN_POLICY_APPROVE = 81, /* (a(suay)u) -> (ay) */
    VSM_ADMIN_POLICY_REVOKE = 82, /* (u) -> (ay) */
    VSM_ADMIN_POLICY_FINISH = 83, /* (ay) -> () */
    VSM_ADMIN_RESEAL = 84, /* (sasays) -> (ay) */
    VSM_ADMIN_RESEAL_FINISH = 85, /* (ay) -> (u) */
    VSM_ADMIN_OPERATOR_ABORT = 86, /* () -> () */
} VsmAdminOp;

/**
 * vsm_admin_call:
 * @path: the daemon's admin socket; NULL: VSM_ADMIN_SOCKET
 * @request: of the operation's type; a floating reference is consumed
 * @answer_type: GVariant type of the answer
 * @ret: (out) (transfer full): g_variant_unref(); NULL: not wanted
 *
 * Waits at most 90 seconds.  Errors: CONNECTION (no daemon there), DENIED (not
 * root), TIMEOUT, PROTOCOL, and whatever the operation answers.
 */
bool vsm_admin_call(const char *path,
                    VsmAdminOp op,
                    GVariant *request,
                    const char *answer_type,
                    GVariant **ret,
                    GError **error);

#pragma GCC visibility pop
G_END_DECLS
