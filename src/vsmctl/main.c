/*
 * vsmctl: the one table of subcommands, and how one is run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <vsm/admin.h>

#include "vsmctl/output.h"
#include "vsmctl/vsmctl.h"

const VsmctlCommand *const vsmctl_commands[] = {
    &vsmctl_setup,    &vsmctl_keys,
    &vsmctl_enroll,   &vsmctl_trust,
    &vsmctl_status,   &vsmctl_snapshot,
    &vsmctl_list,     &vsmctl_show,
    &vsmctl_attest,   &vsmctl_verify_snapshot,
    &vsmctl_rollback, &vsmctl_delete,
    &vsmctl_request,  &vsmctl_verify,
    &vsmctl_policy,   &vsmctl_reseal,
    &vsmctl_adopt,    &vsmctl_vm,
    &vsmctl_watch,    NULL,
};

VsmctlOptions vsmctl_options;

static gboolean help_wanted;

const GOptionEntry vsmctl_common_entries[] = {
    {"json", 0, 0, G_OPTION_ARG_NONE, &vsmctl_options.json,
     "Print JSON, for programs", NULL},
    {"help", 'h', 0, G_OPTION_ARG_NONE, &help_wanted, "Describe the subcommand",
     NULL},
    {0},
};

const GOptionEntry vsmctl_qmp_entries[] = {
    {"qmp", 'q', 0, G_OPTION_ARG_FILENAME, &vsmctl_options.qmp,
     "The VM's QMP socket (default: the environment's VSM_QMP)", "PATH"},
    {"domain", 'd', 0, G_OPTION_ARG_STRING, &vsmctl_options.domain,
     "The VM is this domain of libvirt; virsh is used", "NAME"},
    {"connect", 'c', 0, G_OPTION_ARG_STRING, &vsmctl_options.connect,
     "With --domain: libvirt's connection (default: virsh's)", "URI"},
    {0},
};

const GOptionEntry vsmctl_host_entries[] = {
    {"tcti", 0, 0, G_OPTION_ARG_STRING, &vsmctl_options.tcti,
     "How the host's TPM is reached, such as device:/dev/tpmrm0", "TCTI"},
    {"state-dir", 0, 0, G_OPTION_ARG_FILENAME, &vsmctl_options.state_dir,
     "The folder of sealed records", "DIR"},
    {"secret", 0, 0, G_OPTION_ARG_FILENAME, &vsmctl_options.secret,
     "The host secret, outside the state directory (default: "
     "/etc/vsm/secret)",
     "FILE"},
    {"pcrs", 0, 0, G_OPTION_ARG_STRING, &vsmctl_options.pcrs,
     "PCRs that stand for the host's boot state (default: 0-7, and 8, 9, 11 if "
     "they have a value)",
     "LIST"},
    {"allow-unmeasured-boot", 0, 0, G_OPTION_ARG_NONE,
     &vsmctl_options.allow_unmeasured_boot,
     "Accept PCRs that are all zero; each report says so", NULL},
    {0},
};

static gboolean
take_daemon(const char *name, const char *value, gpointer data, GError **error)
{
    (void)name;
    (void)data;
    (void)error;
    g_free(vsmctl_options.daemon);
    vsmctl_options.daemon = g_strdup(value ? value : VSM_ADMIN_SOCKET);
    return TRUE;
}

const GOptionEntry vsmctl_daemon_entries[] = {
    {"daemon", 0, G_OPTION_FLAG_OPTIONAL_ARG, G_OPTION_ARG_CALLBACK,
     (gpointer)take_daemon,
     "Ask the daemon vsmd over its admin socket (default: " VSM_ADMIN_SOCKET
     "). A word that follows is taken for SOCKET: without one, --daemon stands "
     "last or before another option",
     "SOCKET"},
    {0},
};

const GOptionEntry vsmctl_request_entries[] = {
    {"request", 0, 0, G_OPTION_ARG_FILENAME, &vsmctl_options.request,
     "Answer the request in this file, as 'vsmctl request' writes it", "FILE"},
    {"nonce", 0, 0, G_OPTION_ARG_STRING, &vsmctl_options.nonce,
     "The verifier's nonce, base64url of 8 to 64 bytes (default: a new one)",
     "TEXT"},
    {"recipient", 0, 0, G_OPTION_ARG_FILENAME, &vsmctl_options.recipient,
     "Encrypt the report for this public EC key, a JWK", "FILE"},
    {"out", 'o', 0, G_OPTION_ARG_FILENAME, &vsmctl_options.out,
     "Write the report to this file (-: standard output)", "FILE"},
    {0},
};

static const VsmctlCommand *find_command(const char *name)
{
    for (guint i = 0; vsmctl_commands[i]; i++) {
        if (strcmp(vsmctl_commands[i]->name, name) == 0) {
            return vsmctl_commands[i];
        }
    }
    return NULL;
}

static GOptionContext *context_of(const VsmctlCommand *command)
{
    GOptionContext *context = g_option_context_new(NULL);

    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_add_main_entries(context, vsmctl_common_entries, NULL);
    if (command->options) {
        g_option_context_add_main_entries(context, command->options, NULL);
    }
    if (command->takes & VSMCTL_TAKES_QMP) {
        g_option_context_add_main_entries(context, vsmctl_qmp_entries, NULL);
    }
    if (command->takes & VSMCTL_TAKES_HOST) {
        g_option_context_add_main_entries(context, vsmctl_host_entries, NULL);
    }
    if (command->takes & VSMCTL_TAKES_DAEMON) {
        g_option_context_add_main_entries(context, vsmctl_daemon_entries, NULL);
    }
    if (command->takes & VSMCTL_TAKES_REQUEST) {
        g_option_context_add_main_entries(context, vsmctl_request_entries,
                                          NULL);
    }
    return context;
}

static int usage(const VsmctlCommand *command, const char *what)
{
    g_autofree char *text = g_strdup_printf(
        "%s\nusage: vsmctl %s [OPTION...] %s\n'vsmctl %s --help' describes it",
        what, command->name, command->args, command->name);

    vsmctl_print_error("invalid", text);
    return VSMCTL_USAGE;
}

/* A program that asked for JSON gets its error in it, too. */
static int fail(const GError *error)
{
    bool ours = error->domain == VSM_ERROR;

    vsmctl_print_error(ours ? vsm_error_name(error->code) : "invalid",
                       error->message);
    return ours ? vsm_error_exit_code(error->code) : VSMCTL_USAGE;
}

static int run(const VsmctlCommand *command, int argc, char **argv)
{
    g_autoptr(GOptionContext) context = context_of(command);
    g_autoptr(GError) error = NULL;
    char **args = argv + 1;
    guint n_args;
    int code;

    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        return usage(command, error->message);
    }
    if (help_wanted) {
        vsmctl_print_command_help(command);
        return VSMCTL_MATCH;
    }
    if (*args && strcmp(*args, "--") == 0) {
        args++;
    }
    n_args = g_strv_length(args);
    if (n_args < command->n_args_min || n_args > command->n_args_max) {
        return usage(command, n_args < command->n_args_min
                                  ? "an argument is missing"
                                  : "too many arguments");
    }
    code = command->run(args, &error);
    return code < 0 ? fail(error) : code;
}

static bool is_one_of(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static int run_help(const char *name)
{
    const VsmctlCommand *command = name ? find_command(name) : NULL;

    if (name && !command) {
        vsmctl_print_error("invalid", "there is no such subcommand: 'vsmctl "
                                      "help' lists all");
        return VSMCTL_USAGE;
    }
    if (command) {
        vsmctl_print_command_help(command);
    } else {
        vsmctl_print_help();
    }
    return VSMCTL_MATCH;
}

int main(int argc, char **argv)
{
    const VsmctlCommand *command;

    setlocale(LC_ALL, "");
    g_set_prgname("vsmctl");
    if (argc < 2) {
        vsmctl_print_error("invalid", "a subcommand is missing: 'vsmctl help' "
                                      "lists all");
        return VSMCTL_USAGE;
    }
    if (is_one_of(argv[1], "help", "--help") || strcmp(argv[1], "-h") == 0) {
        return run_help(argv[2]);
    }
    if (is_one_of(argv[1], "--version", "version")) {
        puts("vsmctl " VSM_VERSION);
        return VSMCTL_MATCH;
    }
    if (strcmp(argv[1], "--print-man") == 0) {
        vsmctl_print_man();
        return VSMCTL_MATCH;
    }
    if (strcmp(argv[1], "--print-completion") == 0) {
        vsmctl_print_completion();
        return VSMCTL_MATCH;
    }
    command = find_command(argv[1]);
    if (!command) {
        vsmctl_print_error("invalid", "there is no such subcommand: 'vsmctl "
                                      "help' lists all");
        return VSMCTL_USAGE;
    }
    vsmctl_options.subcommand = command->name;
    return run(command, argc - 1, argv + 1);
}
