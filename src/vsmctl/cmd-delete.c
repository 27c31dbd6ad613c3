/*
 * vsmctl delete: delete a snapshot and its record.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/jobs.h"
#include "vsmctl/output.h"
#include "vsmctl/snapshots.h"
#include "vsmctl/vsmctl.h"

static int run(char **args, GError **error)
{
    g_autoptr(Qmp) qmp = qmp_open_vm(error);
    json_auto_t *entry = NULL;
    json_t *devices = NULL;
    g_autofree char *vmstate = NULL;

    if (!qmp || !snapshots_find(qmp, args[0], &entry, error) ||
        !snapshots_disks(qmp, &devices, &vmstate, error)) {
        return -1;
    }
    if (!vsmctl_job(qmp, "snapshot-delete",
                    json_pack("{s:s, s:o}", "tag", vsmctl_text(entry, "tag"),
                              "devices", devices),
                    "delete", NULL, error)) {
        return -1;
    }
    if (vsmctl_options.json) {
        vsmctl_print_json(entry);
    } else {
        vsmctl_print_member("deleted", entry, "tag");
        vsmctl_print_member("id", entry, "id");
    }
    return VSMCTL_MATCH;
}

const VsmctlCommand vsmctl_delete = {
    .name = "delete",
    .args = "SNAPSHOT",
    .summary = "delete a snapshot and its sealed record",
    .text = "The record goes first, in one step with the TPM's commit index; "
            "then the entries on the disks.",
    .takes = VSMCTL_TAKES_QMP,
    .n_args_min = 1,
    .n_args_max = 1,
    .run = run,
};
