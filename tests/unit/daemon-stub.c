/*
 * Test help: a daemon of one VM in a thread, which fails where it is told to.
 *
 * It serves one connection after the other, so a new one waits until the work
 * of the one before has ended.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "daemon-stub.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attester/channel.h"
#include "vsmd/dispatch.h"

#define VM_UUID "00112233-4455-6677-8899-aabbccddeeff" /* FAKE_UUID */
#define BACKLOG 8

struct Daemon {
    char *path;
    DaemonAttester *make;
    gpointer opaque;
    int fd; /* listens */
    GThread *thread;
    GCancellable *stop;
    GMutex mutex; /* all below */
    GCond cond;
    guint16 op;
    DaemonFault fault;
    bool released;
    int refused; /* code; 0: welcome */
    guint connections;
};

static DaemonFault take_fault(Daemon *daemon, guint16 op)
{
    DaemonFault fault = DAEMON_WORKS;

    g_mutex_lock(&daemon->mutex);
    if (daemon->op == 0 || daemon->op == op) {
        fault = daemon->fault;
        daemon->fault = DAEMON_WORKS;
    }
    g_mutex_unlock(&daemon->mutex);
    return fault;
}

static void hang(Daemon *daemon)
{
    g_mutex_lock(&daemon->mutex);
    while (!daemon->released && !g_cancellable_is_cancelled(daemon->stop)) {
        g_cond_wait(&daemon->cond, &daemon->mutex);
    }
    g_mutex_unlock(&daemon->mutex);
}

static void send_half(const VsmChannel *channel, guint16 op, GBytes *body)
{
    guint8 header[VSM_PROTOCOL_HEADER_BYTES];
    gsize bytes;
    gconstpointer data = g_bytes_get_data(body, &bytes);

    vsm_protocol_write_header(
        &(VsmProtocolHeader){op, VSM_PROTOCOL_VERSION, bytes}, header);
    g_assert_cmpint(write(channel->fd, header, sizeof(header)), ==,
                    sizeof(header));
    g_assert_cmpint(write(channel->fd, data, bytes / 2), ==, bytes / 2);
}

/* false: the connection ends. */
static bool
serve_one(Daemon *daemon, VsmDispatch *dispatch, const VsmChannel *channel)
{
    VsmProtocolHeader header;
    g_autoptr(GBytes) body = NULL;
    g_autoptr(GBytes) answer = NULL;
    DaemonFault fault;
    guint16 op;
    bool ok;

    if (!vsm_channel_receive(channel, &header, &body, NULL)) {
        return false;
    }
    fault = take_fault(daemon, header.op);
    if (fault == DAEMON_CUTS_BEFORE) {
        return false;
    }
    if (fault == DAEMON_HANGS) {
        hang(daemon);
    }
    ok = vsm_dispatch_message(dispatch, &header, body, NULL, &op, &answer);
    switch (fault) {
    case DAEMON_CUTS_AFTER:
        return false;
    case DAEMON_CUTS_ANSWER:
        send_half(channel, op, answer);
        return false;
    case DAEMON_ANSWERS_GARBAGE:
        g_assert_cmpint(write(channel->fd, "HTTP/1.1 200 OK\r\n", 17), ==, 17);
        return false;
    case DAEMON_ANSWERS_ANOTHER:
        op = VSM_PROTOCOL_FORGET | VSM_PROTOCOL_ANSWER;
        g_clear_pointer(&answer, g_bytes_unref);
        answer = g_bytes_new_static("\0", 1);
        break;
    default:
        break;
    }
    return vsm_channel_send(channel, op, answer, NULL) && ok;
}

/* A greeting, or the reason why there is none. */
static bool greet(Daemon *daemon, const VsmChannel *channel)
{
    VsmProtocolHello hello = {(char *)"stub"};
    g_autoptr(GBytes) body = NULL;
    g_autoptr(GError) why = NULL;
    int code;

    g_mutex_lock(&daemon->mutex);
    code = daemon->refused;
    daemon->refused = 0;
    g_mutex_unlock(&daemon->mutex);
    if (code) {
        why = g_error_new_literal(VSM_ERROR, code, "turned away");
        body = vsm_protocol_encode_error(why);
        vsm_channel_send(channel, VSM_PROTOCOL_ERROR, body, NULL);
        return false;
    }
    body = vsm_protocol_encode(VSM_PROTOCOL_HELLO | VSM_PROTOCOL_ANSWER, &hello,
                               NULL);
    return vsm_channel_send(channel, VSM_PROTOCOL_HELLO | VSM_PROTOCOL_ANSWER,
                            body, NULL);
}

static void serve(Daemon *daemon, int fd)
{
    struct ucred process;
    socklen_t bytes = sizeof(process);
    VsmPeerId peer;
    VsmChannel channel = {.fd = fd, .peer = &peer, .cancel = daemon->stop};
    g_autoptr(VsmAttester) attester = daemon->make(daemon->opaque);
    g_autoptr(VsmDispatch) dispatch = vsm_dispatch_new(attester, VM_UUID);
    bool greeted;

    g_assert_no_errno(
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &bytes));
    peer = (VsmPeerId){process.pid, process.uid};
    greeted = greet(daemon, &channel);
    while (greeted && serve_one(daemon, dispatch, &channel)) {
    }
}

static gpointer daemon_thread(gpointer opaque)
{
    Daemon *daemon = opaque;
    VsmChannel listening = {.fd = daemon->fd, .cancel = daemon->stop};

    while (vsm_channel_wait(&listening, NULL)) {
        int fd = accept4(daemon->fd, NULL, NULL, SOCK_CLOEXEC);

        g_mutex_lock(&daemon->mutex);
        daemon->connections++;
        g_mutex_unlock(&daemon->mutex);
        g_assert_cmpint(fd, >=, 0);
        serve(daemon, fd);
        close(fd);
    }
    return NULL;
}

Daemon *
daemon_new(const char *socket_path, DaemonAttester *make, gpointer opaque)
{
    Daemon *daemon = g_new0(Daemon, 1);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int on = 1;

    daemon->path = g_strdup(socket_path);
    daemon->make = make;
    daemon->opaque = opaque;
    daemon->stop = g_cancellable_new();
    daemon->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    g_strlcpy(address.sun_path, socket_path, sizeof(address.sun_path));
    g_assert_no_errno(
        setsockopt(daemon->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
    g_assert_no_errno(
        bind(daemon->fd, (struct sockaddr *)&address, sizeof(address)));
    g_assert_no_errno(listen(daemon->fd, BACKLOG));
    daemon->thread = g_thread_new("daemon", daemon_thread, daemon);
    return daemon;
}

void daemon_free(Daemon *daemon)
{
    if (!daemon) {
        return;
    }
    g_cancellable_cancel(daemon->stop);
    daemon_release(daemon);
    g_thread_join(daemon->thread);
    unlink(daemon->path);
    close(daemon->fd);
    g_object_unref(daemon->stop);
    g_free(daemon->path);
    g_free(daemon);
}

void daemon_fault(Daemon *daemon, guint16 op, DaemonFault fault)
{
    g_mutex_lock(&daemon->mutex);
    daemon->op = op;
    daemon->fault = fault;
    daemon->released = false;
    g_mutex_unlock(&daemon->mutex);
}

void daemon_refuse(Daemon *daemon, int code)
{
    g_mutex_lock(&daemon->mutex);
    daemon->refused = code;
    g_mutex_unlock(&daemon->mutex);
}

void daemon_release(Daemon *daemon)
{
    g_mutex_lock(&daemon->mutex);
    daemon->released = true;
    g_cond_broadcast(&daemon->cond);
    g_mutex_unlock(&daemon->mutex);
}

guint daemon_connections(Daemon *daemon)
{
    guint connections;

    g_mutex_lock(&daemon->mutex);
    connections = daemon->connections;
    g_mutex_unlock(&daemon->mutex);
    return connections;
}
