/*
 * One hypervisor's connection: a thread that takes its requests one by one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "vsmd/dispatch.h"
#include "vsmd/log.h"
#include "vsmd/measure.h"
#include "vsmd/server.h"

/* Shorter waits of a rate are slept, so that they do not fail. */
#define PACE_MS 1000

/* Between two measurements of one VM's hypervisor; milliseconds. */
#define CONNECT_INTERVAL_MS 250

/* Between two requests that cost little, but not nothing; milliseconds. */
#define LOOK_INTERVAL_MS 20

/* How long a connection waits for the end of the one before it. */
#define FOLLOW_US (10 * G_USEC_PER_SEC)

#define MS G_TIME_SPAN_MILLISECOND

struct VsmConn {
    VsmServer *server;
    VsmVmState *vm;
    VsmPeer *peer;
    guint64 number;
    int fd;
    GCancellable *cancel;
    VsmDispatch *dispatch; /* NULL: not greeted yet */
    VsmHypervisor *hypervisor; /* the attester's, which @dispatch holds */
    bool in_transaction;
};

const VsmPeer *vsm_conn_peer(const VsmConn *conn)
{
    return conn->peer;
}

guint64 vsm_conn_number(const VsmConn *conn)
{
    return conn->number;
}

void vsm_conn_cancel(VsmConn *conn)
{
    g_cancellable_cancel(conn->cancel);
    shutdown(conn->fd, SHUT_RD);
}

static VsmChannel channel_of(VsmConn *conn, guint ms)
{
    return (VsmChannel){
        .fd = conn->fd,
        .peer = &conn->peer->id,
        .deadline_us = ms ? g_get_monotonic_time() + ms * MS : 0,
        .cancel = conn->cancel,
    };
}

/* An answer is sent even while the server stops. */
static bool send_body(VsmConn *conn, guint16 op, GBytes *body, GError **error)
{
    VsmChannel channel = channel_of(conn, conn->server->options->message_ms);

    channel.cancel = NULL;
    return vsm_channel_send(&channel, op, body, error);
}

static void send_error(VsmConn *conn, const GError *why)
{
    g_autoptr(GBytes) body = vsm_protocol_encode_error(why);

    send_body(conn, VSM_PROTOCOL_ERROR, body, NULL);
}

/* --- Before the first request ------------------------------------------ */

/* Until the connection before has ended, with all that it still did. */
static bool follow(VsmConn *conn, GError **error)
{
    gint64 until = g_get_monotonic_time() + FOLLOW_US;
    VsmServer *server = conn->server;
    VsmVmState *vm = conn->vm;
    bool in_time = true, ok;

    g_mutex_lock(&server->mutex);
    while (in_time && vm->current != conn &&
           !g_cancellable_is_cancelled(conn->cancel)) {
        in_time = g_cond_wait_until(&server->cond, &server->mutex, until);
    }
    ok = vm->current == conn;
    g_mutex_unlock(&server->mutex);
    if (!ok) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "VM %s: a request of its last connection is still under "
                    "way; try again in 10 s",
                    vm->uuid);
    }
    return ok;
}

static bool cancelled(VsmConn *conn, GError **error)
{
    if (g_cancellable_is_cancelled(conn->cancel)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CANCELLED,
                    "the connection is being closed");
        return true;
    }
    return false;
}

static bool pause_for(VsmConn *conn, gint64 wait_us, GError **error)
{
    GPollFD fd;
    bool held;

    if (wait_us <= 0) {
        return true;
    }
    held = g_cancellable_make_pollfd(conn->cancel, &fd);
    g_poll(&fd, held ? 1 : 0, wait_us / 1000 + 1);
    if (held) {
        g_cancellable_release_fd(conn->cancel);
    }
    return !cancelled(conn, error);
}

/*
 * Whatever was sent before the measurement may come from another program that
 * then executed the one that is measured.
 */
static bool is_quiet(VsmConn *conn, GError **error)
{
    int bytes = 0;

    if (ioctl(conn->fd, FIONREAD, &bytes) == 0 && bytes == 0 &&
        vsm_process_alive(conn->peer->process.pidfd)) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                "process %d sent before it was greeted, or ended",
                (int)conn->peer->id.pid);
    return false;
}

static bool greet(VsmConn *conn, GError **error)
{
    VsmProtocolHello hello = {(char *)VSM_VERSION};
    guint16 op = VSM_PROTOCOL_HELLO | VSM_PROTOCOL_ANSWER;
    g_autoptr(GBytes) body = vsm_protocol_encode(op, &hello, error);

    return body && is_quiet(conn, error) && send_body(conn, op, body, error);
}

static bool open_attester(VsmConn *conn, GError **error)
{
    gint64 until =
        g_get_monotonic_time() + conn->server->options->request_ms * MS;
    g_autoptr(VsmHypervisor) hypervisor = NULL;
    VsmAttester *attester;
    gint64 wait;
    bool ok;

    g_mutex_lock(&conn->server->mutex);
    ok = vsm_rate_take(&conn->vm->connects, CONNECT_INTERVAL_MS, PACE_MS,
                       g_get_monotonic_time(), "connections", &wait, error);
    g_mutex_unlock(&conn->server->mutex);
    if (!ok || !pause_for(conn, wait, error)) {
        return false;
    }
    hypervisor = vsm_hypervisor_new(conn->peer->process.proc_fd, error);
    if (!hypervisor || !vsm_measure(conn->server, conn->vm, hypervisor, until,
                                    conn->cancel, error)) {
        return false;
    }
    vsm_measure_name(conn->server, conn->vm, conn->peer->process.proc_fd);
    conn->hypervisor = g_steal_pointer(&hypervisor);
    attester = vsm_local_attester_new(conn->server->host, conn->vm->uuid,
                                      conn->hypervisor);
    conn->dispatch = vsm_dispatch_new(attester, conn->vm->uuid);
    g_object_unref(attester);
    return greet(conn, error);
}

/* --- Requests ---------------------------------------------------------- */

/* Which requests ask the TPM, or may write the NV index. */
static bool needs_turn(guint16 op)
{
    switch (op) {
    case VSM_PROTOCOL_STATUS:
    case VSM_PROTOCOL_SEAL_BEGIN:
    case VSM_PROTOCOL_SEAL_FINISH:
    case VSM_PROTOCOL_COMMIT:
    case VSM_PROTOCOL_CHECK_BEGIN:
    case VSM_PROTOCOL_CHECK_FINISH:
    case VSM_PROTOCOL_REMOVE:
        return true;
    default:
        return false;
    }
}

/* Which requests use the measurement of the hypervisor. */
static bool is_measured(guint16 op)
{
    switch (op) {
    case VSM_PROTOCOL_STATUS:
    case VSM_PROTOCOL_SEAL_BEGIN:
    case VSM_PROTOCOL_SEAL_FINISH:
    case VSM_PROTOCOL_COMMIT:
    case VSM_PROTOCOL_CHECK_BEGIN:
    case VSM_PROTOCOL_CHECK_FINISH:
        return true;
    default:
        return false;
    }
}

static bool take_rate(VsmConn *conn, guint16 op, GError **error)
{
    const VsmOptions *options = conn->server->options;
    gint64 now = g_get_monotonic_time(), wait = 0;
    bool ok = true;

    g_mutex_lock(&conn->server->mutex);
    if (op == VSM_PROTOCOL_SEAL_BEGIN) {
        ok = vsm_rate_take(&conn->vm->seals, options->seal_interval_ms, PACE_MS,
                           now, "saves", &wait, error);
    } else if (op == VSM_PROTOCOL_CHECK_BEGIN) {
        ok = vsm_rate_take(&conn->vm->attests, options->attest_interval_ms,
                           PACE_MS, now, "checks", &wait, error);
    } else if (op == VSM_PROTOCOL_REMOVE) {
        ok = vsm_rate_take(&conn->vm->removes, options->seal_interval_ms,
                           PACE_MS, now, "removals", &wait, error);
    } else if (op == VSM_PROTOCOL_LIST || op == VSM_PROTOCOL_FORGET) {
        ok = vsm_rate_take(&conn->vm->looks, LOOK_INTERVAL_MS, PACE_MS, now,
                           "lists", &wait, error);
    } else if (op == VSM_PROTOCOL_STATUS) {
        ok = vsm_rate_take(&conn->vm->looks, LOOK_INTERVAL_MS, PACE_MS, now,
                           "status requests", &wait, error);
    }
    g_mutex_unlock(&conn->server->mutex);
    return ok && pause_for(conn, wait, error);
}

/*
 * All that a request waits for before it is worked on.  The hypervisor's files
 * are read before the turn is taken: how long that takes is the peer's doing.
 */
static bool
get_ready(VsmConn *conn, guint16 op, gint64 deadline, GError **error)
{
    return take_rate(conn, op, error) &&
           (!is_measured(op) ||
            vsm_measure(conn->server, conn->vm, conn->hypervisor, deadline,
                        conn->cancel, error)) &&
           (!needs_turn(op) ||
            vsm_turns_take(conn->server->turns, conn->vm->uuid, deadline,
                           conn->cancel, error));
}

/* What the status and the log say of a request. */
static void account(VsmConn *conn,
                    guint16 op,
                    const GError *refused,
                    gint64 wait_us,
                    gint64 work_us)
{
    VsmVmState *vm = conn->vm;
    bool part = op == VSM_PROTOCOL_PUT || op == VSM_PROTOCOL_GET;
    g_autofree char *wait =
        g_strdup_printf("%" G_GINT64_FORMAT, wait_us / 1000);
    g_autofree char *work =
        g_strdup_printf("%" G_GINT64_FORMAT, work_us / 1000);

    g_mutex_lock(&conn->server->mutex);
    vm->requests++;
    vm->waited_us += wait_us;
    vm->longest_wait_us = MAX(vm->longest_wait_us, wait_us);
    if (refused) {
        vm->refused++;
        g_free(vm->last_error);
        vm->last_error = g_strdup(refused->message);
    }
    g_mutex_unlock(&conn->server->mutex);
    vsm_metrics_request(conn->server->metrics, op, refused ? refused->code : 0,
                        wait_us, work_us);
    vsm_log(refused ? G_LOG_LEVEL_WARNING
            : part  ? G_LOG_LEVEL_DEBUG
                    : G_LOG_LEVEL_INFO,
            refused ? "a request was refused" : "a request was answered", "VM",
            vm->uuid, "OP", vsm_metrics_op(op), "RESULT",
            refused ? vsm_error_name(refused->code) : "ok", "WAIT_MS", wait,
            "MS", work, "ERROR", refused ? refused->message : NULL, NULL);
}

/* The error that the body says; transfer full; NULL: the answer is none. */
static GError *refusal(guint16 op, GBytes *body)
{
    GError *why = NULL;

    if (op == VSM_PROTOCOL_ERROR) {
        vsm_protocol_take_error(body, &why);
    }
    return why;
}

static void note_transaction(VsmConn *conn, guint16 op, bool ok)
{
    if (op == VSM_PROTOCOL_SEAL_BEGIN || op == VSM_PROTOCOL_CHECK_BEGIN) {
        conn->in_transaction |= ok;
    } else if (op == VSM_PROTOCOL_ABORT || ((op == VSM_PROTOCOL_COMMIT ||
                                             op == VSM_PROTOCOL_CHECK_FINISH) &&
                                            ok)) {
        conn->in_transaction = false;
    }
}

/* false: the connection ends. */
static bool
answer(VsmConn *conn, const VsmProtocolHeader *header, GBytes *request)
{
    VsmServer *server = conn->server;
    gint64 arrived = g_get_monotonic_time(), started = arrived;
    gint64 deadline = arrived + server->options->request_ms * MS;
    bool keep = true;
    g_autoptr(GBytes) body = NULL;
    g_autoptr(GError) why = NULL;
    guint16 op = VSM_PROTOCOL_ERROR;

    if (get_ready(conn, header->op, deadline, &why)) {
        started = g_get_monotonic_time();
        vsm_host_set_deadline(deadline);
        keep = vsm_dispatch_message(conn->dispatch, header, request,
                                    conn->cancel, &op, &body);
        vsm_host_set_deadline(0);
        if (needs_turn(header->op)) {
            vsm_turns_give(server->turns);
        }
        why = refusal(op, body);
    } else {
        started = g_get_monotonic_time();
        body = vsm_protocol_encode_error(why);
    }
    note_transaction(conn, header->op, !why);
    account(conn, header->op, why, started - arrived,
            g_get_monotonic_time() - started);
    return send_body(conn, op, body, NULL) && keep;
}

/* Idle for as long as it likes, but not in the middle of something. */
static bool wait_for_request(VsmConn *conn, bool first, GError **error)
{
    const VsmOptions *options = conn->server->options;
    guint ms = first                  ? options->request_ms
               : conn->in_transaction ? options->transaction_ms
                                      : 0;
    VsmChannel channel = channel_of(conn, ms);

    return vsm_channel_wait(&channel, error);
}

static void serve(VsmConn *conn, GError **error)
{
    for (bool first = true;; first = false) {
        VsmProtocolHeader header;
        g_autoptr(GBytes) body = NULL;
        VsmChannel channel;

        if (!wait_for_request(conn, first, error)) {
            return;
        }
        channel = channel_of(conn, conn->server->options->message_ms);
        if (!vsm_channel_receive(&channel, &header, &body, error)) {
            return;
        }
        if (!answer(conn, &header, body)) {
            return;
        }
    }
}

/* --- The thread -------------------------------------------------------- */

static void say_end(VsmConn *conn, const GError *why)
{
    bool plain = !why || why->code == VSM_ERROR_CONNECTION ||
                 why->code == VSM_ERROR_CANCELLED;

    vsm_log(plain ? G_LOG_LEVEL_INFO : G_LOG_LEVEL_WARNING,
            "a connection ended", "VM", conn->vm->uuid, "REASON",
            why ? vsm_error_name(why->code) : "closed", "ERROR",
            plain ? NULL : why->message, NULL);
}

/* The next connection of the VM is served from here on. */
static void leave(VsmConn *conn)
{
    VsmServer *server = conn->server;
    VsmVmState *vm = conn->vm;

    g_mutex_lock(&server->mutex);
    if (vm->current == conn) {
        vm->current = vm->next;
        vm->next = NULL;
    } else if (vm->next == conn) {
        vm->next = NULL;
    }
    server->connections--;
    close(conn->fd);
    vsm_peer_free(conn->peer);
    g_object_unref(conn->cancel);
    vsm_metrics_open(server->metrics, -1);
    g_free(conn);
    g_cond_broadcast(&server->cond);
    g_mutex_unlock(&server->mutex);
}

static gpointer conn_thread(gpointer data)
{
    VsmConn *conn = data;
    g_autoptr(GError) why = NULL;
    bool greeted = follow(conn, &why) && open_attester(conn, &why);

    vsm_metrics_connection(conn->server->metrics, greeted ? 0 : why->code);
    if (greeted) {
        serve(conn, &why);
        if (why &&
            (why->code == VSM_ERROR_DENIED || why->code == VSM_ERROR_PROTOCOL ||
             why->code == VSM_ERROR_LIMIT)) {
            send_error(conn, why);
        }
    } else {
        send_error(conn, why);
    }
    say_end(conn, why);
    g_clear_pointer(&conn->dispatch, vsm_dispatch_free);
    leave(conn);
    return NULL;
}

static VsmConn *
new_conn(VsmServer *server, int fd, VsmPeer *peer, VsmVmState *vm)
{
    VsmConn *conn = g_new0(VsmConn, 1);

    conn->server = server;
    conn->number = ++server->last_conn;
    conn->fd = fd;
    conn->peer = peer;
    conn->vm = vm;
    conn->cancel = g_cancellable_new();
    return conn;
}

bool vsm_conn_start(VsmServer *server, int fd, VsmPeer *peer, GError **error)
{
    VsmVmState *vm = g_hash_table_lookup(server->vms, peer->uuid);
    VsmConn *conn = new_conn(server, fd, peer, vm);
    VsmConn **place = vm->current ? &vm->next : &vm->current;
    g_autofree char *pid = g_strdup_printf("%d", (int)peer->id.pid);
    g_autofree char *uid = g_strdup_printf("%u", (guint)peer->id.uid);
    GThread *thread;

    *place = conn;
    thread = vsm_server_thread("vsmd-conn", conn_thread, conn, error);
    if (!thread) {
        *place = NULL;
        g_object_unref(conn->cancel);
        g_free(conn);
        return false;
    }
    g_thread_unref(thread);
    server->connections++;
    vsm_metrics_open(server->metrics, 1);
    vsm_log(G_LOG_LEVEL_INFO, "a hypervisor connected", "VM", vm->uuid, "PID",
            pid, "UID", uid, "KNOWN_BY", peer->by, NULL);
    return true;
}
