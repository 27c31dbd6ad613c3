/*
 * One process, so held that its number cannot become another's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* Both close-on-exec; -1 when not open. */
typedef struct {
    pid_t pid;
    int pidfd, proc_fd; /* proc_fd: the directory /proc/PID */
    guint64 start; /* clock ticks after boot */
} VsmProcess;

#define VSM_PROCESS_INIT ((VsmProcess){.pidfd = -1, .proc_fd = -1})

/**
 * vsm_process_open:
 * @pidfd: of @pid, consumed; -1: one is opened by number
 *
 * After it returned true, @pidfd and @proc_fd are of the same process, which
 * was alive then.  Errors: NOT_FOUND.
 */
bool vsm_process_open(pid_t pid, int pidfd, VsmProcess *ret, GError **error);
void vsm_process_close(VsmProcess *process);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VsmProcess, vsm_process_close)

bool vsm_process_alive(int pidfd);

/* Start time in the text of /proc/PID/stat; false: malformed. */
bool vsm_process_parse_start(const char *stat, guint64 *ret);

/* A file of /proc/PID of at most 64 KiB; NULL: cannot be read. */
char *vsm_process_read(const VsmProcess *process, const char *name);
