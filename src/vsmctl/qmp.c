/*
 * A QMP client: what is the same however QEMU is reached.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/qmp-backend.h"

#include <vsm/error.h>

#include "vsmctl/vsmctl.h"
#include "vsmctl/waiting.h"

void qmp_free(Qmp *qmp)
{
    if (qmp) {
        g_free(qmp->name);
        qmp->backend->free(qmp);
    }
}

static json_t *result_of(const char *command, json_t *answer, GError **error)
{
    json_t *value = json_object_get(answer, "return");
    json_t *failure = json_object_get(answer, "error");
    const char *class = json_string_value(json_object_get(failure, "class"));
    const char *text = json_string_value(json_object_get(failure, "desc"));

    if (value) {
        return json_incref(value);
    }
    if (g_strcmp0(class, "CommandNotFound") == 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                    "this QEMU does not know '%s': is it the VSM one, "
                    "with -object vm-snapshot-manager?",
                    command);
    } else {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID, "%s",
                    text ? text : "QEMU refused without a reason");
    }
    return NULL;
}

json_t *
qmp_execute(Qmp *qmp, const char *command, json_t *arguments, GError **error)
{
    json_auto_t *request =
        json_pack("{s:s, s:o*}", "execute", command, "arguments", arguments);
    g_autoptr(Waiting) waiting = waiting_new();
    json_auto_t *answer = qmp->backend->exchange(qmp, command, request, error);

    return answer ? result_of(command, answer, error) : NULL;
}

bool qmp_wait_event(Qmp *qmp, guint timeout_ms, json_t **ret, GError **error)
{
    return qmp->backend->wait_event(qmp, timeout_ms, ret, error);
}

Qmp *qmp_open_vm(GError **error)
{
    const char *path = vsmctl_options.qmp;

    if (vsmctl_options.domain) {
        if (path) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "--qmp and --domain both name a VM: give one");
            return NULL;
        }
        return qmp_open_domain(vsmctl_options.connect, vsmctl_options.domain,
                               error);
    }
    path = path ? path : g_getenv("VSM_QMP");
    if (!path) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "which VM? give its QMP socket with --qmp PATH or in the "
                    "environment's VSM_QMP, or a libvirt domain with "
                    "--domain NAME");
        return NULL;
    }
    return qmp_open(path, error);
}
