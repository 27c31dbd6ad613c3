/*
 * The remote attester and the dispatch of its requests, where the daemon or
 * the connection fails: a local attester on a real software TPM is behind it.
 *
 * The tests of the local attester run through the same socket besides.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vsm/remote.h>

#include "attester/channel.h"
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

/* --- Commit and remove: answers that were lost -------------------------- */

static void test_commit_whose_answer_was_lost_is_a_commit(void)
{
    static const DaemonFault faults[] = {DAEMON_CUTS_AFTER, DAEMON_CUTS_ANSWER,
                                         DAEMON_ANSWERS_GARBAGE};

    for (guint i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autoptr(Store) store = store_new();
        g_autofree char *id = NULL;

        daemon_fault(store->daemon, VSM_PROTOCOL_COMMIT, faults[i]);
        id = store_save(store, "one", false);
        g_assert_cmpuint(strlen(id), ==, 32);
        g_assert_cmpuint(store_count(store, true), ==, 1);
    }
}

static void test_commit_that_was_never_begun_is_refused(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;

    daemon_fault(store->daemon, VSM_PROTOCOL_COMMIT, DAEMON_CUTS_BEFORE);
    g_assert_false(
        fake_save(store->vm, store->attester, "one", false, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CONNECTION);
    g_assert_cmpuint(store_count(store, true), ==, 0);
}

/* A save that needs nothing but its commit. */
static VsmSealing *sealed(Store *store)
{
    g_autoptr(GError) error = NULL;
    VsmContainer container;
    VsmSealing *sealing =
        fake_save_begin(store->vm, store->attester, "one", false, &error);

    g_assert_no_error(error);
    g_assert_true(fake_save_stream(store->vm, sealing, &error));
    container = fake_container(store->vm, "one", 1);
    g_assert_true(vsm_sealing_finish(sealing, &container, &error));
    vsm_container_clear(&container);
    return sealing;
}

static gpointer release_late(gpointer daemon)
{
    g_usleep(3 * SHORT_MS * 1000);
    daemon_release(daemon);
    return NULL;
}

/* It comes late, but before the list is answered. */
static void test_commit_that_outlives_its_deadline_is_a_commit(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmSealing) sealing = sealed(store);
    g_autoptr(VsmRecord) record = NULL;
    g_autoptr(GError) error = NULL;
    GThread *thread;

    daemon_fault(store->daemon, VSM_PROTOCOL_COMMIT, DAEMON_HANGS);
    vsm_remote_attester_set_deadline(store->attester, SHORT_MS);
    thread = g_thread_new("release", release_late, store->daemon);
    vsm_sealing_commit(sealing, &record, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(record->id, ==, vsm_sealing_id(sealing));
    g_thread_join(thread);
}

static void test_commit_without_a_daemon_to_ask_is_in_doubt(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmSealing) sealing = sealed(store);
    g_autoptr(VsmRecord) record = NULL;
    g_autoptr(GError) error = NULL;
    gint64 begin;

    daemon_fault(store->daemon, VSM_PROTOCOL_COMMIT, DAEMON_HANGS);
    vsm_remote_attester_set_deadline(store->attester, SHORT_MS);
    begin = g_get_monotonic_time();
    g_assert_false(vsm_sealing_commit(sealing, &record, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_IN_DOUBT);
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 10 * G_USEC_PER_SEC);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 15 * G_USEC_PER_SEC);
    g_assert_null(record);
    daemon_release(store->daemon);
    vsm_remote_attester_set_deadline(store->attester, 0);
    g_assert_cmpuint(store_count(store, true), ==, 1);
}

static void test_removal_whose_answer_was_lost_is_a_removal(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autoptr(GError) error = NULL;

    daemon_fault(store->daemon, VSM_PROTOCOL_REMOVE, DAEMON_CUTS_BEFORE);
    g_assert_false(vsm_attester_remove(store->attester, id, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CONNECTION);
    g_assert_cmpuint(store_count(store, true), ==, 1);
    g_clear_error(&error);
    daemon_fault(store->daemon, VSM_PROTOCOL_REMOVE, DAEMON_CUTS_AFTER);
    vsm_attester_remove(store->attester, id, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(store_count(store, true), ==, 0);
    g_assert_cmpuint(store_count(store, false), ==, 1);
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

/* --- Who may speak on a connection --------------------------------------- */

static int connect_raw(Store *store)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    VsmProtocolHeader header;
    g_autoptr(GBytes) body = NULL;

    g_strlcpy(address.sun_path, store->socket, sizeof(address.sun_path));
    g_assert_no_errno(
        connect(fd, (struct sockaddr *)&address, sizeof(address)));
    g_assert_true(
        vsm_channel_receive(&(VsmChannel){.fd = fd}, &header, &body, NULL));
    g_assert_cmpuint(header.op, ==, VSM_PROTOCOL_HELLO | VSM_PROTOCOL_ANSWER);
    return fd;
}

/* Sends LIST over @fd; whether an answer came. */
static bool is_served(int fd)
{
    VsmChannel channel = {
        .fd = fd, .deadline_us = g_get_monotonic_time() + LONG_MS * 1000};
    VsmProtocolList list = {0};
    g_autoptr(GBytes) asked =
        vsm_protocol_encode(VSM_PROTOCOL_LIST, &list, NULL);
    g_autoptr(GBytes) body = NULL;
    VsmProtocolHeader header = {0};

    return vsm_channel_send(&channel, VSM_PROTOCOL_LIST, asked, NULL) &&
           vsm_channel_receive(&channel, &header, &body, NULL) &&
           header.op == (VSM_PROTOCOL_LIST | VSM_PROTOCOL_ANSWER);
}

static void test_child_of_the_peer_is_not_served(void)
{
    g_autoptr(Store) store = store_new();
    int fd = connect_raw(store), status = -1;
    pid_t child;

    g_assert_true(is_served(fd));
    child = fork();
    if (child == 0) {
        _exit(is_served(fd) ? 1 : 0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
    g_assert_false(is_served(fd)); /* the connection is closed */
    close(fd);
}

static void test_descriptors_are_refused(void)
{
    g_autoptr(Store) store = store_new();
    int fd = connect_raw(store);
    struct iovec part = {(gpointer) "VSM1", 4};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};

    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    g_assert_cmpint(sendmsg(fd, &message, 0), ==, 4);
    g_assert_false(is_served(fd));
    close(fd);
}

/* Header with @op and @version, and a body of one zero byte. */
static void assert_closed_after(guint16 op, guint16 version, guint32 bytes)
{
    g_autoptr(Store) store = store_new();
    int fd = connect_raw(store);
    guint8 message[VSM_PROTOCOL_HEADER_BYTES + 1] = {0};
    VsmChannel channel = {
        .fd = fd, .deadline_us = g_get_monotonic_time() + LONG_MS * 1000};
    VsmProtocolHeader header;
    g_autoptr(GBytes) body = NULL;
    g_autoptr(GError) error = NULL;

    vsm_protocol_write_header(&(VsmProtocolHeader){op, version, bytes},
                              message);
    g_assert_cmpint(write(fd, message, sizeof(message)), ==, sizeof(message));
    if (vsm_channel_receive(&channel, &header, &body, NULL)) {
        g_assert_cmpuint(header.op, ==, VSM_PROTOCOL_ERROR);
        vsm_protocol_take_error(body, &error);
        g_assert_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL);
    }
    g_assert_false(is_served(fd));
    close(fd);
    g_assert_cmpuint(store_count(store, true), ==, 0); /* others are served */
}

static void test_broken_protocol_closes_the_connection(void)
{
    assert_closed_after(VSM_PROTOCOL_COMMIT, 2, 1);
    assert_closed_after(VSM_PROTOCOL_LIST, 1, 1);
    assert_closed_after(VSM_PROTOCOL_ADMIN, 1, 1);
    assert_closed_after(VSM_PROTOCOL_COMMIT | VSM_PROTOCOL_ANSWER, 1, 1);
    assert_closed_after(VSM_PROTOCOL_PUT, 1, VSM_MESSAGE_BYTES_MAX + 1);
}

static void test_paths_that_no_socket_has_are_invalid(void)
{
    g_autofree char *longest = g_strnfill(107, 'x');
    g_autofree char *longer = g_strnfill(108, 'x');
    const char *const bad[] = {NULL, "", "vsmd.sock", longer};
    g_autoptr(VsmAttester) attester = NULL;

    longest[0] = longer[0] = '/';
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(vsm_remote_attester_new(bad[i], &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    }
    attester = vsm_remote_attester_new(longest, NULL);
    g_assert_nonnull(attester);
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
    ADD("commit-whose-answer-was-lost-is-a-commit",
        test_commit_whose_answer_was_lost_is_a_commit);
    ADD("commit-that-was-never-begun-is-refused",
        test_commit_that_was_never_begun_is_refused);
    ADD("commit-that-outlives-its-deadline-is-a-commit",
        test_commit_that_outlives_its_deadline_is_a_commit);
    ADD("commit-without-a-daemon-to-ask-is-in-doubt",
        test_commit_without_a_daemon_to_ask_is_in_doubt);
    ADD("removal-whose-answer-was-lost-is-a-removal",
        test_removal_whose_answer_was_lost_is_a_removal);
    ADD("list-longer-than-a-message-is-whole",
        test_list_longer_than_a_message_is_whole);
    ADD("child-of-the-peer-is-not-served",
        test_child_of_the_peer_is_not_served);
    ADD("descriptors-are-refused", test_descriptors_are_refused);
    ADD("broken-protocol-closes-the-connection",
        test_broken_protocol_closes_the_connection);
    ADD("paths-that-no-socket-has-are-invalid",
        test_paths_that_no_socket_has_are_invalid);
    return g_test_run();
}
