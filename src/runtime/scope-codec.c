/*
 * The scope document's bytes: GVariant, every index and size checked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "base/codec.h"
#include "base/limits.h"
#include "runtime/scope.h"

#define SCOPE_TYPE "(sqa{sv})"
#define SCOPE_MAGIC "VSM-SCOPE"
#define SCOPE_VERSION 1
#define WHAT "runtime scope"

#define RUN_TYPE "(ttuyy)"
#define WITNESS_TYPE "(tttu)"
#define FACT_TYPE "(ttttuyy)"
#define TABLES_TYPE "a(tuyay)"

/* Arrays go in and out as GVariant lays them out: no padding is undefined. */
G_STATIC_ASSERT(sizeof(VsmScopeRun) == 24);
G_STATIC_ASSERT(sizeof(VsmWitness) == 32);
G_STATIC_ASSERT(sizeof(VsmFact) == 40);

static const VsmCodecField fields[] = {
    {"levels", "u", true},         {"registers", "at", true},
    {"parked", "ay", true},        {"tables", TABLES_TYPE, true},
    {"root", "at", true},          {"runs", "a" RUN_TYPE, true},
    {"digests", "ay", true},       {"witnesses", "a" WITNESS_TYPE, true},
    {"states", "ay", true},        {"facts", "a" FACT_TYPE, true},
    {"facts-left-out", "t", true},
};

static void put_array(GVariantBuilder *dict,
                      const char *key,
                      const char *type,
                      gconstpointer data,
                      gsize n,
                      gsize bytes)
{
    g_variant_builder_add(
        dict, "{sv}", key,
        g_variant_new_fixed_array(G_VARIANT_TYPE(type), data, n, bytes));
}

static GVariant *tables_value(const VsmScope *scope)
{
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE(TABLES_TYPE));
    for (guint i = 0; i < scope->tables->len; i++) {
        const VsmScopeTable *table = g_ptr_array_index(scope->tables, i);

        g_variant_builder_add(&builder, "(tuy@ay)", table->va, table->vcpu,
                              table->kind, vsm_codec_new_bytes(table->bytes));
    }
    return g_variant_builder_end(&builder);
}

GBytes *vsm_scope_encode(const VsmScope *scope, GError **error)
{
    GVariantBuilder dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&dict, "{sv}", "levels",
                          g_variant_new_uint32(scope->levels));
    put_array(&dict, "registers", "t", scope->registers->data,
              scope->registers->len, sizeof(guint64));
    put_array(&dict, "parked", "y", scope->parked->data, scope->parked->len, 1);
    g_variant_builder_add(&dict, "{sv}", "tables", tables_value(scope));
    put_array(&dict, "root", "t", scope->root->data, scope->root->len,
              sizeof(guint64));
    put_array(&dict, "runs", RUN_TYPE, scope->runs->data, scope->runs->len,
              sizeof(VsmScopeRun));
    put_array(&dict, "digests", "y", scope->digests->data,
              (gsize)scope->digests->len * VSM_DIGEST_BYTES, 1);
    put_array(&dict, "witnesses", WITNESS_TYPE, scope->witnesses->data,
              scope->witnesses->len, sizeof(VsmWitness));
    put_array(&dict, "states", "y", scope->states->data, scope->states->len, 1);
    put_array(&dict, "facts", FACT_TYPE, scope->facts->data, scope->facts->len,
              sizeof(VsmFact));
    g_variant_builder_add(&dict, "{sv}", "facts-left-out",
                          g_variant_new_uint64(scope->facts_left_out));
    return vsm_codec_encode(
        g_variant_new("(sqa{sv})", SCOPE_MAGIC, SCOPE_VERSION, &dict),
        VSM_SCOPE_BYTES_MAX, WHAT, error);
}

static bool bad(GError **error, const char *what)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, WHAT ": %s: it is damaged",
                what);
    return false;
}

/* Appends the fixed array @key to @to; its elements are of @bytes. */
static void get_array(GVariant *dict, const char *key, gsize bytes, GArray *to)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(dict, key, NULL);
    gsize n;
    gconstpointer data = g_variant_get_fixed_array(value, &n, bytes);

    if (n) {
        g_array_append_vals(to, data, n);
    }
}

static void get_bytes(GVariant *dict, const char *key, GByteArray *to)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(dict, key, NULL);
    gsize n;
    gconstpointer data = g_variant_get_fixed_array(value, &n, 1);

    if (n) {
        g_byte_array_append(to, data, n);
    }
}

static bool get_digests(GVariant *dict, VsmScope *scope, GError **error)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(dict, "digests", NULL);
    gsize n;
    gconstpointer data = g_variant_get_fixed_array(value, &n, 1);

    if (n % VSM_DIGEST_BYTES) {
        return bad(error, "its digests are cut");
    }
    if (n) {
        g_array_append_vals(scope->digests, data, n / VSM_DIGEST_BYTES);
    }
    return true;
}

static bool get_tables(GVariant *dict, VsmScope *scope, GError **error)
{
    g_autoptr(GVariant) tables = g_variant_lookup_value(dict, "tables", NULL);
    gsize n = g_variant_n_children(tables);

    if (n > 3 * VSM_SCOPE_VCPUS_MAX) {
        return bad(error, "it has too many tables");
    }
    for (gsize i = 0; i < n; i++) {
        VsmScopeTable *table = g_new0(VsmScopeTable, 1);
        g_autoptr(GVariant) bytes = NULL;

        g_ptr_array_add(scope->tables, table);
        g_variant_get_child(tables, i, "(tuy@ay)", &table->va, &table->vcpu,
                            &table->kind, &bytes);
        table->bytes = vsm_codec_get_bytes(bytes, VSM_PAGE_BYTES, WHAT, error);
        if (!table->bytes) {
            return false;
        }
        if (table->kind < VSM_TABLE_IDT || table->kind > VSM_TABLE_TSS ||
            table->vcpu == 0 || table->vcpu > scope->parked->len) {
            return bad(error, "it has a table of no kind or vCPU");
        }
    }
    return true;
}

static bool check_run(const VsmScopeRun *run, GError **error)
{
    guint64 bytes = (guint64)run->pages * VSM_PAGE_BYTES;

    if (!vsm_scope_class_name(run->scope_class) || run->pages == 0 ||
        run->pages > VSM_SCOPE_PAGES_MAX || run->va % VSM_PAGE_BYTES ||
        run->pa % VSM_PAGE_BYTES || run->pa >> 52 ||
        run->va + (bytes - 1) < run->va) {
        return bad(error, "a run of pages is out of range");
    }
    return true;
}

static bool overlap(const VsmScopeRun *last, const VsmScopeRun *run)
{
    bool same = (last->scope_class == VSM_CLASS_FIRMWARE) ==
                (run->scope_class == VSM_CLASS_FIRMWARE);

    return same && (run->va - last->va) / VSM_PAGE_BYTES < last->pages;
}

static bool check_runs(const VsmScope *scope, GError **error)
{
    guint64 hashed = 0, pages = 0;

    for (guint i = 0; i < scope->runs->len; i++) {
        const VsmScopeRun *run = vsm_scope_run(scope, i), *last;

        if (!check_run(run, error)) {
            return false;
        }
        pages += run->pages;
        hashed += run->perms & VSM_RUN_HASHED ? run->pages : 0;
        if (i == 0) {
            continue;
        }
        last = run - 1;
        if (vsm_scope_run_order(last, run) >= 0 || overlap(last, run)) {
            return bad(error, "its runs of pages overlap");
        }
    }
    if (pages > 2ull * VSM_SCOPE_PAGES_MAX) {
        return bad(error, "it has too many pages");
    }
    return hashed == scope->digests->len ||
           bad(error, "its digests do not fit its pages");
}

static bool check_witnesses(const VsmScope *scope, GError **error)
{
    guint64 end = 0;

    if (scope->states->len != scope->witnesses->len ||
        scope->witnesses->len > VSM_SCOPE_WITNESSES_MAX) {
        return bad(error, "its patch sites have no states");
    }
    for (guint i = 0; i < scope->witnesses->len; i++) {
        const VsmWitness *witness = vsm_scope_witness(scope, i);
        guint bytes = witness->flags & VSM_WITNESS_LONG ? 5 : 2;

        if (witness->flags > 7 || witness->va < end ||
            witness->va > G_MAXUINT64 - bytes) {
            return bad(error, "its patch sites overlap");
        }
        end = witness->va + bytes;
    }
    return true;
}

static bool check(const VsmScope *scope, GError **error)
{
    if (scope->levels != 4 && scope->levels != 5) {
        return bad(error, "its paging mode is not known");
    }
    if (scope->parked->len == 0 || scope->parked->len > VSM_SCOPE_VCPUS_MAX ||
        scope->registers->len != scope->parked->len * VSM_SCOPE_REGISTERS) {
        return bad(error, "its registers do not fit its vCPUs");
    }
    if (scope->root->len != 0 && scope->root->len != VSM_KERNEL_HALF) {
        return bad(error, "its root is cut");
    }
    if (scope->facts->len > VSM_SCOPE_FACTS_MAX) {
        return bad(error, "it has too many facts");
    }
    for (guint i = 0; i < scope->facts->len; i++) {
        const VsmFact *fact = &g_array_index(scope->facts, VsmFact, i);

        if (!vsm_fact_kind_name(fact->kind) ||
            !vsm_scope_class_name(fact->scope_class) ||
            fact->vcpu > VSM_SCOPE_VCPUS_MAX) {
            return bad(error, "a fact is of no kind");
        }
    }
    return check_runs(scope, error) && check_witnesses(scope, error);
}

static bool get_all(GVariant *dict, VsmScope *scope, GError **error)
{
    g_variant_lookup(dict, "levels", "u", &scope->levels);
    g_variant_lookup(dict, "facts-left-out", "t", &scope->facts_left_out);
    get_array(dict, "registers", sizeof(guint64), scope->registers);
    get_bytes(dict, "parked", scope->parked);
    get_array(dict, "root", sizeof(guint64), scope->root);
    get_array(dict, "runs", sizeof(VsmScopeRun), scope->runs);
    get_array(dict, "witnesses", sizeof(VsmWitness), scope->witnesses);
    get_bytes(dict, "states", scope->states);
    get_array(dict, "facts", sizeof(VsmFact), scope->facts);
    return get_digests(dict, scope, error) && get_tables(dict, scope, error) &&
           check(scope, error);
}

VsmScope *vsm_scope_decode(GBytes *bytes, GError **error)
{
    g_autoptr(VsmScope) scope = vsm_scope_new();
    g_autoptr(GVariant) value =
        vsm_codec_decode(bytes, SCOPE_TYPE, SCOPE_MAGIC, SCOPE_VERSION,
                         VSM_SCOPE_BYTES_MAX, WHAT, error);
    g_autoptr(GVariant) dict = NULL;

    if (!value) {
        return NULL;
    }
    dict = g_variant_get_child_value(value, 2);
    if (!vsm_codec_check_dict(dict, fields, G_N_ELEMENTS(fields), WHAT,
                              error) ||
        !get_all(dict, scope, error)) {
        return NULL;
    }
    return g_steal_pointer(&scope);
}
