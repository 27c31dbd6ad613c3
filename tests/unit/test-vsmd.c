/*
 * Tests of the daemon's parts: who a peer is, whose turn it is, settings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vsm/error.h>
#include "vsmd/bounds.h"
#include "vsmd/cgroup.h"
#include "vsmd/metrics.h"
#include "vsmd/options.h"
#include "vsmd/peer.h"
#include "vsmd/process.h"
#include "vsmd/registry.h"
#include "vsmd/systemd.h"
#include "vsmd/turns.h"

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

static void test_registry_is_known_after_a_restart(void)
{
    g_autofree char *dir = g_dir_make_tmp("vsm-registry-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "vms", NULL);
    g_auto(VsmProcess) process = VSM_PROCESS_INIT;
    g_autofree char *by_process = NULL;
    g_autofree char *by_domain = NULL;
    g_autofree char *text = NULL;
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
    /* After another boot the number is another process's. */
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
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

/* --- Turns ---------------------------------------------------------------- */

typedef struct {
    VsmTurns *turns;
    const char *vm;
    GMutex mutex;
    GString *order;
} Race;

typedef struct {
    Race *race;
    const char *vm;
} Runner;

static gpointer run(gpointer data)
{
    Runner *runner = data;
    Race *race = runner->race;

    g_assert_true(
        vsm_turns_take(race->turns, runner->vm, G_MAXINT64, NULL, NULL));
    g_mutex_lock(&race->mutex);
    g_string_append(race->order, runner->vm);
    g_mutex_unlock(&race->mutex);
    vsm_turns_give(race->turns);
    return NULL;
}

static GThread *start(Runner *runner, guint n_before)
{
    GThread *thread = g_thread_new("runner", run, runner);

    while (vsm_turns_waiting(runner->race->turns) == n_before) {
        g_usleep(1000);
    }
    return thread;
}

static void test_turn_goes_to_who_had_it_the_longest_ago(void)
{
    g_autoptr(VsmTurns) turns = vsm_turns_new();
    Race race = {.turns = turns, .order = g_string_new(NULL)};
    Runner a = {&race, "a"}, b = {&race, "b"}, c = {&race, "c"};
    GThread *threads[3];

    g_mutex_init(&race.mutex);
    run(&b);
    run(&c);
    run(&a);
    g_string_truncate(race.order, 0);
    g_assert_true(vsm_turns_take(turns, "d", G_MAXINT64, NULL, NULL));
    threads[0] = start(&a, 0); /* asks first, had it last */
    threads[1] = start(&c, 1);
    threads[2] = start(&b, 2);
    vsm_turns_give(turns);
    for (guint i = 0; i < 3; i++) {
        g_thread_join(threads[i]);
    }
    g_assert_cmpstr(race.order->str, ==, "bca");
    g_string_free(race.order, TRUE);
    g_mutex_clear(&race.mutex);
}

static void test_turn_that_does_not_come_is_busy_with_the_time(void)
{
    g_autoptr(VsmTurns) turns = vsm_turns_new();
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_turns_take(turns, "a", G_MAXINT64, NULL, NULL));
    g_assert_false(vsm_turns_take(turns, "b", g_get_monotonic_time() + 20000,
                                  NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, "try again in"));
    g_clear_error(&error);
    g_cancellable_cancel(cancel);
    g_assert_false(vsm_turns_take(turns, "b", G_MAXINT64, cancel, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CANCELLED);
    vsm_turns_give(turns);
    g_assert_true(vsm_turns_take(turns, "b", 0, NULL, NULL));
    vsm_turns_give(turns);
}

static void test_rate_paces_short_waits_and_refuses_long_ones(void)
{
    VsmRate rate = {0};
    g_autoptr(GError) error = NULL;
    gint64 wait = -1;

    g_assert_true(vsm_rate_take(&rate, 800, 1000, 5000, "saves", &wait, NULL));
    g_assert_cmpint(wait, ==, 0);
    g_assert_true(vsm_rate_take(&rate, 800, 1000, 5000, "saves", &wait, NULL));
    g_assert_cmpint(wait, ==, 800000);
    g_assert_false(
        vsm_rate_take(&rate, 800, 1000, 5000, "saves", &wait, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, "try again in 2 s"));
    g_assert_true(
        vsm_rate_take(&rate, 800, 1000, 1605000, "saves", &wait, NULL));
    g_assert_cmpint(wait, ==, 0);
}

static void test_who_owes_too_much_waits_until_time_paid_it(void)
{
    VsmRate rate = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_rate_owes_little(&rate, 2000, 5000, "files", NULL));
    vsm_rate_charge(&rate, 2000000, 5000);
    g_assert_true(vsm_rate_owes_little(&rate, 2000, 5000, "files", NULL));
    vsm_rate_charge(&rate, 3500000, 5000);
    g_assert_false(vsm_rate_owes_little(&rate, 2000, 5000, "files", &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, "try again in 4 s"));
    g_assert_true(vsm_rate_owes_little(&rate, 2000, 3505000, "files", NULL));
    /* a rest saves nothing up */
    vsm_rate_charge(&rate, 2000001, 100000000);
    g_assert_false(vsm_rate_owes_little(&rate, 2000, 100000000, "files", NULL));
}

/* --- Settings ------------------------------------------------------------- */

static void test_key_file_sets_what_it_says(void)
{
    g_autoptr(VsmOptions) options = vsm_options_new();
    g_autoptr(GError) error = NULL;
    const VsmSingle *single;

    g_assert_true(vsm_options_load(
        options,
        "[vsmd]\nlisten=/x/a\npcrs=0-2,11\nallow-unmeasured-boot=yes\n"
        "nv-burst=7\nvm-quota-bytes=5000000000\nsingle-vm=0=" UUID ";\n"
        "recipient=NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\n",
        "f", &error));
    g_assert_no_error(error);
    g_assert_cmpstr(options->listen, ==, "/x/a");
    g_assert_cmphex(options->boot_pcrs, ==, 0x807);
    g_assert_true(options->allow_unmeasured_boot);
    g_assert_cmpuint(options->nv_burst, ==, 7);
    g_assert_cmpuint(options->vm_quota_bytes, ==, 5000000000);
    g_assert_cmpuint(options->recipients->len, ==, 1);
    single = options->singles->pdata[0];
    g_assert_cmpstr(single->uuid, ==, UUID);
    g_assert_cmpuint(options->attest_interval_ms, ==, 500);
    g_assert_true(vsm_options_set(options, "nv-burst", "9", NULL));
    g_assert_cmpuint(options->nv_burst, ==, 9);
    g_assert_true(vsm_options_check(options, NULL));
}

static void test_wrong_setting_is_named(void)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"listen=/x", "f: "},
        {"[other]\nlisten=/x", "[other]"},
        {"[vsmd]\nlisen=/x", "lisen"},
        {"[vsmd]\nlisten=", "listen"},
        {"[vsmd]\npcrs=23", "pcrs"},
        {"[vsmd]\npcrs=7-0", "pcrs"},
        {"[vsmd]\npcrs=", "pcrs"},
        {"[vsmd]\nnv-burst=0", "nv-burst"},
        {"[vsmd]\nnv-burst=-1", "nv-burst"},
        {"[vsmd]\nnv-burst=x", "nv-burst"},
        {"[vsmd]\nmax-connections=99999999999", "max-connections"},
        {"[vsmd]\nallow-unmeasured-boot=maybe", "allow-unmeasured-boot"},
        {"[vsmd]\nrecipient=short", "recipient"},
        {"[vsmd]\nsingle-vm=x", "single-vm"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(VsmOptions) options = vsm_options_new();
        g_autoptr(GError) error = NULL;

        g_assert_false(vsm_options_load(options, cases[i].text, "f", &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
        g_assert_nonnull(strstr(error->message, cases[i].says));
    }
}

static void test_settings_that_do_not_fit_are_refused(void)
{
    g_autoptr(VsmOptions) options = vsm_options_new();
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_options_set(options, "metrics", "unix:x", NULL));
    g_assert_false(vsm_options_check(options, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_true(vsm_options_set(options, "metrics", "file:/x", NULL));
    g_assert_true(vsm_options_check(options, NULL));
    g_assert_true(vsm_options_set(options, "admin", options->listen, NULL));
    g_assert_false(vsm_options_check(options, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
}

/* --- systemd ---------------------------------------------------------------
 */

static void test_socket_of_another_process_is_not_taken(void)
{
    g_autofree char *pid = g_strdup_printf("%d", (int)getpid());

    g_setenv("LISTEN_FDS", "2", TRUE);
    g_setenv("LISTEN_FDNAMES", "attester:admin", TRUE);
    g_setenv("LISTEN_PID", "1", TRUE);
    g_assert_cmpint(vsm_systemd_socket("attester"), ==, -1);
    g_setenv("LISTEN_PID", pid, TRUE);
    g_assert_cmpint(vsm_systemd_socket("other"), ==, -1);
    g_assert_cmpint(vsm_systemd_socket("admin"), ==, 4);
    g_setenv("LISTEN_FDS", "1", TRUE);
    g_assert_cmpint(vsm_systemd_socket("admin"), ==, -1);
    g_unsetenv("LISTEN_FDS");
    g_assert_cmpint(vsm_systemd_socket("attester"), ==, -1);
}

static void test_connections_fit_the_limits_of_the_service(void)
{
    g_assert_cmpuint(vsm_bounds_connections(1024, 0, 0), ==, 1024);
    g_assert_cmpuint(vsm_bounds_connections(1024, 4096, 16384), ==, 1024);
    g_assert_cmpuint(vsm_bounds_connections(16384, 4096, 0), ==, 4096 - 32);
    g_assert_cmpuint(vsm_bounds_connections(1024, 0, 1024), <, 100);
    g_assert_cmpuint(vsm_bounds_connections(1024, 8, 8), ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/vsmd/" path, func)
    ADD("domain-is-read-from-its-scope", test_domain_is_read_from_its_scope);
    ADD("connections-fit-the-limits-of-the-service",
        test_connections_fit_the_limits_of_the_service);
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
    ADD("turn-goes-to-who-had-it-the-longest-ago",
        test_turn_goes_to_who_had_it_the_longest_ago);
    ADD("turn-that-does-not-come-is-busy-with-the-time",
        test_turn_that_does_not_come_is_busy_with_the_time);
    ADD("rate-paces-short-waits-and-refuses-long-ones",
        test_rate_paces_short_waits_and_refuses_long_ones);
    ADD("who-owes-too-much-waits-until-time-paid-it",
        test_who_owes_too_much_waits_until_time_paid_it);
    ADD("key-file-sets-what-it-says", test_key_file_sets_what_it_says);
    ADD("wrong-setting-is-named", test_wrong_setting_is_named);
    ADD("settings-that-do-not-fit-are-refused",
        test_settings_that_do_not_fit_are_refused);
    ADD("socket-of-another-process-is-not-taken",
        test_socket_of_another_process_is_not_taken);
    return g_test_run();
}
