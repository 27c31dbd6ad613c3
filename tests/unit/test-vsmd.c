/*
 * Tests of the daemon's parts: settings, limits, sockets of systemd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <unistd.h>
#include <vsm/error.h>

#include "vsmd/bounds.h"
#include "vsmd/options.h"
#include "vsmd/peer.h"
#include "vsmd/systemd.h"

#define UUID "3f2b0f5e-0c83-4a52-a1f4-9d8f6f7d9a01"

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
    ADD("connections-fit-the-limits-of-the-service",
        test_connections_fit_the_limits_of_the_service);
    ADD("key-file-sets-what-it-says", test_key_file_sets_what_it_says);
    ADD("wrong-setting-is-named", test_wrong_setting_is_named);
    ADD("settings-that-do-not-fit-are-refused",
        test_settings_that_do_not_fit_are_refused);
    ADD("socket-of-another-process-is-not-taken",
        test_socket_of_another_process_is_not_taken);
    return g_test_run();
}
