/*
 * vsmctl policy: which boot states of the host are approved.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>
#include <vsm/operator.h>

#include "vsmctl/operator.h"
#include "vsmctl/output.h"
#include "vsmctl/states.h"
#include "vsmctl/target.h"
#include "vsmctl/vsmctl.h"

#define PCRS 24

static gboolean current;
static char *states_path;
static int keep;

static const GOptionEntry options[] = {
    {"current", 0, 0, G_OPTION_ARG_NONE, &current,
     "approve: the state that the host has booted (default)", NULL},
    {"states", 0, 0, G_OPTION_ARG_FILENAME, &states_path,
     "approve: the states in this file, such as another host's 'policy show "
     "--json'",
     "FILE"},
    {"keep", 0, 0, G_OPTION_ARG_INT, &keep,
     "approve: how many earlier states stay approved, the latest first "
     "(default: 0; 8 in all)",
     "N"},
    OPERATOR_ENTRIES,
    {0},
};

/* --- show and diff ---------------------------------------------------- */

static BootState *load(Target *target, GError **error)
{
    g_autoptr(GVariant) answer = NULL;

    return target_boot_state(target, &answer, error) ? boot_state_new(answer)
                                                     : NULL;
}

static void print_json(const BootState *boot)
{
    json_t *approved = json_array();
    json_auto_t *object = NULL;

    for (guint i = 0; i < boot->approved->len; i++) {
        const State *state = boot->approved->pdata[i];
        json_t *entry = state_json(state);

        json_object_set_new(entry, "time", json_integer(state->time));
        json_array_append_new(approved, entry);
    }
    object = json_pack("{s:s, s:b, s:o, s:o}", "boot_policy", boot->policy,
                       "boot_approved", boot->is_approved, "approved", approved,
                       "current", state_json(boot->current));
    vsmctl_print_json(object);
}

static void print_state(const State *state)
{
    for (guint pcr = 0; pcr < PCRS; pcr++) {
        g_autofree char *value = state_value(state, pcr);
        g_autofree char *label = g_strdup_printf("PCR %u", pcr);

        vsmctl_print_field(label, value);
    }
}

static int show(Target *target, GError **error)
{
    g_autoptr(BootState) boot = load(target, error);

    if (!boot) {
        return -1;
    }
    if (vsmctl_options.json) {
        print_json(boot);
        return VSMCTL_MATCH;
    }
    vsmctl_print_field("boot policy", boot->policy);
    if (strcmp(boot->policy, "operator") == 0) {
        vsmctl_print_field("this boot",
                           boot->is_approved ? "approved" : "NOT approved");
    }
    for (guint i = 0; i < boot->approved->len; i++) {
        const State *state = boot->approved->pdata[i];
        g_autofree char *label = g_strdup_printf("approved %u", i + 1);
        g_autofree char *time = vsmctl_time(state->time);
        g_autofree char *text = g_strdup_printf(
            "%s%s", time,
            state_equal(state, boot->current) ? ", as booted now" : "");

        vsmctl_print_field(label, text);
    }
    vsmctl_print_field("bank", boot->current->bank);
    print_state(boot->current);
    return VSMCTL_MATCH;
}

/* Returns how many PCRs differ. */
static guint print_differences(const State *was, const State *now)
{
    guint differ = 0;

    for (guint pcr = 0; pcr < PCRS; pcr++) {
        g_autofree char *before = state_value(was, pcr);
        g_autofree char *after = state_value(now, pcr);
        g_autofree char *label = g_strdup_printf("PCR %u", pcr);

        if (g_strcmp0(before, after) == 0) {
            vsmctl_print_field(label, before ? "same" : NULL);
            continue;
        }
        differ++;
        vsmctl_print_field(label, before ? before : "not bound");
        vsmctl_print_field("  now", after ? after : "not bound");
    }
    return differ;
}

static int diff(Target *target, GError **error)
{
    g_autoptr(BootState) boot = load(target, error);
    const State *was;
    g_autofree char *time = NULL;

    if (!boot) {
        return -1;
    }
    if (!boot->approved->len) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "there is no approved boot state to compare with (boot "
                    "policy %s)",
                    boot->policy);
        return -1;
    }
    if (vsmctl_options.json) {
        print_json(boot);
        return boot->is_approved ? VSMCTL_MATCH : VSMCTL_MISMATCH;
    }
    was = boot->approved->pdata[0];
    for (guint i = 0; i < boot->approved->len; i++) {
        if (state_equal(boot->approved->pdata[i], boot->current)) {
            was = boot->approved->pdata[i];
        }
    }
    time = vsmctl_time(was->time);
    vsmctl_print_field("approved", time);
    return print_differences(was, boot->current) ? VSMCTL_MISMATCH
                                                 : VSMCTL_MATCH;
}

/* --- approve and revoke ----------------------------------------------- */

typedef struct {
    Target target;
    GVariant *states;
    guint number; /* revoke; 0: approve */
} Act;

static bool begin(gpointer opaque, GBytes **ret_request, GError **error)
{
    Act *act = opaque;

    return act->number ? target_revoke_begin(&act->target, act->number,
                                             ret_request, error)
                       : target_approve_begin(&act->target, act->states, keep,
                                              ret_request, error);
}

static bool finish(gpointer opaque, GBytes *signature, GError **error)
{
    Act *act = opaque;

    return target_approve_finish(&act->target, signature, error);
}

static void abort_act(gpointer opaque)
{
    Act *act = opaque;

    target_abort(&act->target);
}

static int run_act(Act *act, const char *done_text, GError **error)
{
    const OperatorAct steps = {begin, finish, abort_act,
                               target_stays(&act->target)};
    bool done;

    if (!operator_run(&steps, act, &done, error)) {
        return -1;
    }
    if (done && vsmctl_options.json) {
        json_auto_t *object = json_pack("{s:b}", "done", 1);

        vsmctl_print_json(object);
    } else if (done) {
        vsmctl_print_field("done", done_text);
    }
    return VSMCTL_MATCH;
}

static int approve(Target *target, GError **error)
{
    g_autoptr(GVariant) states = NULL;
    Act act = {.target = *target};

    if (keep < 0 || keep > 7 || (current && states_path)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "--keep is 0 to 7; give --current or --states, not both");
        return -1;
    }
    if (states_path) {
        states = states_load(states_path, error);
        if (!states) {
            return -1;
        }
        act.states = states;
    }
    return run_act(&act, "the boot state is approved", error);
}

static int revoke_states(Target *target, const char *which, GError **error)
{
    Act act = {.target = *target};
    guint64 number;

    if (strcmp(which, "all") == 0) {
        act.number = G_MAXUINT32;
    } else if (g_ascii_string_to_unsigned(which, 10, 1, 8, &number, NULL)) {
        act.number = number;
    } else {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "revoke needs the number of a state, as show has it, or "
                    "all");
        return -1;
    }
    return run_act(&act, "the boot state is approved no more", error);
}

/* --- sign: where the operator's key is --------------------------------- */

static int sign(char **args, GError **error)
{
    g_autoptr(GBytes) request = operator_read(args[0], error);
    g_autoptr(GBytes) signature = NULL;
    json_auto_t *asked = request ? operator_describe(request, error) : NULL;

    if (!asked || (!vsmctl_options.json && !operator_print(request, error))) {
        return -1;
    }
    if (!operator_options.key) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "--key is needed: the operator's private key");
        return -1;
    }
    if (vsmctl_options.json) {
        vsmctl_show_before(asked);
    }
    if (!vsm_operator_sign(request, operator_options.key, &signature, error) ||
        !operator_write(args[1], signature, error)) {
        return -1;
    }
    if (vsmctl_options.json) {
        json_auto_t *object =
            json_pack("{s:s, s:O}", "signature", args[1], "request", asked);

        vsmctl_print_json(object);
    }
    return VSMCTL_MATCH;
}

static int run(char **args, GError **error)
{
    g_auto(Target) target = {NULL};
    const char *verb = args[0];
    guint n = g_strv_length(args + 1);

    if (strcmp(verb, "sign") == 0 && n == 2) {
        return sign(args + 1, error);
    }
    if (n != (strcmp(verb, "revoke") == 0 ? 1u : 0u) ||
        !(strcmp(verb, "show") == 0 || strcmp(verb, "diff") == 0 ||
          strcmp(verb, "approve") == 0 || strcmp(verb, "revoke") == 0)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "policy show, diff, approve, revoke NUMBER|all, or sign "
                    "REQUEST SIGNATURE");
        return -1;
    }
    if (!target_open(&target, error)) {
        return -1;
    }
    switch (*verb) {
    case 's':
        return show(&target, error);
    case 'd':
        return diff(&target, error);
    case 'a':
        return approve(&target, error);
    default:
        return revoke_states(&target, args[1], error);
    }
}

const VsmctlCommand vsmctl_policy = {
    .name = "policy",
    .args = "show|diff|approve|revoke NUMBER|all|sign REQUEST SIGNATURE",
    .verbs = "show diff approve revoke sign",
    .summary = "show, approve and revoke boot states of the host",
    .text =
        "A snapshot is usable only on a host that booted as its operator "
        "approved. After an update of firmware, boot loader or kernel, diff "
        "says PCR by PCR what changed, and approve makes all snapshots usable "
        "again; nothing is sealed anew. What was approved before is dead, "
        "unless --keep holds it.\n\n"
        "Only the operator's signature approves: --key signs at once, with a "
        "key in a file or in a PKCS #11 token. Better, the key never touches "
        "the host: --begin writes a request, 'policy sign' (or openssl dgst, "
        "over REQUEST.tosign) signs it elsewhere, and --finish takes the "
        "signature. Without the daemon one command does both, and waits for "
        "the signature. A request lives for 10 minutes and serves once.\n\n"
        "diff exits with 1 when a PCR differs. Without an operator's key at "
        "set-up the boot policy is frozen, and nothing can be approved.",
    .options = options,
    .takes = VSMCTL_TAKES_HOST | VSMCTL_TAKES_DAEMON,
    .n_args_min = 1,
    .n_args_max = 3,
    .run = run,
};
