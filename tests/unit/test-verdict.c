/*
 * Verdicts on a running guest, which are made every few seconds: none keeps
 * anything (under LeakSanitizer), and what changes between them shows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/verdict.h"
#include "scope-fixture.h"

#define TIMES 100

static VsmResult result_of(GBytes *scope, GBytes *document)
{
    const VsmSealedState sealed = {.purpose = VSM_PURPOSE_WATCH,
                                   .runtime = scope,
                                   .profile = VSM_PROFILE_STANDARD,
                                   .unsealed = true};
    const VsmMeasured measured = {.bytes_hashed = VSM_PAGE_BYTES};
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    vsm_verdict_build(&sealed, document, &measured, &verdict, &error);
    g_assert_no_error(error);
    g_assert_true(verdict->unsealed);
    g_assert_cmpuint(verdict->host_clock->len, ==, 0);
    g_assert_cmpuint(verdict->accepted->len, ==, 0);
    g_assert_true((verdict->result == VSM_RESULT_MISMATCH) ==
                  (verdict->findings->len > 0));
    return verdict->result;
}

static void test_runtime_verdicts_keep_nothing(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) scope = scope_capture(kernel, NULL, NULL);
    g_autoptr(GBytes) same = scope_capture(kernel, scope, NULL);
    g_autoptr(GBytes) changed = NULL;

    *fake_at(kernel, FAKE_TEXT) ^= 1;
    changed = scope_capture(kernel, scope, NULL);
    for (guint i = 0; i < TIMES; i++) {
        g_assert_cmpuint(result_of(scope, same), ==, VSM_RESULT_MATCH);
        g_assert_cmpuint(result_of(scope, changed), ==, VSM_RESULT_MISMATCH);
    }
}

/* The findings are the same, what they stand for is not. */
static void test_page_changed_again_is_told_apart(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    const VsmDigest none = {{0}};
    g_autoptr(VsmVerdict) clean = scope_measure(kernel, sealed, NULL);
    g_autoptr(VsmVerdict) first = NULL;
    g_autoptr(VsmVerdict) same = NULL;
    g_autoptr(VsmVerdict) second = NULL;

    g_assert_true(vsm_digest_equal(&clean->pages, &none));
    *fake_at(kernel, FAKE_TEXT + 0x20) ^= 1;
    first = scope_measure(kernel, sealed, NULL);
    fake_patch(kernel, 5, true); /* of another page, and borne */
    fake_set_key(kernel, 5, 1);
    *fake_at(kernel, FAKE_JIT) ^= 1;
    same = scope_measure(kernel, sealed, NULL);
    *fake_at(kernel, FAKE_TEXT + 0x30) ^= 1;
    second = scope_measure(kernel, sealed, NULL);
    g_assert_cmpuint(first->findings->len, ==, 1);
    g_assert_cmpuint(second->findings->len, ==, 1);
    g_assert_false(vsm_digest_equal(&first->pages, &none));
    g_assert_true(vsm_digest_equal(&first->pages, &same->pages));
    g_assert_false(vsm_digest_equal(&first->pages, &second->pages));
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    scope_pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    g_test_add_func("/verdict/runtime-verdicts-keep-nothing",
                    test_runtime_verdicts_keep_nothing);
    g_test_add_func("/verdict/page-changed-again-is-told-apart",
                    test_page_changed_again_is_told_apart);
    status = g_test_run();
    vsm_pool_free(scope_pool);
    return status;
}
