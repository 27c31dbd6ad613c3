/*
 * QMP through libvirt: each command is one "virsh qemu-monitor-command".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/qmp-backend.h"

#include <string.h>
#include <unistd.h>
#include <vsm/error.h>

/* virsh is a process each time: jobs are asked less often. */
#define POLL_MS_MIN 250

typedef struct {
    Qmp qmp;
    char *uri, *domain;
} DomainQmp;

static void domain_free(Qmp *base)
{
    DomainQmp *qmp = (DomainQmp *)base;

    g_free(qmp->uri);
    g_free(qmp->domain);
    g_free(qmp);
}

/* Away from the terminal's interrupts: those are for the job. */
static void leave_terminal(gpointer opaque)
{
    (void)opaque;
    setsid();
}

static GPtrArray *command_line(DomainQmp *qmp, const char *text)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_strdup("virsh"));
    g_ptr_array_add(argv, g_strdup("--quiet"));
    if (qmp->uri) {
        g_ptr_array_add(argv, g_strconcat("--connect=", qmp->uri, NULL));
    }
    g_ptr_array_add(argv, g_strdup("qemu-monitor-command"));
    g_ptr_array_add(argv, g_strconcat("--domain=", qmp->domain, NULL));
    g_ptr_array_add(argv, g_strdup("--"));
    g_ptr_array_add(argv, g_strdup(text));
    g_ptr_array_add(argv, NULL);
    return argv;
}

/* What virsh printed; it ends well even when QEMU answers with an error. */
static bool
run_virsh(DomainQmp *qmp, const char *text, char **ret, GError **error)
{
    g_autoptr(GPtrArray) argv = command_line(qmp, text);
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    g_autoptr(GError) why = NULL;
    int status;

    if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_SEARCH_PATH,
                      leave_terminal, NULL, &out, &err, &status, &why)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION,
                    "cannot run virsh: %s; install libvirt-clients, or give "
                    "the VM's QMP socket with --qmp",
                    why->message);
        return false;
    }
    if (!g_spawn_check_wait_status(status, NULL)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION,
                    "libvirt's domain '%s': %s; is it running, and may you "
                    "connect to libvirt (--connect, LIBVIRT_DEFAULT_URI)?",
                    qmp->domain, g_strstrip(err));
        return false;
    }
    *ret = g_steal_pointer(&out);
    return true;
}

static json_t *
domain_exchange(Qmp *base, const char *command, json_t *request, GError **error)
{
    DomainQmp *qmp = (DomainQmp *)base;
    char *text = json_dumps(request, JSON_COMPACT | JSON_ENSURE_ASCII);
    g_autofree char *out = NULL;
    json_t *answer = NULL;
    bool ok = run_virsh(qmp, text ? text : "", &out, error);

    free(text);
    if (!ok) {
        return NULL;
    }
    answer = json_loads(out, 0, NULL);
    if (!json_is_object(answer)) {
        g_clear_pointer(&answer, json_decref);
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "virsh's answer to '%s' is not JSON", command);
    }
    return answer;
}

/* None comes this way. */
static bool
domain_wait_event(Qmp *base, guint timeout_ms, json_t **ret, GError **error)
{
    (void)base;
    (void)error;
    if (timeout_ms > 0) {
        g_usleep(MAX(timeout_ms, POLL_MS_MIN) * 1000UL);
    }
    *ret = NULL;
    return true;
}

Qmp *qmp_open_domain(const char *uri, const char *domain, GError **error)
{
    static const QmpBackend backend = {domain_exchange, domain_wait_event,
                                       domain_free};
    DomainQmp *qmp = g_new0(DomainQmp, 1);
    g_autoptr(Qmp) owned = &qmp->qmp;
    json_auto_t *status = NULL;

    qmp->qmp.backend = &backend;
    qmp->qmp.name = g_strdup(domain);
    qmp->uri = g_strdup(uri);
    qmp->domain = g_strdup(domain);
    status = qmp_execute(owned, "query-status", NULL, error);
    return status ? g_steal_pointer(&owned) : NULL;
}
