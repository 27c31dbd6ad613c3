/*
 * Digest of a process's executable and mapped executable files, from an open
 * /proc/PID.
 *
 * A mapping keeps its inode alive, so device and inode name one file for as
 * long as it stays mapped: its digest is found by them, until a listing
 * without it.  The digest itself stays in the set: what was mapped once may
 * have left its mark on the process.
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
#include "base/limits.h"
#include "crypto/hash.h"
#include "host/mappings.h"

#define READ_BYTES (1024 * 1024)

/* A byte of a memory map takes as long as so many of a file. */
#define MAP_BYTE_COST 8

typedef struct {
    dev_t device;
    ino_t inode;
    bool mapped; /* device and inode still name it */
    VsmDigest digest;
} Measured;

struct _VsmHypervisor {
    int proc_fd;
    VsmDigest digest;
    GArray *measured; /* of Measured: each file ever measured here */
    guint64 bytes; /* of them, all together */
    guint64 cost; /* of all that was read, again and again */
    bool complete; /* the first measurement is done */
    bool by_owner; /* only vsm_hypervisor_refresh_within() looks */
    GString *added; /* paths that later ones found */
};

/* A refresh under way. */
typedef struct {
    VsmHypervisor *hypervisor;
    gint64 deadline_us; /* 0: none */
    GCancellable *cancel;
    guint64 bytes; /* read */
} Look;

static bool refuse(GError **error, const char *path, const char *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR,
                "hypervisor file %s: %s; restart the VM's hypervisor process",
                path, why);
    return false;
}

static bool over_limit(GError **error, const char *path)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                "hypervisor file %s: the files that the process has mapped "
                "executable are longer than %u MiB in all: they are not "
                "measured",
                path, VSM_HYPERVISOR_BYTES_MAX >> 20);
    return false;
}

/* Between two pieces of a file. */
static bool go_on(const Look *look, const char *path, GError **error)
{
    if (g_cancellable_is_cancelled(look->cancel)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CANCELLED, "cancelled");
        return false;
    }
    if (look->deadline_us && g_get_monotonic_time() >= look->deadline_us) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT,
                    "hypervisor file %s: not read in the time of a request",
                    path);
        return false;
    }
    return true;
}

/* A file that grows meanwhile is cut off, too. */
static bool hash_file(Look *look,
                      int fd,
                      guint64 length,
                      const char *path,
                      VsmDigest *ret,
                      GError **error)
{
    guint64 left =
        VSM_HYPERVISOR_BYTES_MAX - MAX(look->bytes, look->hypervisor->bytes);
    g_autoptr(VsmSha384) hash = vsm_sha384_new(error);
    g_autofree guint8 *buffer = g_malloc(READ_BYTES);
    ssize_t got = 1;

    if (!hash) {
        return false;
    }
    while (got > 0) {
        if (length > left || left == 0) {
            return over_limit(error, path);
        }
        if (!go_on(look, path, error)) {
            return false;
        }
        got = TEMP_FAILURE_RETRY(read(fd, buffer, READ_BYTES));
        if (got > 0 && !vsm_sha384_update(hash, buffer, got, error)) {
            return false;
        }
        look->bytes += MAX(got, 0);
        look->hypervisor->cost += MAX(got, 0);
        left -= MIN(left, (guint64)MAX(got, 0));
        length -= MIN(length, (guint64)MAX(got, 0));
    }
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
static int
open_mapping(const Look *look, const VsmMapping *mapping, GError **error)
{
    g_autofree char *path = g_strcompress(mapping->path);
    int fd = open_at(look->hypervisor->proc_fd, "map_files/%s", mapping->range);

    if (fd < 0 && !mapping->deleted) {
        fd = open_at(look->hypervisor->proc_fd, "root%s", path);
        if (fd < 0) {
            refuse(error, path, g_strerror(errno));
            return -1;
        }
    }
    if (fd >= 0 && is_file_of(fd, mapping)) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    refuse(error, path, "was replaced on disk before it was measured");
    return -1;
}

static const Measured *
known(const VsmHypervisor *hypervisor, dev_t device, ino_t inode)
{
    for (guint i = 0; i < hypervisor->measured->len; i++) {
        const Measured *one = &g_array_index(hypervisor->measured, Measured, i);

        if (one->mapped && one->device == device && one->inode == inode) {
            return one;
        }
    }
    return NULL;
}

static int compare_digests(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(VsmDigest));
}

/* SHA-384 over the sorted set. */
static bool digest_set(VsmHypervisor *hypervisor, GError **error)
{
    g_autoptr(GArray) digests = g_array_new(false, false, sizeof(VsmDigest));
    g_autoptr(VsmSha384) hash = vsm_sha384_new(error);

    if (!hash) {
        return false;
    }
    for (guint i = 0; i < hypervisor->measured->len; i++) {
        g_array_append_val(
            digests, g_array_index(hypervisor->measured, Measured, i).digest);
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
    return vsm_sha384_finish(hash, &hypervisor->digest, error);
}

/* One of the same content that is not mapped any more; NULL: none. */
static Measured *unmapped(VsmHypervisor *hypervisor, const VsmDigest *digest)
{
    for (guint i = 0; i < hypervisor->measured->len; i++) {
        Measured *one = &g_array_index(hypervisor->measured, Measured, i);

        if (!one->mapped && vsm_digest_equal(&one->digest, digest)) {
            return one;
        }
    }
    return NULL;
}

static bool put(VsmHypervisor *hypervisor,
                const Measured *fresh,
                guint64 length,
                const char *path,
                GError **error)
{
    Measured *old = unmapped(hypervisor, &fresh->digest);

    if (old) {
        *old = *fresh;
        return true;
    }
    if (hypervisor->measured->len >= VSM_HYPERVISOR_FILES_MAX) {
        vsm_mappings_too_many(error);
        return false;
    }
    g_array_append_val(hypervisor->measured, *fresh);
    hypervisor->bytes += length;
    if (hypervisor->complete) {
        g_string_append_printf(hypervisor->added, "%s%s",
                               hypervisor->added->len ? ", " : "", path);
    }
    return true;
}

/* Hashes @fd, consumed, into the set.  @device: as the memory map has it; 0:
 * as stat has it. */
static bool
measure(Look *look, int fd, const char *path, dev_t device, GError **error)
{
    Measured fresh = {.mapped = true};
    guint64 before = look->bytes;
    struct stat st;
    bool ok = fstat(fd, &st) == 0 || refuse(error, path, g_strerror(errno));

    ok = ok && hash_file(look, fd, st.st_size, path, &fresh.digest, error);
    close(fd);
    if (!ok) {
        return false;
    }
    fresh.device = device ? device : st.st_dev;
    fresh.inode = st.st_ino;
    return put(look->hypervisor, &fresh, look->bytes - before, path, error);
}

static bool add_mapping(Look *look, const VsmMapping *mapping, GError **error)
{
    int fd;

    if (known(look->hypervisor, mapping->device, mapping->inode)) {
        return true;
    }
    fd = open_mapping(look, mapping, error);
    return fd >= 0 && measure(look, fd, mapping->path, mapping->device, error);
}

/* The executable is mapped by itself; this is for one that hides that. */
static int
open_executable(VsmHypervisor *hypervisor, struct stat *st, GError **error)
{
    int fd = openat(hypervisor->proc_fd, "exe", O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, st) == 0) {
        return fd;
    }
    refuse(error, "(its executable)", g_strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

/* An inode that is not mapped any more may be another file's next. */
static void prune(VsmHypervisor *hypervisor,
                  const struct stat *executable,
                  GPtrArray *mappings)
{
    for (guint i = 0; i < hypervisor->measured->len; i++) {
        Measured *one = &g_array_index(hypervisor->measured, Measured, i);
        bool found = one->device == executable->st_dev &&
                     one->inode == executable->st_ino;

        for (guint j = 0; j < mappings->len && !found; j++) {
            const VsmMapping *mapping = mappings->pdata[j];

            found =
                one->device == mapping->device && one->inode == mapping->inode;
        }
        one->mapped = one->mapped && found;
    }
}

static bool look_again(Look *look, GError **error)
{
    VsmHypervisor *hypervisor = look->hypervisor;
    guint64 map_bytes = 0;
    g_autoptr(GPtrArray) mappings =
        vsm_mappings_read(hypervisor->proc_fd, &map_bytes, error);
    struct stat st;
    int fd = mappings ? open_executable(hypervisor, &st, error) : -1;

    hypervisor->cost += map_bytes * MAP_BYTE_COST;
    if (fd < 0) {
        return false;
    }
    prune(hypervisor, &st, mappings);
    if (known(hypervisor, st.st_dev, st.st_ino)) {
        close(fd);
    } else if (!measure(look, fd, "(its executable)", 0, error)) {
        return false;
    }
    for (guint i = 0; i < mappings->len; i++) {
        if (!add_mapping(look, mappings->pdata[i], error)) {
            return false;
        }
    }
    hypervisor->complete = true;
    return digest_set(hypervisor, error);
}

bool vsm_hypervisor_refresh_within(VsmHypervisor *hypervisor,
                                   gint64 deadline_us,
                                   GCancellable *cancel,
                                   GError **error)
{
    Look look = {hypervisor, deadline_us, cancel, 0};

    hypervisor->by_owner = true;
    return look_again(&look, error);
}

bool vsm_hypervisor_refresh(VsmHypervisor *hypervisor, GError **error)
{
    Look look = {hypervisor, 0, NULL, 0};

    return hypervisor->by_owner || look_again(&look, error);
}

VsmHypervisor *vsm_hypervisor_new(int proc_fd, GError **error)
{
    g_autoptr(VsmHypervisor) hypervisor = g_new0(VsmHypervisor, 1);

    hypervisor->measured = g_array_new(false, false, sizeof(Measured));
    hypervisor->added = g_string_new(NULL);
    hypervisor->proc_fd = fcntl(proc_fd, F_DUPFD_CLOEXEC, 3);
    if (hypervisor->proc_fd < 0) {
        refuse(error, "/proc", g_strerror(errno));
        return NULL;
    }
    return g_steal_pointer(&hypervisor);
}

VsmHypervisor *vsm_hypervisor_measure(int proc_fd, GError **error)
{
    g_autoptr(VsmHypervisor) hypervisor = vsm_hypervisor_new(proc_fd, error);

    return hypervisor && vsm_hypervisor_refresh(hypervisor, error)
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

guint64 vsm_hypervisor_cost(const VsmHypervisor *hypervisor)
{
    return hypervisor->cost;
}
