/*
 * Who may speak on a connection to the daemon, and what ends it.
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

#define LONG_MS 5000 /* what is within it was not waited for */

static int connect_raw(Store *store)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
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

/* A request that the daemon never read makes its end a reset. */
static void test_reason_is_read_before_the_reset(void)
{
    int ends[2] = {-1, -1};
    g_autoptr(GError) why = g_error_new(VSM_ERROR, VSM_ERROR_DENIED, "why");
    g_autoptr(GBytes) reason = vsm_protocol_encode_error(why);
    g_autoptr(GBytes) body = NULL;
    VsmProtocolHeader header = {0};
    VsmChannel ours, theirs;

    g_assert_no_errno(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    ours = (VsmChannel){.fd = ends[0]};
    theirs = (VsmChannel){.fd = ends[1]};
    g_assert_true(vsm_channel_send(&ours, VSM_PROTOCOL_STATUS, reason, NULL));
    g_assert_true(vsm_channel_send(&theirs, VSM_PROTOCOL_ERROR, reason, NULL));
    close(ends[1]);
    g_assert_true(vsm_channel_receive(&ours, &header, &body, NULL));
    g_assert_cmpuint(header.op, ==, VSM_PROTOCOL_ERROR);
    g_assert_true(g_bytes_equal(body, reason));
    g_clear_pointer(&body, g_bytes_unref);
    g_assert_false(vsm_channel_receive(&ours, &header, &body, NULL));
    close(ends[0]);
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
    ADD("child-of-the-peer-is-not-served",
        test_child_of_the_peer_is_not_served);
    ADD("descriptors-are-refused", test_descriptors_are_refused);
    ADD("broken-protocol-closes-the-connection",
        test_broken_protocol_closes_the_connection);
    ADD("reason-is-read-before-the-reset",
        test_reason_is_read_before_the_reset);
    ADD("paths-that-no-socket-has-are-invalid",
        test_paths_that_no_socket_has_are_invalid);
    return g_test_run();
}
