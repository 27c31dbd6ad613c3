/*
 * The scope document as it is in memory: make, free, look up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/limits.h"
#include "runtime/scope.h"

const char *vsm_scope_class_name(guint8 scope_class)
{
    static const char *const names[] = {
        [VSM_CLASS_CPU] = "cpu",
        [VSM_CLASS_TEXT] = "kernel-text",
        [VSM_CLASS_RODATA] = "kernel-rodata",
        [VSM_CLASS_MODULE_TEXT] = "module-text",
        [VSM_CLASS_MODULE_RO] = "module-ro",
        [VSM_CLASS_TABLES] = "tables",
        [VSM_CLASS_JIT] = "jit",
        [VSM_CLASS_EXEC] = "exec-set",
        [VSM_CLASS_ALIAS] = "alias",
        [VSM_CLASS_ROOTS] = "roots",
        [VSM_CLASS_FIRMWARE] = "firmware",
    };

    return scope_class < G_N_ELEMENTS(names) ? names[scope_class] : NULL;
}

const char *vsm_fact_kind_name(guint8 kind)
{
    static const char *const names[] = {
        [VSM_FACT_WRITABLE_ALIAS] = VSM_KIND_WRITABLE_ALIAS,
        [VSM_FACT_FOREIGN_ROOT] = VSM_KIND_FOREIGN_ROOT,
        [VSM_FACT_NEW_EXEC] = VSM_KIND_NEW_EXEC,
        [VSM_FACT_TABLE_ENTRY] = VSM_KIND_TABLE_BYTES,
        [VSM_FACT_NESTED] = VSM_KIND_NESTED,
        [VSM_FACT_SMM] = VSM_KIND_SMM,
        [VSM_FACT_IN_FLIGHT] = VSM_KIND_PATCH_IN_FLIGHT,
        [VSM_FACT_TRUNCATED] = VSM_KIND_TRUNCATED,
        [VSM_FACT_A20] = VSM_KIND_REGISTER,
    };

    return kind < G_N_ELEMENTS(names) ? names[kind] : NULL;
}

void vsm_scope_table_free(VsmScopeTable *table)
{
    g_clear_pointer(&table->bytes, g_bytes_unref);
    g_free(table);
}

VsmScope *vsm_scope_new(void)
{
    VsmScope *scope = g_new0(VsmScope, 1);

    scope->registers = g_array_new(FALSE, TRUE, sizeof(guint64));
    scope->parked = g_byte_array_new();
    scope->tables =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_scope_table_free);
    scope->root = g_array_new(FALSE, TRUE, sizeof(guint64));
    scope->runs = g_array_new(FALSE, TRUE, sizeof(VsmScopeRun));
    scope->digests = g_array_new(FALSE, TRUE, sizeof(VsmDigest));
    scope->witnesses = g_array_new(FALSE, TRUE, sizeof(VsmWitness));
    scope->states = g_byte_array_new();
    scope->facts = g_array_new(FALSE, TRUE, sizeof(VsmFact));
    return scope;
}

void vsm_scope_free(VsmScope *scope)
{
    if (!scope) {
        return;
    }
    g_array_unref(scope->registers);
    g_byte_array_unref(scope->parked);
    g_ptr_array_unref(scope->tables);
    g_array_unref(scope->root);
    g_array_unref(scope->runs);
    g_array_unref(scope->digests);
    g_array_unref(scope->witnesses);
    g_byte_array_unref(scope->states);
    g_array_unref(scope->facts);
    g_free(scope);
}

int vsm_scope_run_order(const VsmScopeRun *a, const VsmScopeRun *b)
{
    bool rom_a = a->scope_class == VSM_CLASS_FIRMWARE;
    bool rom_b = b->scope_class == VSM_CLASS_FIRMWARE;

    if (rom_a != rom_b) {
        return rom_a ? 1 : -1;
    }
    return a->va < b->va ? -1 : a->va > b->va;
}

const VsmScopeRun *vsm_scope_find_run(const VsmScope *scope, guint64 va)
{
    guint low = 0, high = scope->runs->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const VsmScopeRun *run = vsm_scope_run(scope, middle);

        if (run->scope_class == VSM_CLASS_FIRMWARE || va < run->va) {
            high = middle;
        } else if ((va - run->va) / VSM_PAGE_BYTES >= run->pages) {
            low = middle + 1;
        } else {
            return run;
        }
    }
    return NULL;
}

void vsm_scope_add_fact(VsmScope *scope, const VsmFact *fact)
{
    if (scope->facts->len >= VSM_SCOPE_FACTS_MAX) {
        scope->facts_left_out++;
        return;
    }
    g_array_append_vals(scope->facts, fact, 1);
}
