/*
 * The host secret: a file outside the store that only the attester can read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tpm/keys.h"

/* What a daemon's secret begins with: it is no secret of a process then. */
#define DAEMON_MARK "VSM-DAEMON-1\n"
#define DAEMON_MARK_BYTES (sizeof(DAEMON_MARK) - 1)

static gsize mark_bytes(VsmHostKind kind)
{
    return kind == VSM_HOST_DAEMON ? DAEMON_MARK_BYTES : 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Walks from @fd (consumed) up to the root; by inode, so no link hides it. */
static bool is_below(int fd, const VsmDir *store)
{
    struct stat wanted, here, up;
    bool found = false, top = false;

    if (fstat(store->fd, &wanted) < 0) {
        close(fd);
        return true; /* cannot be told: refuse */
    }
    while (!found && !top) {
        int parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (parent < 0 || fstat(fd, &here) < 0 || fstat(parent, &up) < 0) {
            found = true;
        } else {
            found = same_file(&here, &wanted);
            top = same_file(&here, &up);
        }
        close(fd);
        fd = parent;
    }
    if (fd >= 0) {
        close(fd);
    }
    return found;
}

/* The directory that holds @path; made when it is only one level away. */
static VsmDir *open_parent(const char *path, bool make, GError **error)
{
    g_autoptr(VsmDir) dir = g_new0(VsmDir, 1);

    dir->path = g_path_get_dirname(path);
    if (make) {
        mkdir(dir->path, 0700);
    }
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0) {
        int number = errno;

        g_set_error(error, VSM_ERROR,
                    number == ENOENT ? VSM_ERROR_NOT_FOUND : VSM_ERROR_STORE,
                    "host secret %s: cannot open its directory: %s", path,
                    g_strerror(number));
        return NULL;
    }
    return g_steal_pointer(&dir);
}

/*
 * A systemd credential is root's with mode 0400; its access list for the
 * service's user shows as the group's right to read.
 */
static bool is_private(const struct stat *st)
{
    bool credential =
        st->st_uid == 0 && st->st_gid == 0 && (st->st_mode & 0777) == 0440;

    return credential || (!(st->st_mode & 077) &&
                          (st->st_uid == geteuid() || st->st_uid == 0));
}

static bool
check_mode(int fd, const char *path, VsmHostKind kind, GError **error)
{
    gsize bytes = mark_bytes(kind) + VSM_TPM_SECRET_BYTES;
    gsize other = mark_bytes(!kind) + VSM_TPM_SECRET_BYTES;
    struct stat st;

    if (fstat(fd, &st) < 0 || !is_private(&st)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE,
                    "host secret %s: others may read it, or it is another "
                    "user's; chmod 600 it, and set up anew if anybody did",
                    path);
        return false;
    }
    if (st.st_size == (off_t)other) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_DENIED,
                    "host secret %s: it is one %s, and is never used "
                    "elsewhere; give another path",
                    path,
                    kind == VSM_HOST_DAEMON ? "for hypervisor processes"
                                            : "of the daemon vsmd");
        return false;
    }
    if (st.st_size != (off_t)bytes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE,
                    "host secret %s: has %lld bytes, not %zu; restore it from "
                    "its backup",
                    path, (long long)st.st_size, bytes);
        return false;
    }
    return true;
}

static bool has_mark(int fd, VsmHostKind kind)
{
    gsize bytes = mark_bytes(kind);
    char mark[DAEMON_MARK_BYTES];

    return pread(fd, mark, bytes, 0) == (ssize_t)bytes &&
           memcmp(mark, DAEMON_MARK, bytes) == 0;
}

static VsmSecret *read_secret(const VsmDir *dir,
                              const char *name,
                              const char *path,
                              VsmHostKind kind,
                              GError **error)
{
    g_autoptr(VsmSecret) secret = NULL;
    int fd = vsm_file_open(dir, name, O_RDONLY, error);
    ssize_t got = 0;

    if (fd < 0) {
        return NULL;
    }
    if (check_mode(fd, path, kind, error)) {
        secret = vsm_secret_new(VSM_TPM_SECRET_BYTES, error);
        errno = 0;
        if (secret && has_mark(fd, kind)) {
            got = pread(fd, vsm_secret_data(secret), VSM_TPM_SECRET_BYTES,
                        mark_bytes(kind));
        }
        if (secret && got != VSM_TPM_SECRET_BYTES) {
            vsm_file_error(error, errno ? errno : EIO, dir, name, "read it");
            g_clear_pointer(&secret, vsm_secret_free);
        }
    }
    close(fd);
    return g_steal_pointer(&secret);
}

static void free_content(gpointer content)
{
    vsm_secret_free(content);
}

/* Mark and secret in memory that is wiped with the bytes. */
static GBytes *
new_content(const VsmSecret *secret, VsmHostKind kind, GError **error)
{
    gsize mark = mark_bytes(kind);
    VsmSecret *content = vsm_secret_new(mark + VSM_TPM_SECRET_BYTES, error);

    if (!content) {
        return NULL;
    }
    memcpy(vsm_secret_data(content), DAEMON_MARK, mark);
    memcpy((guint8 *)vsm_secret_data(content) + mark, vsm_secret_peek(secret),
           VSM_TPM_SECRET_BYTES);
    return g_bytes_new_with_free_func(vsm_secret_peek(content),
                                      mark + VSM_TPM_SECRET_BYTES, free_content,
                                      content);
}

static VsmSecret *make_secret(const VsmDir *dir,
                              const char *name,
                              VsmHostKind kind,
                              GError **error)
{
    g_autoptr(VsmSecret) secret =
        vsm_secret_new_random(VSM_TPM_SECRET_BYTES, error);
    g_autoptr(GBytes) bytes = secret ? new_content(secret, kind, error) : NULL;

    return bytes && vsm_file_replace(dir, name, bytes, error)
               ? g_steal_pointer(&secret)
               : NULL;
}

GBytes *vsm_host_new_secret(VsmHostKind kind, GError **error)
{
    g_autoptr(VsmSecret) secret =
        vsm_secret_new_random(VSM_TPM_SECRET_BYTES, error);

    return secret ? new_content(secret, kind, error) : NULL;
}

VsmSecret *vsm_host_secret_load(const char *path,
                                VsmHostKind kind,
                                const VsmDir *store,
                                bool make,
                                GError **error)
{
    const char *from = path ? path : VSM_HOST_SECRET_PATH;
    g_autofree char *name = g_path_get_basename(from);
    g_autoptr(VsmDir) dir = open_parent(from, make, error);
    g_autoptr(GError) why = NULL;
    VsmSecret *secret;

    if (!dir) {
        return NULL;
    }
    if (is_below(fcntl(dir->fd, F_DUPFD_CLOEXEC, 3), store)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "host secret %s: lies inside the state directory %s, so "
                    "each copy of the store would hold it; move it elsewhere, "
                    "such as %s",
                    from, store->path, VSM_HOST_SECRET_PATH);
        return NULL;
    }
    secret = read_secret(dir, name, from, kind, &why);
    if (!secret && make &&
        g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
        secret = make_secret(dir, name, kind, error);
        if (!secret) {
            g_prefix_error(error,
                           "host secret %s: there is none, and none can be "
                           "made there; give %s: ",
                           from,
                           kind == VSM_HOST_DAEMON
                               ? "one that vsmd --new-secret made"
                               : "another path");
        }
        return secret;
    }
    if (!secret) {
        g_propagate_error(error, g_steal_pointer(&why));
    }
    return secret;
}
