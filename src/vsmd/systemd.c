/*
 * systemd's two small protocols: sockets that come along, and readiness.
 * sd_listen_fds(3), sd_notify(3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/systemd.h"
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3
#define FDS_MAX 16

int vsm_systemd_socket(const char *name)
{
    const char *pid = g_getenv("LISTEN_PID");
    const char *count = g_getenv("LISTEN_FDS");
    const char *list = g_getenv("LISTEN_FDNAMES");
    g_auto(GStrv) names = g_strsplit(list ? list : "", ":", -1);
    guint64 owner, n;

    if (!pid || !count ||
        !g_ascii_string_to_unsigned(pid, 10, 1, G_MAXINT32, &owner, NULL) ||
        owner != (guint64)getpid() ||
        !g_ascii_string_to_unsigned(count, 10, 0, FDS_MAX, &n, NULL)) {
        return -1;
    }
    for (guint i = 0; i < n && i < g_strv_length(names); i++) {
        if (strcmp(names[i], name) == 0) {
            fcntl(FIRST_FD + i, F_SETFD, FD_CLOEXEC);
            return FIRST_FD + i;
        }
    }
    return -1;
}

void vsm_systemd_notify(const char *state)
{
    const char *path = g_getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    gsize length = path ? strlen(path) : 0;
    int fd;

    if (!length || length >= sizeof(address.sun_path) ||
        (*path != '/' && *path != '@')) {
        return;
    }
    memcpy(address.sun_path, path, length);
    if (*path == '@') {
        address.sun_path[0] = 0; /* the abstract name space */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        sendto(fd, state, strlen(state), MSG_NOSIGNAL,
               (struct sockaddr *)&address,
               offsetof(struct sockaddr_un, sun_path) + length);
        close(fd);
    }
}
