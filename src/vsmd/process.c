/*
 * One process, so held that its number cannot become another's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/process.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vsm/error.h>

#define FILE_BYTES_MAX (64 * 1024)
#define START_FIELD 22 /* proc(5) counts from 1 */

bool vsm_process_alive(int pidfd)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};

    return pidfd >= 0 && poll(&fd, 1, 0) == 0;
}

/* The name in brackets may hold anything, brackets and spaces included. */
bool vsm_process_parse_start(const char *stat, guint64 *ret)
{
    const char *rest = strrchr(stat, ')');
    g_auto(GStrv) fields = NULL;

    if (!rest || rest[1] != ' ') {
        return false;
    }
    fields = g_strsplit(rest + 2, " ", -1); /* the first is field 3 */
    return g_strv_length(fields) > START_FIELD - 3 &&
           g_ascii_string_to_unsigned(fields[START_FIELD - 3], 10, 0,
                                      G_MAXUINT64, ret, NULL);
}

char *vsm_process_read(const VsmProcess *process, const char *name)
{
    int fd = openat(process->proc_fd, name, O_RDONLY | O_CLOEXEC);
    g_autofree char *text = g_malloc(FILE_BYTES_MAX + 1);
    gsize at = 0;
    ssize_t got = -1;

    if (fd < 0) {
        return NULL;
    }
    do {
        got = TEMP_FAILURE_RETRY(read(fd, text + at, FILE_BYTES_MAX - at));
        at += MAX(got, 0);
    } while (got > 0);
    close(fd);
    if (got < 0 || at == FILE_BYTES_MAX || memchr(text, 0, at)) {
        return NULL;
    }
    text[at] = 0;
    return g_steal_pointer(&text);
}

void vsm_process_close(VsmProcess *process)
{
    if (process->pidfd >= 0) {
        close(process->pidfd);
    }
    if (process->proc_fd >= 0) {
        close(process->proc_fd);
    }
    process->pidfd = process->proc_fd = -1;
}

static bool fill(VsmProcess *process)
{
    g_autofree char *path = g_strdup_printf("/proc/%d", (int)process->pid);
    g_autofree char *stat = NULL;

    process->proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (process->proc_fd < 0) {
        return false;
    }
    stat = vsm_process_read(process, "stat");
    return stat && vsm_process_parse_start(stat, &process->start);
}

bool vsm_process_open(pid_t pid, int pidfd, VsmProcess *ret, GError **error)
{
    g_auto(VsmProcess) process = VSM_PROCESS_INIT;

    process.pid = pid;
    process.pidfd = pidfd;
    if (process.pidfd < 0) {
        process.pidfd = syscall(SYS_pidfd_open, pid, 0);
    }
    /* Alive after /proc was opened: its number was not given away before. */
    if (process.pidfd < 0 || !fill(&process) ||
        !vsm_process_alive(process.pidfd)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "process %d is not there, or /proc does not show it",
                    (int)pid);
        return false;
    }
    *ret = process;
    process = VSM_PROCESS_INIT;
    return true;
}
