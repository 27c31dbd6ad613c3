/*
 * The client's connection to vsmd: made at first use, one request at a time,
 * made anew after a loss.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attester/connection.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "attester/channel.h"

#define REQUEST_MS 70000 /* 10 s more than the daemon's own deadline */
#define CONNECT_PAUSE_MS 20 /* while the daemon's queue is full */
#define BUSY_MS 10000 /* of its own old connection: ends in that time */
#define BUSY_PAUSE_MS 100
#define ABORT_MS 1000 /* to hand 13 bytes to the kernel */

struct VsmConnection {
    char *path;
    guint request_ms;
    int fd; /* -1: none */
    guint number; /* of this connection, or of the last one */
    bool aborting; /* ABORT was sent, its answer is still to come */
};

VsmConnection *vsm_connection_new(const char *path, GError **error)
{
    struct sockaddr_un address;
    VsmConnection *connection;

    if (!path || path[0] != '/' || strlen(path) >= sizeof(address.sun_path)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "attester socket \"%s\": give an absolute path of at most "
                    "%zu bytes, such as unix:/run/vsm/vsmd.sock",
                    path ? path : "", sizeof(address.sun_path) - 1);
        return NULL;
    }
    connection = g_new0(VsmConnection, 1);
    connection->path = g_strdup(path);
    connection->request_ms = REQUEST_MS;
    connection->fd = -1;
    return connection;
}

static void disconnect(VsmConnection *connection)
{
    if (connection->fd >= 0) {
        close(connection->fd);
    }
    connection->fd = -1;
    connection->aborting = false;
}

void vsm_connection_free(VsmConnection *connection)
{
    if (connection) {
        disconnect(connection);
        g_free(connection->path);
        g_free(connection);
    }
}

void vsm_connection_set_deadline(VsmConnection *connection, guint request_ms)
{
    connection->request_ms = request_ms ? request_ms : REQUEST_MS;
}

/* --- Answers ---------------------------------------------------------- */

static void name_it(VsmConnection *connection, guint ms, GError **error)
{
    if (error && *error && (*error)->code == VSM_ERROR_TIMEOUT) {
        g_clear_error(error);
        g_set_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT,
                    "the attester at %s did not answer within %u ms; see "
                    "whether vsmd hangs",
                    connection->path, ms);
    } else {
        g_prefix_error(error, "attester at %s: ", connection->path);
    }
}

/* Sets @error to what an ERROR says; false: @body is none. */
static bool take_refusal(GBytes *body, GError **error)
{
    VsmProtocolError *refused =
        vsm_protocol_decode(VSM_PROTOCOL_ERROR, body, error);

    if (!refused) {
        return false;
    }
    g_set_error_literal(error, VSM_ERROR, refused->code, refused->text);
    vsm_protocol_free(VSM_PROTOCOL_ERROR, refused);
    return true;
}

/* @op: of the answer that belongs here. */
static bool read_answer(guint16 op,
                        const VsmProtocolHeader *header,
                        GBytes *body,
                        gpointer *ret,
                        bool *ret_lost,
                        GError **error)
{
    *ret_lost = true;
    if (header->op == VSM_PROTOCOL_ERROR) {
        *ret_lost = !take_refusal(body, error);
        return false;
    }
    if (header->op != op || header->version != VSM_PROTOCOL_VERSION) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "message %u in version %u came where message %u in "
                    "version %u belongs; use QEMU and vsmd of the same VSM",
                    header->op, header->version, op, VSM_PROTOCOL_VERSION);
        return false;
    }
    *ret = vsm_protocol_decode(op, body, error);
    return *ret != NULL;
}

/* --- Connect ---------------------------------------------------------- */

static bool
cannot_connect(VsmConnection *connection, int number, GError **error)
{
    bool denied = number == EACCES || number == EPERM;

    g_set_error(error, VSM_ERROR,
                denied ? VSM_ERROR_DENIED : VSM_ERROR_CONNECTION,
                "cannot connect to the attester at %s: %s; %s",
                connection->path, g_strerror(number),
                denied ? "let this user into the socket's group"
                       : "start vsmd, or correct attester=");
    return false;
}

/* A queue that is full answers EAGAIN: others are being served. */
static bool
connect_fd(VsmConnection *connection, const VsmChannel *channel, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    g_strlcpy(address.sun_path, connection->path, sizeof(address.sun_path));
    while (connect(channel->fd, (struct sockaddr *)&address, sizeof(address)) <
           0) {
        if (errno != EAGAIN && errno != EINTR) {
            return cannot_connect(connection, errno, error);
        }
        if (g_get_monotonic_time() >= channel->deadline_us) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT,
                        "the attester at %s takes no more connections; see "
                        "whether vsmd hangs",
                        connection->path);
            return false;
        }
        if (channel->cancel && g_cancellable_is_cancelled(channel->cancel)) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_CANCELLED, "cancelled");
            return false;
        }
        g_usleep(CONNECT_PAUSE_MS * 1000);
    }
    return true;
}

/*
 * The daemon knows who we are when it says so.  Not before: what stands in the
 * socket when it looks may come from what this process was until then.
 */
static bool await_greeting(VsmConnection *connection,
                           guint ms,
                           const VsmChannel *channel,
                           GError **error)
{
    const guint16 op = VSM_PROTOCOL_HELLO | VSM_PROTOCOL_ANSWER;
    g_autoptr(GBytes) body = NULL;
    VsmProtocolHeader header;
    gpointer hello = NULL;
    bool lost;

    if (!vsm_channel_receive(channel, &header, &body, error)) {
        name_it(connection, ms, error);
        return false;
    }
    if (!read_answer(op, &header, body, &hello, &lost, error)) {
        return false;
    }
    vsm_protocol_free(op, hello);
    return true;
}

static bool connect_now(VsmConnection *connection,
                        guint ms,
                        VsmChannel *channel,
                        GError **error)
{
    int on = 1;

    channel->fd =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (channel->fd < 0) {
        return cannot_connect(connection, errno, error);
    }
    /* The kernel then says with each message which process sends it. */
    if (setsockopt(channel->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0) {
        cannot_connect(connection, errno, error);
        close(channel->fd);
        return false;
    }
    if (!connect_fd(connection, channel, error) ||
        !await_greeting(connection, ms, channel, error)) {
        close(channel->fd);
        return false;
    }
    connection->fd = channel->fd;
    connection->number++;
    return true;
}

/*
 * BUSY in place of a greeting: the daemon still ends what an earlier
 * connection of ours asked for.  Nothing was asked on this one.
 */
static bool connect_patiently(VsmConnection *connection,
                              guint ms,
                              VsmChannel *channel,
                              GError **error)
{
    gint64 until =
        MIN(g_get_monotonic_time() + BUSY_MS * G_TIME_SPAN_MILLISECOND,
            channel->deadline_us);

    for (;;) {
        g_autoptr(GError) why = NULL;

        if (connect_now(connection, ms, channel, &why)) {
            return true;
        }
        if (!g_error_matches(why, VSM_ERROR, VSM_ERROR_BUSY) ||
            g_get_monotonic_time() >= until) {
            g_propagate_error(error, g_steal_pointer(&why));
            return false;
        }
        g_usleep(BUSY_PAUSE_MS * 1000);
    }
}

/* Nothing was asked, so what can be read is the end. */
static bool is_stale(VsmConnection *connection)
{
    struct pollfd fd = {.fd = connection->fd, .events = POLLIN};

    return !connection->aborting && poll(&fd, 1, 0) > 0;
}

/* Takes the answer to an ABORT that nobody waited for. */
static bool
finish_abort(VsmConnection *connection, VsmChannel *channel, GError **error)
{
    VsmProtocolHeader header;
    g_autoptr(GBytes) body = NULL;

    if (connection->aborting &&
        !vsm_channel_receive(channel, &header, &body, error)) {
        return false;
    }
    connection->aborting = false;
    return true;
}

/* A connection on which a request can be sent. */
static bool ready(VsmConnection *connection,
                  const VsmRequest *request,
                  guint ms,
                  VsmChannel *channel,
                  GError **error)
{
    g_autoptr(GError) why = NULL;

    channel->fd = connection->fd;
    if (connection->fd >= 0 && is_stale(connection)) {
        disconnect(connection);
    }
    if (connection->fd >= 0 && !finish_abort(connection, channel, &why)) {
        disconnect(connection);
        if (why->code != VSM_ERROR_CONNECTION) {
            name_it(connection, ms, &why);
            g_propagate_error(error, g_steal_pointer(&why));
            return false;
        }
    }
    if (request->on &&
        (connection->fd < 0 || request->on != connection->number)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION,
                    "the connection to the attester at %s was lost, and with "
                    "it what was under way; see whether vsmd runs, and begin "
                    "again",
                    connection->path);
        return false;
    }
    return connection->fd >= 0 ||
           connect_patiently(connection, ms, channel, error);
}

/* --- Ask -------------------------------------------------------------- */

static bool exchange(const VsmRequest *request,
                     GBytes *asked,
                     const VsmChannel *channel,
                     VsmProtocolHeader *ret_header,
                     GBytes **ret_body,
                     GError **error)
{
    g_autoptr(GError) why = NULL;

    if (vsm_channel_send(channel, request->op, asked, &why)) {
        return vsm_channel_receive(channel, ret_header, ret_body, error);
    }
    /* Who is turned away is told why before the end. */
    if (why->code != VSM_ERROR_CONNECTION ||
        !vsm_channel_receive(channel, ret_header, ret_body, NULL)) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    return true;
}

bool vsm_connection_ask(VsmConnection *connection,
                        const VsmRequest *request,
                        gpointer *ret,
                        bool *ret_lost,
                        GCancellable *cancel,
                        GError **error)
{
    guint ms =
        request->deadline_ms ? request->deadline_ms : connection->request_ms;
    VsmChannel channel = {
        .fd = -1,
        .deadline_us = g_get_monotonic_time() + ms * G_TIME_SPAN_MILLISECOND,
        .cancel = cancel,
    };
    g_autoptr(GBytes) asked =
        vsm_protocol_encode(request->op, request->body, error);
    g_autoptr(GBytes) body = NULL;
    g_autoptr(GError) why = NULL;
    VsmProtocolHeader header;
    bool lost = false, ok;

    if (ret_lost) {
        *ret_lost = false;
    }
    if (!asked) {
        return false;
    }
    if (!ready(connection, request, ms, &channel, error)) {
        return false;
    }
    if (exchange(request, asked, &channel, &header, &body, &why)) {
        ok = read_answer(request->op | VSM_PROTOCOL_ANSWER, &header, body, ret,
                         &lost, &why);
    } else {
        name_it(connection, ms, &why);
        lost = true;
        ok = false;
    }
    if (ok) {
        return true;
    }
    if (lost) {
        disconnect(connection);
    }
    if (ret_lost) {
        *ret_lost = lost;
    }
    g_propagate_error(error, g_steal_pointer(&why));
    return false;
}

guint vsm_connection_number(VsmConnection *connection)
{
    return connection->number;
}

void vsm_connection_abort(VsmConnection *connection)
{
    VsmProtocolNothing nothing = {0};
    VsmChannel channel = {
        .fd = connection->fd,
        .deadline_us = g_get_monotonic_time() + ABORT_MS * 1000,
    };
    g_autoptr(GBytes) body = NULL;

    if (connection->fd < 0 || connection->aborting) {
        return;
    }
    body = vsm_protocol_encode(VSM_PROTOCOL_ABORT, &nothing, NULL);
    if (vsm_channel_send(&channel, VSM_PROTOCOL_ABORT, body, NULL)) {
        connection->aborting = true;
    } else {
        disconnect(connection);
    }
}
