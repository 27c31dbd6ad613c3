/*
 * The runtime scope of a small kernel: its classes, the same whoever hashes,
 * how much is listed, and bad input.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "runtime/scope.h"
#include "scope-fixture.h"

static void test_jit_bytes_are_unattested_or_strict(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(VsmVerdict) standard = NULL;
    g_autoptr(VsmVerdict) strict = NULL;

    memset(fake_at(kernel, FAKE_JIT + 0x5000), 0x90, 0x2000);
    standard = scope_measure(kernel, sealed, VSM_PROFILE_STANDARD);
    scope_assert_match(standard);
    g_assert_cmpuint(standard->unattested->len, ==, 1);
    g_assert_cmpstr(g_ptr_array_index(standard->unattested, 0), ==,
                    "jit 0xffffffffc0200000 4 pages");
    strict = scope_measure(kernel, sealed, VSM_PROFILE_STRICT);
    g_assert_cmpuint(strict->findings->len, ==, 1);
    g_assert_cmpstr(scope_finding(strict, 0)->kind, ==, VSM_KIND_JIT_BYTES);
    g_assert_cmphex(scope_finding(strict, 0)->offset, ==, FAKE_JIT + 0x5000);
    g_assert_cmpuint(scope_finding(strict, 0)->bytes, ==, 0x2000);
}

/* Threads and back ends change nothing; an unchanged guest is equal. */
static void test_document_is_deterministic(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(GBytes) measured = scope_capture(kernel, sealed, NULL);

    g_assert_true(g_bytes_equal(sealed, measured));
    for (guint threads = 1; threads < 4; threads++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VsmPool) other =
            vsm_pool_new(threads, VSM_HASH_BACKEND_OPENSSL, &error);
        g_autoptr(GBytes) again = NULL;
        g_autofree char *reason = NULL;

        g_assert_no_error(error);
        g_assert_true(vsm_scope_capture(&kernel->guest, other, NULL, &again,
                                        &reason, NULL, &error));
        g_assert_true(g_bytes_equal(sealed, again));
    }
}

/* The classes are where the kernel put them, and stale pages are none. */
static void test_classes_are_the_kernels_sections(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(VsmScope) scope = vsm_scope_decode(sealed, NULL);
    static const struct {
        guint64 va;
        guint8 scope_class;
        guint pages;
    } want[] = {
        {FAKE_TEXT, VSM_CLASS_TEXT, FAKE_TEXT_PAGES},
        {FAKE_RODATA, VSM_CLASS_RODATA, FAKE_RODATA_PAGES},
        {FAKE_MODULE_TEXT, VSM_CLASS_MODULE_TEXT, 2},
        {FAKE_MODULE_RO, VSM_CLASS_MODULE_RO, 1},
        {FAKE_JIT, VSM_CLASS_JIT, 512},
        {FAKE_ROM, VSM_CLASS_FIRMWARE, 4},
    };
    guint64 total = 0;

    for (guint i = 0; i < G_N_ELEMENTS(want); i++) {
        guint64 va = want[i].va, pages = 0;

        /* A section has several runs where its frames are apart. */
        for (guint r = 0; r < scope->runs->len; r++) {
            const VsmScopeRun *run = vsm_scope_run(scope, r);

            if (run->scope_class == want[i].scope_class) {
                g_assert_cmphex(run->va, ==, va);
                va += run->pages * VSM_PAGE_BYTES;
                pages += run->pages;
            }
        }
        g_assert_cmpuint(pages, ==, want[i].pages);
        total += pages;
    }
    g_assert_cmpuint(scope->digests->len, ==, total);
    for (guint i = 0; i < FAKE_SITES; i++) {
        const VsmWitness *witness = vsm_scope_witness(scope, i);

        g_assert_cmphex(witness->va, ==, fake_site(i));
        g_assert_cmphex(witness->target, ==, fake_target(i));
        g_assert_cmphex(witness->key, ==, fake_key(i));
    }
}

/* A guest with more findings than fit: the rest is counted. */
static void test_findings_are_capped_and_counted(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(VsmVerdict) verdict = NULL;

    for (guint i = 0; i < 700; i += 2) {
        *fake_entry(kernel, kernel->root,
                    fake_direct(kernel, 0x300000 + i * 0x1000)) &= ~FAKE_NX;
    }
    verdict = scope_measure(kernel, sealed, NULL);
    g_assert_cmpuint(verdict->findings->len, ==, 256);
    g_assert_cmpuint(verdict->findings_left_out, ==, 350 - 256);
    g_assert_false(vsm_scope_may_retry(verdict));
}

static void test_bad_input_is_refused(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(GBytes) junk = g_bytes_new("junk", 4);
    g_autoptr(GError) error = NULL;
    GBytes *document = NULL;
    VsmVerdict *verdict = NULL;
    char *reason = NULL;

    g_assert_false(
        vsm_scope_judge(sealed, sealed, "lenient", &verdict, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_false(vsm_scope_judge(sealed, junk, NULL, &verdict, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    g_clear_error(&error);
    g_assert_false(vsm_scope_capture(&kernel->guest, scope_pool, junk,
                                     &document, &reason, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    g_clear_error(&error);
    kernel->memory[1].address = 0x1000; /* overlaps */
    g_assert_false(vsm_scope_capture(&kernel->guest, scope_pool, NULL,
                                     &document, &reason, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_assert_null(verdict);
    g_assert_null(document);
    g_assert_null(reason);
    g_assert_null(vsm_scope_kind_intern("ram"));
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    scope_pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    g_test_add_func("/scope/jit", test_jit_bytes_are_unattested_or_strict);
    g_test_add_func("/scope/deterministic", test_document_is_deterministic);
    g_test_add_func("/scope/classes", test_classes_are_the_kernels_sections);
    g_test_add_func("/scope/capped", test_findings_are_capped_and_counted);
    g_test_add_func("/scope/bad-input", test_bad_input_is_refused);
    status = g_test_run();
    vsm_pool_free(scope_pool);
    return status;
}
