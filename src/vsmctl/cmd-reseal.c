/*
 * vsmctl reseal: bind snapshots to another hypervisor or configuration.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "vsmctl/operator.h"
#include "vsmctl/output.h"
#include "vsmctl/target.h"
#include "vsmctl/vsmctl.h"

#define IDENTITY_BYTES_MAX (256u * 1024)

static char *identity_path;

static const GOptionEntry options[] = {
    {"identity", 0, 0, G_OPTION_ARG_FILENAME, &identity_path,
     "What the VM is from now on: the output of 'vsmctl status --json' of the "
     "VM under the new hypervisor or configuration",
     "FILE"},
    OPERATOR_ENTRIES,
    {0},
};

typedef struct {
    Target target;
    const char *uuid, *config;
    VsmDigest hypervisor;
    const char *const *snapshots;
    guint n;
} Act;

static bool begin(gpointer opaque, GBytes **ret_request, GError **error)
{
    Act *act = opaque;

    return target_reseal_begin(&act->target, act->uuid, act->snapshots,
                               &act->hypervisor, act->config, ret_request,
                               error);
}

static bool finish(gpointer opaque, GBytes *signature, GError **error)
{
    Act *act = opaque;

    return target_reseal_finish(&act->target, signature, &act->n, error);
}

static void abort_act(gpointer opaque)
{
    Act *act = opaque;

    target_abort(&act->target);
}

static bool parse_digest(const char *hex, VsmDigest *ret)
{
    if (strlen(hex) != 2 * sizeof(ret->b)) {
        return false;
    }
    for (gsize i = 0; i < sizeof(ret->b); i++) {
        int high = g_ascii_xdigit_value(hex[2 * i]);
        int low = g_ascii_xdigit_value(hex[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        ret->b[i] = high << 4 | low;
    }
    return true;
}

/* @act borrows from the result. */
static json_t *load_identity(Act *act, GError **error)
{
    g_autofree char *text = NULL;
    json_auto_t *object = NULL;
    gsize bytes = 0;

    if (!identity_path) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "--identity is needed: what the VM is from now on");
        return NULL;
    }
    if (!g_file_get_contents(identity_path, &text, &bytes, error)) {
        return NULL;
    }
    object = bytes <= IDENTITY_BYTES_MAX
                 ? json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL)
                 : NULL;
    act->uuid = vsmctl_text(object, "uuid");
    act->config = vsmctl_text(object, "config-text");
    if (!*act->uuid || !*act->config ||
        !parse_digest(vsmctl_text(object, "hypervisor"), &act->hypervisor)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "%s: not the output of 'vsmctl status --json' of a VM",
                    identity_path);
        return NULL;
    }
    return g_steal_pointer(&object);
}

static void print_done(const Act *act)
{
    g_autofree char *text = g_strdup_printf("%u snapshots", act->n);
    json_auto_t *object =
        json_pack("{s:b, s:i}", "done", 1, "resealed", (int)act->n);

    if (vsmctl_options.json) {
        vsmctl_print_json(object);
    } else {
        vsmctl_print_field("resealed", text);
    }
}

static int run(char **args, GError **error)
{
    Act act = {.snapshots = (const char *const *)args};
    json_auto_t *identity = NULL;
    OperatorAct steps = {begin, finish, abort_act, false};
    bool finish_only = operator_options.finish && !operator_options.begin &&
                       !operator_options.key;
    bool done, ok;

    if (!finish_only) {
        identity = load_identity(&act, error);
        if (!identity) {
            return -1;
        }
    }
    if (!target_open(&act.target, error)) {
        return -1;
    }
    steps.stays = target_stays(&act.target);
    ok = operator_run(&steps, &act, &done, error);
    target_clear(&act.target);
    if (!ok) {
        return -1;
    }
    if (done) {
        print_done(&act);
    }
    return VSMCTL_MATCH;
}

const VsmctlCommand vsmctl_reseal = {
    .name = "reseal",
    .args = "[SNAPSHOT...]",
    .summary = "bind snapshots to another QEMU or VM configuration",
    .text =
        "A snapshot is bound to the files of the QEMU that saved it, and to "
        "the VM's configuration. After an intended change the operator can "
        "bind a VM's snapshots (all, or those named) anew: each sealed digest "
        "is unsealed under what held before, sealed under what shall hold, and "
        "all are committed as one. Reports say that a snapshot was resealed, "
        "with the operator's signature.\n\n"
        "The identity comes from the VM started under the new QEMU or "
        "configuration ('vsmctl status --json'). Compare its hypervisor digest "
        "with one that you know, from another machine with the same packages: "
        "what you sign is what later matches. Without the daemon the VM must "
        "be off.\n\n"
        "--key, --begin and --finish are as those of policy.",
    .options = options,
    .takes = VSMCTL_TAKES_HOST | VSMCTL_TAKES_DAEMON,
    .n_args_max = 128,
    .run = run,
};
