/*
 * vsmctl rollback: verify a snapshot, load it, verify what was loaded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/answer.h"
#include "vsmctl/vsmctl.h"

static int run(char **args, GError **error)
{
    return answer_run("rollback", "vsm-rollback", NULL, NULL, args[0], error);
}

const VsmctlCommand vsmctl_rollback = {
    .name = "rollback",
    .args = "[SNAPSHOT]",
    .summary = "verify a snapshot, load it, and verify what was loaded",
    .text = "All stored bytes are checked first, while the guest runs on: a "
            "refusal leaves VM and disks as they are. If anything fails after "
            "the disks went back, the VM stays stopped where 'cont' is "
            "refused, and the error says so.",
    .takes = VSMCTL_TAKES_QMP | VSMCTL_TAKES_REQUEST,
    .n_args_max = 1,
    .run = run,
};
