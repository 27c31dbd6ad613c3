/*
 * Memory that nobody touched: told apart, and left alone by measuring.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <vsm/pagemap.h>

#include "core/ram.h"

#define PAGES 3000 /* three tasks of vsm_ram_measure(), the last one short */

/* What is done to a page before anybody asks for it */
typedef enum { LEFT_ALONE, READ, ZEROED, WRITTEN, GIVEN_BACK, N_FATES } Fate;

typedef struct {
    guint8 *host;
    VsmPagemap *pagemap;
} Memory;

static Fate fate_of(guint page)
{
    /* Runs and single pages, at each place of a word and of a task */
    return page % 512 < 300 ? page % N_FATES : LEFT_ALONE;
}

static void touch(guint8 *page, Fate fate)
{
    switch (fate) {
    case READ:
        (void)*(volatile guint8 *)page;
        break;
    case ZEROED:
        *(volatile guint8 *)page = 0;
        break;
    case WRITTEN:
    case GIVEN_BACK:
        page[VSM_PAGE_BYTES - 1] = 1;
        break;
    default:
        break;
    }
    if (fate == GIVEN_BACK) {
        g_assert_cmpint(madvise(page, VSM_PAGE_BYTES, MADV_DONTNEED), ==, 0);
    }
}

static Memory memory_new(void)
{
    Memory memory = {
        .host = mmap(NULL, PAGES * VSM_PAGE_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        .pagemap =
            vsm_pagemap_new(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)),
    };

    g_assert_true(memory.host != MAP_FAILED);
    g_assert_nonnull(memory.pagemap);
    /* A huge page would be touched by its neighbours. */
    madvise(memory.host, PAGES * VSM_PAGE_BYTES, MADV_NOHUGEPAGE);
    for (guint page = 0; page < PAGES; page++) {
        touch(memory.host + page * VSM_PAGE_BYTES, fate_of(page));
    }
    return memory;
}

static void memory_clear(Memory *memory)
{
    munmap(memory->host, PAGES * VSM_PAGE_BYTES);
    vsm_pagemap_free(memory->pagemap);
}

static bool is_untouched(const Memory *memory, guint page)
{
    bool untouched;

    g_assert_true(vsm_pagemap_untouched(memory->pagemap,
                                        memory->host + page * VSM_PAGE_BYTES, 1,
                                        &untouched) == untouched);
    return untouched;
}

static void test_untouched_pages_are_told_apart(void)
{
    Memory memory = memory_new();
    bool untouched[VSM_PAGEMAP_PAGES_MAX];

    for (guint first = 0; first < PAGES; first += VSM_PAGEMAP_PAGES_MAX) {
        guint n = MIN(PAGES - first, VSM_PAGEMAP_PAGES_MAX);

        g_assert_true(vsm_pagemap_untouched(
            memory.pagemap, memory.host + first * VSM_PAGE_BYTES, n,
            untouched));
        for (guint i = 0; i < n; i++) {
            Fate fate = fate_of(first + i);

            g_assert_true(untouched[i] ==
                          (fate == LEFT_ALONE || fate == GIVEN_BACK));
        }
    }
    memory_clear(&memory);
}

static void test_where_nothing_is_known_nothing_is_untouched(void)
{
    Memory memory = memory_new();
    bool untouched[2] = {true, true};

    g_assert_false(vsm_pagemap_untouched(NULL, memory.host, 2, untouched));
    g_assert_false(untouched[0] || untouched[1]);
    memset(untouched, true, sizeof(untouched));
    g_assert_false(vsm_pagemap_untouched(
        memory.pagemap, memory.host + (PAGES - 2) * VSM_PAGE_BYTES - 8, 2,
        untouched));
    g_assert_false(untouched[0] || untouched[1]);
    /* The kernel does not answer of its own half. */
    memset(untouched, true, sizeof(untouched));
    g_assert_false(vsm_pagemap_untouched(
        memory.pagemap, (void *)(guintptr)0xffff800000000000, 2, untouched));
    g_assert_false(untouched[0] || untouched[1]);
    memory_clear(&memory);
}

static GBytes *measured(const Memory *memory, const VsmPagemap *pagemap)
{
    g_autoptr(VsmPool) pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    g_autoptr(VsmManifest) manifest = vsm_manifest_new();
    const VsmRamBlock block = {
        .idstr = "pc.ram",
        .bytes = PAGES * VSM_PAGE_BYTES,
        .host = memory->host,
        .pagemap = pagemap,
    };
    g_autoptr(GError) error = NULL;
    VsmRamResult result;
    GBytes *bytes;

    vsm_ram_measure(pool, NULL, &block, 1, manifest, &result, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(result.bytes_hashed, ==, PAGES * VSM_PAGE_BYTES);
    vsm_ram_result_clear(&result);
    bytes = vsm_manifest_encode(manifest, &error);
    g_assert_no_error(error);
    return bytes;
}

static guint count_untouched(const Memory *memory)
{
    guint count = 0;

    for (guint page = 0; page < PAGES; page++) {
        count += is_untouched(memory, page);
    }
    return count;
}

static void test_measuring_leaves_untouched_pages_alone(void)
{
    Memory memory = memory_new();
    guint before = count_untouched(&memory);
    g_autoptr(GBytes) with = measured(&memory, memory.pagemap);
    g_autoptr(GBytes) without = NULL;

    g_assert_cmpuint(before, >, PAGES / 3);
    g_assert_cmpuint(count_untouched(&memory), ==, before);
    without = measured(&memory, NULL);
    g_assert_true(g_bytes_equal(with, without));
    g_assert_cmpuint(count_untouched(&memory), ==, 0);
    memory_clear(&memory);
}

/* A byte that is written to such a page is seen. */
static void test_page_that_is_no_longer_untouched_is_hashed(void)
{
    Memory memory = memory_new();
    g_autoptr(GBytes) before = measured(&memory, memory.pagemap);
    g_autoptr(GBytes) after = NULL;

    g_assert_true(is_untouched(&memory, PAGES - 1));
    memory.host[PAGES * VSM_PAGE_BYTES - 1] = 1;
    after = measured(&memory, memory.pagemap);
    g_assert_false(g_bytes_equal(before, after));
    memory_clear(&memory);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pagemap/untouched-pages-are-told-apart",
                    test_untouched_pages_are_told_apart);
    g_test_add_func("/pagemap/where-nothing-is-known-nothing-is-untouched",
                    test_where_nothing_is_known_nothing_is_untouched);
    g_test_add_func("/pagemap/measuring-leaves-untouched-pages-alone",
                    test_measuring_leaves_untouched_pages_alone);
    g_test_add_func("/pagemap/page-that-is-no-longer-untouched-is-hashed",
                    test_page_that_is_no_longer_untouched_is_hashed);
    return g_test_run();
}
