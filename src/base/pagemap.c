/*
 * Which memory of this process nobody has touched yet: the kernel's page map.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/magic.h>
#include <string.h>
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

#define PROBE_PAGES 64 /* bits of a word */

struct _VsmPagemap {
    int fd;
};

/* Random pages of memory of its own are written: does it tell them apart? */
static bool knows_this_process(const VsmPagemap *pagemap)
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
        if (written >> i & 1) {
            *(volatile guint8 *)(memory + i * VSM_PAGE_BYTES) = 1;
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
    pagemap = g_new(VsmPagemap, 1);
    pagemap->fd = fd;
    if (sysconf(_SC_PAGESIZE) != VSM_PAGE_BYTES || !is_kernels_own(fd) ||
        !knows_this_process(pagemap)) {
        return NULL;
    }
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
        pread(pagemap->fd, words, bytes, at) != (gssize)bytes) {
        return;
    }
    for (guint i = 0; i < n_pages; i++) {
        ret[i] = !(words[i] & (PAGE_PRESENT | PAGE_SWAPPED));
    }
}
