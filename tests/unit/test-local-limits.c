/*
 * The attester's limits: one transaction, a quota, a budget of NV writes, a
 * request's deadline; with which error each is kept.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"

#include <string.h>

static void test_second_transaction_is_busy(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmSealing) sealing = NULL;
    g_autofree char *id = store_save(store, "one", false);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) removing = NULL;

    sealing = fake_save_begin(store->vm, store->attester, "two", false, NULL);
    g_assert_nonnull(sealing);
    g_assert_null(
        fake_save_begin(store->vm, store->attester, "three", false, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_false(vsm_attester_remove(store->attester, id, NULL, &removing));
    g_assert_error(removing, VSM_ERROR, VSM_ERROR_BUSY);
}

static void test_cancelled_call_says_so(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(GError) error = NULL;

    g_cancellable_cancel(cancel);
    g_assert_false(
        vsm_attester_list(store->attester, &records, cancel, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CANCELLED);
}

static void test_quota_is_kept_and_named(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;

    store->options.vm_quota_bytes = 4 << 20; /* one save announces so much */
    store_reopen(store);
    g_free(store_save(store, "one", false));
    g_assert_false(
        fake_save(store->vm, store->attester, "two", false, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NO_SPACE);
    g_assert_nonnull(strstr(error->message, "quota"));
    g_assert_cmpuint(store_count(store, true), ==, 1);
    store_assert_match(store, "one");
}

static void test_more_space_than_there_is_is_refused(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;
    char *id = NULL;
    VsmSealRequest request = {.vm = fake_vm_describe(store->vm),
                              .tag = "one",
                              .expect_bytes = G_MAXINT64};

    g_assert_false(
        vsm_attester_seal_begin(store->attester, &request, &id, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NO_SPACE);
}

static void test_more_than_announced_is_refused_and_dropped(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = g_bytes_new_take(g_malloc0(4800), 4800);
    g_autofree char *id = NULL;
    VsmSealRequest request = {
        .vm = fake_vm_describe(store->vm), .tag = "one", .expect_bytes = 4799};

    g_assert_true(
        vsm_attester_seal_begin(store->attester, &request, &id, NULL, NULL));
    g_assert_false(vsm_attester_put(store->attester, VSM_PART_LEAVES, 0, bytes,
                                    NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_LIMIT);
    vsm_attester_abort(store->attester);
    store_shell(store, "test -z \"$(find $S/vm -type f)\"");
}

static void test_save_that_announces_nothing_is_refused(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;
    char *id = NULL;
    VsmSealRequest request = {.vm = fake_vm_describe(store->vm), .tag = "one"};

    g_assert_false(
        vsm_attester_seal_begin(store->attester, &request, &id, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    store_shell(store, "test -z \"$(find $S/vm -type f)\"");
    g_free(store_save(store, "one", false)); /* no transaction is left */
}

static void test_nv_budget_is_busy_with_the_time_to_wait(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;

    store->options.nv_burst = 2;
    store->options.nv_interval_ms = 600000;
    store_reopen(store);
    g_free(store_save(store, "one", false));
    g_free(store_save(store, "two", false));
    g_assert_false(
        fake_save(store->vm, store->attester, "three", false, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, "try again in"));
    store_assert_match(store, "two");
}

static void test_aborted_save_gives_its_nv_write_back(void)
{
    g_autoptr(Store) store = store_new();

    store->options.nv_burst = 1;
    store->options.nv_interval_ms = 600000;
    store_reopen(store);
    for (guint i = 0; i < 3; i++) {
        g_autoptr(VsmSealing) sealing = NULL;
        g_autoptr(GError) error = NULL;

        sealing =
            fake_save_begin(store->vm, store->attester, "one", false, &error);
        g_assert_no_error(error);
    }
    g_free(store_save(store, "one", false));
}

/* Each command comes within its own deadline, all of them do not. */
static void test_slow_tpm_costs_the_requests_deadline_and_no_more(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;
    gint64 begin;

    store->options.request_ms = 500;
    store_reopen(store);
    store->tap->delay_ms = 200;
    begin = g_get_monotonic_time();
    g_assert_false(
        fake_save(store->vm, store->attester, "one", false, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT);
    g_assert_nonnull(strstr(error->message, "the request's 500 ms"));
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 3 * G_USEC_PER_SEC);
    store->tap->delay_ms = 0;
    g_usleep(500 * 1000); /* the tap's thread sees its last command through */
    store->options.request_ms = 0;
    store_reopen(store);
    g_free(store_save(store, "one", false));
}

static gpointer cancel_soon(gpointer cancel)
{
    g_usleep(100 * 1000);
    g_cancellable_cancel(cancel);
    return NULL;
}

static void test_cancelling_does_not_wait_for_the_tpm(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    g_autoptr(GError) error = NULL;
    VsmSealRequest request = {.vm = fake_vm_describe(store->vm),
                              .tag = "one",
                              .expect_bytes = 1 << 20};
    GThread *thread = g_thread_new("cancel", cancel_soon, cancel);
    gint64 begin = g_get_monotonic_time();
    char *id = NULL;

    store->tap->delay_ms = 3000;
    g_assert_false(vsm_attester_seal_begin(store->attester, &request, &id,
                                           cancel, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CANCELLED);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 2 * G_USEC_PER_SEC);
    g_thread_join(thread);
    store->tap->delay_ms = 0;
    g_free(store_save(store, "one", false));
    g_assert_cmpuint(store_count(store, false), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/local-refusals/" path, func)
    ADD("second-transaction-is-busy", test_second_transaction_is_busy);
    ADD("cancelled-call-says-so", test_cancelled_call_says_so);
    ADD("quota-is-kept-and-named", test_quota_is_kept_and_named);
    ADD("more-space-than-there-is-is-refused",
        test_more_space_than_there_is_is_refused);
    ADD("save-that-announces-nothing-is-refused",
        test_save_that_announces_nothing_is_refused);
    ADD("more-than-announced-is-refused-and-dropped",
        test_more_than_announced_is_refused_and_dropped);
    ADD("slow-tpm-costs-the-requests-deadline-and-no-more",
        test_slow_tpm_costs_the_requests_deadline_and_no_more);
    ADD("cancelling-does-not-wait-for-the-tpm",
        test_cancelling_does_not_wait_for_the_tpm);
    ADD("nv-budget-is-busy-with-the-time-to-wait",
        test_nv_budget_is_busy_with_the_time_to_wait);
    ADD("aborted-save-gives-its-nv-write-back",
        test_aborted_save_gives_its_nv_write_back);
    return g_test_run();
}
