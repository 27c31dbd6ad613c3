/*
 * Files that a process has mapped executable, as /proc lists them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* One file; the first of its mappings stands for all. */
typedef struct {
    char *range; /* "start-end" in hex: its name in map_files */
    char *path; /* as in the process's root, still escaped; for messages */
    dev_t device;
    ino_t inode;
    bool deleted; /* its name is gone or is another file's now */
} VsmMapping;

/**
 * vsm_mappings_parse:
 * @maps: text of /proc/PID/maps
 *
 * Executable mappings of files, each device and inode once.  Memory without a
 * file, memfd included (the translator's buffer), is not in it.
 *
 * Returns: (transfer full): of VsmMapping; NULL with FORMAT, or LIMIT for
 * more than VSM_HYPERVISOR_FILES_MAX
 */
GPtrArray *vsm_mappings_parse(const char *maps, GError **error);

/**
 * vsm_mappings_read:
 * @proc_fd: an open /proc/PID
 * @ret_bytes: (out): length of the map's text, also of one that is refused
 *
 * Errors: also HYPERVISOR (it cannot be read).
 */
GPtrArray *vsm_mappings_read(int proc_fd, guint64 *ret_bytes, GError **error);

/* Sets LIMIT. */
void vsm_mappings_too_many(GError **error);
