/*
 * Captures and judgements of a fake kernel, which are expected to succeed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "scope-fixture.h"
#include <string.h>

VsmPool *scope_pool;

GBytes *
scope_capture(const FakeKernel *kernel, GBytes *sealed, VsmScopeStats *stats)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *reason = NULL;
    GBytes *document = NULL;
    bool ok = vsm_scope_capture(&kernel->guest, scope_pool, sealed, &document,
                                &reason, stats, &error);

    g_assert_no_error(error);
    g_assert_true(ok);
    g_assert_cmpstr(reason, ==, NULL);
    return document;
}

void scope_assert_unready(void (*make)(FakeKernel *kernel), const char *reason)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) document = NULL;
    g_autofree char *said = NULL;

    make(kernel);
    g_assert_true(vsm_scope_capture(&kernel->guest, scope_pool, NULL, &document,
                                    &said, NULL, &error));
    g_assert_no_error(error);
    g_assert_null(document);
    g_assert_nonnull(strstr(said, reason));
}

VsmVerdict *scope_judge(GBytes *sealed, GBytes *measured, const char *profile)
{
    g_autoptr(GError) error = NULL;
    VsmVerdict *verdict = NULL;

    vsm_scope_judge(sealed, measured, profile, &verdict, &error);
    g_assert_no_error(error);
    return verdict;
}

VsmVerdict *
scope_measure(const FakeKernel *kernel, GBytes *sealed, const char *profile)
{
    g_autoptr(GBytes) measured = scope_capture(kernel, sealed, NULL);

    return scope_judge(sealed, measured, profile);
}

const VsmFinding *scope_finding(const VsmVerdict *verdict, guint i)
{
    return g_ptr_array_index(verdict->findings, i);
}

void scope_assert_match(const VsmVerdict *verdict)
{
    if (verdict->findings->len) {
        const VsmFinding *first = scope_finding(verdict, 0);

        g_error("%s in %s at 0x%" G_GINT64_MODIFIER "x", first->kind,
                first->where, first->offset);
    }
    g_assert_cmpuint(verdict->result, ==, VSM_RESULT_MATCH);
    g_assert_cmpuint(verdict->findings_left_out, ==, 0);
}
