/*
 * vsmctl watch: have the VM watched, and show each change of its result.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "vsmctl/answer.h"
#include "vsmctl/output.h"
#include "vsmctl/qmp.h"
#include "vsmctl/request.h"
#include "vsmctl/vsmctl.h"

#define POLL_MS 1000
#define EVERY_S 10

static int every = EVERY_S;
static gboolean detach, stop;
static char *out;

static const GOptionEntry options[] = {
    {"every", 0, 0, G_OPTION_ARG_INT, &every,
     "Mean interval in seconds (default: 10); it varies by half", "SECONDS"},
    {"detach", 0, 0, G_OPTION_ARG_NONE, &detach,
     "Begin the watch and end at once; it goes on", NULL},
    {"stop", 0, 0, G_OPTION_ARG_NONE, &stop, "End the watch", NULL},
    {"out", 'o', 0, G_OPTION_ARG_FILENAME, &out,
     "Write the last report to this file", "FILE"},
    {0},
};

static bool set(Qmp *qmp, const char *snapshot, int seconds, GError **error)
{
    json_auto_t *answer = qmp_execute(
        qmp, "vsm-watch",
        json_pack("{s:s*, s:i}", "snapshot", snapshot, "seconds", seconds),
        error);

    return answer != NULL;
}

/* Returns an exit code, or -1 to go on; *@ok false: @error is set. */
static int show(const json_t *event, bool *ok, GError **error)
{
    const json_t *data = json_object_get(event, "data");
    const json_t *answer = json_object_get(data, "answer");
    const char *report = vsmctl_text(answer, "report");

    if (strcmp(vsmctl_text(event, "event"), "VSM_REFUSED") == 0 &&
        strcmp(vsmctl_text(data, "operation"), "watch") == 0) {
        vsmctl_print_error(vsmctl_text(data, "code"),
                           vsmctl_text(data, "message"));
        return -1;
    }
    if (strcmp(vsmctl_text(answer, "operation"), "watch") != 0) {
        return -1;
    }
    if (out && !write_text_file(out, report, error)) {
        *ok = false;
        return -1;
    }
    if (vsmctl_options.json) {
        vsmctl_print_json(answer);
    } else {
        answer_print_verdict(answer);
    }
    fflush(stdout);
    return answer_exit_code(json_object_get(answer, "verdict"));
}

/* To the first result that is no match. */
static int follow(Qmp *qmp, GError **error)
{
    for (;;) {
        json_auto_t *event = NULL;
        bool ok = true;
        int code;

        if (!qmp_wait_event(qmp, POLL_MS, &event, error)) {
            return -1;
        }
        code = event ? show(event, &ok, error) : -1;
        if (!ok) {
            return -1;
        }
        if (code > VSMCTL_MATCH) {
            return code;
        }
    }
}

static bool check_options(const char *snapshot, GError **error)
{
    const char *what = NULL;

    if (!stop && (!snapshot || every < 1)) {
        what = "what is watched? name a snapshot, and some seconds, or give "
               "--stop";
    } else if (!stop && !detach && vsmctl_options.domain) {
        what = "libvirt brings no events, so results cannot be followed with "
               "--domain: give --detach and ask 'vsmctl status', or --qmp "
               "PATH of a monitor of vsmctl's own";
    }
    if (what) {
        g_set_error_literal(error, VSM_ERROR, VSM_ERROR_INVALID, what);
    }
    return !what;
}

static int run(char **args, GError **error)
{
    g_autoptr(Qmp) qmp = NULL;

    if (!check_options(args[0], error)) {
        return -1;
    }
    qmp = qmp_open_vm(error);
    if (!qmp || !set(qmp, args[0], stop ? 0 : every, error)) {
        return -1;
    }
    return stop || detach ? VSMCTL_MATCH : follow(qmp, error);
}

const VsmctlCommand vsmctl_watch = {
    .name = "watch",
    .args = "[SNAPSHOT]",
    .summary = "have the VM watched, and show each change of its result",
    .text = "QEMU measures the runtime scope of the VM by itself, at an "
            "interval, and signs a report when the result is another than "
            "before; what a mismatch does to the VM is the property "
            "on-mismatch of -object vm-snapshot-manager. Prints each result "
            "as it comes and ends with the first that is no match; the watch "
            "goes on until --stop. A verifier checks such a report with "
            "verify --op watch: it answers no nonce, so its time alone says "
            "that it is fresh.\n\n"
            "With --domain a watch can be begun (--detach) and ended (--stop), "
            "and 'vsmctl status' shows its result; it cannot be followed.",
    .options = options,
    .takes = VSMCTL_TAKES_QMP,
    .n_args_max = 1,
    .run = run,
};
