/*
 * What root asks the daemon for the operator: boot states, reseal.
 *
 * Root asks; only the operator's signature in the finish makes it so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/admin-policy.h"

#include <string.h>
#include <vsm/operator.h>

static GVariant *bytes_answer(GBytes *bytes)
{
    GVariant *answer = g_variant_new(
        "(@ay)",
        g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, bytes, TRUE));

    g_bytes_unref(bytes);
    return answer;
}

/* A signature from outside; its form is the host's to check. */
static GBytes *signature_of(GVariant *request, GError **error)
{
    g_autoptr(GVariant) ay = g_variant_get_child_value(request, 0);

    if (g_variant_get_size(ay) > VSM_OPERATOR_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "a signature of more than %u bytes",
                    VSM_OPERATOR_BYTES_MAX);
        return NULL;
    }
    return g_variant_get_data_as_bytes(ay);
}

bool vsm_admin_policy_show(VsmServer *server,
                           GVariant *request,
                           GVariant **ret,
                           GError **error)
{
    (void)request;
    return vsm_host_boot_state(server->host, ret, error);
}

bool vsm_admin_policy_approve(VsmServer *server,
                              GVariant *request,
                              GVariant **ret,
                              GError **error)
{
    g_autoptr(GVariant) states = NULL;
    GBytes *bytes = NULL;
    guint32 keep;

    g_variant_get(request, "(@a(suay)u)", &states, &keep);
    if (!vsm_host_approve_begin(server->host, states, keep, &bytes, error)) {
        return false;
    }
    *ret = bytes_answer(bytes);
    return true;
}

bool vsm_admin_policy_revoke(VsmServer *server,
                             GVariant *request,
                             GVariant **ret,
                             GError **error)
{
    GBytes *bytes = NULL;
    guint32 number;

    g_variant_get(request, "(u)", &number);
    if (!vsm_host_revoke_begin(server->host, number, &bytes, error)) {
        return false;
    }
    *ret = bytes_answer(bytes);
    return true;
}

bool vsm_admin_policy_finish(VsmServer *server,
                             GVariant *request,
                             GVariant **ret,
                             GError **error)
{
    g_autoptr(GBytes) signature = signature_of(request, error);

    if (!signature ||
        !vsm_host_approve_finish(server->host, signature, error)) {
        return false;
    }
    *ret = g_variant_new("()");
    return true;
}

bool vsm_admin_reseal(VsmServer *server,
                      GVariant *request,
                      GVariant **ret,
                      GError **error)
{
    g_autoptr(GVariant) ay = NULL;
    g_autofree const char **snapshots = NULL;
    const char *uuid, *config;
    VsmDigest hypervisor;
    GBytes *bytes = NULL;

    g_variant_get(request, "(&s^a&s@ay&s)", &uuid, &snapshots, &ay, &config);
    if (g_variant_get_size(ay) != sizeof(hypervisor.b)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "the hypervisor's digest has not 48 bytes");
        return false;
    }
    memcpy(hypervisor.b, g_variant_get_data(ay), sizeof(hypervisor.b));
    if (!vsm_host_reseal_begin(server->host, uuid, snapshots, &hypervisor,
                               config, &bytes, error)) {
        return false;
    }
    *ret = bytes_answer(bytes);
    return true;
}

bool vsm_admin_reseal_finish(VsmServer *server,
                             GVariant *request,
                             GVariant **ret,
                             GError **error)
{
    g_autoptr(GBytes) signature = signature_of(request, error);
    guint n;

    if (!signature ||
        !vsm_host_reseal_finish(server->host, signature, &n, error)) {
        return false;
    }
    *ret = g_variant_new("(u)", n);
    return true;
}

bool vsm_admin_operator_abort(VsmServer *server,
                              GVariant *request,
                              GVariant **ret,
                              GError **error)
{
    (void)request;
    (void)error;
    vsm_host_operator_abort(server->host);
    *ret = g_variant_new("()");
    return true;
}
