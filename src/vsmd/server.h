/*
 * The daemon: its sockets, and what its connections share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <gio/gio.h>
#include <vsm/host.h>
#include "vsmd/metrics.h"
#include "vsmd/options.h"
#include "vsmd/peer.h"
#include "vsmd/registry.h"
#include "vsmd/turns.h"

typedef struct VsmConn VsmConn;

/* One VM that connected once; lives as long as the daemon. */
typedef struct {
    char *uuid;
    VsmConn *current; /* the connection that is served; NULL: none */
    VsmConn *next; /* waits for the end of @current */
    VsmRate seals, attests, removes, looks, connects, reads;
    guint64 requests, refused;
    gint64 waited_us, longest_wait_us; /* sum, and the longest */
    char *last_error; /* NULL: none */
    char *hypervisor; /* path of its executable, for the status */
} VsmVmState;

typedef struct VsmServer VsmServer;
struct VsmServer {
    const VsmOptions *options;
    VsmHost *host;
    VsmRegistry *registry;
    VsmTurns *turns;
    VsmMetrics *metrics;
    GCancellable *stopping;
    gint64 started; /* seconds since 1970 */

    GMutex mutex; /* all below */
    GCond cond; /* a connection ended */
    GHashTable *vms; /* uuid → VsmVmState */
    guint connections, admins;
    guint64 last_conn; /* number of the connection that came last */
};

/* Borrows all but what it makes. */
VsmServer *
vsm_server_new(const VsmOptions *options, VsmHost *host, VsmRegistry *registry);
void vsm_server_free(VsmServer *server); /* after vsm_server_stop() */

/**
 * vsm_server_listen:
 * @name: of a systemd socket, taken when there is one
 * @type: SOCK_SEQPACKET for who speaks the protocol: QEMU's character devices,
 *        which whoever has QMP can connect to any stream socket in the name of
 *        QEMU's process, cannot come there
 * @mode: of the socket file that is made otherwise
 *
 * Returns: a listening descriptor, or -1
 */
int vsm_server_listen(
    const char *name, const char *path, int type, guint mode, GError **error);

/* Called by the main loop when @fd has a connection. */
gboolean vsm_server_accept(int fd, GIOCondition condition, gpointer server);
gboolean
vsm_server_accept_admin(int fd, GIOCondition condition, gpointer server);

/* Ends all connections; waits for their threads, at most @wait_ms. */
bool vsm_server_stop(VsmServer *server, guint wait_ms);

/*
 * Called with the mutex held.  Ends the VM's connections, and waits a while
 * for that; false: a request is still under way.  A connection that comes
 * meanwhile (--single-vm names it still) is neither ended nor waited for.
 */
bool vsm_server_end_vm(VsmServer *server, const char *uuid);

/* BUSY: the system, or the service's TasksMax=, allows no more threads. */
GThread *vsm_server_thread(const char *name,
                           GThreadFunc run,
                           gpointer data,
                           GError **error);

/*
 * conn.c, called with the mutex held: takes @fd and @peer, unless it fails;
 * the thread ends by itself.
 */
bool vsm_conn_start(VsmServer *server, int fd, VsmPeer *peer, GError **error);
/* Called with the mutex held: ends its waits, and what it reads. */
void vsm_conn_cancel(VsmConn *conn);
const VsmPeer *vsm_conn_peer(const VsmConn *conn);
guint64 vsm_conn_number(const VsmConn *conn); /* in the order of coming */

/* admin.c: one administrator's connection; takes @fd, unless it fails. */
bool vsm_admin_start(VsmServer *server, int fd, GError **error);
