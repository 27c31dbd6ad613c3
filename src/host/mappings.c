/*
 * Files that a process has mapped executable, as /proc lists them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/mappings.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <vsm/error.h>
#include "base/limits.h"

#define DELETED " (deleted)"
#define MAPS_BYTES_MAX (16u * 1024 * 1024)

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

/* Cuts the next word off @line, which begins behind it; NULL: none. */
static char *word(char **line)
{
    char *start = *line + strspn(*line, " ");
    char *end = start + strcspn(start, " ");

    if (start == end) {
        return NULL;
    }
    *line = *end ? end + 1 : end;
    *end = '\0';
    return start;
}

/* "fd:01" */
static bool parse_device(const char *text, dev_t *ret)
{
    char *end;
    guint64 high = g_ascii_strtoull(text, &end, 16);
    guint64 low = *end == ':' ? g_ascii_strtoull(end + 1, &end, 16) : 0;

    *ret = makedev(high, low);
    return end > text && !*end;
}

/* "start-end perms offset device inode   path"; a path may hold blanks. */
static VsmMapping *parse_line(char *line)
{
    char *range = word(&line), *perms = word(&line), *offset = word(&line);
    char *device = word(&line), *inode = word(&line), *end;
    char *path = line + strspn(line, " ");
    bool deleted = g_str_has_suffix(path, DELETED);
    g_autofree VsmMapping *mapping = g_new0(VsmMapping, 1);

    if (!offset || !device || !inode || strlen(perms) != 4 ||
        !parse_device(device, &mapping->device)) {
        return NULL;
    }
    mapping->inode = g_ascii_strtoull(inode, &end, 10);
    if (*end) {
        return NULL;
    }
    if (perms[2] == 'x' && mapping->inode && !is_memory(path, deleted)) {
        mapping->range = g_strdup(range);
        mapping->path = g_strdup(path);
        mapping->deleted = deleted;
        if (deleted) {
            mapping->path[strlen(path) - strlen(DELETED)] = '\0';
        }
    }
    return g_steal_pointer(&mapping); /* no range: nothing to measure */
}

static int
compare_files(gconstpointer a, gconstpointer b, G_GNUC_UNUSED gpointer opaque)
{
    const VsmMapping *one = a, *other = b;

    if (one->device != other->device) {
        return one->device < other->device ? -1 : 1;
    }
    return one->inode < other->inode ? -1 : one->inode > other->inode;
}

void vsm_mappings_too_many(GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                "the hypervisor has mapped more than %u executable files: "
                "they are not measured",
                VSM_HYPERVISOR_FILES_MAX);
}

GPtrArray *vsm_mappings_parse(const char *maps, GError **error)
{
    g_autoptr(GPtrArray) mappings =
        g_ptr_array_new_with_free_func(mapping_free);
    /* A tree: inodes may be the process's choice, and so would be a hash. */
    g_autoptr(GTree) known = g_tree_new_full(compare_files, NULL, NULL, NULL);
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
        if (!mapping->range || g_tree_lookup(known, mapping)) {
            mapping_free(mapping);
        } else if (mappings->len >= VSM_HYPERVISOR_FILES_MAX) {
            mapping_free(mapping);
            vsm_mappings_too_many(error);
            return NULL;
        } else {
            g_ptr_array_add(mappings, mapping);
            g_tree_insert(known, mapping, mapping);
        }
    }
    return g_steal_pointer(&mappings);
}

static char *read_maps(int proc_fd, guint64 *ret_bytes, GError **error)
{
    int fd = openat(proc_fd, "maps", O_RDONLY | O_CLOEXEC);
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[16384];
    ssize_t got = -1;

    if (fd >= 0) {
        while ((got = TEMP_FAILURE_RETRY(read(fd, buffer, sizeof(buffer)))) >
                   0 &&
               text->len < MAPS_BYTES_MAX) {
            g_string_append_len(text, buffer, got);
        }
        close(fd);
    }
    *ret_bytes = text->len;
    if (got != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR,
                    "the hypervisor's memory map cannot be read: %s; it must "
                    "run, and this process needs the right to look at it",
                    got < 0 ? g_strerror(errno) : "it is too long");
        return NULL;
    }
    return g_string_free(g_steal_pointer(&text), false);
}

GPtrArray *vsm_mappings_read(int proc_fd, guint64 *ret_bytes, GError **error)
{
    g_autofree char *maps = read_maps(proc_fd, ret_bytes, error);

    return maps ? vsm_mappings_parse(maps, error) : NULL;
}
