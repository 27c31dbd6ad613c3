/*
 * vsmctl status: the VM's snapshot manager, its TPM and keys.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "vsmctl/daemon-status.h"
#include "vsmctl/output.h"
#include "vsmctl/qmp.h"
#include "vsmctl/vsmctl.h"

static gboolean with_config;

static const GOptionEntry options[] = {
    {"config", 0, 0, G_OPTION_ARG_NONE, &with_config,
     "Also print the configuration to which snapshots are bound, line by line",
     NULL},
    {0},
};

static const char *yes_no(const json_t *info, const char *name)
{
    return json_is_true(json_object_get(info, name)) ? "yes" : "NO";
}

static char *pcr_list(const json_t *info)
{
    GString *out = g_string_new(NULL);
    size_t i;
    json_t *number;

    json_array_foreach(json_object_get(info, "boot-pcrs"), i, number)
    {
        g_string_append_printf(out, "%s%lld", i > 0 ? " " : "",
                               json_integer_value(number));
    }
    return g_string_free(out, FALSE);
}

static void print_config(const json_t *info)
{
    g_auto(GStrv) lines =
        g_strsplit(vsmctl_text(info, "config-text"), "\n", -1);

    vsmctl_print_member("configuration", info, "config");
    for (guint i = 0; with_config && lines[i]; i++) {
        if (*lines[i]) {
            vsmctl_print_field("", lines[i]);
        }
    }
}

/* A watch that looks at nothing must not pass for one that finds nothing. */
static void print_watch(const json_t *watch)
{
    const char *result = vsmctl_text(watch, "result");
    g_autofree char *what = NULL;
    g_autofree char *skipped = NULL;

    if (!watch) {
        return;
    }
    what = g_strdup_printf(
        "%s, every %" JSON_INTEGER_FORMAT " s: %s%s",
        vsmctl_text(watch, "snapshot"), vsmctl_int(watch, "seconds"),
        *result ? result : "no result yet",
        !*result || json_is_true(json_object_get(watch, "reported"))
            ? ""
            : ", not reported yet");
    vsmctl_print_field("watch", what);
    if (vsmctl_int(watch, "skipped") > 0) {
        g_autofree char *when = vsmctl_time(vsmctl_int(watch, "skip-time"));

        skipped = g_strdup_printf("%" JSON_INTEGER_FORMAT
                                  " looks, the last at %s: %s",
                                  vsmctl_int(watch, "skipped"), when,
                                  vsmctl_text(watch, "skip-reason"));
        vsmctl_print_field("skipped", skipped);
    }
}

static void print(const json_t *info)
{
    g_autofree char *pcrs = pcr_list(info);
    size_t i;
    json_t *id;

    vsmctl_print_member("VM", info, "uuid");
    vsmctl_print_member("manager", info, "id");
    vsmctl_print_member("doing", info, "state");
    vsmctl_print_member("attester", info, "attester");
    vsmctl_print_member("measured by", info, "measured-by");
    vsmctl_print_member("TPM", info, "tpm");
    vsmctl_print_member("PCR bank", info, "pcr-bank");
    vsmctl_print_field("boot PCRs", pcrs);
    vsmctl_print_member("boot policy", info, "boot-policy");
    vsmctl_print_field("boot approved", yes_no(info, "boot-approved"));
    vsmctl_print_field("boot measured", yes_no(info, "boot-measured"));
    vsmctl_print_field("require sealed", yes_no(info, "require-sealed"));
    vsmctl_print_member("on mismatch", info, "on-mismatch");
    print_watch(json_object_get(info, "watch"));
    vsmctl_print_member("hash", info, "hash-backend");
    vsmctl_print_member("hypervisor", info, "hypervisor");
    print_config(info);
    vsmctl_print_member("commit", info, "commit");
    json_array_foreach(json_object_get(info, "debris"), i, id)
    {
        vsmctl_print_field("debris", json_string_value(id));
    }
    vsmctl_print_member("last error", info, "last-error");
}

static int run(char **args, GError **error)
{
    g_autoptr(Qmp) qmp = NULL;
    json_auto_t *info = NULL;

    (void)args;
    if (vsmctl_options.daemon) {
        return daemon_status(error);
    }
    qmp = qmp_open_vm(error);
    info = qmp ? qmp_execute(qmp, "query-vsm", NULL, error) : NULL;
    if (!info) {
        return -1;
    }
    if (vsmctl_options.json) {
        vsmctl_print_json(info);
    } else {
        print(info);
    }
    return VSMCTL_MATCH;
}

const VsmctlCommand vsmctl_status = {
    .name = "status",
    .args = "",
    .summary = "show the VM's snapshot manager, its TPM and its keys",
    .text = "It says whether the host's boot is approved and measured, and "
            "what else a report would claim.\n\n"
            "With --daemon it shows the daemon and its host instead: TPM, "
            "boot state, the budget of NV writes, and each VM with its "
            "snapshots and its last error.",
    .options = options,
    .takes = VSMCTL_TAKES_QMP | VSMCTL_TAKES_DAEMON,
    .run = run,
};
