/*
 * What every subcommand of vsmctl is: one entry of the table in main.c, from
 * which built-in help, man page and shell completion are made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/error.h>

/* Exit codes: in the man page, never renumbered. */
typedef enum {
    VSMCTL_MATCH = 0, /* match and trusted; or simply done */
    VSMCTL_MISMATCH = 1,
    VSMCTL_UNTRUSTED = 2, /* not to be trusted, or refused by policy */
    VSMCTL_USAGE = 3, /* usage, connection, or anything else that failed */
    VSMCTL_UNAVAILABLE = 4, /* could not be measured */
    VSMCTL_ENCRYPTED = 5, /* the result is for the recipient alone */
} VsmctlExit;

/* Options that many subcommands take. */
typedef enum {
    VSMCTL_TAKES_QMP = 1 << 0, /* --qmp, --domain, --connect */
    VSMCTL_TAKES_HOST = 1 << 1, /* --tcti, --state-dir, --secret, ... */
    VSMCTL_TAKES_REQUEST = 1 << 2, /* --request, --nonce, --recipient, --out */
    VSMCTL_TAKES_DAEMON = 1 << 3, /* --daemon */
} VsmctlTakes;

/**
 * VsmctlCommand:
 * @name: the word after "vsmctl"
 * @args: its arguments as the usage line shows them; "" for none
 * @verbs: words that its first argument is one of, for completion; NULL: any
 * @summary: one line, no full stop
 * @text: paragraphs for help and man page, separated by empty lines
 * @options: its own options, NULL-terminated by an empty entry
 * @takes: VsmctlTakes
 * @n_args_min, @n_args_max: arguments that are not options
 * @run: @args is NULL-terminated; returns the exit code, or -1 with @error
 */
typedef struct {
    const char *name, *args, *verbs, *summary, *text;
    const GOptionEntry *options;
    guint takes;
    guint n_args_min, n_args_max;
    int (*run)(char **args, GError **error);
} VsmctlCommand;

extern const VsmctlCommand vsmctl_setup, vsmctl_keys, vsmctl_status,
    vsmctl_snapshot, vsmctl_list, vsmctl_show, vsmctl_attest, vsmctl_watch,
    vsmctl_verify_snapshot, vsmctl_rollback, vsmctl_delete, vsmctl_request,
    vsmctl_verify, vsmctl_policy, vsmctl_reseal, vsmctl_enroll, vsmctl_trust,
    vsmctl_vm;
extern const VsmctlCommand vsmctl_adopt;

/* All subcommands in the order of the help; ends with NULL. */
extern const VsmctlCommand *const vsmctl_commands[];

/* The subcommand, and values of the shared options; NULL or false when not
 * given. */
typedef struct {
    const char *subcommand; /* which one runs; never NULL then */
    gboolean json;
    char *qmp, *domain, *connect;
    char *tcti, *state_dir, *secret, *pcrs;
    char *daemon; /* the admin socket of vsmd; NULL: in vsmctl's process */
    gboolean allow_unmeasured_boot;
    char *request, *nonce, *recipient, *out;
} VsmctlOptions;

extern VsmctlOptions vsmctl_options;

/* The shared option groups; each ends with an empty entry. */
extern const GOptionEntry vsmctl_common_entries[];
extern const GOptionEntry vsmctl_qmp_entries[];
extern const GOptionEntry vsmctl_host_entries[];
extern const GOptionEntry vsmctl_request_entries[];
extern const GOptionEntry vsmctl_daemon_entries[];

/* help.c: written to the standard output. */
void vsmctl_print_help(void);
void vsmctl_print_command_help(const VsmctlCommand *command);
void vsmctl_print_man(void);
void vsmctl_print_completion(void);
