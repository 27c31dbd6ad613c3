/*
 * Files that a process has mapped executable, as /proc lists them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/mappings.h"
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <vsm/error.h>

#define DELETED " (deleted)"

static void mapping_free(gpointer data)
{
    VsmMapping *mapping = data;

    g_free(mapping->range);
    g_free(mapping->path);
    g_free(mapping);
}

/*
 * Memory that only looks like a file: the kernel gives shared memory an inode
 * and a name of this form.  No file can be named so: paths begin with "/" and
 * of the root directory's own entries only these are taken by the kernel.
 */
static bool is_memory(const char *path, bool deleted)
{
    return path[0] != '/' ||
           (deleted && (g_str_has_prefix(path, "/memfd:") ||
                        g_str_has_prefix(path, "/dev/zero") ||
                        g_str_has_prefix(path, "/anon_hugepage") ||
                        g_str_has_prefix(path, "/SYSV")));
}

static VsmMapping *parse_line(char *line)
{
    guint major, minor;
    unsigned long inode;
    char range[64], perms[8];
    int path_at = 0;
    g_autofree char *path = NULL;
    VsmMapping *mapping;
    bool deleted;

    if (sscanf(line, "%63s %7s %*s %x:%x %lu %n", range, perms, &major, &minor,
               &inode, &path_at) != 5) {
        return NULL;
    }
    path = g_strdup(path_at ? line + path_at : "");
    deleted = g_str_has_suffix(path, DELETED);
    mapping = g_new0(VsmMapping, 1);
    if (strlen(perms) == 4 && perms[2] == 'x' && inode &&
        !is_memory(path, deleted)) {
        if (deleted) {
            path[strlen(path) - strlen(DELETED)] = '\0';
        }
        mapping->range = g_strdup(range);
        mapping->path = g_steal_pointer(&path);
        mapping->device = makedev(major, minor);
        mapping->inode = inode;
        mapping->deleted = deleted;
    }
    return mapping; /* without a range: nothing to measure */
}

static bool is_known(GPtrArray *mappings, const VsmMapping *mapping)
{
    for (guint i = 0; i < mappings->len; i++) {
        const VsmMapping *other = mappings->pdata[i];

        if (other->device == mapping->device &&
            other->inode == mapping->inode) {
            return true;
        }
    }
    return false;
}

GPtrArray *vsm_mappings_parse(const char *maps, GError **error)
{
    g_autoptr(GPtrArray) mappings =
        g_ptr_array_new_with_free_func(mapping_free);
    g_auto(GStrv) lines = g_strsplit(maps, "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        VsmMapping *mapping;

        if (!lines[i][0]) {
            continue;
        }
        mapping = parse_line(lines[i]);
        if (!mapping) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                        "a line of the process's memory map cannot be read: "
                        "\"%s\"",
                        lines[i]);
            return NULL;
        }
        if (!mapping->range || is_known(mappings, mapping)) {
            mapping_free(mapping);
        } else {
            g_ptr_array_add(mappings, mapping);
        }
    }
    return g_steal_pointer(&mappings);
}
