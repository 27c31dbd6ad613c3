/*
 * vsmctl verify-snapshot: check a snapshot's stored bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/answer.h"
#include "vsmctl/vsmctl.h"

static int run(char **args, GError **error)
{
    return answer_run("verify", "vsm-verify", NULL, args[0], error);
}

const VsmctlCommand vsmctl_verify_snapshot = {
    .name = "verify-snapshot",
    .args = "[SNAPSHOT]",
    .summary = "check a snapshot's stored bytes against what was sealed",
    .text = "VM and disks are not touched and the guest runs on. Damage is a "
            "mismatch; the lines that follow say where.",
    .takes = VSMCTL_TAKES_QMP | VSMCTL_TAKES_REQUEST,
    .n_args_max = 1,
    .run = run,
};
