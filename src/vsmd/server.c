/*
 * The daemon: its sockets, and what its connections share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/server.h"
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "vsmd/log.h"
#include "vsmd/systemd.h"

#define BACKLOG 1024
#define ADMINS_MAX 16

/* Taken in one go before the main loop sees to its other work. */
#define ACCEPT_AT_ONCE 64

/* Who is turned away gets this long to take the reason. */
#define TURN_AWAY_US 1000

/* How long the end of a VM's connection is waited for. */
#define END_VM_US (10 * G_USEC_PER_SEC)

#define TURNED_AWAY_LINES 10 /* of the log, in one second */

static void free_state(gpointer data)
{
    VsmVmState *vm = data;

    g_free(vm->uuid);
    g_free(vm->last_error);
    g_free(vm->hypervisor);
    g_free(vm);
}

VsmServer *
vsm_server_new(const VsmOptions *options, VsmHost *host, VsmRegistry *registry)
{
    VsmServer *server = g_new0(VsmServer, 1);

    server->options = options;
    server->host = host;
    server->registry = registry;
    server->turns = vsm_turns_new();
    server->metrics = vsm_metrics_new();
    server->stopping = g_cancellable_new();
    server->started = g_get_real_time() / G_USEC_PER_SEC;
    g_mutex_init(&server->mutex);
    g_cond_init(&server->cond);
    server->vms =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_state);
    return server;
}

void vsm_server_free(VsmServer *server)
{
    if (server) {
        g_hash_table_unref(server->vms);
        vsm_turns_free(server->turns);
        vsm_metrics_free(server->metrics);
        g_object_unref(server->stopping);
        g_cond_clear(&server->cond);
        g_mutex_clear(&server->mutex);
        g_free(server);
    }
}

/* --- Listening -------------------------------------------------------- */

/* systemd made it as its unit says. */
static bool is_of_type(int fd, int type, const char *path, GError **error)
{
    socklen_t length = sizeof(int);
    int is = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &is, &length) == 0 && is == type) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "socket %s: of another type; take the socket unit of this "
                "vsmd, with %s",
                path,
                type == SOCK_SEQPACKET ? "ListenSequentialPacket="
                                       : "ListenStream=");
    return false;
}

/* From the listener on: each byte then comes with its sender. */
static bool prepare(int fd, int type, const char *path, GError **error)
{
    int on = 1;

    if (!is_of_type(fd, type, path, error)) {
        return false;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 &&
        listen(fd, BACKLOG) == 0) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION, "socket %s: %s", path,
                g_strerror(errno));
    return false;
}

/* A socket file that nobody listens on any more goes. */
static bool is_in_use(const struct sockaddr_un *address, int type)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* EPROTOTYPE: somebody else's, of another type */
    bool used = fd >= 0 && (connect(fd, (const struct sockaddr *)address,
                                    sizeof(*address)) == 0 ||
                            errno == EAGAIN || errno == EPROTOTYPE);

    if (fd >= 0) {
        close(fd);
    }
    return used;
}

static int bind_path(const char *path, int type, guint mode, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    mode_t old;
    int fd, rc;

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
            sizeof(address.sun_path) ||
        *path != '/') {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "socket %s: give an absolute path of at most 107 bytes",
                    path);
        return -1;
    }
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
        !is_in_use(&address, type)) {
        unlink(path);
    }
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    old = umask(0777 & ~mode); /* never wider than @mode, not for a moment */
    rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address, sizeof(address));
    umask(old);
    if (rc < 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION,
                    "socket %s: %s; see whether another vsmd runs, and "
                    "whether its folder is there",
                    path, g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

int vsm_server_listen(
    const char *name, const char *path, int type, guint mode, GError **error)
{
    int fd = vsm_systemd_socket(name);

    if (fd < 0) {
        fd = bind_path(path, type, mode, error);
    } else {
        g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    }
    if (fd >= 0 && !prepare(fd, type, path, error)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* --- Accepting: never waits for anybody -------------------------------- */

/* A flood of connections must not become one of lines; main loop's alone. */
static bool may_tell(void)
{
    static gint64 second;
    static guint told;
    gint64 now = g_get_monotonic_time() / G_USEC_PER_SEC;

    told = now == second ? told + 1 : 1;
    second = now;
    return told <= TURNED_AWAY_LINES;
}

/* Says why, as far as it fits in the socket at once, and closes. */
static void turn_away(VsmServer *server, int fd, const GError *why)
{
    g_autoptr(GBytes) body = vsm_protocol_encode_error(why);
    VsmChannel channel = {
        .fd = fd,
        .deadline_us = g_get_monotonic_time() + TURN_AWAY_US,
    };

    vsm_channel_send(&channel, VSM_PROTOCOL_ERROR, body, NULL);
    close(fd);
    vsm_metrics_connection(server->metrics, why->code);
}

/* Called with the mutex held. */
static VsmVmState *state_of(VsmServer *server, const char *uuid)
{
    VsmVmState *vm = g_hash_table_lookup(server->vms, uuid);

    if (!vm) {
        vm = g_new0(VsmVmState, 1);
        vm->uuid = g_strdup(uuid);
        g_hash_table_insert(server->vms, vm->uuid, vm);
    }
    return vm;
}

/*
 * A second process of a live VM is turned away.  The same process, or the next
 * one after that ended, waits for what the old connection still does.
 * Called with the mutex held.
 */
static bool may_follow(VsmVmState *vm, const VsmPeer *peer, GError **error)
{
    const VsmPeer *old;

    if (!vm->current) {
        return true;
    }
    old = vsm_conn_peer(vm->current);
    if (vm->next || (vsm_process_alive(old->process.pidfd) &&
                     (old->process.pid != peer->process.pid ||
                      old->process.start != peer->process.start))) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "VM %s has a connection, by process %d; one process a VM",
                    vm->uuid, (int)old->id.pid);
        return false;
    }
    vsm_conn_cancel(vm->current);
    return true;
}

/* Called with the mutex held. */
static bool admit(VsmServer *server, const VsmPeer *peer, GError **error)
{
    if (server->connections >= server->options->max_connections) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "vsmd has its %u connections; try again later",
                    server->options->max_connections);
        return false;
    }
    return may_follow(state_of(server, peer->uuid), peer, error);
}

GThread *vsm_server_thread(const char *name,
                           GThreadFunc run,
                           gpointer data,
                           GError **error)
{
    g_autoptr(GError) why = NULL;
    GThread *thread = g_thread_try_new(name, run, data, &why);

    if (!thread) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "vsmd cannot start a thread (%s); try again later, and "
                    "see the limit of its service's tasks",
                    why->message);
    }
    return thread;
}

/*
 * The peer is named under the mutex: who is unregistered meanwhile is either
 * not named any more, or its connection is there to be ended.
 */
static bool start(VsmServer *server, int fd, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&server->mutex);
    g_autoptr(VsmPeer) peer = vsm_peer_identify(
        fd, server->registry, server->options->singles, error);

    if (!peer || !admit(server, peer, error) ||
        !vsm_conn_start(server, fd, peer, error)) {
        return false;
    }
    g_steal_pointer(&peer);
    return true;
}

static void take(VsmServer *server, int fd)
{
    g_autoptr(GError) why = NULL;

    if (!start(server, fd, &why)) {
        if (may_tell()) {
            vsm_log(G_LOG_LEVEL_WARNING, "a connection was turned away",
                    "REASON", vsm_error_name(why->code), "ERROR", why->message,
                    NULL);
        }
        turn_away(server, fd, why);
    }
}

static int accept_one(int fd)
{
    return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

gboolean vsm_server_accept(int fd, GIOCondition condition, gpointer data)
{
    VsmServer *server = data;

    (void)condition;
    for (guint i = 0; i < ACCEPT_AT_ONCE; i++) {
        int on = 1, taken = accept_one(fd);

        if (taken < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
                vsm_log(G_LOG_LEVEL_WARNING, "no descriptor for a connection",
                        NULL);
                g_usleep(10000); /* it stays in the queue: no busy loop */
            }
            break;
        }
        /* Kernels before 6.16 do not pass it on from the listener. */
        setsockopt(taken, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
        take(server, taken);
    }
    return G_SOURCE_CONTINUE;
}

/* The file's mode is the first guard; this is the second. */
static bool is_admin(int fd, GError **error)
{
    struct ucred ucred;
    socklen_t bytes = sizeof(ucred);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &bytes) == 0 &&
        (ucred.uid == 0 || ucred.uid == geteuid())) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_DENIED,
                "only root may use the admin socket");
    return false;
}

gboolean vsm_server_accept_admin(int fd, GIOCondition condition, gpointer data)
{
    VsmServer *server = data;
    int taken = accept_one(fd);
    g_autoptr(GError) why = NULL;
    bool ok;

    (void)condition;
    if (taken < 0) {
        return G_SOURCE_CONTINUE;
    }
    g_mutex_lock(&server->mutex);
    ok = is_admin(taken, &why);
    if (ok && server->admins >= ADMINS_MAX) {
        g_set_error(&why, VSM_ERROR, VSM_ERROR_BUSY,
                    "vsmd has %u administrators connected; try again later",
                    ADMINS_MAX);
        ok = false;
    }
    ok = ok && vsm_admin_start(server, taken, &why);
    server->admins += ok;
    g_mutex_unlock(&server->mutex);
    if (!ok) {
        turn_away(server, taken, why);
    }
    return G_SOURCE_CONTINUE;
}

/* --- The end ---------------------------------------------------------- */

bool vsm_server_end_vm(VsmServer *server, const char *uuid)
{
    gint64 until = g_get_monotonic_time() + END_VM_US;
    VsmVmState *vm = g_hash_table_lookup(server->vms, uuid);
    guint64 last = server->last_conn; /* one that comes later is not ended */
    bool ended = true;

    if (vm && vm->current) {
        vsm_conn_cancel(vm->current);
    }
    if (vm && vm->next) {
        vsm_conn_cancel(vm->next);
    }
    while (vm && vm->current && vsm_conn_number(vm->current) <= last && ended) {
        ended = g_cond_wait_until(&server->cond, &server->mutex, until);
    }
    return ended;
}

bool vsm_server_stop(VsmServer *server, guint wait_ms)
{
    gint64 until = g_get_monotonic_time() + (gint64)wait_ms * 1000;
    GHashTableIter iter;
    gpointer value;
    bool ended = true;

    g_cancellable_cancel(server->stopping);
    g_mutex_lock(&server->mutex);
    g_hash_table_iter_init(&iter, server->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        VsmVmState *vm = value;

        if (vm->current) {
            vsm_conn_cancel(vm->current);
        }
        if (vm->next) {
            vsm_conn_cancel(vm->next);
        }
    }
    while (ended && (server->connections || server->admins)) {
        ended = g_cond_wait_until(&server->cond, &server->mutex, until);
    }
    g_mutex_unlock(&server->mutex);
    return ended;
}
