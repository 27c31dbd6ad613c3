/*
 * vsmctl snapshot: make a sealed snapshot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "vsmctl/jobs.h"
#include "vsmctl/output.h"
#include "vsmctl/refusal.h"
#include "vsmctl/snapshots.h"
#include "vsmctl/vsmctl.h"

static gboolean replace;

static const GOptionEntry options[] = {
    {"replace", 0, 0, G_OPTION_ARG_NONE, &replace,
     "Replace a snapshot of the same tag", NULL},
    {0},
};

/* QEMU's text lacks the remedy. */
static void add_remedy(GError **error)
{
    if (error && *error && strstr((*error)->message, "already exists")) {
        g_autofree char *text =
            g_strconcat((*error)->message, "; --replace replaces it", NULL);
        int code = (*error)->code;

        g_clear_error(error);
        g_set_error_literal(error, VSM_ERROR, code, text);
    }
}

static bool save_new(Qmp *qmp, const char *tag, GError **error)
{
    json_t *devices = NULL;
    g_autofree char *vmstate = NULL;

    if (!snapshots_disks(qmp, &devices, &vmstate, error)) {
        return false;
    }
    if (!vsmctl_job(qmp, "snapshot-save",
                    json_pack("{s:s, s:s, s:o}", "tag", tag, "vmstate", vmstate,
                              "devices", devices),
                    "snapshot", NULL, error)) {
        add_remedy(error);
        return false;
    }
    return true;
}

/* QEMU's main loop does nothing else meanwhile: there is no progress to ask. */
static json_t *savevm(Qmp *qmp, const char *tag, GError **error)
{
    g_autofree char *line = g_strdup_printf("savevm \"%s\"", tag);

    return qmp_execute(qmp, "human-monitor-command",
                       json_pack("{s:s}", "command-line", line), error);
}

/* The job refuses an existing tag; HMP's savevm replaces it in one step. */
static bool save_over(Qmp *qmp, const char *tag, GError **error)
{
    json_auto_t *answer = NULL;

    if (strpbrk(tag, "\"\\")) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a snapshot whose tag has quotes or backslashes cannot be "
                    "replaced: delete it first");
        return false;
    }
    answer = savevm(qmp, tag, error);
    if (!answer) {
        return false;
    }
    if (*json_string_value(answer)) {
        g_autofree char *text = g_strdup(json_string_value(answer));
        const char *plain = g_strstrip(text);

        g_set_error(error, VSM_ERROR, refusal_last(qmp, NULL, plain, NULL),
                    "%s",
                    g_str_has_prefix(plain, "Error: ") ? plain + 7 : plain);
        return false;
    }
    return true;
}

static int run(char **args, GError **error)
{
    g_autoptr(Qmp) qmp = qmp_open_vm(error);
    g_autofree char *asked = g_strconcat("tag:", args[0], NULL);
    json_auto_t *entry = NULL;

    if (!qmp) {
        return -1;
    }
    if (!(replace ? save_over(qmp, args[0], error)
                  : save_new(qmp, args[0], error)) ||
        !snapshots_find(qmp, asked, &entry, error)) {
        return -1;
    }
    if (vsmctl_options.json) {
        vsmctl_print_json(entry);
    } else {
        vsmctl_print_member("sealed", entry, "tag");
        vsmctl_print_member("id", entry, "id");
        vsmctl_print_member("state", entry, "state");
    }
    return VSMCTL_MATCH;
}

const VsmctlCommand vsmctl_snapshot = {
    .name = "snapshot",
    .args = "NAME",
    .summary = "make a sealed snapshot",
    .text = "The guest is stopped while its state is written and hashed, and "
            "runs on after it was sealed. If anything fails, there is no "
            "snapshot, and an older one of the same tag is alive. All "
            "writable disks take part. With --replace QEMU answers nothing "
            "else until the snapshot is made, and Ctrl-C does not stop it.",
    .options = options,
    .takes = VSMCTL_TAKES_QMP,
    .n_args_min = 1,
    .n_args_max = 1,
    .run = run,
};
