/*
 * Tests of the daemon's parts: who a peer is, and which VM it runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vsm/error.h>

#include "vsmd/cgroup.h"
#include "vsmd/peer.h"
#include "vsmd/process.h"
#include "vsmd/registry.h"
#include "known-answer.h"

#define UUID "3f2b0f5e-0c83-4a52-a1f4-9d8f6f7d9a01"
#define OTHER "3f2b0f5e-0c83-4a52-a1f4-9d8f6f7d9a02"

#define SCOPE(n, name)                                                         \
    "/machine.slice/machine-qemu\\x2d" n "\\x2d" name ".scope"

/* --- Control groups ----------------------------------------------------- */

static void test_domain_is_read_from_its_scope(void)
{
    static const struct {
        const char *text, *name;
    } cases[] = {
        {"0::" SCOPE("1", "vm1") "/libvirt/emulator\n", "vm1"},
        {"0::" SCOPE("12", "vm1") "\n", "vm1"},
        {"0::" SCOPE("3", "a\\x2db.c") "/libvirt\n", "a-b.c"},
        {"0::" SCOPE("3", "7") "\n", "7"},
        /* hybrid: systemd's own hierarchy, and the unified one unused */
        {"11:memory:/x\n1:name=systemd:" SCOPE("1", "vm1") "\n0::/\n", "vm1"},
        {"1:name=systemd:" SCOPE("1", "vm1") "/libvirt\n0::" SCOPE(
             "1", "vm1") "/libvirt\n",
         "vm1"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = vsm_cgroup_machine(cases[i].text);

        g_assert_cmpstr(name, ==, cases[i].name);
    }
}

static void test_forged_scope_is_no_domain(void)
{
    static const char *const cases[] = {
        "",
        "0::/\n",
        "0::/user.slice/user-1000.slice" SCOPE("1", "vm1") "\n",
        "0::/user.slice/machine.slice/machine-qemu\\x2d1\\x2dvm1.scope\n",
        "0::/machine.slice/x/machine-qemu\\x2d1\\x2dvm1.scope\n",
        "0::/../machine.slice/machine-qemu\\x2d1\\x2dvm1.scope\n",
        "0::/machine.slice/../machine.slice/machine-qemu\\x2d1\\x2dvm1.scope\n",
        "0::" SCOPE("1", "vm1") "/../machine-qemu\\x2d2\\x2dvm2.scope\n",
        "0::/machine.slice/machine-qemu\\x2d1\\x2dvm1.service\n",
        "0::/machine.slice/machine-qemu\\x2d\\x2dvm1.scope\n",
        "0::/machine.slice/machine-qemu\\x2dx\\x2dvm1.scope\n",
        "0::/machine.slice/machine-qemu\\x2d1\\x2d.scope\n",
        "0::/machine.slice/machine-lxc\\x2d1\\x2dvm1.scope\n",
        "0::/machine.slice/machine-qemu-1-vm1.scope\n",
        "0::" SCOPE("1", "a_b") "\n",
        "0::" SCOPE("1", "a\\x2fb") "\n",
        "0::" SCOPE("1", "\\x2dvm1") "\n",
        "7:name=systemd:/user.slice\n0::" SCOPE("1", "vm1") "\n",
        "1:name=systemd:" SCOPE("1", "vm1") "\n0::" SCOPE("2", "vm2") "\n",
        "1:name=systemd2:" SCOPE("1", "vm1") "\n",
        "1:cpu:" SCOPE("1", "vm1") "\n",
        "00::" SCOPE("1", "vm1") "\n",
        " 0::" SCOPE("1", "vm1") "\n",
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = vsm_cgroup_machine(cases[i]);

        g_test_message("%s", cases[i]);
        g_assert_null(name);
    }
}

static void test_name_that_libvirt_changes_is_not_plain(void)
{
    static const char *const bad[] = {
        "",    "-a",  ".a", "a-",
        "a_b", "a b", "ä",  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddX",
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(vsm_cgroup_name_is_plain(bad[i]));
    }
    g_assert_true(vsm_cgroup_name_is_plain("web-1.example"));
}

/* --- Processes ---------------------------------------------------------- */

static void test_start_time_is_found_behind_any_name(void)
{
    guint64 start = 0;

    g_assert_true(vsm_process_parse_start(
        "7 (a) R 1 (x) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 "
        "4711 23\n",
        &start));
    g_assert_cmpuint(start, ==, 4711);
    g_assert_false(vsm_process_parse_start("7 (a) R 1 2", &start));
    g_assert_false(vsm_process_parse_start("", &start));
    g_assert_false(vsm_process_parse_start("7 (a)", &start));
    g_assert_false(vsm_process_parse_start(
        "7 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 x 23",
        &start));
}

static pid_t child(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

static void test_ended_process_is_not_alive(void)
{
    g_auto(VsmProcess) process = VSM_PROCESS_INIT;
    g_autoptr(GError) error = NULL;
    pid_t pid = child();

    g_assert_true(vsm_process_open(pid, -1, &process, NULL));
    g_assert_true(vsm_process_alive(process.pidfd));
    end(pid);
    g_assert_false(vsm_process_alive(process.pidfd));
    g_assert_null(vsm_process_read(&process, "stat"));
    g_assert_false(vsm_process_open(pid, -1, &process, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND);
}

/* --- Registry ----------------------------------------------------------- */

static void test_registered_process_is_its_vm_alone(void)
{
    g_autoptr(VsmRegistry) registry = vsm_registry_open(NULL, NULL);
    g_auto(VsmProcess) process = VSM_PROCESS_INIT;
    g_autoptr(GError) error = NULL;
    g_autofree char *found = NULL;
    pid_t pid = child(), second = child();

    g_assert_true(vsm_process_open(pid, -1, &process, NULL));
    g_assert_true(vsm_registry_add_process(registry, UUID, pid, &error));
    found = vsm_registry_find_process(registry, pid, process.start);
    g_assert_cmpstr(found, ==, UUID);
    g_assert_null(vsm_registry_find_process(registry, pid, process.start + 1));
    g_assert_null(vsm_registry_find_process(registry, second, process.start));
    g_assert_false(vsm_registry_add_process(registry, OTHER, pid, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_false(vsm_registry_add_process(registry, UUID, second, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    end(pid);
    g_assert_null(vsm_registry_find_process(registry, pid, process.start));
    g_assert_true(vsm_registry_add_process(registry, UUID, second, NULL));
    end(second);
}

static void test_registry_refuses_what_it_cannot_tell_apart(void)
{
    g_autoptr(VsmRegistry) registry = vsm_registry_open(NULL, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_registry_add_domain(registry, UUID, "vm1", NULL));
    g_assert_true(vsm_registry_add_domain(registry, UUID, "vm1", NULL));
    g_assert_false(vsm_registry_add_domain(registry, OTHER, "vm1", &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_false(vsm_registry_add_domain(registry, UUID, "vm2", &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_clear_error(&error);
    g_assert_false(vsm_registry_add_domain(registry, OTHER, "a_b", &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_false(vsm_registry_add_domain(registry, "vm", "vm3", &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_false(vsm_registry_remove(registry, OTHER, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND);
    g_assert_true(vsm_registry_remove(registry, UUID, NULL));
    g_assert_null(vsm_registry_find_domain(registry, "vm1"));
}

/* The fixture's text, with what is of this boot and process alone. */
static char *registry_text(const VsmProcess *process)
{
    g_autoptr(GBytes) file = known_answer("vms-v1.txt");
    GString *text =
        g_string_new_len(g_bytes_get_data(file, NULL), g_bytes_get_size(file));
    g_autofree char *boot = NULL;
    g_autofree char *pid = g_strdup_printf("pid=%d", process->pid);
    g_autofree char *start =
        g_strdup_printf("start=%" G_GUINT64_FORMAT, process->start);

    g_assert_true(g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot,
                                      NULL, NULL));
    g_assert_cmpuint(g_string_replace(text,
                                      "6f1d2c3b-4a59-4e68-8b77-a695b4c3d2e1",
                                      g_strstrip(boot), 0),
                     ==, 1);
    g_assert_cmpuint(g_string_replace(text, "pid=4711", pid, 0), ==, 1);
    g_assert_cmpuint(g_string_replace(text, "start=8150815", start, 0), ==, 1);
    return g_string_free(text, FALSE);
}

static void test_registry_is_known_after_a_restart(void)
{
    g_autofree char *dir = g_dir_make_tmp("vsm-registry-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "vms", NULL);
    g_auto(VsmProcess) process = VSM_PROCESS_INIT;
    g_autofree char *by_process = NULL;
    g_autofree char *by_domain = NULL;
    g_autofree char *text = NULL;
    g_autofree char *expected = NULL;
    g_autofree char *later = NULL;
    VsmRegistry *registry = vsm_registry_open(path, NULL);
    pid_t pid = child();
    const char *id;

    g_assert_true(vsm_process_open(pid, -1, &process, NULL));
    g_assert_true(vsm_registry_add_process(registry, UUID, pid, NULL));
    g_assert_true(vsm_registry_add_domain(registry, OTHER, "vm2", NULL));
    vsm_registry_free(registry);
    registry = vsm_registry_open(path, NULL);
    by_process = vsm_registry_find_process(registry, pid, process.start);
    by_domain = vsm_registry_find_domain(registry, "vm2");
    g_assert_cmpstr(by_process, ==, UUID);
    g_assert_cmpstr(by_domain, ==, OTHER);
    vsm_registry_free(registry);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    expected = registry_text(&process);
    g_assert_cmpstr(text, ==, expected);
    /* After another boot the number is another process's. */
    id = strstr(text, "id=");
    g_assert_nonnull(id);
    later = g_strdup_printf("%.*sid=x\n%s", (int)(id - text), text,
                            strchr(id, '\n') + 1);
    g_assert_true(g_file_set_contents(path, later, -1, NULL));
    registry = vsm_registry_open(path, NULL);
    g_assert_null(vsm_registry_find_process(registry, pid, process.start));
    vsm_registry_free(registry);
    end(pid);
    g_remove(path);
    g_rmdir(dir);
}

/* --- Peers --------------------------------------------------------------- */

static void test_peer_is_its_registered_process_or_its_user(void)
{
    g_autoptr(VsmRegistry) registry = vsm_registry_open(NULL, NULL);
    g_autoptr(GPtrArray) singles = g_ptr_array_new();
    g_autofree char *text = g_strdup_printf("%u=%s", getuid(), OTHER);
    VsmSingle *single = vsm_peer_parse_single(text, NULL);
    g_autoptr(VsmPeer) unknown = NULL;
    g_autoptr(VsmPeer) by_user = NULL;
    g_autoptr(VsmPeer) by_process = NULL;
    g_autoptr(GError) error = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    unknown = vsm_peer_identify(fds[0], registry, NULL, &error);
    g_assert_null(unknown);
    g_assert_error(error, VSM_ERROR, VSM_ERROR_DENIED);
    g_assert_nonnull(strstr(error->message, "vsmctl vm register"));
    g_ptr_array_add(singles, single);
    by_user = vsm_peer_identify(fds[0], registry, singles, NULL);
    g_assert_cmpstr(by_user->uuid, ==, OTHER);
    g_assert_true(vsm_registry_add_process(registry, UUID, getpid(), NULL));
    by_process = vsm_peer_identify(fds[0], registry, singles, NULL);
    g_assert_cmpstr(by_process->uuid, ==, UUID);
    g_assert_cmpint(by_process->id.pid, ==, getpid());
    vsm_single_free(single);
    close(fds[0]);
    close(fds[1]);
}

static void test_malformed_single_vm_is_refused(void)
{
    static const char *const bad[] = {
        "",
        "=",
        UUID,
        "0=",
        "no-such-user-here=" UUID,
        "0=x",
        "-1=" UUID,
        "0=3F2B0F5E-0C83-4A52-A1F4-9D8F6F7D9A01",
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(vsm_peer_parse_single(bad[i], &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/vsmd/" path, func)
    ADD("domain-is-read-from-its-scope", test_domain_is_read_from_its_scope);
    ADD("forged-scope-is-no-domain", test_forged_scope_is_no_domain);
    ADD("name-that-libvirt-changes-is-not-plain",
        test_name_that_libvirt_changes_is_not_plain);
    ADD("start-time-is-found-behind-any-name",
        test_start_time_is_found_behind_any_name);
    ADD("ended-process-is-not-alive", test_ended_process_is_not_alive);
    ADD("registered-process-is-its-vm-alone",
        test_registered_process_is_its_vm_alone);
    ADD("registry-refuses-what-it-cannot-tell-apart",
        test_registry_refuses_what_it_cannot_tell_apart);
    ADD("registry-is-known-after-a-restart",
        test_registry_is_known_after_a_restart);
    ADD("peer-is-its-registered-process-or-its-user",
        test_peer_is_its_registered_process_or_its_user);
    ADD("malformed-single-vm-is-refused", test_malformed_single_vm_is_refused);
    return g_test_run();
}
