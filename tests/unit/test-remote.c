/*
 * The remote attester and the dispatch of its requests, where the daemon or the
 * connection fails: a local attester on a real software TPM is behind it.
 *
 * The tests of the local attester run through the same socket besides.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/remote.h>

#include "attester/protocol.h"
#include "base/limits.h"
#include "host-fixture.h"

#define SHORT_MS 300 /* a deadline that a test can wait for */
#define LONG_MS 5000 /* what is within it was not waited for */

/* --- One request after the other --------------------------------------- */

/* What a save is made of, up to and with the request @op. */
static bool save_up_to(Store *store, guint16 op, GError **error)
{
    g_autoptr(VsmSealing) sealing =
        fake_save_begin(store->vm, store->attester, "one", true, error);
    g_autoptr(VsmRecord) record = NULL;
    VsmContainer container = fake_container(store->vm, "one", 1);
    bool ok = sealing && (op == VSM_PROTOCOL_SEAL_BEGIN ||
                          (fake_save_stream(store->vm, sealing, error) &&
                           vsm_sealing_finish(sealing, &container, error)));

    vsm_container_clear(&container);
    return ok && (op != VSM_PROTOCOL_COMMIT ||
                  vsm_sealing_commit(sealing, &record, error));
}

static bool ask(Store *store, guint16 op, const char *id, GError **error)
{
    g_autoptr(VsmStatus) status = NULL;
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    VsmVm vm = fake_vm_describe(store->vm);

    switch (op) {
    case VSM_PROTOCOL_STATUS:
        return vsm_attester_status(store->attester, &vm, &status, NULL, error);
    case VSM_PROTOCOL_LIST:
        return vsm_attester_list(store->attester, &records, NULL, error);
    case VSM_PROTOCOL_SEAL_BEGIN:
    case VSM_PROTOCOL_PUT:
    case VSM_PROTOCOL_SEAL_FINISH:
    case VSM_PROTOCOL_COMMIT:
        return save_up_to(store, op, error);
    case VSM_PROTOCOL_REMOVE:
        return vsm_attester_remove(store->attester, id, NULL, error);
    case VSM_PROTOCOL_FORGET:
        return vsm_attester_forget(store->attester, id, NULL, error);
    default:
        return fake_check(store->vm, store->attester, VSM_PURPOSE_FULL, "kept",
                          NULL, &verdict, error);
    }
}

static const guint16 all_ops[] = {
    VSM_PROTOCOL_STATUS, VSM_PROTOCOL_LIST,        VSM_PROTOCOL_SEAL_BEGIN,
    VSM_PROTOCOL_PUT,    VSM_PROTOCOL_SEAL_FINISH, VSM_PROTOCOL_CHECK_BEGIN,
    VSM_PROTOCOL_GET,    VSM_PROTOCOL_CHECK_FINISH};

/* Each of @all_ops meets @fault, fails with @code, and works the next time. */
static void check_fault(DaemonFault fault, int code)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "kept", false));
    for (guint i = 0; i < G_N_ELEMENTS(all_ops); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GError) again = NULL;

        g_test_message("request %u", all_ops[i]);
        daemon_fault(store->daemon, all_ops[i], fault);
        g_assert_false(ask(store, all_ops[i], NULL, &error));
        g_assert_error(error, VSM_ERROR, code);
        g_assert_nonnull(strstr(error->message, "vsmd"));
        daemon_release(store->daemon);
        ask(store, all_ops[i], NULL, &again);
        g_assert_no_error(again);
    }
    g_assert_cmpuint(store_count(store, true), ==, 1);
}

static void test_lost_connection_is_an_error_and_the_next_request_works(void)
{
    check_fault(DAEMON_CUTS_BEFORE, VSM_ERROR_CONNECTION);
}

static void test_lost_answer_is_an_error_and_the_next_request_works(void)
{
    check_fault(DAEMON_CUTS_ANSWER, VSM_ERROR_CONNECTION);
}

static void test_garbage_is_an_error_and_the_next_request_works(void)
{
    check_fault(DAEMON_ANSWERS_GARBAGE, VSM_ERROR_PROTOCOL);
}

static void test_another_answer_is_an_error_and_the_next_request_works(void)
{
    check_fault(DAEMON_ANSWERS_ANOTHER, VSM_ERROR_PROTOCOL);
}

/* A save whose connection was lost leaves nothing that is sealed. */
static void test_saves_that_were_cut_leave_nothing_behind(void)
{
    static const guint16 ops[] = {VSM_PROTOCOL_SEAL_BEGIN, VSM_PROTOCOL_PUT,
                                  VSM_PROTOCOL_SEAL_FINISH,
                                  VSM_PROTOCOL_COMMIT};
    g_autoptr(Store) store = store_new();

    for (guint i = 0; i < G_N_ELEMENTS(ops); i++) {
        daemon_fault(store->daemon, ops[i], DAEMON_CUTS_BEFORE);
        g_assert_false(
            fake_save(store->vm, store->attester, "one", false, NULL, NULL));
        g_assert_cmpuint(store_count(store, true), ==, 0);
    }
    g_assert_cmpuint(store_count(store, false), ==, 1); /* was finished */
}

/* --- Deadlines and cancelling ------------------------------------------ */

static void test_hanging_daemon_costs_the_deadline_and_no_more(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "kept", false));
    for (guint i = 0; i < G_N_ELEMENTS(all_ops); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GError) again = NULL;
        gint64 begin = g_get_monotonic_time();

        g_test_message("request %u", all_ops[i]);
        vsm_remote_attester_set_deadline(store->attester, SHORT_MS);
        daemon_fault(store->daemon, all_ops[i], DAEMON_HANGS);
        g_assert_false(ask(store, all_ops[i], NULL, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT);
        g_assert_nonnull(strstr(error->message, "300 ms"));
        g_assert_cmpint(g_get_monotonic_time() - begin, <, LONG_MS * 1000);
        /* It goes on, and its answer must not be taken for a later one. */
        daemon_release(store->daemon);
        vsm_remote_attester_set_deadline(store->attester, 0);
        ask(store, all_ops[i], NULL, &again);
        g_assert_no_error(again);
    }
}

static gpointer cancel_soon(gpointer cancel)
{
    g_usleep(100 * 1000);
    g_cancellable_cancel(cancel);
    return NULL;
}

static void test_cancelling_ends_the_wait(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(GError) error = NULL;
    gint64 begin = g_get_monotonic_time();
    GThread *thread;

    daemon_fault(store->daemon, VSM_PROTOCOL_LIST, DAEMON_HANGS);
    thread = g_thread_new("cancel", cancel_soon, cancel);
    g_assert_false(
        vsm_attester_list(store->attester, &records, cancel, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CANCELLED);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, LONG_MS * 1000);
    g_thread_join(thread);
    daemon_release(store->daemon);
    g_assert_cmpuint(store_count(store, true), ==, 0);
}

/* The free of a save or a check must not wait for a daemon that hangs. */
static void test_abort_does_not_wait(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;
    VsmSealing *sealing =
        fake_save_begin(store->vm, store->attester, "one", false, &error);
    gint64 begin;

    g_assert_no_error(error);
    daemon_fault(store->daemon, VSM_PROTOCOL_ABORT, DAEMON_HANGS);
    begin = g_get_monotonic_time();
    vsm_sealing_free(sealing);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, SHORT_MS * 1000);
    daemon_release(store->daemon);
    g_free(store_save(store, "one", false));
    g_assert_cmpuint(daemon_connections(store->daemon), ==, 1);
}

/* --- Restarts ----------------------------------------------------------- */

static void test_absent_daemon_is_an_error_with_its_socket(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(GError) error = NULL;

    store_stop_daemon(store);
    g_assert_false(vsm_attester_list(store->attester, &records, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CONNECTION);
    g_assert_nonnull(strstr(error->message, store->socket));
    store_start_daemon(store);
    g_assert_cmpuint(store_count(store, true), ==, 0);
}

static void test_who_is_turned_away_is_told_why(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(GError) error = NULL;

    daemon_refuse(store->daemon, VSM_ERROR_DENIED);
    g_assert_false(vsm_attester_list(store->attester, &records, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_DENIED);
    g_assert_nonnull(strstr(error->message, "turned away"));
    g_assert_cmpuint(store_count(store, true), ==, 0); /* was not for ever */
}

/* It may still be at what a connection that was given up asked for. */
static void test_busy_daemon_is_asked_again(void)
{
    g_autoptr(Store) store = store_new();

    daemon_refuse(store->daemon, VSM_ERROR_BUSY);
    g_assert_cmpuint(store_count(store, true), ==, 0);
    g_assert_cmpuint(daemon_connections(store->daemon), ==, 2);
}

static void test_restart_between_requests_is_not_noticed(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    store_stop_daemon(store);
    store_start_daemon(store);
    g_assert_cmpuint(store_count(store, true), ==, 1);
    store_stop_daemon(store);
    store_start_daemon(store);
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
                     VSM_RESULT_MATCH);
}

static void test_restart_ends_the_transaction_under_way(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmSealing) sealing = NULL;
    g_autoptr(GError) error = NULL;
    VsmContainer container = fake_container(store->vm, "one", 1);

    sealing = fake_save_begin(store->vm, store->attester, "one", false, &error);
    g_assert_no_error(error);
    store_stop_daemon(store);
    store_start_daemon(store);
    /* Another request connects anew; the save does not go on there. */
    g_assert_cmpuint(store_count(store, true), ==, 0);
    g_assert_true(fake_save_stream(store->vm, sealing, &error));
    g_assert_false(vsm_sealing_finish(sealing, &container, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CONNECTION);
    vsm_container_clear(&container);
    g_clear_pointer(&sealing, vsm_sealing_free);
    g_free(store_save(store, "one", false));
    g_assert_cmpuint(store_count(store, true), ==, 1);
}

/* --- Lists longer than a message ---------------------------------------- */

static void test_list_longer_than_a_message_is_whole(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *config = g_strnfill(VSM_CONFIG_BYTES_MAX, 'x');
    const guint n = VSM_MESSAGE_BYTES_MAX / VSM_CONFIG_BYTES_MAX + 2;

    store->vm->config = config;
    for (guint i = 0; i < n; i++) {
        g_autofree char *tag = g_strdup_printf("tag%u", i);

        g_free(store_save(store, tag, false));
    }
    g_assert_cmpuint(store_count(store, true), ==, n);
    g_assert_cmpuint(daemon_connections(store->daemon), ==, 1);
}

#define ADD(name, function) g_test_add_func("/remote/" name, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_setenv("VSM_TEST_REMOTE", "1", true);
    ADD("lost-connection-is-an-error-and-the-next-request-works",
        test_lost_connection_is_an_error_and_the_next_request_works);
    ADD("lost-answer-is-an-error-and-the-next-request-works",
        test_lost_answer_is_an_error_and_the_next_request_works);
    ADD("garbage-is-an-error-and-the-next-request-works",
        test_garbage_is_an_error_and_the_next_request_works);
    ADD("another-answer-is-an-error-and-the-next-request-works",
        test_another_answer_is_an_error_and_the_next_request_works);
    ADD("saves-that-were-cut-leave-nothing-behind",
        test_saves_that_were_cut_leave_nothing_behind);
    ADD("hanging-daemon-costs-the-deadline-and-no-more",
        test_hanging_daemon_costs_the_deadline_and_no_more);
    ADD("cancelling-ends-the-wait", test_cancelling_ends_the_wait);
    ADD("abort-does-not-wait", test_abort_does_not_wait);
    ADD("absent-daemon-is-an-error-with-its-socket",
        test_absent_daemon_is_an_error_with_its_socket);
    ADD("who-is-turned-away-is-told-why", test_who_is_turned_away_is_told_why);
    ADD("busy-daemon-is-asked-again", test_busy_daemon_is_asked_again);
    ADD("restart-between-requests-is-not-noticed",
        test_restart_between_requests_is_not_noticed);
    ADD("restart-ends-the-transaction-under-way",
        test_restart_ends_the_transaction_under_way);
    ADD("list-longer-than-a-message-is-whole",
        test_list_longer_than_a_message_is_whole);
    return g_test_run();
}
