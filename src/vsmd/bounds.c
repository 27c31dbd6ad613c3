/*
 * How many connections the limits of this process allow.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/bounds.h"
#include <string.h>
#include <sys/resource.h>

/* Beside one for each connection: administrators, metrics, the TPM's thread and
 * those that a TPM keeps from ending. */
#define OTHER_TASKS 32

/* A connection's: its socket, the process three times, a record's files. */
#define FILES_EACH 12
#define OTHER_FILES 128

static guint64 share(guint64 all, guint64 others, guint64 each)
{
    return all > others ? (all - others) / each : 0;
}

guint vsm_bounds_connections(guint wanted, guint64 tasks, guint64 files)
{
    guint64 most = wanted;

    if (tasks) {
        most = MIN(most, share(tasks, OTHER_TASKS, 1));
    }
    if (files) {
        most = MIN(most, share(files, OTHER_FILES, FILES_EACH));
    }
    return MAX(most, 1);
}

guint64 vsm_bounds_tasks(void)
{
    g_autofree char *groups = NULL;
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    char *own;

    if (!g_file_get_contents("/proc/self/cgroup", &groups, NULL, NULL)) {
        return 0;
    }
    own = g_str_has_prefix(groups, "0::") ? groups : strstr(groups, "\n0::");
    if (!own) {
        return 0;
    }
    own = strchr(own, '/');
    if (!own) {
        return 0;
    }
    own[strcspn(own, "\n")] = '\0';
    path = g_build_filename("/sys/fs/cgroup", own, "pids.max", NULL);
    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return 0;
    }
    return g_ascii_strtoull(text, NULL, 10); /* "max": 0 */
}

guint64 vsm_bounds_files(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
                   limit.rlim_cur != RLIM_INFINITY
               ? limit.rlim_cur
               : 0;
}
