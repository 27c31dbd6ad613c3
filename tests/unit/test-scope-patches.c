/*
 * The kernel's own patches of its text: borne where its jump labels say so,
 * asked again while they are under way, and explained.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "scope-attacks.h"

static void test_jump_labels_are_tolerated_and_listed(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    VsmScopeStats stats;
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, &stats);
    g_autoptr(VsmVerdict) standard = NULL;
    g_autoptr(VsmVerdict) strict = NULL;

    g_assert_cmpuint(stats.witnesses, ==, FAKE_SITES);
    for (guint i = 0; i < FAKE_SITES - 1; i++) {
        fake_set_key(kernel, i, 1 + i);
        fake_patch(kernel, i, true);
    }
    standard = scope_measure(kernel, sealed, NULL);
    scope_assert_match(standard);
    g_assert_cmpuint(standard->tolerated->len, ==, FAKE_SITES - 1);
    g_assert_cmpstr(g_ptr_array_index(standard->tolerated, 0), ==,
                    "jump-label 0xffffffff81000100 nop");
    g_assert_cmpstr(g_ptr_array_index(standard->tolerated, 1), ==,
                    "jump-label 0xffffffff81000600 jump");
    strict = scope_measure(kernel, sealed, VSM_PROFILE_STRICT);
    g_assert_cmpuint(strict->result, ==, VSM_RESULT_MISMATCH);
    g_assert_cmpuint(strict->findings->len, ==, FAKE_SITES - 1);
    g_assert_cmpstr(scope_finding(strict, 0)->kind, ==, VSM_KIND_JUMP_LABEL);
    g_assert_cmpuint(strict->tolerated->len, ==, 0);
}

/* Each place of a patch that is under way: never a match, always a retry. */
static void test_patch_in_flight_is_never_a_match(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(VsmVerdict) other = NULL;

    fake_kernel_save(kernel);
    for (guint i = 0; i < FAKE_SITES; i++) {
        g_autoptr(VsmVerdict) verdict = NULL;

        fake_set_key(kernel, i, -1);
        fake_patch(kernel, i, true);
        *fake_at(kernel, fake_site(i)) = 0xcc;
        verdict = scope_measure(kernel, sealed, NULL);
        g_assert_cmpuint(verdict->findings->len, ==, i == 11 ? 2 : 1);
        g_assert_cmpstr(scope_finding(verdict, 0)->kind, ==,
                        VSM_KIND_PATCH_IN_FLIGHT);
        g_assert_true(vsm_scope_may_retry(verdict) == (i != 11));
        fake_kernel_restore(kernel);
    }
    /* Any other finding beside it stands at once. */
    scope_attack_trap_at_site(kernel);
    scope_attack_text_byte(kernel);
    other = scope_measure(kernel, sealed, NULL);
    g_assert_cmpuint(other->findings->len, ==, 2);
    g_assert_false(vsm_scope_may_retry(other));
}

/* Linux zeroes a key before the first of its sites is patched. */
static void test_key_in_change_is_asked_again(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = NULL;
    g_autoptr(VsmVerdict) standard = NULL;
    g_autoptr(VsmVerdict) strict = NULL;
    g_autoptr(VsmVerdict) flipped = NULL;
    g_autoptr(VsmVerdict) fixed = NULL;
    g_autoptr(VsmVerdict) other = NULL;

    fake_set_key(kernel, 2, 1);
    fake_patch(kernel, 2, true);
    sealed = scope_capture(kernel, NULL, NULL);
    fake_kernel_save(kernel);
    fake_set_key(kernel, 2, 0);
    standard = scope_measure(kernel, sealed, VSM_PROFILE_STANDARD);
    strict = scope_measure(kernel, sealed, VSM_PROFILE_STRICT);
    g_assert_cmpuint(standard->findings->len, ==, 1);
    g_assert_cmpstr(scope_finding(standard, 0)->kind, ==,
                    VSM_KIND_JUMP_LABEL_INCONSISTENT);
    g_assert_true(vsm_scope_may_retry(standard));
    g_assert_true(vsm_scope_may_retry(strict));
    /* Any other finding beside it stands at once. */
    scope_attack_text_byte(kernel);
    other = scope_measure(kernel, sealed, NULL);
    g_assert_cmpuint(other->findings->len, ==, 2);
    g_assert_false(vsm_scope_may_retry(other));
    /* A site may not change at all under strict, or if its key is fixed. */
    fake_kernel_restore(kernel);
    fake_patch(kernel, 2, false);
    flipped = scope_measure(kernel, sealed, VSM_PROFILE_STRICT);
    g_assert_cmpstr(scope_finding(flipped, 0)->kind, ==, VSM_KIND_JUMP_LABEL);
    g_assert_false(vsm_scope_may_retry(flipped));
    fake_kernel_restore(kernel);
    fake_patch(kernel, FAKE_SITES - 1, true);
    fixed = scope_measure(kernel, sealed, NULL);
    g_assert_cmpstr(scope_finding(fixed, 0)->kind, ==, VSM_KIND_JUMP_LABEL);
    g_assert_false(vsm_scope_may_retry(fixed));
}

/* Sealed while a patch is under way: it may end, either way. */
static void test_sealed_in_flight_matches_later(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    VsmScopeStats stats;

    scope_attack_trap_at_site(kernel);
    sealed = scope_capture(kernel, NULL, &stats);
    g_assert_cmpuint(stats.witnesses, ==, FAKE_SITES);
    g_assert_cmpuint(stats.in_flight, ==, 1);
    fake_patch(kernel, 2, true);
    fake_set_key(kernel, 2, 1);
    verdict = scope_measure(kernel, sealed, NULL);
    scope_assert_match(verdict);
    g_assert_cmpuint(verdict->tolerated->len, ==, 1);
}

/* Pages as they were and are. */
static bool page_before(gpointer opaque, guint64 address, guint8 *page)
{
    FakeKernel *kernel = opaque;

    memcpy(page, kernel->saved + address, VSM_PAGE_BYTES);
    return true;
}

static bool page_now(gpointer opaque, guint64 address, guint8 *page)
{
    FakeKernel *kernel = opaque;

    memcpy(page, kernel->ram + address, VSM_PAGE_BYTES);
    return true;
}

static bool page_unknown(gpointer opaque, guint64 address, guint8 *page)
{
    (void)opaque, (void)address, (void)page;
    return false;
}

static void assert_bytes(GBytes *bytes, const guint8 *want, gsize n)
{
    g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
                    want, n);
}

static void test_explain_names_bytes_and_patches(void)
{
    static const guint8 nop5[] = {0x0f, 0x1f, 0x44, 0, 0};
    static const guint8 call[] = {0xe8, 1, 2, 3, 4};
    static const guint8 call2[] = {0xe8, 1, 0x99, 3, 4};
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GPtrArray) found = NULL;
    g_autoptr(GPtrArray) kept = NULL;
    guint64 left_out;
    const VsmFinding *f;

    memcpy(fake_at(kernel, FAKE_TEXT + 0x5010), nop5, 5);
    memcpy(fake_at(kernel, FAKE_TEXT + 0x5100), call, 5);
    sealed = scope_capture(kernel, NULL, NULL);
    fake_kernel_save(kernel);
    memcpy(fake_at(kernel, FAKE_TEXT + 0x5010), call, 5);
    memcpy(fake_at(kernel, FAKE_TEXT + 0x5100), call2, 5);
    *fake_at(kernel, FAKE_TEXT + 0x4ffe) ^= 0x42;
    fake_set_key(kernel, 1, 1); /* borne, on one of the pages */
    fake_patch(kernel, 1, true);
    *fake_at(kernel, FAKE_TEXT + 0x20) ^= 0x42;
    verdict = scope_measure(kernel, sealed, NULL);
    g_assert_cmpuint(verdict->findings->len, ==, 2);
    g_assert_cmpuint(scope_finding(verdict, 1)->bytes, ==, 0x2000);

    found = vsm_scope_explain(sealed, verdict->findings, page_before, page_now,
                              kernel, &left_out, NULL);
    g_assert_cmpuint(found->len, ==, 4);
    g_assert_cmpuint(left_out, ==, 0);
    f = g_ptr_array_index(found, 0);
    g_assert_cmphex(f->offset, ==, FAKE_TEXT + 0x20);
    g_assert_cmphex(f->address, ==, fake_pa(kernel, FAKE_TEXT + 0x20));
    g_assert_cmpuint(f->bytes, ==, 1);
    f = g_ptr_array_index(found, 1);
    g_assert_cmpstr(f->kind, ==, VSM_KIND_TEXT_BYTES);
    g_assert_cmphex(f->offset, ==, FAKE_TEXT + 0x4ffe);
    f = g_ptr_array_index(found, 2);
    g_assert_cmpstr(f->kind, ==, VSM_KIND_TRACED_FUNCTION);
    g_assert_cmphex(f->offset, ==, FAKE_TEXT + 0x5010);
    assert_bytes(f->sealed, nop5, 5);
    assert_bytes(f->measured, call, 5);
    f = g_ptr_array_index(found, 3);
    g_assert_cmpstr(f->kind, ==, VSM_KIND_STATIC_CALL);
    g_assert_cmphex(f->offset, ==, FAKE_TEXT + 0x5100);
    assert_bytes(f->sealed, call, 5);
    assert_bytes(f->measured, call2, 5);

    kept = vsm_scope_explain(sealed, verdict->findings, page_unknown, page_now,
                             kernel, &left_out, NULL);
    g_assert_cmpuint(kept->len, ==, 3);
    g_assert_null(((VsmFinding *)g_ptr_array_index(kept, 0))->sealed);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    scope_pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    g_test_add_func("/scope/jump-labels",
                    test_jump_labels_are_tolerated_and_listed);
    g_test_add_func("/scope/in-flight", test_patch_in_flight_is_never_a_match);
    g_test_add_func("/scope/key-in-change", test_key_in_change_is_asked_again);
    g_test_add_func("/scope/sealed-in-flight",
                    test_sealed_in_flight_matches_later);
    g_test_add_func("/scope/explain", test_explain_names_bytes_and_patches);
    status = g_test_run();
    vsm_pool_free(scope_pool);
    return status;
}
