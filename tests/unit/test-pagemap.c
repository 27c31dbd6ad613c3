/*
 * Memory that nobody touched: told apart, and left alone by measuring.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vsm/pagemap.h>

#include "core/ram.h"
#include "crypto/hash.h"
#include "fake-kernel.h"
#include "scope-fixture.h"

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

static int open_map(void)
{
    return open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
}

static guint8 *memory_map(gsize bytes)
{
    guint8 *host = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    g_assert_true(host != MAP_FAILED);
    /* A huge page would be touched by its neighbours. */
    madvise(host, bytes, MADV_NOHUGEPAGE);
    return host;
}

static Memory memory_new(void)
{
    Memory memory = {
        .host = memory_map(PAGES * VSM_PAGE_BYTES),
        .pagemap = vsm_pagemap_new(open_map()),
    };

    g_assert_nonnull(memory.pagemap);
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

    vsm_pagemap_untouched(memory->pagemap, memory->host + page * VSM_PAGE_BYTES,
                          1, &untouched);
    return untouched;
}

/* Pages of memory that this process has, the page of zeros not counted. */
static guint64 resident_pages(void)
{
    g_autofree char *text = NULL;
    guint64 resident;

    g_assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
    g_assert_cmpint(sscanf(text, "%*u %" G_GUINT64_FORMAT, &resident), ==, 1);
    return resident;
}

/* There are kernels that give memory to whoever reads. */
static bool reads_take_no_memory(void)
{
    guint8 *host = memory_map(PAGES * VSM_PAGE_BYTES);
    guint64 before = resident_pages();
    bool none;

    for (guint page = 0; page < PAGES; page++) {
        touch(host + page * VSM_PAGE_BYTES, READ);
    }
    none = resident_pages() < before + PAGES / 2;
    munmap(host, PAGES * VSM_PAGE_BYTES);
    return none;
}

/* Whether the kernel has a page of zeros and tells it apart: PAGEMAP_SCAN. */
static bool knows_its_zero_page(void)
{
    struct utsname kernel;
    guint major, minor;

    g_assert_cmpint(uname(&kernel), ==, 0);
    g_assert_cmpint(sscanf(kernel.release, "%u.%u", &major, &minor), ==, 2);
    return (major > 6 || (major == 6 && minor >= 7)) && reads_take_no_memory();
}

/* @read: also those that were only read */
static void tells_apart(bool read)
{
    Memory memory = memory_new();
    bool untouched[VSM_PAGEMAP_PAGES_MAX];

    for (guint first = 0; first < PAGES; first += VSM_PAGEMAP_PAGES_MAX) {
        guint n = MIN(PAGES - first, VSM_PAGEMAP_PAGES_MAX);

        vsm_pagemap_untouched(
            memory.pagemap, memory.host + first * VSM_PAGE_BYTES, n, untouched);
        for (guint i = 0; i < n; i++) {
            Fate fate = fate_of(first + i);

            g_assert_true(untouched[i] ==
                          (fate == LEFT_ALONE || fate == GIVEN_BACK ||
                           (fate == READ && read)));
        }
    }
    memory_clear(&memory);
}

static void test_untouched_pages_are_told_apart(void)
{
    tells_apart(knows_its_zero_page());
}

/* From here on the kernel answers as one before 6.7 does. */
static void forget_the_scan(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (guint)_IOWR('f', 16, guint64[12]),
                 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {G_N_ELEMENTS(code), code};

    g_assert_cmpint(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
    g_assert_cmpint(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), ==, 0);
}

/* A process of its own, since a filter stays. */
static void test_older_kernel_tells_what_was_never_read(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        forget_the_scan();
        tells_apart(false);
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
}

static void knows_nothing(const VsmPagemap *pagemap, const void *host)
{
    bool untouched[2] = {true, true};

    vsm_pagemap_untouched(pagemap, host, 2, untouched);
    g_assert_false(untouched[0] || untouched[1]);
}

static void test_where_nothing_is_known_nothing_is_untouched(void)
{
    Memory memory = memory_new();
    const guint8 *last = memory.host + (PAGES - 2) * VSM_PAGE_BYTES;

    g_assert_true(is_untouched(&memory, PAGES - 2));
    knows_nothing(NULL, last);
    knows_nothing(memory.pagemap, last - 8);
    /* The kernel does not answer of its own half. */
    knows_nothing(memory.pagemap, (void *)(guintptr)0xffff800000000000);
    memory_clear(&memory);
}

/* A filtered one, that calls all memory untouched, would be read as zeros. */
static void test_map_that_does_not_know_its_process_is_refused(void)
{
    g_autofree char *other = g_strdup_printf("/proc/%d/pagemap", getppid());

    g_assert_null(vsm_pagemap_new(-1));
    g_assert_null(vsm_pagemap_new(open("/dev/zero", O_RDONLY | O_CLOEXEC)));
    g_assert_null(vsm_pagemap_new(open(other, O_RDONLY | O_CLOEXEC)));
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

/* Pages that nobody even read, from the kernel's own words. */
static guint count_left_alone(const guint8 *host, guint pages)
{
    int map = open_map();
    guint count = 0;

    for (guint page = 0; page < pages; page++) {
        off_t at = ((guintptr)host / VSM_PAGE_BYTES + page) * sizeof(guint64);
        guint64 word;

        g_assert_cmpint(pread(map, &word, sizeof(word), at), ==, sizeof(word));
        count += !(word >> 62); /* neither present nor swapped out */
    }
    close(map);
    return count;
}

static void test_measuring_leaves_untouched_pages_alone(void)
{
    Memory memory = memory_new();
    guint before = count_left_alone(memory.host, PAGES);
    g_autoptr(GBytes) with = measured(&memory, memory.pagemap);
    g_autoptr(GBytes) without = NULL;

    g_assert_cmpuint(before, >, PAGES / 3);
    g_assert_cmpuint(count_left_alone(memory.host, PAGES), ==, before);
    without = measured(&memory, NULL);
    g_assert_true(g_bytes_equal(with, without));
    g_assert_cmpuint(count_left_alone(memory.host, PAGES), ==, 0);
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

/* The census finds the same roots, and touches no page that it did not need. */
static void test_census_leaves_untouched_pages_alone(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) before = scope_capture(kernel, NULL, NULL);
    Memory memory = {
        .host = memory_map(FAKE_RAM_BYTES),
        .pagemap = vsm_pagemap_new(open_map()),
    };
    g_autoptr(GBytes) after = NULL;
    guint zero = 0;

    for (guint64 at = 0; at < FAKE_RAM_BYTES; at += VSM_PAGE_BYTES) {
        if (!vsm_is_zero(kernel->ram + at, VSM_PAGE_BYTES)) {
            memcpy(memory.host + at, kernel->ram + at, VSM_PAGE_BYTES);
        } else {
            zero++;
        }
    }
    kernel->memory[0].host = memory.host;
    kernel->memory[0].pagemap = memory.pagemap;
    after = scope_capture(kernel, NULL, NULL);
    g_assert_true(g_bytes_equal(before, after));
    g_assert_cmpuint(
        count_left_alone(memory.host, FAKE_RAM_BYTES / VSM_PAGE_BYTES), >,
        zero / 2);
    munmap(memory.host, FAKE_RAM_BYTES);
    vsm_pagemap_free(memory.pagemap);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    scope_pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    g_test_add_func("/pagemap/untouched-pages-are-told-apart",
                    test_untouched_pages_are_told_apart);
    g_test_add_func("/pagemap/older-kernel-tells-what-was-never-read",
                    test_older_kernel_tells_what_was_never_read);
    g_test_add_func("/pagemap/where-nothing-is-known-nothing-is-untouched",
                    test_where_nothing_is_known_nothing_is_untouched);
    g_test_add_func("/pagemap/measuring-leaves-untouched-pages-alone",
                    test_measuring_leaves_untouched_pages_alone);
    g_test_add_func("/pagemap/page-that-is-no-longer-untouched-is-hashed",
                    test_page_that_is_no_longer_untouched_is_hashed);
    g_test_add_func("/pagemap/map-that-does-not-know-its-process-is-refused",
                    test_map_that_does_not_know_its_process_is_refused);
    g_test_add_func("/pagemap/census-leaves-untouched-pages-alone",
                    test_census_leaves_untouched_pages_alone);
    status = g_test_run();
    vsm_pool_free(scope_pool);
    return status;
}
