/*
 * vsmctl setup: make keys, index and secret on a host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/host.h"
#include "vsmctl/output.h"
#include "vsmctl/vsmctl.h"
#include "vsmctl/waiting.h"

static char *operator_key, *destroy;

static const GOptionEntry options[] = {
    {"operator-key", 0, 0, G_OPTION_ARG_FILENAME, &operator_key,
     "Public key, PEM, that approves boot states (default: none, the boot "
     "state is frozen)",
     "FILE"},
    {"destroy", 0, 0, G_OPTION_ARG_STRING, &destroy,
     "Free the TPM's indices and keys of this host, and remove the store: all "
     "snapshots are lost.  HOST is its id, as set-up prints it",
     "HOST"},
    {0},
};

/* A store that the TPM does not bear out can be destroyed, too. */
static bool destroy_host(GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();
    VsmHostOptions host_options;
    g_autoptr(VsmHost) host = NULL;

    if (!host_options_fill(&host_options, error)) {
        return false;
    }
    host = vsm_host_open(&host_options, NULL);
    if (!host) {
        host = vsm_host_open_to_adopt(&host_options, error);
    }
    return host && vsm_host_destroy(host, destroy, error);
}

static int run_destroy(GError **error)
{
    if (!destroy_host(error)) {
        return -1;
    }
    if (vsmctl_options.json) {
        json_auto_t *object =
            json_pack("{s:s}", "destroyed", vsmctl_options.state_dir);

        vsmctl_print_json(object);
    } else {
        vsmctl_print_field("destroyed", vsmctl_options.state_dir);
    }
    return VSMCTL_MATCH;
}

static int run(char **args, GError **error)
{
    json_auto_t *file = NULL;
    const json_t *entry;

    (void)args;
    if (destroy) {
        return run_destroy(error);
    }
    if (!host_keys(operator_key, &file, error)) {
        return -1;
    }
    entry = json_array_get(json_object_get(file, "hosts"), 0);
    if (vsmctl_options.json) {
        vsmctl_print_json(entry);
        return VSMCTL_MATCH;
    }
    vsmctl_print_field("ready", vsmctl_options.state_dir);
    vsmctl_print_member("host", entry, "host_id");
    vsmctl_print_member("attestation key", entry, "ak_name");
    vsmctl_print_member("report key", entry, "rk_name");
    vsmctl_print_member("boot policy", entry, "boot_policy");
    return VSMCTL_MATCH;
}

const VsmctlCommand vsmctl_setup = {
    .name = "setup",
    .args = "",
    .summary = "make the keys, the commit index and the secret on a host",
    .text = "Makes what is absent and changes nothing that is there, so it "
            "may be repeated; QEMU does the same at its first start. The "
            "state directory must not be in use by a running VM.\n\n"
            "Without an operator's key the boot state is frozen: after a "
            "firmware or boot loader update older snapshots cannot be "
            "verified. No operator key is ever made on the host.\n\n"
            "--destroy is the way back. Keys are shared by all stores with the "
            "same secret: destroy the last of them only.",
    .options = options,
    .takes = VSMCTL_TAKES_HOST,
    .run = run,
};
