/*
 * Who is at the other end of a connection, and which VM it is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/peer.h"
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vsm/error.h>
#include "base/text.h"
#include "vsmd/cgroup.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5; not in older headers */
#endif

void vsm_peer_free(VsmPeer *peer)
{
    if (peer) {
        vsm_process_close(&peer->process);
        g_free(peer->uuid);
        g_free(peer);
    }
}

void vsm_single_free(VsmSingle *single)
{
    if (single) {
        g_free(single->uuid);
        g_free(single);
    }
}

static bool parse_user(const char *text, uid_t *ret)
{
    const struct passwd *user;
    guint64 number;

    if (g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT32, &number, NULL)) {
        *ret = number;
        return true;
    }
    user = getpwnam(text);
    if (!user) {
        return false;
    }
    *ret = user->pw_uid;
    return true;
}

VsmSingle *vsm_peer_parse_single(const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "=", 2);
    VsmSingle *single;
    uid_t uid;

    if (!parts[0] || !parts[1] || !parse_user(parts[0], &uid) ||
        !vsm_text_is_uuid(parts[1])) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "single-vm \"%s\": give USER=UUID, a user of this host "
                    "and the uuid of its only VM in lower case",
                    text);
        return NULL;
    }
    single = g_new0(VsmSingle, 1);
    single->uid = uid;
    single->uuid = g_strdup(parts[1]);
    return single;
}

/* -1: the kernel does not know the option; then one is opened by number. */
static bool peer_pidfd(int fd, int *ret)
{
    socklen_t bytes = sizeof(*ret);

    *ret = -1;
    return getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, ret, &bytes) == 0 ||
           errno == ENOPROTOOPT;
}

static bool denied(GError **error, const VsmPeerId *id, const char *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_DENIED, "process %d of user %u %s",
                (int)id->pid, (guint)id->uid, why);
    return false;
}

static char *vm_of_user(const GPtrArray *singles, uid_t uid)
{
    for (guint i = 0; singles && i < singles->len; i++) {
        const VsmSingle *single = singles->pdata[i];

        if (single->uid == uid) {
            return g_strdup(single->uuid);
        }
    }
    return NULL;
}

/* A process in a machine's scope is that machine or nobody. */
static bool name_vm(VsmPeer *peer,
                    VsmRegistry *registry,
                    const GPtrArray *singles,
                    GError **error)
{
    g_autofree char *cgroup = NULL;
    g_autofree char *machine = NULL;

    peer->by = "registered process";
    peer->uuid = vsm_registry_find_process(registry, peer->process.pid,
                                           peer->process.start);
    if (peer->uuid) {
        return true;
    }
    cgroup = vsm_process_read(&peer->process, "cgroup");
    machine = cgroup ? vsm_cgroup_machine(cgroup) : NULL;
    if (machine) {
        peer->by = "libvirt domain";
        peer->uuid = vsm_registry_find_domain(registry, machine);
        return peer->uuid ||
               denied(error, &peer->id,
                      "belongs to a libvirt domain that is not registered; "
                      "as root: vsmctl vm register UUID --domain NAME");
    }
    peer->by = "user of one VM";
    peer->uuid = vm_of_user(singles, peer->id.uid);
    return peer->uuid ||
           denied(error, &peer->id,
                  "is no VM that is known here; as root: vsmctl vm register "
                  "UUID --pid PID");
}

VsmPeer *vsm_peer_identify(int fd,
                           VsmRegistry *registry,
                           const GPtrArray *singles,
                           GError **error)
{
    g_autoptr(VsmPeer) peer = g_new0(VsmPeer, 1);
    struct ucred ucred;
    socklen_t bytes = sizeof(ucred);
    int pidfd;

    peer->process = VSM_PROCESS_INIT;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &bytes) < 0 ||
        ucred.pid <= 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_DENIED,
                    "a process that this system does not see; run vsmd in "
                    "the pid name space of the VMs or above it");
        return NULL;
    }
    peer->id = (VsmPeerId){ucred.pid, ucred.uid};
    if (!peer_pidfd(fd, &pidfd) ||
        !vsm_process_open(ucred.pid, pidfd, &peer->process, NULL)) {
        denied(error, &peer->id, "ended after it connected");
        return NULL;
    }
    return name_vm(peer, registry, singles, error) ? g_steal_pointer(&peer)
                                                   : NULL;
}
