/*
 * One end of a connection: whole messages over a socket, each wait bounded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attester/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/limits.h"

/* SCM_MAX_FD of the kernel: no message carries more descriptors. */
#define DESCRIPTORS_MAX 253

/* Between two looks at a cancellable that has no descriptor; milliseconds. */
#define CANCEL_TICK_MS 100

static bool lost(GError **error, const char *what, int number)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION,
                "the connection was lost while %s: %s", what,
                number ? g_strerror(number) : "the other end closed it");
    return false;
}

/* --- Waiting ---------------------------------------------------------- */

/* Milliseconds for poll(); -1: no end; false: the deadline passed. */
static bool time_left(const VsmChannel *channel, int *ret_ms, GError **error)
{
    gint64 left;

    if (!channel->deadline_us) {
        *ret_ms = -1;
        return true;
    }
    left = channel->deadline_us - g_get_monotonic_time();
    if (left <= 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT,
                    "no answer over the socket in time; see whether the other "
                    "end hangs");
        return false;
    }
    *ret_ms = MIN(left / 1000 + 1, G_MAXINT);
    return true;
}

static bool cancelled(const VsmChannel *channel, GError **error)
{
    if (channel->cancel && g_cancellable_is_cancelled(channel->cancel)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CANCELLED, "cancelled");
        return true;
    }
    return false;
}

static bool wait_for(const VsmChannel *channel, short events, GError **error)
{
    struct pollfd fds[2] = {{.fd = channel->fd, .events = events}};
    GPollFD cancel = {.fd = -1};
    bool held =
        channel->cancel && g_cancellable_make_pollfd(channel->cancel, &cancel);
    bool ok = false;

    fds[1] = (struct pollfd){.fd = cancel.fd, .events = POLLIN};
    for (;;) {
        int ms, n;

        if (cancelled(channel, error) || !time_left(channel, &ms, error)) {
            break;
        }
        if (channel->cancel && !held) {
            ms = ms < 0 ? CANCEL_TICK_MS : MIN(ms, CANCEL_TICK_MS);
        }
        n = poll(fds, held ? 2 : 1, ms);
        if (n < 0 && errno != EINTR) {
            lost(error, "waiting", errno);
            break;
        }
        if (n > 0 && fds[0].revents) {
            ok = !cancelled(channel, error);
            break;
        }
    }
    if (held) {
        g_cancellable_release_fd(channel->cancel);
    }
    return ok;
}

bool vsm_channel_wait(const VsmChannel *channel, GError **error)
{
    return wait_for(channel, POLLIN, error);
}

/* --- Sending ---------------------------------------------------------- */

/*
 * @wait: first look at deadline and cancellation.  What follows a packet that
 * went out waits for room alone: half a message is no answer.
 */
static bool send_all(const VsmChannel *channel,
                     const guint8 *data,
                     gsize bytes,
                     bool wait,
                     GError **error)
{
    for (gsize at = 0; at < bytes;) {
        ssize_t n;

        if (wait && !wait_for(channel, POLLOUT, error)) {
            return false;
        }
        n = send(channel->fd, data + at,
                 MIN(bytes - at, VSM_PROTOCOL_PACKET_BYTES_MAX),
                 MSG_NOSIGNAL | MSG_DONTWAIT);
        wait = n < 0 && errno == EAGAIN;
        if (n < 0 && (wait || errno == EINTR)) {
            continue;
        }
        if (n < 0) {
            return lost(error, "sending", errno);
        }
        at += n;
    }
    return true;
}

bool vsm_channel_send(const VsmChannel *channel,
                      guint16 op,
                      GBytes *body,
                      GError **error)
{
    guint8 header[VSM_PROTOCOL_HEADER_BYTES];
    gsize bytes;
    gconstpointer data = g_bytes_get_data(body, &bytes);

    vsm_protocol_write_header(
        &(VsmProtocolHeader){op, VSM_PROTOCOL_VERSION, bytes}, header);
    return send_all(channel, header, sizeof(header), true, error) &&
           send_all(channel, data, bytes, false, error);
}

/* --- Receiving -------------------------------------------------------- */

typedef union {
    struct cmsghdr align;
    guint8 bytes[CMSG_SPACE(sizeof(struct ucred)) +
                 CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int)) + 1024];
} Control;

/* Nobody here asks for descriptors: a sender must not fill our table. */
static void close_descriptors(struct cmsghdr *header)
{
    gsize n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

    for (gsize i = 0; i < n; i++) {
        int fd;

        memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
        close(fd);
    }
}

static bool
check_sender(const VsmChannel *channel, struct msghdr *message, GError **error)
{
    bool known = false, descriptors = message->msg_flags & MSG_CTRUNC;
    struct ucred sender;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c;
         c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            close_descriptors(c);
            descriptors = true;
        } else if (c->cmsg_level == SOL_SOCKET &&
                   c->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&sender, CMSG_DATA(c), sizeof(sender));
            known = true;
        }
    }
    if (descriptors) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "file descriptors came along with a message");
        return false;
    }
    if (channel->peer && (!known || sender.pid != channel->peer->pid ||
                          sender.uid != channel->peer->uid)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_DENIED,
                    "a message by process %d of user %u on the connection of "
                    "process %d of user %u: one process a connection",
                    known ? (int)sender.pid : -1,
                    known ? sender.uid : (guint)-1, (int)channel->peer->pid,
                    (guint)channel->peer->uid);
        return false;
    }
    return true;
}

static bool
receive_all(const VsmChannel *channel, void *data, gsize bytes, GError **error)
{
    bool was_reset = false;

    for (gsize at = 0; at < bytes;) {
        Control control;
        struct iovec part = {(guint8 *)data + at, bytes - at};
        struct msghdr message = {
            .msg_iov = &part,
            .msg_iovlen = 1,
            .msg_control = control.bytes,
            .msg_controllen = sizeof(control.bytes),
        };
        ssize_t n;

        if (!wait_for(channel, POLLIN, error)) {
            return false;
        }
        n = recvmsg(channel->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        /* Packets that came before it, with the reason, can still be read. */
        if (n < 0 && errno == ECONNRESET && !was_reset) {
            was_reset = true;
            continue;
        }
        if (n <= 0) {
            return lost(error, "receiving", n ? errno : 0);
        }
        if (!check_sender(channel, &message, error)) {
            return false;
        }
        if (message.msg_flags & MSG_TRUNC) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                        "a packet goes beyond the end of its part of a "
                        "message");
            return false;
        }
        at += n;
    }
    return true;
}

bool vsm_channel_receive(const VsmChannel *channel,
                         VsmProtocolHeader *ret_header,
                         GBytes **ret_body,
                         GError **error)
{
    guint8 data[VSM_PROTOCOL_HEADER_BYTES];
    VsmProtocolHeader header;
    g_autofree guint8 *body = NULL;

    if (!receive_all(channel, data, sizeof(data), error) ||
        !vsm_protocol_read_header(data, &header, error)) {
        return false;
    }
    body = g_try_malloc(MAX(header.bytes, 1));
    if (!body) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "no memory for a message of %u bytes", header.bytes);
        return false;
    }
    if (!receive_all(channel, body, header.bytes, error)) {
        return false;
    }
    *ret_header = header;
    *ret_body = g_bytes_new_take(g_steal_pointer(&body), header.bytes);
    return true;
}
