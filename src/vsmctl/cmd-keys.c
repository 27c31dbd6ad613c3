/*
 * vsmctl keys: a host's public keys, for verifiers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "vsmctl/ask.h"
#include "vsmctl/host.h"
#include "vsmctl/output.h"
#include "vsmctl/vsmctl.h"

static gboolean allow_in_process, jwks;

static const GOptionEntry options[] = {
    {"allow-in-process", 0, 0, G_OPTION_ARG_NONE, &allow_in_process,
     "Let verify trust keys of an attester inside QEMU's process: for tests "
     "and single VMs",
     NULL},
    {"jwks", 0, 0, G_OPTION_ARG_NONE, &jwks,
     "Print the report key as a JWK set, for other JOSE tools", NULL},
    {0},
};

static void print_jwks(json_t *entry)
{
    json_auto_t *set =
        json_pack("{s:[O]}", "keys", json_object_get(entry, "rk_jwk"));

    vsmctl_print_json(set);
}

static bool daemon_keys(json_t **ret, GError **error)
{
    g_autoptr(GVariant) answer = NULL;
    const char *text;

    if (!ask_daemon(VSM_ADMIN_KEYS, g_variant_new("()"), "(s)", &answer,
                    error)) {
        return false;
    }
    g_variant_get(answer, "(&s)", &text);
    *ret = json_loads(text, 0, NULL);
    if (!*ret) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "the daemon's keys are not JSON");
        return false;
    }
    return true;
}

static int run(char **args, GError **error)
{
    json_auto_t *file = NULL;
    json_t *entry;

    (void)args;
    if (!(vsmctl_options.daemon ? daemon_keys(&file, error)
                                : host_keys(NULL, &file, error))) {
        return -1;
    }
    entry = json_array_get(json_object_get(file, "hosts"), 0);
    if (jwks) {
        print_jwks(entry);
        return VSMCTL_MATCH;
    }
    if (allow_in_process) {
        json_object_set_new(entry, "allow_in_process", json_true());
    } else if (strcmp(vsmctl_text(entry, "attester"), "in-process") == 0) {
        fputs("vsmctl: note: verify refuses these keys, as they are used "
              "inside QEMU's process;\n        --allow-in-process makes an "
              "entry that it trusts\n",
              stderr);
    }
    vsmctl_print_json(file);
    return VSMCTL_MATCH;
}

const VsmctlCommand vsmctl_keys = {
    .name = "keys",
    .args = "",
    .summary = "print a host's public keys and boot state, for verifiers",
    .text = "The output is a trust file for verify. Take it to the verifier "
            "over a way that you trust: whoever changes it on the way decides "
            "what is believed. The state directory must not be in use by a "
            "running VM; a daemon that runs is asked with --daemon.",
    .options = options,
    .takes = VSMCTL_TAKES_HOST | VSMCTL_TAKES_DAEMON,
    .run = run,
};
