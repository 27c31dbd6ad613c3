/*
 * The scope document's known answer.
 *
 * The file was made from docs/formats.md, not by this code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "runtime/scope.h"
#include "known-answer.h"

/* One of everything, each member another than zero. */
static VsmScope *scope_new(void)
{
    static const guint8 table[] = {0x10, 0x11, 0x12, 0x13};
    const VsmScopeRun runs[] = {
        {0xffffffff81000000, 0x1000000, 2, VSM_CLASS_TEXT, VSM_RUN_HASHED | 2,
         0},
        {0xffffffff82000000, 0x2000000, 3, VSM_CLASS_JIT, 3, 0},
        {0xf0000, 0xf0000, 1, VSM_CLASS_FIRMWARE, VSM_RUN_HASHED, 0},
    };
    const VsmWitness witness = {0xffffffff81000010, 0xffffffff81000040,
                                0xffffffff83000000,
                                VSM_WITNESS_BRANCH | VSM_WITNESS_LONG, 0};
    const VsmFact fact = {
        0xffffffff84000000, 4096, 0x4000000, 0x77, 1, VSM_FACT_WRITABLE_ALIAS,
        VSM_CLASS_ALIAS,    0};
    const guint8 parked = 1, state = VSM_SITE_JUMP;
    VsmScope *scope = vsm_scope_new();
    VsmScopeTable *one = g_new0(VsmScopeTable, 1);

    scope->levels = 5;
    for (guint64 i = 0; i < VSM_SCOPE_REGISTERS; i++) {
        guint64 value = 0x0101010101010101 * (i + 1);

        g_array_append_val(scope->registers, value);
    }
    g_byte_array_append(scope->parked, &parked, 1);
    *one = (VsmScopeTable){VSM_TABLE_GDT, 1, 0xfffffe0000001000,
                           g_bytes_new_static(table, sizeof(table))};
    g_ptr_array_add(scope->tables, one);
    for (guint64 i = 0; i < VSM_KERNEL_HALF; i++) {
        guint64 value = i << 12 | 0x3;

        g_array_append_val(scope->root, value);
    }
    g_array_append_vals(scope->runs, runs, G_N_ELEMENTS(runs));
    for (guint i = 0; i < 3; i++) {
        VsmDigest digest;

        memset(digest.b, 0xd0 + i, sizeof(digest.b));
        g_array_append_val(scope->digests, digest);
    }
    g_array_append_val(scope->witnesses, witness);
    g_byte_array_append(scope->states, &state, 1);
    g_array_append_val(scope->facts, fact);
    scope->facts_left_out = 5;
    return scope;
}

static void assert_arrays(const GArray *a, const GArray *b)
{
    gsize bytes = g_array_get_element_size((GArray *)a);

    g_assert_cmpuint(a->len, >, 0);
    g_assert_cmpmem(a->data, a->len * bytes, b->data, b->len * bytes);
}

static void test_document_is_as_it_always_was(void)
{
    g_autoptr(VsmScope) meant = scope_new();
    g_autoptr(GBytes) file = known_answer("scope-v1.bin");
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) made = vsm_scope_encode(meant, &error);
    g_autoptr(VsmScope) scope = NULL;
    const VsmScopeTable *table;

    g_assert_no_error(error);
    assert_bytes(made, file);
    scope = vsm_scope_decode(file, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(scope->levels, ==, 5);
    g_assert_cmpuint(scope->facts_left_out, ==, 5);
    assert_arrays(scope->registers, meant->registers);
    assert_arrays(scope->root, meant->root);
    assert_arrays(scope->runs, meant->runs);
    assert_arrays(scope->digests, meant->digests);
    assert_arrays(scope->witnesses, meant->witnesses);
    assert_arrays(scope->facts, meant->facts);
    g_assert_cmpmem(scope->parked->data, scope->parked->len, "\1", 1);
    g_assert_cmpmem(scope->states->data, scope->states->len, "\1", 1);
    g_assert_cmpuint(scope->tables->len, ==, 1);
    table = scope->tables->pdata[0];
    g_assert_cmpuint(table->kind, ==, VSM_TABLE_GDT);
    g_assert_cmpuint(table->vcpu, ==, 1);
    g_assert_cmphex(table->va, ==, 0xfffffe0000001000);
    g_assert_cmpmem(g_bytes_get_data(table->bytes, NULL),
                    g_bytes_get_size(table->bytes), "\x10\x11\x12\x13", 4);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scope-format/document-is-as-it-always-was",
                    test_document_is_as_it_always_was);
    return g_test_run();
}
