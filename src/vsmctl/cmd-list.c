/*
 * vsmctl list: the VM's sealed snapshots.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "vsmctl/output.h"
#include "vsmctl/qmp.h"
#include "vsmctl/vsmctl.h"

/* What a user should look at, if anything. */
static const char *note_on(const json_t *entry)
{
    const char *on_disks = vsmctl_text(entry, "on-disks");

    if (!json_is_true(json_object_get(entry, "verified"))) {
        return "  DAMAGED";
    }
    if (strcmp(on_disks, "orphaned") == 0) {
        return "  ORPHANED: on no disk";
    }
    return strcmp(on_disks, "partial") == 0
               ? "  PARTIAL: a disk lacks it, or has it twice"
               : "";
}

static void print_row(const json_t *entry)
{
    g_autofree char *time = vsmctl_time(vsmctl_int(entry, "time"));
    g_autofree char *id = vsmctl_escape(vsmctl_text(entry, "id"));
    g_autofree char *tag = vsmctl_escape(vsmctl_text(entry, "tag"));
    g_autofree char *size = vsmctl_size(vsmctl_int(entry, "vmstate-bytes"));

    printf("%-32s  %-23s  %10s  %s%s\n", id, time, size, tag, note_on(entry));
}

static int run(char **args, GError **error)
{
    g_autoptr(Qmp) qmp = qmp_open_vm(error);
    json_auto_t *list = NULL;
    size_t i;
    json_t *entry;

    (void)args;
    list = qmp ? qmp_execute(qmp, "query-vsm-snapshots", NULL, error) : NULL;
    if (!list) {
        return -1;
    }
    if (vsmctl_options.json) {
        vsmctl_print_json(list);
        return VSMCTL_MATCH;
    }
    if (json_array_size(list) == 0) {
        puts("no sealed snapshots");
        return VSMCTL_MATCH;
    }
    printf("%-32s  %-23s  %10s  %s\n", "ID", "SEALED", "SIZE", "TAG");
    json_array_foreach(list, i, entry)
    {
        print_row(entry);
    }
    return VSMCTL_MATCH;
}

const VsmctlCommand vsmctl_list = {
    .name = "list",
    .args = "",
    .summary = "list the VM's sealed snapshots",
    .text = "Oldest first. Snapshots that were never sealed are not in it: "
            "qemu-img snapshot -l or HMP's 'info snapshots' show them.",
    .takes = VSMCTL_TAKES_QMP,
    .run = run,
};
