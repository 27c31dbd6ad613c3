/*
 * Runs the runtime scope on a dump: dump-guest-memory and "info registers -a".
 *
 * usage: scope-dump DUMP REGISTERS [SEALED [PROFILE]]
 *
 * Prints what a capture finds, one thing a line, for tests to check.  With
 * SEALED, a document of an earlier run, the two are judged; without it the
 * document goes to DUMP.scope.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/scope.h"

static void fail(const char *what, const GError *error)
{
    fprintf(stderr, "scope-dump: %s%s%s\n", what, error ? ": " : "",
            error ? error->message : "");
    exit(1);
}

/* The number behind @name in @text, in hex. */
static guint64 number(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? g_ascii_strtoull(at + strlen(name), NULL, 16) : 0;
}

/* "TR =0040 fffffe0000003000 00004087 ..." */
static VsmX86Table table(const char *text, const char *name, bool selector)
{
    VsmX86Table result = {0};
    const char *at = strstr(text, name);
    char *end = NULL;

    if (!at) {
        fail(name, NULL);
    }
    at += strlen(name);
    if (selector) {
        result.selector = g_ascii_strtoull(at, &end, 16);
        at = end;
    }
    result.base = g_ascii_strtoull(at, &end, 16);
    result.limit = g_ascii_strtoull(end, NULL, 16);
    return result;
}

static VsmX86Regs vcpu(const char *text)
{
    VsmX86Regs regs = {
        .cr0 = number(text, "CR0="),
        .cr3 = number(text, "CR3="),
        .cr4 = number(text, "CR4="),
        .efer = number(text, "EFER="),
        .rip = number(text, "RIP="),
        .cpl = number(text, "CPL="),
        .idtr = table(text, "IDT=", false),
        .gdtr = table(text, "GDT=", false),
        .ldtr = table(text, "LDT=", true),
        .tr = table(text, "TR =", true),
    };

    return regs;
}

static GArray *read_registers(const char *path)
{
    GArray *all = g_array_new(FALSE, TRUE, sizeof(VsmX86Regs));
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_auto(GStrv) parts = NULL;

    if (!g_file_get_contents(path, &text, NULL, &error)) {
        fail("registers", error);
    }
    parts = g_strsplit(text, "CPU#", -1);
    for (guint i = 1; parts[i]; i++) {
        VsmX86Regs regs = vcpu(parts[i]);

        g_array_append_val(all, regs);
    }
    return all;
}

/* The dump's segments; the file is mapped, unaligned parts are copied. */
static GArray *read_memory(const char *path)
{
    GArray *pieces = g_array_new(FALSE, TRUE, sizeof(VsmGuestMemory));
    g_autoptr(GError) error = NULL;
    GMappedFile *file = g_mapped_file_new(path, FALSE, &error);
    const char *data;
    Elf64_Ehdr header;

    if (!file || g_mapped_file_get_length(file) < sizeof(header)) {
        fail("dump", error);
    }
    data = g_mapped_file_get_contents(file);
    memcpy(&header, data, sizeof(header));
    for (guint i = 0; i < header.e_phnum; i++) {
        VsmGuestMemory piece = {0};
        Elf64_Phdr segment;

        memcpy(&segment, data + header.e_phoff + i * sizeof(segment),
               sizeof(segment));
        if (segment.p_type != PT_LOAD || segment.p_filesz < VSM_PAGE_BYTES) {
            continue;
        }
        piece.address = segment.p_paddr;
        piece.bytes = segment.p_filesz & ~(guint64)(VSM_PAGE_BYTES - 1);
        piece.host = g_aligned_alloc(piece.bytes, 1, VSM_PAGE_BYTES);
        memcpy((void *)piece.host, data + segment.p_offset, piece.bytes);
        g_array_append_val(pieces, piece);
    }
    g_mapped_file_unref(file);
    return pieces;
}

static void print_scope(const VsmScope *scope)
{
    for (guint i = 0; i < scope->runs->len; i++) {
        const VsmScopeRun *run = vsm_scope_run(scope, i);

        printf("run %s %#" G_GINT64_MODIFIER "x %#" G_GINT64_MODIFIER
               "x %u %x\n",
               vsm_scope_class_name(run->scope_class), run->va, run->pa,
               run->pages, run->perms);
    }
    for (guint i = 0; i < scope->witnesses->len; i++) {
        const VsmWitness *witness = vsm_scope_witness(scope, i);

        printf("site %#" G_GINT64_MODIFIER "x %#" G_GINT64_MODIFIER
               "x %#" G_GINT64_MODIFIER "x %u %u\n",
               witness->va, witness->target, witness->key, witness->flags,
               scope->states->data[i]);
    }
    for (guint i = 0; i < scope->facts->len; i++) {
        const VsmFact *fact = &g_array_index(scope->facts, VsmFact, i);

        printf("fact %s %s %#" G_GINT64_MODIFIER "x %#" G_GINT64_MODIFIER
               "x %" G_GUINT64_FORMAT " %#" G_GINT64_MODIFIER "x vcpu %u\n",
               vsm_fact_kind_name(fact->kind),
               vsm_scope_class_name(fact->scope_class), fact->va, fact->pa,
               fact->bytes, fact->value, fact->vcpu);
    }
}

static void print_verdict(GBytes *sealed, GBytes *measured, const char *profile)
{
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    if (!vsm_scope_judge(sealed, measured, profile, &verdict, &error)) {
        fail("judging", error);
    }
    printf("result %s\n",
           verdict->result == VSM_RESULT_MATCH ? "match" : "mismatch");
    for (guint i = 0; i < verdict->findings->len; i++) {
        const VsmFinding *finding = g_ptr_array_index(verdict->findings, i);

        printf("finding %s %s %#" G_GINT64_MODIFIER "x %" G_GUINT64_FORMAT
               " %#" G_GINT64_MODIFIER "x vcpu %u\n",
               finding->kind, finding->where, finding->offset, finding->bytes,
               finding->address, finding->vcpu);
    }
    for (guint i = 0; i < verdict->tolerated->len; i++) {
        printf("tolerated %s\n",
               (char *)g_ptr_array_index(verdict->tolerated, i));
    }
    for (guint i = 0; i < verdict->unattested->len; i++) {
        printf("unattested %s\n",
               (char *)g_ptr_array_index(verdict->unattested, i));
    }
}

static void print_stats(const VsmScopeStats *stats, gsize document_bytes)
{
    printf("hashed %" G_GUINT64_FORMAT " tables %u leaves %" G_GUINT64_FORMAT
           " roots %u sites %u in-flight %u steps %" G_GUINT64_FORMAT
           " document %zu\n",
           stats->hashed_bytes, stats->table_pages, stats->leaves, stats->roots,
           stats->witnesses, stats->in_flight, stats->steps, document_bytes);
}

int main(int argc, char **argv)
{
    g_autoptr(GArray) registers = NULL;
    g_autoptr(GArray) memory = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmPool) pool = vsm_pool_new(0, VSM_HASH_BACKEND_AUTO, NULL);
    g_autoptr(GBytes) sealed = NULL;
    g_autoptr(GBytes) document = NULL;
    g_autoptr(VsmScope) scope = NULL;
    g_autofree char *reason = NULL;
    g_autofree char *contents = NULL;
    VsmScopeStats stats;
    VsmGuest guest = {.phys_bits = 40};
    gint64 start;
    gsize n;

    if (argc < 3) {
        fail("usage: scope-dump DUMP REGISTERS [SEALED [PROFILE]]", NULL);
    }
    registers = read_registers(argv[2]);
    memory = read_memory(argv[1]);
    guest.vcpus = (const VsmX86Regs *)(gconstpointer)registers->data;
    guest.n_vcpus = registers->len;
    guest.memory = (const VsmGuestMemory *)(gconstpointer)memory->data;
    guest.n_memory = memory->len;
    if (argc > 3) {
        if (!g_file_get_contents(argv[3], &contents, &n, &error)) {
            fail("sealed document", error);
        }
        sealed = g_bytes_new(contents, n);
    }
    start = g_get_monotonic_time();
    if (!vsm_scope_capture(&guest, pool, sealed, &document, &reason, &stats,
                           &error)) {
        fail("capture", error);
    }
    printf("took %u us\n", (guint)(g_get_monotonic_time() - start));
    if (!document) {
        printf("unavailable %s\n", reason);
        return 0;
    }
    scope = vsm_scope_decode(document, &error);
    if (!scope) {
        fail("own document", error);
    }
    print_stats(&stats, g_bytes_get_size(document));
    print_scope(scope);
    if (sealed) {
        print_verdict(sealed, document, argc > 4 ? argv[4] : NULL);
    } else {
        g_autofree char *path = g_strconcat(argv[1], ".scope", NULL);

        g_file_set_contents(path, g_bytes_get_data(document, NULL),
                            g_bytes_get_size(document), NULL);
    }
    return 0;
}
