/*
 * Files below a directory that others may write to: opened one component at a
 * time, links never followed, replaced durably.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "store/files.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

void (*vsm_files_step)(const char *what, const char *path);

void vsm_files_tell(const char *what, const char *path)
{
    if (vsm_files_step) {
        vsm_files_step(what, path);
    }
}

static int error_code(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* RLIMIT_FSIZE counts as a quota */
        return VSM_ERROR_NO_SPACE;
    case ENOENT:
        return VSM_ERROR_NOT_FOUND;
    default:
        return VSM_ERROR_STORE;
    }
}

/* What to do about it, for the end of a message; free with g_free(). */
static char *remedy(int number)
{
    switch (number) {
    case ELOOP:
        return g_strdup(" (links are not followed in the store)");
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return g_strdup(" (free some space, or remove snapshots)");
    case EACCES:
    case EPERM:
    case EROFS:
        return g_strdup_printf(" (it and its directory must be writable for "
                               "uid %u; change that, or choose another "
                               "directory)",
                               geteuid());
    case ENOTDIR:
        return g_strdup(" (a file or link stands where a writable directory "
                        "must be; move it away, or choose another directory)");
    default:
        return g_strdup("");
    }
}

void vsm_file_error(GError **error,
                    int number,
                    const VsmDir *dir,
                    const char *name,
                    const char *did)
{
    g_autofree char *what_to_do = remedy(number);

    g_set_error(error, VSM_ERROR, error_code(number), "%s%s%s: cannot %s: %s%s",
                dir->path, name ? "/" : "", name ? name : "", did,
                g_strerror(number), what_to_do);
}

/* Takes @fd; closes it when it is refused. */
static VsmDir *check_dir(int fd, char *path, GError **error)
{
    g_autoptr(VsmDir) dir = g_new0(VsmDir, 1);
    struct stat st;

    dir->fd = fd;
    dir->path = path;
    if (fstat(fd, &st) < 0) {
        vsm_file_error(error, errno, dir, NULL, "look at it");
        return NULL;
    }
    if (st.st_uid != geteuid() || (st.st_mode & 022)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE,
                    "%s: belongs to uid %u with mode %04o; it must belong to "
                    "uid %u and be writable by nobody else: chmod 700 it",
                    path, st.st_uid, st.st_mode & 07777, geteuid());
        return NULL;
    }
    return g_steal_pointer(&dir);
}

static VsmDir *
open_dir(int at, const char *name, const char *base, bool make, GError **error)
{
    VsmDir where = {.fd = at, .path = (char *)(base ? base : name)};
    g_autofree char *path =
        base ? g_build_filename(base, name, NULL) : g_strdup(name);
    int fd;

    if (make) {
        vsm_files_tell("make", path);
        if (mkdirat(at, name, 0700) < 0 && errno != EEXIST) {
            vsm_file_error(error, errno, &where, base ? name : NULL, "make it");
            return NULL;
        }
    }
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        vsm_file_error(error, errno, &where, base ? name : NULL, "open it");
        return NULL;
    }
    /* Also when it exists: a crash may have come before this sync. */
    if (make && base && !vsm_dir_sync(&where, error)) {
        close(fd);
        return NULL;
    }
    return check_dir(fd, g_steal_pointer(&path), error);
}

/* Not checked as our own directories are: it may be anybody's. */
static bool sync_parent(const char *path, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    VsmDir dir = {.fd = fd, .path = parent};
    bool ok;

    if (fd < 0) {
        vsm_file_error(error, errno, &dir, NULL, "open it");
        return false;
    }
    ok = vsm_dir_sync(&dir, error);
    close(fd);
    return ok;
}

VsmDir *vsm_dir_open(const char *path, bool make, GError **error)
{
    g_autoptr(VsmDir) dir = open_dir(AT_FDCWD, path, NULL, make, error);

    return dir && (!make || sync_parent(path, error)) ? g_steal_pointer(&dir)
                                                      : NULL;
}

VsmDir *vsm_dir_open_at(const VsmDir *parent,
                        const char *name,
                        bool make,
                        GError **error)
{
    g_assert(!strchr(name, '/') && name[0] != '.' && name[0]);
    return open_dir(parent->fd, name, parent->path, make, error);
}

void vsm_dir_free(VsmDir *dir)
{
    if (dir) {
        close(dir->fd);
        g_free(dir->path);
        g_free(dir);
    }
}

bool vsm_dir_sync(const VsmDir *dir, GError **error)
{
    vsm_files_tell("sync", dir->path);
    if (fsync(dir->fd) < 0) {
        vsm_file_error(error, errno, dir, NULL, "make it durable");
        return false;
    }
    return true;
}

bool vsm_dir_space(const VsmDir *dir, guint64 *ret_bytes, GError **error)
{
    struct statvfs st;

    if (fstatvfs(dir->fd, &st) < 0) {
        vsm_file_error(error, errno, dir, NULL, "ask for its free space");
        return false;
    }
    *ret_bytes = (guint64)st.f_bavail * st.f_frsize;
    return true;
}

bool vsm_dir_bytes(const VsmDir *dir, guint64 *ret_bytes, GError **error)
{
    g_autoptr(VsmNames) names = vsm_names_new(dir, NULL, error);
    guint64 sum = 0;
    const char *name;

    if (!names) {
        return false;
    }
    while ((name = vsm_names_next(names))) {
        struct stat st;

        if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode)) {
            sum += st.st_size;
        }
    }
    if (!vsm_names_end(names, error)) {
        return false;
    }
    *ret_bytes = sum;
    return true;
}
