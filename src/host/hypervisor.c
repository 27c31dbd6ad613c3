/*
 * Digest of a process's executable and mapped executable files, from an open
 * /proc/PID.
 *
 * A mapping keeps its inode alive, so device and inode name one file for as
 * long as it stays mapped: its digest is remembered by them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/hypervisor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "crypto/hash.h"
#include "host/mappings.h"

#define FILES_MAX 4096 /* mapped executable files of one process */
#define MAPS_BYTES_MAX (16u * 1024 * 1024)
#define READ_BYTES (1024 * 1024)

typedef struct {
    dev_t device;
    ino_t inode;
    VsmDigest digest;
} Measured;

struct _VsmHypervisor {
    int proc_fd;
    VsmDigest digest;
    GArray *measured; /* of Measured: each file ever measured here */
    bool complete; /* the first measurement is done */
    GString *added; /* paths that later ones found */
};

static bool refuse(GError **error, const char *path, const char *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR,
                "hypervisor file %s: %s; restart the VM's hypervisor process",
                path, why);
    return false;
}

static bool hash_file(int fd, const char *path, VsmDigest *ret, GError **error)
{
    g_autoptr(VsmSha384) hash = vsm_sha384_new(error);
    g_autofree guint8 *buffer = g_malloc(READ_BYTES);
    ssize_t got = 0;

    if (!hash) {
        return false;
    }
    do {
        got = TEMP_FAILURE_RETRY(read(fd, buffer, READ_BYTES));
        if (got > 0 && !vsm_sha384_update(hash, buffer, got, error)) {
            return false;
        }
    } while (got > 0);
    if (got < 0) {
        return refuse(error, path, g_strerror(errno));
    }
    return vsm_sha384_finish(hash, ret, error);
}

static int open_at(int dir, const char *format, const char *name)
{
    g_autofree char *path = g_strdup_printf(format, name);

    return openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/*
 * Some file systems (overlay, btrfs) show another, anonymous device number in
 * the memory map than in stat: there the inode must do.
 */
static bool is_file_of(int fd, const VsmMapping *mapping)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           st.st_ino == mapping->inode &&
           (st.st_dev == mapping->device || major(mapping->device) == 0 ||
            major(st.st_dev) == 0);
}

/*
 * map_files opens the very file, whatever became of its name, but wants a
 * capability; else its path in the process's root, if that is still the file.
 */
static bool measure_mapping(VsmHypervisor *hypervisor,
                            const VsmMapping *mapping,
                            VsmDigest *ret,
                            GError **error)
{
    int fd = open_at(hypervisor->proc_fd, "map_files/%s", mapping->range);
    bool ok;

    if (fd < 0) {
        g_autofree char *path = g_strcompress(mapping->path);

        if (mapping->deleted) {
            return refuse(error, path,
                          "was replaced on disk before it was measured");
        }
        fd = open_at(hypervisor->proc_fd, "root%s", path);
        if (fd < 0) {
            return refuse(error, path, g_strerror(errno));
        }
        if (!is_file_of(fd, mapping)) {
            close(fd);
            return refuse(error, path,
                          "was replaced on disk before it was measured");
        }
    }
    ok = hash_file(fd, mapping->path, ret, error);
    close(fd);
    return ok;
}

static const Measured *known(VsmHypervisor *hypervisor,
                             const VsmMapping *mapping)
{
    for (guint i = 0; i < hypervisor->measured->len; i++) {
        const Measured *one = &g_array_index(hypervisor->measured, Measured, i);

        if (one->device == mapping->device && one->inode == mapping->inode) {
            return one;
        }
    }
    return NULL;
}

static char *read_maps(int proc_fd, GError **error)
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
    if (got != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR,
                    "the hypervisor's memory map cannot be read: %s; it must "
                    "run, and this process needs the right to look at it",
                    got < 0 ? g_strerror(errno) : "it is too long");
        return NULL;
    }
    return g_string_free(g_steal_pointer(&text), false);
}

static int compare_digests(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(VsmDigest));
}

/* SHA-384 over the sorted set. */
static bool digest_set(GArray *digests, VsmDigest *ret, GError **error)
{
    g_autoptr(VsmSha384) hash = vsm_sha384_new(error);

    if (!hash) {
        return false;
    }
    g_array_sort(digests, compare_digests);
    for (guint i = 0; i < digests->len; i++) {
        const VsmDigest *one = &g_array_index(digests, VsmDigest, i);

        if (i && compare_digests(one, one - 1) == 0) {
            continue;
        }
        if (!vsm_sha384_update(hash, one, sizeof(*one), error)) {
            return false;
        }
    }
    return vsm_sha384_finish(hash, ret, error);
}

static bool add_mapping(VsmHypervisor *hypervisor,
                        const VsmMapping *mapping,
                        GArray *digests,
                        GError **error)
{
    const Measured *one = known(hypervisor, mapping);
    Measured fresh = {.device = mapping->device, .inode = mapping->inode};

    if (!one) {
        if (!measure_mapping(hypervisor, mapping, &fresh.digest, error)) {
            return false;
        }
        g_array_append_val(hypervisor->measured, fresh);
        one = &fresh;
        if (hypervisor->complete) {
            g_string_append_printf(hypervisor->added, "%s%s",
                                   hypervisor->added->len ? ", " : "",
                                   mapping->path);
        }
    }
    g_array_append_val(digests, one->digest);
    return true;
}

/* The executable is mapped by itself; this is for one that hides that. */
static bool
add_executable(VsmHypervisor *hypervisor, GArray *digests, GError **error)
{
    int fd = openat(hypervisor->proc_fd, "exe", O_RDONLY | O_CLOEXEC);
    struct stat st;
    VsmMapping mapping = {NULL};
    Measured fresh;
    const Measured *one;

    if (fd < 0 || fstat(fd, &st) < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return refuse(error, "(its executable)", g_strerror(errno));
    }
    mapping.device = st.st_dev;
    mapping.inode = st.st_ino;
    one = known(hypervisor, &mapping);
    if (!one) {
        if (!hash_file(fd, "(its executable)", &fresh.digest, error)) {
            close(fd);
            return false;
        }
        fresh.device = st.st_dev;
        fresh.inode = st.st_ino;
        g_array_append_val(hypervisor->measured, fresh);
        one = &fresh;
    }
    close(fd);
    g_array_append_val(digests, one->digest);
    return true;
}

bool vsm_hypervisor_refresh(VsmHypervisor *hypervisor, GError **error)
{
    g_autofree char *maps = read_maps(hypervisor->proc_fd, error);
    g_autoptr(GPtrArray) mappings =
        maps ? vsm_mappings_parse(maps, error) : NULL;
    g_autoptr(GArray) digests = g_array_new(false, false, sizeof(VsmDigest));

    if (!mappings) {
        return false;
    }
    if (mappings->len > FILES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "the hypervisor has mapped more than %u executable files",
                    FILES_MAX);
        return false;
    }
    if (!add_executable(hypervisor, digests, error)) {
        return false;
    }
    for (guint i = 0; i < mappings->len; i++) {
        if (!add_mapping(hypervisor, mappings->pdata[i], digests, error)) {
            return false;
        }
    }
    hypervisor->complete = true;
    return digest_set(digests, &hypervisor->digest, error);
}

VsmHypervisor *vsm_hypervisor_measure(int proc_fd, GError **error)
{
    g_autoptr(VsmHypervisor) hypervisor = g_new0(VsmHypervisor, 1);

    hypervisor->measured = g_array_new(false, false, sizeof(Measured));
    hypervisor->added = g_string_new(NULL);
    hypervisor->proc_fd = fcntl(proc_fd, F_DUPFD_CLOEXEC, 3);
    if (hypervisor->proc_fd < 0) {
        refuse(error, "/proc", g_strerror(errno));
        return NULL;
    }
    return vsm_hypervisor_refresh(hypervisor, error)
               ? g_steal_pointer(&hypervisor)
               : NULL;
}

const VsmDigest *vsm_hypervisor_digest(const VsmHypervisor *hypervisor)
{
    return &hypervisor->digest;
}

void vsm_hypervisor_free(VsmHypervisor *hypervisor)
{
    if (hypervisor) {
        if (hypervisor->proc_fd >= 0) {
            close(hypervisor->proc_fd);
        }
        g_array_unref(hypervisor->measured);
        g_string_free(hypervisor->added, true);
        g_free(hypervisor);
    }
}

const char *vsm_hypervisor_added(const VsmHypervisor *hypervisor)
{
    return hypervisor->added->str;
}
