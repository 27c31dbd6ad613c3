/*
 * Fuzz target: the runtime scope of a guest whose page tables are hostile, and
 * the decoder of scope documents.
 *
 * The first byte chooses.  Tables: each 4 bytes that follow change one entry
 * of a table, to itself, to another table, to a large page, to no memory, or
 * to anything; or a vCPU's root or mode.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "../unit/fake-kernel.h"
#include "base/limits.h"
#include "runtime/scope.h"

#define CHANGES_MAX 64
#define CR0_PG (1ull << 31)
#define OUTSIDE 0x7ffffff000ull /* of RAM */

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static FakeKernel *kernel;
static GBytes *sealed;
static VsmPool *pool;

static void set_up(void)
{
    g_autofree char *reason = NULL;

    if (!kernel) {
        pool = vsm_pool_new(1, VSM_HASH_BACKEND_AUTO, NULL);
        kernel = fake_kernel_new(4);
        fake_kernel_save(kernel);
        vsm_scope_capture(&kernel->guest, pool, NULL, &sealed, &reason, NULL,
                          NULL);
        g_assert_nonnull(sealed);
    }
}

/* A page that is a table, likely: the first ones of the fake kernel are. */
static guint64 some_page(guint8 byte)
{
    return byte < 4 ? kernel->root + byte * 0x1000ull
                    : 0x10000 + byte * 0x3000ull;
}

static void change(const guint8 *bytes)
{
    guint64 page = some_page(bytes[0]);
    guint64 *entry = fake_table(kernel, page) + (bytes[1] * 2 + bytes[2] % 2);
    guint64 other = some_page(bytes[3]);
    guint64 flags = FAKE_P | (bytes[2] & 0x6) | (bytes[2] & 8 ? FAKE_NX : 0);

    switch (bytes[2] >> 4) {
    case 0:
    case 1:
        *entry = page | flags; /* contains itself */
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        *entry = other | flags;
        break;
    case 6:
        *entry = FAKE_LARGE | flags; /* 2 MiB, 1 GiB, or reserved */
        break;
    case 7:
        for (guint i = 0; i < VSM_TABLE_ENTRIES; i++) {
            fake_table(kernel, page)[i] = FAKE_LARGE | flags;
        }
        break;
    case 8:
        *entry = OUTSIDE | flags;
        break;
    case 9:
        *entry ^= 1ull << (bytes[3] % 64);
        break;
    case 10:
        for (guint i = 0; i < VSM_TABLE_ENTRIES; i++) {
            fake_table(kernel, page)[i] = page | flags;
        }
        break;
    case 11:
        kernel->vcpus[bytes[3] % FAKE_VCPUS].cr3 =
            bytes[2] & 8 ? OUTSIDE : other;
        break;
    case 12:
        kernel->vcpus[bytes[3] % FAKE_VCPUS].cpl = bytes[2] & 3;
        kernel->vcpus[bytes[3] % FAKE_VCPUS].cr4 ^= 0x1000; /* LA57 */
        kernel->vcpus[bytes[3] % FAKE_VCPUS].cr0 ^= bytes[2] & 8 ? CR0_PG : 0;
        break;
    default:
        *entry = other * 0x9e3779b97f4a7c15ull | flags;
    }
}

/* Whatever the tables hold: an answer, and within the budgets. */
static void capture(GBytes *with)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) document = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autofree char *reason = NULL;
    guint pages = (FAKE_RAM_BYTES + FAKE_ROM_BYTES) / VSM_PAGE_BYTES;
    VsmScopeStats stats;

    g_assert_true(vsm_scope_capture(&kernel->guest, pool, with, &document,
                                    &reason, &stats, &error));
    g_assert_no_error(error);
    g_assert_true(!document == !!reason);
    g_assert_true(document || !with);
    /* kernel and low, the two for aliases, LDT slots, a user's root for each
     * vCPU: each no more than RAM has pages, and the roots */
    g_assert_cmpuint(stats.table_pages, <=, 8 * pages);
    g_assert_cmpuint(stats.steps, <=,
                     VSM_SCOPE_WORK_MIN + VSM_SCOPE_WORK_PAGE * pages);
    if (document && with) {
        g_assert_true(vsm_scope_judge(with, document, NULL, &verdict, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(verdict->findings->len, <=, 256);
    }
}

static void fuzz_tables(const guint8 *data, gsize size)
{
    set_up();
    for (gsize i = 0; i + 4 <= size && i < 4 * CHANGES_MAX; i += 4) {
        change(data + i);
    }
    capture(NULL);
    capture(sealed);
    fake_kernel_restore(kernel);
}

static void fuzz_document(const guint8 *data, gsize size)
{
    g_autoptr(GBytes) bytes = g_bytes_new(data, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmScope) scope = vsm_scope_decode(bytes, &error);
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GBytes) again = NULL;

    g_assert_true(!scope == !!error);
    if (scope) {
        again = vsm_scope_encode(scope, NULL);
        g_assert_true(g_bytes_equal(bytes, again));
        set_up();
        g_assert_true(vsm_scope_judge(bytes, bytes, NULL, &verdict, NULL));
        g_clear_pointer(&verdict, vsm_verdict_free);
        g_assert_true(vsm_scope_judge(sealed, bytes, "strict", &verdict, NULL));
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    if (size == 0) {
        return 0;
    }
    if (data[0] % 8 == 7) {
        fuzz_document(data + 1, size - 1);
    } else {
        fuzz_tables(data + 1, size - 1);
    }
    return 0;
}
