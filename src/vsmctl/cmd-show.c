/*
 * vsmctl show: all that is known of a sealed snapshot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/ask.h"
#include "vsmctl/output.h"
#include "vsmctl/request.h"
#include "vsmctl/snapshots.h"
#include "vsmctl/vsmctl.h"

static gboolean evidence;
static char *vm;

static const GOptionEntry options[] = {
    {"evidence", 0, 0, G_OPTION_ARG_NONE, &evidence,
     "Print the snapshot's metadata and what the attestation key signed when "
     "it was committed, for 'vsmctl verify --snapshot-evidence'",
     NULL},
    {"vm", 0, 0, G_OPTION_ARG_STRING, &vm, "With --evidence: the VM's UUID",
     "UUID"},
    {0},
};

/* The host has it, not the VM: it is asked, or opened where no VM uses it. */
static int run_evidence(const char *snapshot, GError **error)
{
    g_autofree char *uuid = NULL, *text = NULL;

    if (!vm) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "--vm UUID is missing: whose snapshot it is");
        return -1;
    }
    uuid = request_uuid(vm, error);
    if (!uuid || !ask_host(VSM_ADMIN_EVIDENCE, uuid, snapshot, &text, error) ||
        !write_text_file("-", text, error)) {
        return -1;
    }
    return VSMCTL_MATCH;
}

static void print(const json_t *entry)
{
    g_autofree char *time = vsmctl_time(vsmctl_int(entry, "time"));
    g_autofree char *size = vsmctl_size(vsmctl_int(entry, "vmstate-bytes"));

    vsmctl_print_member("tag", entry, "tag");
    vsmctl_print_member("id", entry, "id");
    vsmctl_print_field("sealed", time);
    vsmctl_print_field("size", size);
    vsmctl_print_field("verified",
                       json_is_true(json_object_get(entry, "verified")) ? "yes"
                                                                        : "NO");
    vsmctl_print_member("damaged", entry, "damaged");
    vsmctl_print_member("on disks", entry, "on-disks");
    vsmctl_print_member("state", entry, "state");
    vsmctl_print_member("stream", entry, "stream");
    vsmctl_print_member("scope", entry, "scope");
    vsmctl_print_member("no scope", entry, "scope-reason");
    vsmctl_print_member("metadata", entry, "metadata");
    vsmctl_print_member("seal key", entry, "ssk");
    vsmctl_print_member("sealed object", entry, "sealed");
    vsmctl_print_member("commit", entry, "commit");
}

static int run(char **args, GError **error)
{
    g_autoptr(Qmp) qmp = NULL;
    json_auto_t *entry = NULL;

    if (evidence) {
        return run_evidence(args[0], error);
    }
    qmp = qmp_open_vm(error);
    if (!qmp || !snapshots_find(qmp, args[0], &entry, error)) {
        return -1;
    }
    if (vsmctl_options.json) {
        vsmctl_print_json(entry);
    } else {
        print(entry);
    }
    return VSMCTL_MATCH;
}

const VsmctlCommand vsmctl_show = {
    .name = "show",
    .args = "SNAPSHOT",
    .summary = "show all that is known of a sealed snapshot",
    .text = "Digests are SHA-384 in hex; docs/formats.md says of what.\n\n"
            "--evidence needs no VM: it asks the daemon (--daemon), or opens "
            "the state directory, which no running VM may use.",
    .options = options,
    .takes = VSMCTL_TAKES_QMP | VSMCTL_TAKES_HOST | VSMCTL_TAKES_DAEMON,
    .n_args_min = 1,
    .n_args_max = 1,
    .run = run,
};
