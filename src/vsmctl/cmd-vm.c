/*
 * vsmctl vm: which process, or which domain of libvirt, the daemon takes for
 * which VM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "vsmctl/ask.h"
#include "vsmctl/output.h"
#include "vsmctl/request.h"
#include "vsmctl/vsmctl.h"

static gint pid;
static char *domain;

static const GOptionEntry options[] = {
    {"pid", 0, 0, G_OPTION_ARG_INT, &pid,
     "register: the VM is this process, until it ends", "PID"},
    {"domain", 0, 0, G_OPTION_ARG_STRING, &domain,
     "register: the VM is this domain of libvirt, by its control group",
     "NAME"},
    {0},
};

static int refuse(GError **error, const char *why)
{
    g_set_error_literal(error, VSM_ERROR, VSM_ERROR_INVALID, why);
    return -1;
}

static json_t *to_json(GVariant *value)
{
    switch (g_variant_classify(value)) {
    case G_VARIANT_CLASS_BOOLEAN:
        return json_boolean(g_variant_get_boolean(value));
    case G_VARIANT_CLASS_INT32:
        return json_integer(g_variant_get_int32(value));
    case G_VARIANT_CLASS_INT64:
        return json_integer(g_variant_get_int64(value));
    case G_VARIANT_CLASS_UINT64:
        return json_integer((json_int_t)g_variant_get_uint64(value));
    case G_VARIANT_CLASS_STRING:
        return json_string(g_variant_get_string(value, NULL));
    default:
        return NULL; /* of a later daemon: left out */
    }
}

static json_t *entry_of(GVariant *vm)
{
    json_t *object = json_object();
    GVariantIter iter;
    const char *name;
    GVariant *value;

    g_variant_iter_init(&iter, vm);
    while (g_variant_iter_loop(&iter, "{&sv}", &name, &value)) {
        json_t *member = to_json(value);

        if (member) {
            json_object_set_new(object, name, member);
        }
    }
    return object;
}

static json_t *ask_list(GError **error)
{
    g_autoptr(GVariant) answer = NULL;
    g_autoptr(GVariant) vms = NULL;
    json_t *list;

    if (!ask_daemon(VSM_ADMIN_VM_LIST, g_variant_new("()"), "(aa{sv})", &answer,
                    error)) {
        return NULL;
    }
    list = json_array();
    vms = g_variant_get_child_value(answer, 0);
    for (gsize i = 0; i < g_variant_n_children(vms); i++) {
        g_autoptr(GVariant) vm = g_variant_get_child_value(vms, i);

        json_array_append_new(list, entry_of(vm));
    }
    return list;
}

static void print_row(const json_t *vm)
{
    g_autofree char *uuid = vsmctl_escape(vsmctl_text(vm, "uuid"));
    g_autofree char *who = NULL;
    g_autofree char *last = vsmctl_escape(vsmctl_text(vm, "last-error"));

    if (json_object_get(vm, "domain")) {
        who = vsmctl_escape(vsmctl_text(vm, "domain"));
    } else {
        who = vsmctl_int(vm, "pid") > 0
                  ? g_strdup_printf("pid %lld", vsmctl_int(vm, "pid"))
                  : g_strdup("ended");
    }
    printf("%s  %-16s  %-9s  %8lld  %7lld  %9lld  %s\n", uuid, who,
           json_is_true(json_object_get(vm, "connected")) ? "connected" : "-",
           vsmctl_int(vm, "requests"), vsmctl_int(vm, "refused"),
           vsmctl_int(vm, "longest-wait-us") / 1000, last);
}

static int run_list(GError **error)
{
    json_auto_t *list = ask_list(error);
    size_t i;
    json_t *vm;

    if (!list) {
        return -1;
    }
    if (vsmctl_options.json) {
        vsmctl_print_json(list);
        return VSMCTL_MATCH;
    }
    printf("%-36s  %-16s  %-9s  %8s  %7s  %9s  %s\n", "UUID", "REGISTERED AS",
           "", "REQUESTS", "REFUSED", "WAITED ms", "LAST ERROR");
    json_array_foreach(list, i, vm)
    {
        print_row(vm);
    }
    return VSMCTL_MATCH;
}

static int run_register(const char *uuid, GError **error)
{
    if ((pid > 0) == (domain != NULL)) {
        return refuse(error, "who is it? give either --pid PID or --domain "
                             "NAME");
    }
    return ask_daemon(
               VSM_ADMIN_VM_REGISTER,
               g_variant_new("(sus)", uuid, (guint32)pid, domain ? domain : ""),
               "()", NULL, error)
               ? VSMCTL_MATCH
               : -1;
}

static int run(char **args, GError **error)
{
    bool list = strcmp(args[0], "list") == 0;
    bool add = strcmp(args[0], "register") == 0;
    g_autofree char *uuid = NULL;

    if (!list && !add && strcmp(args[0], "unregister") != 0) {
        return refuse(error, "it is 'vm list', 'vm register UUID' or 'vm "
                             "unregister UUID'");
    }
    if (list != (args[1] == NULL)) {
        return refuse(error, list ? "'vm list' takes no UUID"
                                  : "which VM? its UUID is missing");
    }
    if (list) {
        return run_list(error);
    }
    uuid = request_uuid(args[1], error);
    if (!uuid) {
        return -1;
    }
    if (add) {
        return run_register(uuid, error);
    }
    return ask_daemon(VSM_ADMIN_VM_UNREGISTER, g_variant_new("(s)", uuid), "()",
                      NULL, error)
               ? VSMCTL_MATCH
               : -1;
}

const VsmctlCommand vsmctl_vm = {
    .name = "vm",
    .args = "list|register|unregister [UUID]",
    .verbs = "list register unregister",
    .summary = "tell the daemon which process is which VM",
    .text = "Who is which VM is root's word: the daemon turns away whoever is "
            "not registered. A process is registered before it connects, by "
            "pid and start time, so that a shell that execs QEMU may register "
            "itself; a domain of libvirt once and for all. unregister ends the "
            "VM's connection, too.\n\n"
            "The list shows how many requests there were, how many were "
            "refused, and the longest wait for the TPM.",
    .options = options,
    .takes = VSMCTL_TAKES_DAEMON,
    .n_args_min = 1,
    .n_args_max = 2,
    .run = run,
};
