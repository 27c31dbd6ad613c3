/*
 * One file of the store: bounded reads, positioned writes, durable replace.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "store/files.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell(const char *what, const VsmDir *dir, const char *name)
{
    if (vsm_files_step) {
        g_autofree char *path = g_build_filename(dir->path, name, NULL);

        vsm_files_step(what, path);
    }
}

int vsm_file_open(const VsmDir *dir,
                  const char *name,
                  int flags,
                  GError **error)
{
    struct stat st;
    int fd;

    g_assert(!strchr(name, '/'));
    /* O_NONBLOCK: a fifo put here must not hang the attester. */
    fd = openat(dir->fd, name,
                flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd < 0) {
        vsm_file_error(error, errno, dir, name, "open it");
        return -1;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE,
                    "%s/%s: not a regular file; remove it", dir->path, name);
        return -1;
    }
    return fd;
}

bool vsm_file_read_at(int fd,
                      const VsmDir *dir,
                      const char *name,
                      guint64 offset,
                      gsize bytes,
                      GBytes **ret,
                      GError **error)
{
    g_autofree guint8 *buffer = g_try_malloc(MAX(bytes, 1));
    gsize done = 0;

    if (!buffer) {
        vsm_file_error(error, ENOMEM, dir, name, "read it");
        return false;
    }
    while (done < bytes) {
        ssize_t got = pread(fd, buffer + done, bytes - done, offset + done);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            vsm_file_error(error, errno, dir, name, "read it");
            return false;
        }
        if (got == 0) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_STORE,
                        "%s/%s: ends at byte %" G_GUINT64_FORMAT
                        ", before what is asked of it",
                        dir->path, name, offset + done);
            return false;
        }
        done += got;
    }
    *ret = g_bytes_new_take(g_steal_pointer(&buffer), bytes);
    return true;
}

bool vsm_file_read(const VsmDir *dir,
                   const char *name,
                   gsize max_bytes,
                   GBytes **ret,
                   GError **error)
{
    int fd = vsm_file_open(dir, name, O_RDONLY, error);
    struct stat st;
    bool ok = false;

    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &st) < 0) {
        vsm_file_error(error, errno, dir, name, "look at it");
    } else if ((guint64)st.st_size > max_bytes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "%s/%s: %" G_GUINT64_FORMAT
                    " bytes long, more than the %zu that it may have",
                    dir->path, name, (guint64)st.st_size, max_bytes);
    } else {
        ok = vsm_file_read_at(fd, dir, name, 0, st.st_size, ret, error);
    }
    close(fd);
    return ok;
}

bool vsm_file_write_at(int fd,
                       const VsmDir *dir,
                       const char *name,
                       guint64 offset,
                       GBytes *bytes,
                       GError **error)
{
    gsize size, done = 0;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    tell("write", dir, name);
    while (done < size) {
        ssize_t put = pwrite(fd, data + done, size - done, offset + done);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            vsm_file_error(error, put ? errno : ENOSPC, dir, name, "write it");
            return false;
        }
        done += put;
    }
    return true;
}

bool vsm_file_sync(int fd, const VsmDir *dir, const char *name, GError **error)
{
    tell("sync", dir, name);
    if (fsync(fd) < 0) {
        vsm_file_error(error, errno, dir, name, "make it durable");
        return false;
    }
    return true;
}

bool vsm_file_replace(const VsmDir *dir,
                      const char *name,
                      GBytes *bytes,
                      GError **error)
{
    g_autofree char *temporary = g_strdup_printf(".%s.tmp", name);
    bool ok;
    int fd;

    /* What a crash left behind. */
    if (unlinkat(dir->fd, temporary, 0) < 0 && errno != ENOENT) {
        vsm_file_error(error, errno, dir, temporary, "remove it");
        return false;
    }
    fd = vsm_file_open(dir, temporary, O_RDWR | O_CREAT | O_EXCL, error);
    if (fd < 0) {
        return false;
    }
    ok = vsm_file_write_at(fd, dir, temporary, 0, bytes, error) &&
         vsm_file_sync(fd, dir, temporary, error);
    close(fd);
    if (!ok || !vsm_file_rename(dir, temporary, name, error)) {
        unlinkat(dir->fd, temporary, 0);
        return false;
    }
    return true;
}

bool vsm_file_rename(const VsmDir *dir,
                     const char *from,
                     const char *to,
                     GError **error)
{
    tell("rename", dir, to);
    if (renameat(dir->fd, from, dir->fd, to) < 0) {
        vsm_file_error(error, errno, dir, from, "rename it");
        return false;
    }
    return vsm_dir_sync(dir, error);
}

bool vsm_file_remove(const VsmDir *dir, const char *name, GError **error)
{
    tell("remove", dir, name);
    if (unlinkat(dir->fd, name, 0) < 0) {
        if (errno == ENOENT) {
            return true;
        }
        vsm_file_error(error, errno, dir, name, "remove it");
        return false;
    }
    return vsm_dir_sync(dir, error);
}
