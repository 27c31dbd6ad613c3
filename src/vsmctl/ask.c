/*
 * Questions to the owner of a host's keys: the daemon, or the host opened in
 * this process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/ask.h"

#include <vsm/host.h>

#include "vsmctl/host.h"
#include "vsmctl/vsmctl.h"
#include "vsmctl/waiting.h"

bool ask_daemon(VsmAdminOp op,
                GVariant *request,
                const char *type,
                GVariant **ret,
                GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();

    return vsm_admin_call(vsmctl_options.daemon, op, request, type, ret, error);
}

static bool ask_daemon_document(
    VsmAdminOp op, const char *a, const char *b, char **ret, GError **error)
{
    g_autoptr(GVariant) answer = NULL;
    GVariant *request =
        b ? g_variant_new("(ss)", a, b) : g_variant_new("(s)", a);

    if (!ask_daemon(op, request, "(s)", &answer, error)) {
        return false;
    }
    g_variant_get(answer, "(s)", ret);
    return true;
}

bool ask_host(
    VsmAdminOp op, const char *a, const char *b, char **ret, GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();
    g_autoptr(VsmHost) host = NULL;

    if (vsmctl_options.daemon) {
        return ask_daemon_document(op, a, b, ret, error);
    }
    if (!host_open(NULL, &host, error)) {
        return false;
    }
    switch (op) {
    case VSM_ADMIN_ENROLL_REQUEST:
        return vsm_host_enroll_request(host, a, ret, error);
    case VSM_ADMIN_ENROLL_RESPOND:
        return vsm_host_enroll_respond(host, a, ret, error);
    case VSM_ADMIN_EVIDENCE:
        return vsm_host_snapshot_evidence(host, a, b, ret, error);
    default:
        g_assert_not_reached();
    }
}
