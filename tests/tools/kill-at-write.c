/*
 * Preloaded into QEMU: ends it, as kill -9 would, before it writes to a file.
 *
 * VSM_KILL_AT names a file.  Once that is there it holds NAME and NUMBER: the
 * process ends at its NUMBER-th write, from then on, to a file of that name.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PATH_BYTES 4096

static atomic_int n_writes;

static bool wanted(char *name, size_t bytes, int *number)
{
    const char *path = getenv("VSM_KILL_AT");
    FILE *file = path ? fopen(path, "re") : NULL;
    char format[32];
    bool found;

    if (!file) {
        return false;
    }
    snprintf(format, sizeof(format), "%%%zus %%d", bytes - 1);
    found = fscanf(file, format, name, number) == 2;
    fclose(file);
    return found;
}

static bool is_called(int fd, const char *name)
{
    char link[64], path[PATH_BYTES];
    const char *last;
    ssize_t length;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof(path) - 1);
    if (length < 0) {
        return false;
    }
    path[length] = 0;
    last = strrchr(path, '/');
    return last && strcmp(last + 1, name) == 0;
}

static void about_to_write(int fd)
{
    char name[256];
    int number;

    if (wanted(name, sizeof(name), &number) && is_called(fd, name) &&
        atomic_fetch_add(&n_writes, 1) + 1 >= number) {
        kill(getpid(), SIGKILL);
        pause();
    }
}

/* Those that QEMU uses on files. */

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
    ssize_t (*next)(int, const void *, size_t, off64_t) =
        dlsym(RTLD_NEXT, "pwrite64");

    about_to_write(fd);
    return next(fd, data, bytes, offset);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
    ssize_t (*next)(int, const struct iovec *, int, off64_t) =
        dlsym(RTLD_NEXT, "pwritev64");

    about_to_write(fd);
    return next(fd, iov, n, offset);
}
