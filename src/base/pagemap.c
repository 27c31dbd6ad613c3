/*
 * Which memory of this process nobody has written to yet: the kernel's page
 * map.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <vsm/pagemap.h>

/*
 * Linux, Documentation/admin-guide/mm/pagemap.rst: one 64-bit word a page.
 * Swapped is also whatever else takes a page's place for a while, such as a
 * migration to another node.
 */
#define PAGE_PRESENT (1ull << 63)
#define PAGE_SWAPPED (1ull << 62)

/*
 * The same page: PAGEMAP_SCAN and its struct pm_scan_arg, since Linux 6.7.  The
 * headers of older systems lack them.
 */
typedef struct {
    guint64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
    guint64 category_inverted, category_mask, category_anyof_mask, return_mask;
} ScanArg;

typedef struct {
    guint64 start, end, categories;
} ScanRegion;

#define SCAN _IOWR('f', 16, ScanArg)
#define SCAN_PRESENT (1 << 3)
#define SCAN_SWAPPED (1 << 4)
#define SCAN_ZERO_PAGE (1 << 5)

#define PROBE_PAGES 64 /* bits of a word */

struct _VsmPagemap {
    int fd;
    bool scans; /* the kernel tells its page of zeros from others */
};

/* At most each second page begins one. */
#define REGIONS_MAX (VSM_PAGEMAP_PAGES_MAX / 2 + 1)

/* false: the kernel did not answer for all of it. */
static bool
scan(const VsmPagemap *pagemap, const guint8 *host, guint n_pages, bool *ret)
{
    ScanRegion regions[REGIONS_MAX];
    guint64 start = (guintptr)host;
    /* What has memory or is swapped out, but for the page of zeros */
    ScanArg arg = {.size = sizeof(arg),
                   .start = start,
                   .end = start + n_pages * (guint64)VSM_PAGE_BYTES,
                   .vec = (guintptr)regions,
                   .vec_len = REGIONS_MAX,
                   .category_inverted = SCAN_ZERO_PAGE,
                   .category_mask = SCAN_ZERO_PAGE,
                   .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED};
    int n = ioctl(pagemap->fd, SCAN, &arg);

    if (n < 0 || n > REGIONS_MAX || arg.walk_end != arg.end) {
        return false;
    }
    memset(ret, 1, n_pages * sizeof(ret[0]));
    for (int i = 0; i < n; i++) {
        if (regions[i].start < start || regions[i].end > arg.end) {
            memset(ret, 0, n_pages * sizeof(ret[0]));
            return false;
        }
        for (guint64 at = regions[i].start; at < regions[i].end;
             at += VSM_PAGE_BYTES) {
            ret[(at - start) / VSM_PAGE_BYTES] = false;
        }
    }
    return true;
}

/*
 * Random pages of memory of its own are written, and with @read the others
 * read: does it tell them apart?
 */
static bool knows_this_process(const VsmPagemap *pagemap, bool read)
{
    guint8 *memory =
        mmap(NULL, PROBE_PAGES * VSM_PAGE_BYTES, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool untouched[PROBE_PAGES];
    guint64 written = (guint64)g_random_int() << 32 | g_random_int();
    bool right = true;

    if (memory == MAP_FAILED ||
        madvise(memory, PROBE_PAGES * VSM_PAGE_BYTES, MADV_NOHUGEPAGE) < 0) {
        right = false;
    }
    for (guint i = 0; right && i < PROBE_PAGES; i++) {
        volatile guint8 *page = memory + i * VSM_PAGE_BYTES;

        if (written >> i & 1) {
            *page = 1;
        } else if (read) {
            (void)*page;
        }
    }
    if (right) {
        vsm_pagemap_untouched(pagemap, memory, PROBE_PAGES, untouched);
    }
    for (guint i = 0; right && i < PROBE_PAGES; i++) {
        right = untouched[i] == !(written >> i & 1);
    }
    if (memory != MAP_FAILED) {
        munmap(memory, PROBE_PAGES * VSM_PAGE_BYTES);
    }
    return right;
}

/* Whoever starts this process may have put something else in its place. */
static bool is_kernels_own(int fd)
{
    struct statfs where;

    return fstatfs(fd, &where) == 0 && where.f_type == PROC_SUPER_MAGIC;
}

VsmPagemap *vsm_pagemap_new(int fd)
{
    g_autoptr(VsmPagemap) pagemap = NULL;

    if (fd < 0) {
        return NULL;
    }
    pagemap = g_new0(VsmPagemap, 1);
    pagemap->fd = fd;
    if (sysconf(_SC_PAGESIZE) != VSM_PAGE_BYTES || !is_kernels_own(fd) ||
        !knows_this_process(pagemap, false)) {
        return NULL;
    }
    pagemap->scans = true;
    pagemap->scans =
        knows_this_process(pagemap, true) && knows_this_process(pagemap, false);
    return g_steal_pointer(&pagemap);
}

void vsm_pagemap_free(VsmPagemap *pagemap)
{
    if (pagemap) {
        close(pagemap->fd);
        g_free(pagemap);
    }
}

void vsm_pagemap_untouched(const VsmPagemap *pagemap,
                           const void *host,
                           guint n_pages,
                           bool *ret)
{
    guint64 words[VSM_PAGEMAP_PAGES_MAX];
    off_t at = (off_t)((guintptr)host / VSM_PAGE_BYTES * sizeof(words[0]));
    gsize bytes = n_pages * sizeof(words[0]);

    g_assert(n_pages <= VSM_PAGEMAP_PAGES_MAX);
    memset(ret, 0, n_pages * sizeof(ret[0]));
    if (!pagemap || (guintptr)host % VSM_PAGE_BYTES ||
        (pagemap->scans && scan(pagemap, host, n_pages, ret)) ||
        pread(pagemap->fd, words, bytes, at) != (gssize)bytes) {
        return;
    }
    for (guint i = 0; i < n_pages; i++) {
        ret[i] = !(words[i] & (PAGE_PRESENT | PAGE_SWAPPED));
    }
}
