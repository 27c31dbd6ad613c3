/*
 * Tests: a store and a secret belong to the daemon or to hypervisor processes
 * for ever; budget and status of a host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include "host-fixture.h"

/* Opens what @options say; must be refused with @code. */
static void refused(Store *store, const VsmHostOptions *options, int code)
{
    g_autoptr(GError) error = NULL;

    store_close(store);
    g_assert_null(vsm_host_open(options, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_test_message("%s", error->message);
}

static Store *new_of_kind(VsmHostKind kind)
{
    Store *store = store_new();

    if (kind == VSM_HOST_DAEMON) {
        store_close(store);
        store_shell(store, "rm -rf \"$S\" \"${S%/state}/secret\"");
        store->options.kind = kind;
        store_reopen(store);
    }
    return store;
}

static void other_kind_is_refused(VsmHostKind kind)
{
    g_autoptr(Store) store = new_of_kind(kind);
    g_autofree char *fresh = g_build_filename(store->dir, "fresh", NULL);
    g_autofree char *fresh_secret = g_build_filename(store->dir, "s2", NULL);
    VsmHostOptions options = store->options;

    g_free(store_save(store, "one", false));
    options.kind = !kind;
    refused(store, &options, VSM_ERROR_DENIED);
    options.state_dir = fresh; /* a new store with the old secret */
    refused(store, &options, VSM_ERROR_DENIED);
    options.secret_path = fresh_secret; /* both new: nothing is adopted */
    g_object_unref(vsm_host_open(&options, NULL));
    store_reopen(store);
    g_assert_cmpuint(store_count(store, true), ==, 1);
}

static void test_daemon_adopts_nothing_of_a_process(void)
{
    other_kind_is_refused(VSM_HOST_IN_PROCESS);
}

static void test_process_adopts_nothing_of_the_daemon(void)
{
    other_kind_is_refused(VSM_HOST_DAEMON);
}

static void test_daemon_store_with_a_process_secret_is_refused(void)
{
    g_autoptr(Store) store = new_of_kind(VSM_HOST_DAEMON);

    /* The mark cut off: the secret's bytes alone are a process's secret. */
    store_close(store);
    store_shell(store, "T=${S%/state}/secret; tail -c 32 $T > $T.new; "
                       "mv $T.new $T; chmod 600 $T");
    refused(store, &store->options, VSM_ERROR_DENIED);
}

/* As a service, which writes to its state directory alone. */
static void test_secret_that_cannot_be_made_is_asked_for(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *fresh = g_build_filename(store->dir, "fresh", NULL);
    g_autoptr(GError) error = NULL;
    VsmHostOptions options = store->options;

    options.kind = VSM_HOST_DAEMON;
    options.state_dir = fresh;
    options.secret_path = "/proc/secret";
    g_assert_null(vsm_host_open(&options, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_STORE);
    g_assert_nonnull(strstr(error->message, "/proc/secret: there is none"));
    g_assert_nonnull(strstr(error->message, "vsmd --new-secret"));
}

static void test_status_and_keys_say_daemon(void)
{
    g_autoptr(Store) store = new_of_kind(VSM_HOST_DAEMON);
    g_autoptr(VsmStatus) status = NULL;
    g_autofree char *keys = NULL;
    VsmVm vm = {.uuid = FAKE_UUID};

    g_assert_true(
        vsm_attester_status(store->attester, &vm, &status, NULL, NULL));
    g_assert_cmpstr(status->kind, ==, "daemon");
    g_assert_cmpstr(status->measured_by, ==, "daemon");
    g_assert_true(vsm_host_keys(store->host, &keys, NULL));
    g_assert_nonnull(strstr(keys, "\"daemon\""));
}

static void test_nv_budget_survives_a_restart(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmHostStatus) status = NULL;

    store->options.nv_burst = 2;
    store->options.nv_interval_ms = 600000;
    store_reopen(store);
    g_free(store_save(store, "one", false));
    g_free(store_save(store, "two", false));
    store_reopen(store);
    g_assert_true(vsm_host_status(store->host, &status, NULL));
    g_assert_cmpuint(status->nv_left, ==, 0);
    g_assert_false(
        fake_save(store->vm, store->attester, "three", false, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
}

static void test_damaged_nv_budget_gives_no_write(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;

    store->options.nv_interval_ms = 600000;
    store_close(store);
    store_shell(store, "echo x > $S/budget");
    store_reopen(store);
    g_assert_false(
        fake_save(store->vm, store->attester, "one", false, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
}

static void test_status_counts_the_vms_snapshots(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmHostStatus) status = NULL;
    const VsmHostVm *vm;

    g_free(store_save(store, "one", false));
    g_free(store_save(store, "two", false));
    g_assert_true(vsm_host_status(store->host, &status, NULL));
    g_assert_cmpuint(status->vms->len, ==, 1);
    vm = status->vms->pdata[0];
    g_assert_cmpstr(vm->uuid, ==, FAKE_UUID);
    g_assert_cmpuint(vm->listed, ==, 2);
    g_assert_cmpuint(vm->unlisted, ==, 0);
    g_assert_null(status->tpm_error);
    g_assert_true(status->boot_approved);
    g_assert_cmpuint(status->tpm_commands, >, 0);
}

static void test_status_says_that_the_tpm_is_gone(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmHostStatus) status = NULL;

    swtpm_kill(store->swtpm);
    g_assert_true(vsm_host_status(store->host, &status, NULL));
    g_assert_nonnull(status->tpm_error);
    g_assert_null(status->tpm);
    g_assert_false(status->boot_approved);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/host-kind/" path, func)
    ADD("daemon-adopts-nothing-of-a-process",
        test_daemon_adopts_nothing_of_a_process);
    ADD("process-adopts-nothing-of-the-daemon",
        test_process_adopts_nothing_of_the_daemon);
    ADD("daemon-store-with-a-process-secret-is-refused",
        test_daemon_store_with_a_process_secret_is_refused);
    ADD("secret-that-cannot-be-made-is-asked-for",
        test_secret_that_cannot_be_made_is_asked_for);
    ADD("status-and-keys-say-daemon", test_status_and_keys_say_daemon);
    ADD("nv-budget-survives-a-restart", test_nv_budget_survives_a_restart);
    ADD("damaged-nv-budget-gives-no-write",
        test_damaged_nv_budget_gives_no_write);
    ADD("status-counts-the-vms-snapshots",
        test_status_counts_the_vms_snapshots);
    ADD("status-says-that-the-tpm-is-gone",
        test_status_says_that_the_tpm_is_gone);
    return g_test_run();
}
