/*
 * vsmctl on a terminal: what waits for the TPM, the daemon or QEMU says so
 * after a second.
 *
 * Each is a socket here at which nobody answers; the TPM is one that is
 * stopped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-stub.h"
#include "tpm-fixture.h"
#include "vsmctl-run.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define UUID "3f2b5c1e-0000-4000-8000-000000000001"

/* Connections to it wait until it is closed, and break then. */
typedef struct {
    GSocket *socket;
    char *path;
    char *daemon, *qmp; /* options that name it */
} Silent;

static void silent_close(Silent *silent)
{
    g_clear_object(&silent->socket);
    g_unlink(silent->path);
}

static void silent_clear(Silent *silent)
{
    silent_close(silent);
    g_free(silent->path);
    g_free(silent->daemon);
    g_free(silent->qmp);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Silent, silent_clear)

/* vsmd speaks SEQPACKET, QMP is a STREAM. */
static Silent silent_new(GSocketType type)
{
    Silent silent = {.path = in_scratch("silent.sock")};
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(silent.path);
    g_autoptr(GError) error = NULL;

    silent.socket = g_socket_new(G_SOCKET_FAMILY_UNIX, type,
                                 G_SOCKET_PROTOCOL_DEFAULT, &error);
    g_assert_no_error(error);
    g_socket_bind(silent.socket, address, TRUE, &error);
    g_assert_no_error(error);
    g_socket_listen(silent.socket, &error);
    g_assert_no_error(error);
    silent.daemon = g_strconcat("--daemon=", silent.path, NULL);
    silent.qmp = g_strconcat("--qmp=", silent.path, NULL);
    return silent;
}

/* What the terminal got until it holds @what. */
static GString *read_until(int terminal, const char *what)
{
    GString *text = g_string_new(NULL);
    char buffer[4096];
    ssize_t n;

    while (!strstr(text->str, what)) {
        n = read(terminal, buffer, sizeof(buffer));
        if (n <= 0) {
            g_error("'%s' does not say '%s'", text->str, what);
        }
        g_string_append_len(text, buffer, n);
    }
    return text;
}

static void says_once(const char *text, const char *what)
{
    says(text, what);
    g_assert_null(strstr(strstr(text, what) + 1, what));
}

/* It says @line, once, and takes it away before the error that follows. */
static void waits(int pid, int terminal, Silent *silent, const char *line)
{
    g_autoptr(GString) before = read_until(terminal, line);
    g_autofree char *after = NULL;

    silent_close(silent);
    g_assert_cmpint(vsmctl_end(pid, terminal, &after), >, 0);
    g_string_append(before, after);
    says_once(before->str, line);
    says(strstr(before->str, line), "\r\033[Kvsmctl: ");
}

static void test_setup(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autofree char *tcti = g_strconcat("--tcti=", swtpm->tcti, NULL);
    g_autofree char *state =
        g_strconcat("--state-dir=", swtpm->dir, "/s", NULL);
    g_autofree char *secret = g_strconcat("--secret=", swtpm->dir, "/k", NULL);
    g_autofree char *after = NULL;
    g_autoptr(GString) before = NULL;
    int terminal, pid;

    swtpm_stop(swtpm);
    pid = vsmctl_on_terminal(&terminal, "setup", tcti, state, secret,
                             "--allow-unmeasured-boot", NULL);
    before = read_until(terminal, "\rsetup: 1 s");
    swtpm_continue(swtpm);
    g_assert_cmpint(vsmctl_end(pid, terminal, &after), ==, 0);
    g_string_append(before, after);
    says_once(before->str, "\rsetup: 1 s");
    g_assert_true(g_str_has_suffix(before->str, "\r\033[K"));
}

static void test_keys(void)
{
    g_auto(Silent) silent = silent_new(G_SOCKET_TYPE_SEQPACKET);
    int terminal;
    int pid = vsmctl_on_terminal(&terminal, "keys", silent.daemon, NULL);

    waits(pid, terminal, &silent, "\rkeys: 1 s");
}

static void test_enroll(void)
{
    g_auto(Silent) silent = silent_new(G_SOCKET_TYPE_SEQPACKET);
    int terminal;
    int pid =
        vsmctl_on_terminal(&terminal, "enroll", "request", silent.daemon, NULL);

    waits(pid, terminal, &silent, "\renroll: 1 s");
}

static void test_policy(void)
{
    g_auto(Silent) silent = silent_new(G_SOCKET_TYPE_SEQPACKET);
    int terminal;
    int pid = vsmctl_on_terminal(&terminal, "policy", "approve", silent.daemon,
                                 "--begin=request", NULL);

    waits(pid, terminal, &silent, "\rpolicy: 1 s");
}

static void test_reseal(void)
{
    g_auto(Silent) silent = silent_new(G_SOCKET_TYPE_SEQPACKET);
    g_autofree char *path = write_file("signature", "not looked at");
    g_autofree char *signature = g_strconcat("--finish=", path, NULL);
    int terminal;
    int pid =
        vsmctl_on_terminal(&terminal, "reseal", silent.daemon, signature, NULL);

    waits(pid, terminal, &silent, "\rreseal: 1 s");
}

/* QEMU that does not even greet */
static void test_delete(void)
{
    g_auto(Silent) silent = silent_new(G_SOCKET_TYPE_STREAM);
    int terminal;
    int pid =
        vsmctl_on_terminal(&terminal, "delete", "clean", silent.qmp, NULL);

    waits(pid, terminal, &silent, "\rdelete: 1 s");
}

/* QEMU that is slow to answer, as one whose main loop deletes */
static void test_slow_answer(void)
{
    static const StubAnswer answers[] = {
        {"query-vsm-snapshots", "{\"return\": []}", NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("slow.sock"), *text = NULL;
    g_autoptr(Stub) stub = stub_new(path, answers);
    int terminal, pid;

    stub_slow(stub, "query-vsm-snapshots", 1500);
    pid = vsmctl_on_terminal(&terminal, "delete", "clean", "--qmp", path, NULL);
    g_assert_cmpint(vsmctl_end(pid, terminal, &text), ==, 3);
    says(text, "\rdelete: 1 s");
    says(text, "\r\033[Kvsmctl: ");
}

static void test_emulator_that_starts(void)
{
    g_autofree char *path = write_file("emulator", "#!/bin/sh\nsleep 1.5\n");
    g_autofree char *emulator = g_strconcat("--emulator=", path, NULL);
    g_autofree char *text = NULL;
    int terminal, pid;

    g_chmod(path, 0700);
    pid = vsmctl_on_terminal(&terminal, "verify-snapshot", "--image=none",
                             "--vm=" UUID, "--daemon=none", emulator, "clean",
                             NULL);
    g_assert_cmpint(vsmctl_end(pid, terminal, &text), ==, 3);
    says(text, "\rverify-snapshot: 1 s");
    says(text, "\r\033[Kvsmctl: ");
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    scratch_begin();
    g_test_add_func("/vsmctl/waiting/setup", test_setup);
    g_test_add_func("/vsmctl/waiting/keys", test_keys);
    g_test_add_func("/vsmctl/waiting/enroll", test_enroll);
    g_test_add_func("/vsmctl/waiting/policy", test_policy);
    g_test_add_func("/vsmctl/waiting/reseal", test_reseal);
    g_test_add_func("/vsmctl/waiting/delete", test_delete);
    g_test_add_func("/vsmctl/waiting/slow-answer", test_slow_answer);
    g_test_add_func("/vsmctl/waiting/emulator-that-starts",
                    test_emulator_that_starts);
    rc = g_test_run();
    scratch_end();
    return rc;
}
