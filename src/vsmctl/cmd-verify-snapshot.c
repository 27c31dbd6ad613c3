/*
 * vsmctl verify-snapshot: check a snapshot's stored bytes, with the VM's QEMU
 * or, on an image, without.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/admin.h>

#include "vsmctl/answer.h"
#include "vsmctl/emulator.h"
#include "vsmctl/request.h"
#include "vsmctl/vsmctl.h"

#define DEFAULT_EMULATOR "qemu-system-x86_64"

static char *image, *uuid, *emulator, *attester;

static const GOptionEntry options[] = {
    {"image", 0, 0, G_OPTION_ARG_FILENAME, &image,
     "Check in this qcow2 image, whose VM does not run", "FILE"},
    {"vm", 0, 0, G_OPTION_ARG_STRING, &uuid,
     "With --image: the UUID of the VM that made the snapshot", "UUID"},
    {"emulator", 0, 0, G_OPTION_ARG_FILENAME, &emulator,
     "With --image: QEMU with VSM (default: " DEFAULT_EMULATOR ")", "PROGRAM"},
    {"attester", 0, 0, G_OPTION_ARG_STRING, &attester,
     "With --image and --daemon: the daemon's socket for hypervisors (default: "
     "unix:" VSM_ATTESTER_SOCKET ")",
     "unix:PATH"},
    {0},
};

static int refuse(GError **error, const char *why)
{
    g_set_error_literal(error, VSM_ERROR, VSM_ERROR_INVALID, why);
    return -1;
}

static int run_on_image(const char *snapshot, GError **error)
{
    g_autofree char *vm = NULL;
    EmulatorOptions wanted = {emulator ? emulator : DEFAULT_EMULATOR, image,
                              NULL, NULL};
    g_autoptr(Emulator) running = NULL;

    if (vsmctl_options.request || vsmctl_options.nonce ||
        vsmctl_options.recipient || vsmctl_options.out) {
        return refuse(error, "without the VM nothing is unsealed, so there is "
                             "no report: --image goes without --request, "
                             "--nonce, --recipient and --out");
    }
    if (!uuid || !snapshot) {
        return refuse(error, "--image needs --vm UUID and the snapshot's name");
    }
    if (vsmctl_options.daemon) {
        wanted.attester = attester ? attester : "unix:" VSM_ATTESTER_SOCKET;
    } else if (!vsmctl_options.tcti || !vsmctl_options.state_dir) {
        return refuse(error, "--image needs --tcti and --state-dir, or "
                             "--daemon: who sealed the snapshot");
    }
    vm = request_uuid(uuid, error);
    if (!vm) {
        return -1;
    }
    wanted.uuid = vm;
    running = emulator_start(&wanted, error);
    return running ? answer_run_unsealed(emulator_qmp(running), snapshot, error)
                   : -1;
}

static int run(char **args, GError **error)
{
    if (image) {
        return run_on_image(args[0], error);
    }
    if (uuid || emulator || attester || vsmctl_options.tcti ||
        vsmctl_options.state_dir || vsmctl_options.secret ||
        vsmctl_options.pcrs || vsmctl_options.allow_unmeasured_boot ||
        vsmctl_options.daemon) {
        return refuse(error, "these options go with --image: a running VM has "
                             "its own");
    }
    return answer_run("verify", "vsm-verify", NULL, NULL, args[0], error);
}

const VsmctlCommand vsmctl_verify_snapshot = {
    .name = "verify-snapshot",
    .args = "[SNAPSHOT]",
    .summary = "check a snapshot's stored bytes against what was sealed",
    .text = "VM and disks are not touched and the guest runs on. Damage is a "
            "mismatch; the lines that follow say where.\n\n"
            "With --image the VM need not run: an emulator without a machine "
            "opens the image read-only, and signature, catalogue, commit index "
            "and every stored byte are checked. The TPM is not asked to "
            "release the digest, because no such VM is there (unsealed: "
            "false), so nothing is signed.",
    .options = options,
    .takes = VSMCTL_TAKES_QMP | VSMCTL_TAKES_REQUEST | VSMCTL_TAKES_HOST |
             VSMCTL_TAKES_DAEMON,
    .n_args_max = 1,
    .run = run,
};
