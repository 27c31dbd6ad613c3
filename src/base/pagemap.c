/*
 * Which memory of this process nobody has touched yet: the kernel's page map.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <unistd.h>
#include <vsm/pagemap.h>
#include <vsm/state.h>

/*
 * Linux, Documentation/admin-guide/mm/pagemap.rst: one 64-bit word a page.
 * Swapped is also whatever else takes a page's place for a while, such as a
 * migration to another node.
 */
#define PAGE_PRESENT (1ull << 63)
#define PAGE_SWAPPED (1ull << 62)

struct _VsmPagemap {
    int fd;
};

VsmPagemap *vsm_pagemap_new(int fd)
{
    VsmPagemap *pagemap;

    if (fd < 0 || sysconf(_SC_PAGESIZE) != VSM_PAGE_BYTES) {
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    pagemap = g_new(VsmPagemap, 1);
    pagemap->fd = fd;
    return pagemap;
}

void vsm_pagemap_free(VsmPagemap *pagemap)
{
    if (pagemap) {
        close(pagemap->fd);
        g_free(pagemap);
    }
}

bool vsm_pagemap_untouched(const VsmPagemap *pagemap,
                           const void *host,
                           guint n_pages,
                           bool *ret)
{
    guint64 words[VSM_PAGEMAP_PAGES_MAX];
    off_t at = (off_t)((guintptr)host / VSM_PAGE_BYTES * sizeof(words[0]));
    gsize bytes = n_pages * sizeof(words[0]);
    bool any = false;

    g_assert(n_pages <= VSM_PAGEMAP_PAGES_MAX);
    if (!pagemap || (guintptr)host % VSM_PAGE_BYTES ||
        pread(pagemap->fd, words, bytes, at) != (gssize)bytes) {
        memset(ret, 0, n_pages * sizeof(ret[0]));
        return false;
    }
    for (guint i = 0; i < n_pages; i++) {
        ret[i] = !(words[i] & (PAGE_PRESENT | PAGE_SWAPPED));
        any |= ret[i];
    }
    return any;
}
