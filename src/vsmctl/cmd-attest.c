/*
 * vsmctl attest: measure the VM as it is now against a sealed snapshot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/answer.h"
#include "vsmctl/vsmctl.h"

static char *scope;

static const GOptionEntry options[] = {
    {"scope", 0, 0, G_OPTION_ARG_STRING, &scope,
     "What is measured: full (default) or runtime", "SCOPE"},
    {0},
};

static int run(char **args, GError **error)
{
    return answer_run("attest", "vsm-attest", scope, args[0], error);
}

const VsmctlCommand vsmctl_attest = {
    .name = "attest",
    .args = "[SNAPSHOT]",
    .summary = "measure the VM as it is now against a sealed snapshot",
    .text = "All RAM, vCPUs and devices are measured and compared with what "
            "was sealed; a running guest is paused meanwhile. A guest that "
            "ran since the snapshot never matches.\n\n"
            "What is shown here is what the VM's own process says. A remote "
            "verifier relies on the report alone, which --out keeps: see "
            "request and verify. With a recipient the result is in the report "
            "only, and the exit code is 5.",
    .options = options,
    .takes = VSMCTL_TAKES_QMP | VSMCTL_TAKES_REQUEST,
    .n_args_max = 1,
    .run = run,
};
