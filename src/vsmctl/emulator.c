/*
 * An emulator without a machine, to look at an image whose VM does not run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/emulator.h"

#include <errno.h>
#include <gio/gio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vsmctl/ask.h"
#include "vsmctl/vsmctl.h"
#include "vsmctl/waiting.h"

#define QMP_FD 3 /* in the emulator */
#define MESSAGE_BYTES_MAX 4096 /* of its standard error */

struct _Emulator {
    GSubprocess *process;
    Qmp *qmp;
    char *registered; /* as this VM; NULL: with no daemon */
};

/* It must not outlive us: it holds the store. */
static void end_with_us(gpointer opaque)
{
    (void)opaque;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid(); /* an interrupt is for the job, not for it */
}

static char *dump(json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);
    char *copy = g_strdup(text);

    free(text);
    return copy;
}

/* JSON: paths may have commas. */
static char *blockdev_text(const EmulatorOptions *options)
{
    json_auto_t *node =
        json_pack("{s:s, s:s, s:b, s:{s:s, s:s}}", "driver", "qcow2",
                  "node-name", "image", "read-only", 1, "file", "driver",
                  "file", "filename", options->image);

    return dump(node);
}

static void add_path(json_t *object, const char *name, const char *path)
{
    g_autofree char *absolute =
        path ? g_canonicalize_filename(path, NULL) : NULL;

    if (absolute) {
        json_object_set_new(object, name, json_string(absolute));
    }
}

static json_t *object_of(const EmulatorOptions *options)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s*}", "qom-type", "vm-snapshot-manager", "id",
                  "vsm0", "attester", options->attester);

    if (!options->attester) {
        json_object_set_new(object, "tcti", json_string(vsmctl_options.tcti));
        add_path(object, "state-dir", vsmctl_options.state_dir);
        add_path(object, "secret", vsmctl_options.secret);
        if (vsmctl_options.pcrs) {
            json_object_set_new(object, "pcrs",
                                json_string(vsmctl_options.pcrs));
        }
        if (vsmctl_options.allow_unmeasured_boot) {
            json_object_set_new(object, "allow-unmeasured-boot", json_true());
        }
    }
    return object;
}

static GSubprocess *
spawn(const EmulatorOptions *options, int fd, GError **error)
{
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autofree char *chardev = g_strdup_printf("socket,id=qmp0,fd=%d", QMP_FD);
    g_autofree char *blockdev = blockdev_text(options);
    const char *argv[] = {
        options->program,
        "-machine",
        "none",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-sandbox",
        "on,spawn=deny",
        "-uuid",
        options->uuid,
        "-chardev",
        chardev,
        "-mon",
        "chardev=qmp0,mode=control",
        "-blockdev",
        blockdev,
        NULL,
    };

    g_subprocess_launcher_set_child_setup(launcher, end_with_us, NULL, NULL);
    g_subprocess_launcher_take_fd(launcher, fd, QMP_FD);
    return g_subprocess_launcher_spawnv(launcher, argv, error);
}

/* What it wrote; it has ended, or is ended now. */
static char *last_words(Emulator *emulator)
{
    GInputStream *stream = g_subprocess_get_stderr_pipe(emulator->process);
    char text[MESSAGE_BYTES_MAX + 1] = "";
    gsize n = 0;

    g_subprocess_force_exit(emulator->process);
    g_subprocess_wait(emulator->process, NULL, NULL);
    g_input_stream_read_all(stream, text, MESSAGE_BYTES_MAX, &n, NULL, NULL);
    text[n] = '\0';
    return g_strdup(g_strstrip(text));
}

static bool
start(Emulator *emulator, const EmulatorOptions *options, GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autofree char *text = NULL;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION,
                    "cannot make a socket for QMP: %s", g_strerror(errno));
        return false;
    }
    emulator->process = spawn(options, ends[1], &why);
    if (!emulator->process) {
        close(ends[0]);
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "cannot run the emulator '%s': %s; name the QEMU with VSM "
                    "with --emulator",
                    options->program, why->message);
        return false;
    }
    emulator->qmp = qmp_open_fd(ends[0], options->program, &why);
    if (emulator->qmp) {
        return true;
    }
    text = last_words(emulator);
    g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION, "%s",
                *text ? text : why->message);
    return false;
}

/* To the daemon it is that VM for as long as it runs. */
static bool register_with_daemon(Emulator *emulator,
                                 const EmulatorOptions *options,
                                 GError **error)
{
    const char *pid = g_subprocess_get_identifier(emulator->process);

    if (!options->attester) {
        return true;
    }
    if (!ask_daemon(VSM_ADMIN_VM_REGISTER,
                    g_variant_new("(sus)", options->uuid,
                                  (guint32)strtoul(pid ? pid : "0", NULL, 10),
                                  ""),
                    "()", NULL, error)) {
        return false;
    }
    emulator->registered = g_strdup(options->uuid);
    return true;
}

/* Later than the process: the daemon must know its pid. */
static bool
add_object(Emulator *emulator, const EmulatorOptions *options, GError **error)
{
    json_auto_t *added = NULL;

    if (!register_with_daemon(emulator, options, error)) {
        return false;
    }
    added = qmp_execute(emulator->qmp, "object-add", object_of(options), error);
    return added != NULL;
}

Emulator *emulator_start(const EmulatorOptions *options, GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();
    g_autoptr(Emulator) emulator = g_new0(Emulator, 1);

    return start(emulator, options, error) &&
                   add_object(emulator, options, error)
               ? g_steal_pointer(&emulator)
               : NULL;
}

Qmp *emulator_qmp(Emulator *emulator)
{
    return emulator->qmp;
}

void emulator_free(Emulator *emulator)
{
    g_autoptr(Waiting) waiting = waiting_new();

    if (emulator->qmp) {
        json_decref(qmp_execute(emulator->qmp, "quit", NULL, NULL));
        qmp_free(emulator->qmp);
    }
    if (emulator->process) {
        /* All that it had to write was written before its answer. */
        g_subprocess_force_exit(emulator->process);
        g_subprocess_wait(emulator->process, NULL, NULL);
        g_object_unref(emulator->process);
    }
    if (emulator->registered) {
        ask_daemon(VSM_ADMIN_VM_UNREGISTER,
                   g_variant_new("(s)", emulator->registered), "()", NULL,
                   NULL);
        g_free(emulator->registered);
    }
    g_free(emulator);
}
