/*
 * The names in a directory, one after the other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "store/files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct _VsmNames {
    VsmDir where; /* its path alone */
    DIR *stream; /* NULL: there are none */
    bool (*is)(const char *name);
    int failed; /* errno, 0: none */
};

VsmNames *
vsm_names_new(const VsmDir *dir, bool (*is)(const char *name), GError **error)
{
    g_autoptr(VsmNames) names = g_new0(VsmNames, 1);
    int fd;

    names->where.fd = -1;
    names->is = is;
    if (!dir) {
        return g_steal_pointer(&names);
    }
    names->where.path = g_strdup(dir->path);
    fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    names->stream = fd < 0 ? NULL : fdopendir(fd);
    if (!names->stream) {
        vsm_file_error(error, errno, dir, NULL, "list it");
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    return g_steal_pointer(&names);
}

static bool counts(const VsmNames *names, const char *name)
{
    return strcmp(name, ".") && strcmp(name, "..") &&
           (!names->is || names->is(name));
}

const char *vsm_names_next(VsmNames *names)
{
    struct dirent *entry;

    do {
        errno = 0;
        entry = names->stream ? readdir(names->stream) : NULL;
    } while (entry && !counts(names, entry->d_name));
    if (!entry) {
        names->failed = names->stream ? errno : 0;
    }
    return entry ? entry->d_name : NULL;
}

bool vsm_names_end(const VsmNames *names, GError **error)
{
    if (names->failed) {
        vsm_file_error(error, names->failed, &names->where, NULL, "list it");
        return false;
    }
    return true;
}

void vsm_names_free(VsmNames *names)
{
    if (names) {
        if (names->stream) {
            closedir(names->stream);
        }
        g_free(names->where.path);
        g_free(names);
    }
}
