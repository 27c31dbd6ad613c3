/*
 * The host whose boot policy and snapshots an operator changes: opened in this
 * process, or behind the daemon's admin socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/target.h"

#include <vsm/admin.h>

#include "vsmctl/ask.h"
#include "vsmctl/host.h"
#include "vsmctl/vsmctl.h"
#include "vsmctl/waiting.h"

bool target_open(Target *ret, GError **error)
{
    ret->host = NULL;
    return vsmctl_options.daemon || host_open(NULL, &ret->host, error);
}

void target_clear(Target *target)
{
    g_clear_object(&target->host);
}

bool target_stays(const Target *target)
{
    return !target->host;
}

static GVariant *bytes_of(GBytes *bytes)
{
    return g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, bytes, TRUE);
}

/* An answer "(ay)". */
static bool
ask_bytes(VsmAdminOp op, GVariant *request, GBytes **ret, GError **error)
{
    g_autoptr(GVariant) answer = NULL;
    g_autoptr(GVariant) ay = NULL;

    if (!ask_daemon(op, request, "(ay)", &answer, error)) {
        return false;
    }
    ay = g_variant_get_child_value(answer, 0);
    *ret = g_variant_get_data_as_bytes(ay);
    return true;
}

bool target_boot_state(Target *target, GVariant **ret, GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();

    return target->host ? vsm_host_boot_state(target->host, ret, error)
                        : ask_daemon(VSM_ADMIN_POLICY_SHOW, g_variant_new("()"),
                                     "(sba(xsuay)(suay))", ret, error);
}

bool target_approve_begin(Target *target,
                          GVariant *states,
                          guint keep,
                          GBytes **ret_request,
                          GError **error)
{
    GVariant *list = states;
    g_autoptr(Waiting) waiting = waiting_new();

    if (target->host) {
        return vsm_host_approve_begin(target->host, states, keep, ret_request,
                                      error);
    }
    if (!list) {
        list = g_variant_new_array(G_VARIANT_TYPE("(suay)"), NULL, 0);
    }
    return ask_bytes(VSM_ADMIN_POLICY_APPROVE,
                     g_variant_new("(@a(suay)u)", list, keep), ret_request,
                     error);
}

bool target_revoke_begin(Target *target,
                         guint number,
                         GBytes **ret_request,
                         GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();

    return target->host
               ? vsm_host_revoke_begin(target->host, number, ret_request, error)
               : ask_bytes(VSM_ADMIN_POLICY_REVOKE,
                           g_variant_new("(u)", number), ret_request, error);
}

bool target_approve_finish(Target *target, GBytes *signature, GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();

    return target->host
               ? vsm_host_approve_finish(target->host, signature, error)
               : ask_daemon(VSM_ADMIN_POLICY_FINISH,
                            g_variant_new("(@ay)", bytes_of(signature)), "()",
                            NULL, error);
}

static GVariant *digest_of(const VsmDigest *digest)
{
    return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, digest->b,
                                     sizeof(digest->b), 1);
}

bool target_reseal_begin(Target *target,
                         const char *uuid,
                         const char *const *snapshots,
                         const VsmDigest *hypervisor,
                         const char *config,
                         GBytes **ret_request,
                         GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();

    if (target->host) {
        return vsm_host_reseal_begin(target->host, uuid, snapshots, hypervisor,
                                     config, ret_request, error);
    }
    return ask_bytes(VSM_ADMIN_RESEAL,
                     g_variant_new("(s^as@ays)", uuid, snapshots,
                                   digest_of(hypervisor), config),
                     ret_request, error);
}

bool target_reseal_finish(Target *target,
                          GBytes *signature,
                          guint *ret_n,
                          GError **error)
{
    g_autoptr(GVariant) answer = NULL;
    g_autoptr(Waiting) waiting = waiting_new();

    if (target->host) {
        return vsm_host_reseal_finish(target->host, signature, ret_n, error);
    }
    if (!ask_daemon(VSM_ADMIN_RESEAL_FINISH,
                    g_variant_new("(@ay)", bytes_of(signature)), "(u)", &answer,
                    error)) {
        return false;
    }
    g_variant_get(answer, "(u)", ret_n);
    return true;
}

void target_abort(Target *target)
{
    g_autoptr(Waiting) waiting = waiting_new();

    if (target->host) {
        vsm_host_operator_abort(target->host);
    } else {
        ask_daemon(VSM_ADMIN_OPERATOR_ABORT, g_variant_new("()"), "()", NULL,
                   NULL);
    }
}
