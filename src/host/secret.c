/*
 * The host secret: a file outside the store that only the attester can read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tpm/keys.h"

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

static bool check_mode(int fd, const char *path, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || (st.st_mode & 077) ||
        (st.st_uid != geteuid() && st.st_uid != 0)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE,
                    "host secret %s: others may read it, or it is another "
                    "user's; chmod 600 it, and set up anew if anybody did",
                    path);
        return false;
    }
    if (st.st_size != VSM_TPM_SECRET_BYTES) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE,
                    "host secret %s: has %lld bytes, not %u; restore it from "
                    "its backup",
                    path, (long long)st.st_size, VSM_TPM_SECRET_BYTES);
        return false;
    }
    return true;
}

static VsmSecret *read_secret(const VsmDir *dir,
                              const char *name,
                              const char *path,
                              GError **error)
{
    g_autoptr(VsmSecret) secret = NULL;
    int fd = vsm_file_open(dir, name, O_RDONLY, error);
    ssize_t got = 0;

    if (fd < 0) {
        return NULL;
    }
    if (check_mode(fd, path, error)) {
        secret = vsm_secret_new(VSM_TPM_SECRET_BYTES, error);
        if (secret) {
            got = pread(fd, vsm_secret_data(secret), VSM_TPM_SECRET_BYTES, 0);
        }
        if (secret && got != VSM_TPM_SECRET_BYTES) {
            vsm_file_error(error, got < 0 ? errno : EIO, dir, name, "read it");
            g_clear_pointer(&secret, vsm_secret_free);
        }
    }
    close(fd);
    return g_steal_pointer(&secret);
}

static VsmSecret *
make_secret(const VsmDir *dir, const char *name, GError **error)
{
    g_autoptr(VsmSecret) secret =
        vsm_secret_new_random(VSM_TPM_SECRET_BYTES, error);
    g_autoptr(GBytes) bytes = NULL;

    if (!secret) {
        return NULL;
    }
    /* Static: no copy of the secret is made. */
    bytes = g_bytes_new_static(vsm_secret_peek(secret), VSM_TPM_SECRET_BYTES);
    return vsm_file_replace(dir, name, bytes, error) ? g_steal_pointer(&secret)
                                                     : NULL;
}

VsmSecret *vsm_host_secret_load(const char *path,
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
    secret = read_secret(dir, name, from, &why);
    if (!secret && make &&
        g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
        return make_secret(dir, name, error);
    }
    if (!secret) {
        g_propagate_error(error, g_steal_pointer(&why));
    }
    return secret;
}
