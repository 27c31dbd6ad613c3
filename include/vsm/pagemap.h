/*
 * Which memory of this process nobody has written to yet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct _VsmPagemap VsmPagemap;

/* Of a page, in bytes: the guest's, and the host's too where there is a page
 * map. */
#define VSM_PAGE_BYTES 4096

/* Pages that one call may ask for */
#define VSM_PAGEMAP_PAGES_MAX 1024

/**
 * vsm_pagemap_new:
 * @fd: this process's /proc/self/pagemap, open for reading (see
 *      Documentation/admin-guide/mm/pagemap.rst in Linux); taken over, and
 *      closed at once where NULL is returned.  To be opened before the process
 * makes itself non-dumpable, which closes that file to all but root
 *
 * Returns: (transfer full) (nullable): NULL for @fd -1, where the host's pages
 *          are not of VSM_PAGE_BYTES, and for a file that is not the kernel's
 *          own or does not tell what this process just touched: then every
 *          page has to be read
 */
VsmPagemap *vsm_pagemap_new(int fd);
void vsm_pagemap_free(VsmPagemap *pagemap);

/**
 * vsm_pagemap_untouched:
 * @pagemap: (nullable): NULL knows nothing
 * @host: address of a page of this process, in memory that is private and
 *        anonymous: the page map tells nothing of a file's pages
 * @n_pages: pages of VSM_PAGE_BYTES, at most VSM_PAGEMAP_PAGES_MAX
 * @ret: (out caller-allocates) (array length=n_pages): true for a page that was
 *       not written since it was mapped or last given back to the kernel, nor
 *       swapped out.  One that was read has the kernel's page of zeros in its
 *       place: Linux tells since 6.7, of huge pages only later
 *
 * Such a page reads as zeros, and reading it would give it memory, or tables.
 * It stays so until somebody writes to it: the caller has stopped whoever
 * might.  Where the kernel does not answer, or @host is no page's beginning,
 * nothing is untouched.  Any thread.
 */
void vsm_pagemap_untouched(const VsmPagemap *pagemap,
                           const void *host,
                           guint n_pages,
                           bool *ret);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmPagemap, vsm_pagemap_free)

#pragma GCC visibility pop
G_END_DECLS
