/*
 * vsmctl attest: measure the VM as it is now against a sealed snapshot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "vsmctl/answer.h"
#include "vsmctl/vsmctl.h"

static char *scope, *profile;
static gboolean runtime;

static const GOptionEntry options[] = {
    {"scope", 0, 0, G_OPTION_ARG_STRING, &scope,
     "What is measured: full (default) or runtime", "SCOPE"},
    {"runtime", 'r', 0, G_OPTION_ARG_NONE, &runtime,
     "The same as --scope runtime", NULL},
    {"profile", 0, 0, G_OPTION_ARG_STRING, &profile,
     "What scope runtime bears: standard (default) or strict", "PROFILE"},
    {0},
};

static int run(char **args, GError **error)
{
    if (runtime && scope && strcmp(scope, "runtime") != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "--runtime is --scope runtime: give one of them");
        return -1;
    }
    return answer_run("attest", "vsm-attest", runtime ? "runtime" : scope,
                      profile, args[0], error);
}

const VsmctlCommand vsmctl_attest = {
    .name = "attest",
    .args = "[SNAPSHOT]",
    .summary = "measure the VM as it is now against a sealed snapshot",
    .text = "All RAM, vCPUs and devices are measured and compared with what "
            "was sealed; a running guest is paused meanwhile. A guest that "
            "ran since the snapshot never matches. With --runtime only what "
            "must not change in a running guest is measured: code and "
            "read-only data of its kernel, the page tables that map them, "
            "control registers, firmware. What it does not catch is said in "
            "docs/runtime-scope.md.\n\n"
            "What is shown here is what the VM's own process says. A remote "
            "verifier relies on the report alone, which --out keeps: see "
            "request and verify. With a recipient the result is in the report "
            "only, and the exit code is 5.",
    .options = options,
    .takes = VSMCTL_TAKES_QMP | VSMCTL_TAKES_REQUEST,
    .n_args_max = 1,
    .run = run,
};
