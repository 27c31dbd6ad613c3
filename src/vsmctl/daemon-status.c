/*
 * One screen about the daemon and its host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/daemon-status.h"

#include <stdio.h>

#include "vsmctl/ask.h"
#include "vsmctl/output.h"
#include "vsmctl/vsmctl.h"

/* Numbers, truth values and texts are all that the answer has. */
static json_t *to_json(GVariant *value)
{
    switch (g_variant_classify(value)) {
    case G_VARIANT_CLASS_STRING:
        return json_string(g_variant_get_string(value, NULL));
    case G_VARIANT_CLASS_BOOLEAN:
        return json_boolean(g_variant_get_boolean(value));
    case G_VARIANT_CLASS_UINT32:
        return json_integer(g_variant_get_uint32(value));
    case G_VARIANT_CLASS_INT32:
        return json_integer(g_variant_get_int32(value));
    case G_VARIANT_CLASS_UINT64:
        return json_integer((json_int_t)g_variant_get_uint64(value));
    case G_VARIANT_CLASS_INT64:
        return json_integer(g_variant_get_int64(value));
    default:
        return json_null();
    }
}

static json_t *dict_to_json(GVariant *dict)
{
    json_t *object = json_object();
    GVariantIter iter;
    const char *key;
    GVariant *value;

    g_variant_iter_init(&iter, dict);
    while (g_variant_iter_loop(&iter, "{&sv}", &key, &value)) {
        json_object_set_new(object, key, to_json(value));
    }
    return object;
}

static json_t *fetch(GError **error)
{
    g_autoptr(GVariant) answer = NULL;
    g_autoptr(GVariant) daemon = NULL;
    g_autoptr(GVariant) vms = NULL;
    json_t *info, *list;

    if (!ask_daemon(VSM_ADMIN_STATUS, g_variant_new("()"), "(a{sv}aa{sv})",
                    &answer, error)) {
        return NULL;
    }
    daemon = g_variant_get_child_value(answer, 0);
    vms = g_variant_get_child_value(answer, 1);
    info = dict_to_json(daemon);
    list = json_array();
    for (gsize i = 0; i < g_variant_n_children(vms); i++) {
        g_autoptr(GVariant) vm = g_variant_get_child_value(vms, i);

        json_array_append_new(list, dict_to_json(vm));
    }
    json_object_set_new(info, "vms", list);
    return info;
}

static const char *yes_no(const json_t *info, const char *name)
{
    return json_is_true(json_object_get(info, name)) ? "yes" : "NO";
}

static void print_pcrs(const json_t *info)
{
    json_int_t mask = vsmctl_int(info, "boot-pcrs");
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint pcr = 0; pcr < 32; pcr++) {
        if (mask >> pcr & 1) {
            g_string_append_printf(text, "%s%u", text->len ? " " : "", pcr);
        }
    }
    vsmctl_print_field("boot PCRs", text->str);
}

static void print_daemon(const json_t *info)
{
    g_autofree char *started = vsmctl_time(vsmctl_int(info, "started"));
    g_autofree char *budget =
        g_strdup_printf("%lld of %lld left, one more each %lld ms",
                        (long long)vsmctl_int(info, "nv-left"),
                        (long long)vsmctl_int(info, "nv-burst"),
                        (long long)vsmctl_int(info, "nv-interval-ms"));
    g_autofree char *load = g_strdup_printf(
        "%lld, %lld requests wait", (long long)vsmctl_int(info, "connections"),
        (long long)vsmctl_int(info, "waiting"));

    vsmctl_print_member("daemon", info, "version");
    vsmctl_print_field("since", started);
    vsmctl_print_member("host", info, "host-id");
    vsmctl_print_member("socket", info, "listen");
    vsmctl_print_member("store", info, "state-dir");
    vsmctl_print_member("reached by", info, "tcti");
    vsmctl_print_member("TPM", info, "tpm");
    vsmctl_print_member("TPM FAILS", info, "tpm-error");
    vsmctl_print_member("PCR bank", info, "pcr-bank");
    print_pcrs(info);
    vsmctl_print_member("boot policy", info, "boot-policy");
    vsmctl_print_field("boot approved", yes_no(info, "boot-approved"));
    vsmctl_print_field("boot measured", yes_no(info, "boot-measured"));
    vsmctl_print_member("commit", info, "commit");
    vsmctl_print_field("NV writes", budget);
    vsmctl_print_field("connections", load);
    vsmctl_print_member("last error", info, "last-error");
}

static char *vm_line(const json_t *vm)
{
    const json_t *pid = json_object_get(vm, "pid");
    g_autofree char *who =
        json_object_get(vm, "domain")
            ? g_strdup_printf("domain %s", vsmctl_text(vm, "domain"))
        : !pid ? g_strdup("not registered")
        : json_integer_value(pid)
            ? g_strdup_printf("process %lld",
                              (long long)json_integer_value(pid))
            : g_strdup("process ended");
    json_int_t requests = vsmctl_int(vm, "requests");

    return g_strdup_printf(
        "%s, %s, %lld snapshots, %lld requests, %lld refused, waited "
        "%lld ms on average",
        who,
        json_is_true(json_object_get(vm, "connected")) ? "connected"
                                                       : "not connected",
        (long long)vsmctl_int(vm, "snapshots"), (long long)requests,
        (long long)vsmctl_int(vm, "refused"),
        (long long)(requests ? vsmctl_int(vm, "waited-us") / requests / 1000
                             : 0));
}

static void print_vms(const json_t *info)
{
    size_t i;
    json_t *vm;

    json_array_foreach(json_object_get(info, "vms"), i, vm)
    {
        g_autofree char *line = vm_line(vm);

        vsmctl_print_member("VM", vm, "uuid");
        vsmctl_print_field("", line);
        vsmctl_print_member("  last error", vm, "last-error");
    }
}

int daemon_status(GError **error)
{
    json_auto_t *info = fetch(error);

    if (!info) {
        return -1;
    }
    if (vsmctl_options.json) {
        vsmctl_print_json(info);
    } else {
        print_daemon(info);
        print_vms(info);
    }
    return VSMCTL_MATCH;
}
