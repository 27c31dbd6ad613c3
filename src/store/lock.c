/*
 * The store's lock: one process at a time, and a message that names it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "store/files.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static int holder(int fd)
{
    char text[16] = "";
    ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

    return got > 0 ? atoi(text) : 0;
}

static void set_busy(GError **error, const VsmDir *dir, int pid)
{
    if (pid > 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "%s: in use by process %d; use another state directory, "
                    "or end that process",
                    dir->path, pid);
    } else {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "%s: in use by another process", dir->path);
    }
}

bool vsm_dir_lock(const VsmDir *dir,
                  const char *name,
                  int *ret_fd,
                  GError **error)
{
    g_autofree char *pid = g_strdup_printf("%d\n", getpid());
    int fd =
        openat(dir->fd, name,
               O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);

    if (fd < 0) {
        vsm_file_error(error, errno, dir, name, "open it");
        return false;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK) {
            set_busy(error, dir, holder(fd));
        } else {
            vsm_file_error(error, errno, dir, name, "lock it");
        }
        close(fd);
        return false;
    }
    /* The pid is for the message only; the lock holds without it. */
    if (ftruncate(fd, 0) < 0 ||
        pwrite(fd, pid, strlen(pid), 0) != (ssize_t)strlen(pid)) {
        vsm_file_error(error, errno, dir, name, "write it");
        close(fd);
        return false;
    }
    *ret_fd = fd;
    return true;
}
