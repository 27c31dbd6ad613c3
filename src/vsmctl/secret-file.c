/*
 * A verifier's secret between challenge and acceptance: for one use.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/secret-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vsm/error.h>

#include "vsmctl/request.h"

static bool write_all(int fd, const char *text, gsize size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);

        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            text += n;
            size -= n;
        }
    }
    return fsync(fd) == 0;
}

bool secret_file_write(const char *path, const char *text, GError **error)
{
    int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ok;

    if (fd < 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "cannot make '%s': %s; each challenge has a state file of "
                    "its own",
                    path, g_strerror(errno));
        return false;
    }
    /* Whatever the umask is. */
    ok = fchmod(fd, 0600) == 0 && write_all(fd, text, strlen(text));
    close(fd);
    if (!ok) {
        unlink(path);
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE, "cannot write '%s'",
                    path);
    }
    return ok;
}

char *secret_file_consume(const char *path, gsize max, GError **error)
{
    g_autofree char *own =
        g_strdup_printf("%s.%d-%08x", path, (int)getpid(), g_random_int());
    char *text;

    /* Atomic: a second caller finds nothing. */
    if (rename(path, own) != 0) {
        g_set_error(error, VSM_ERROR,
                    errno == ENOENT ? VSM_ERROR_STALE : VSM_ERROR_INVALID,
                    "cannot take '%s': %s; a challenge serves once, make a "
                    "new one",
                    path, g_strerror(errno));
        return NULL;
    }
    text = read_text_file(own, max, error);
    unlink(own);
    return text;
}

void secret_text_free(char *text)
{
    if (text) {
        explicit_bzero(text, strlen(text));
        g_free(text);
    }
}
