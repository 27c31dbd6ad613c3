/*
 * Registers and descriptor tables: what of them is sealed, and what users may
 * change without privilege.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "runtime/capture.h"

#define CR0_TS (1ull << 3) /* lazy FPU: set and cleared at each switch */
#define CR4_TSD (1ull << 2) /* prctl(PR_SET_TSC) */
#define CR4_PCE (1ull << 8) /* perf's rdpmc */
#define EFER_SEALED 0x1d01ull /* SCE, LME, LMA, NXE, SVME */
#define LDT_SELECTOR 0x50 /* Linux's: entry 10 of the GDT; 0 without one */

/* Linux's GDT: entries 10 and 11 are the LDT's, 12 to 14 thread-local. */
#define GDT_LDT_FIRST 10
#define GDT_TLS_FIRST 12
#define GDT_TLS_LAST 14
#define TSS_BUSY 2 /* bit 1 of the type, in byte 5 of the descriptor */
#define TSS_BYTES 104 /* without the I/O bitmap */
#define LDT_ENTRIES_MAX 8192

static const char *const names[] = {
    "CR0",        "CR4",    "EFER",        "STAR",         "LSTAR",
    "CSTAR",      "FMASK",  "SYSENTER_CS", "SYSENTER_ESP", "SYSENTER_EIP",
    "PAT",        "SMBASE", "IDTR.base",   "IDTR.limit",   "GDTR.base",
    "GDTR.limit", "LDTR",   "TR.selector", "TR.base",      "TR.limit",
};
G_STATIC_ASSERT(G_N_ELEMENTS(names) == VSM_SCOPE_REGISTERS);

const char *vsm_scope_register_name(guint index)
{
    return names[index];
}

static void add_registers(VsmScope *scope, const VsmX86Regs *regs)
{
    guint64 values[VSM_SCOPE_REGISTERS] = {
        regs->cr0 & ~CR0_TS,
        regs->cr4 & ~(CR4_TSD | CR4_PCE),
        regs->efer & EFER_SEALED,
        regs->star,
        regs->lstar,
        regs->cstar,
        regs->fmask,
        regs->sysenter_cs,
        regs->sysenter_esp,
        regs->sysenter_eip,
        regs->pat,
        regs->smbase,
        regs->idtr.base,
        regs->idtr.limit,
        regs->gdtr.base,
        regs->gdtr.limit,
        regs->ldtr.selector == LDT_SELECTOR ? 0 : regs->ldtr.selector,
        regs->tr.selector,
        regs->tr.base,
        regs->tr.limit,
    };
    guint8 parked = regs->parked;

    if (parked) {
        memset(values, 0, sizeof(values));
    }
    g_array_append_vals(scope->registers, values, VSM_SCOPE_REGISTERS);
    g_byte_array_append(scope->parked, &parked, 1);
}

void vsm_capture_registers(VsmCapture *capture)
{
    for (guint i = 0; i < capture->guest->n_vcpus; i++) {
        const VsmX86Regs *regs = &capture->guest->vcpus[i];
        VsmFact fact = {.vcpu = i + 1, .scope_class = VSM_CLASS_CPU};

        add_registers(capture->scope, regs);
        if (!regs->parked && regs->nested) {
            fact.kind = VSM_FACT_NESTED;
            vsm_scope_add_fact(capture->scope, &fact);
        }
        if (!regs->parked && regs->smm) {
            fact.kind = VSM_FACT_SMM;
            vsm_scope_add_fact(capture->scope, &fact);
        }
        if (regs->a20_masked) {
            fact.kind = VSM_FACT_A20;
            vsm_scope_add_fact(capture->scope, &fact);
        }
    }
}

/* A code or data segment for user mode, or nothing. */
static bool is_user_entry(const guint8 *entry)
{
    bool present = entry[5] & 0x80;
    bool segment = entry[5] & 0x10;
    guint dpl = entry[5] >> 5 & 3;

    return !present || (segment && dpl == 3);
}

static void
add_entry(VsmCapture *capture, guint vcpu, guint64 va, const guint8 *entry)
{
    VsmFact fact = {.va = va,
                    .bytes = 8,
                    .vcpu = vcpu,
                    .kind = VSM_FACT_TABLE_ENTRY,
                    .scope_class = VSM_CLASS_TABLES};

    for (guint i = 0; i < 8; i++) {
        fact.value = fact.value << 8 | entry[7 - i];
    }
    vsm_scope_add_fact(capture->scope, &fact);
}

/* Entries that users set: checked, then set to zero. */
static void clean_gdt(VsmCapture *capture, guint vcpu, guint8 *gdt, guint bytes)
{
    const VsmX86Regs *regs = &capture->guest->vcpus[vcpu - 1];
    guint tss = (regs->tr.selector & 0xfff8u) + 5;
    const guint8 *ldt = gdt + 8 * GDT_LDT_FIRST;

    if (tss < bytes) {
        gdt[tss] &= ~TSS_BUSY;
    }
    if (bytes < 8 * (GDT_TLS_LAST + 1)) {
        return;
    }
    if ((ldt[5] & 0x80) && (ldt[5] & 0x1f) != 2) {
        add_entry(capture, vcpu, regs->gdtr.base + 8 * GDT_LDT_FIRST, ldt);
    }
    for (guint i = GDT_TLS_FIRST; i <= GDT_TLS_LAST; i++) {
        if (!is_user_entry(gdt + 8 * i)) {
            add_entry(capture, vcpu, regs->gdtr.base + 8 * i, gdt + 8 * i);
        }
    }
    memset(gdt + 8 * GDT_LDT_FIRST, 0, 8 * (GDT_TLS_LAST + 1 - GDT_LDT_FIRST));
}

/* sp1 and sp2 are scratch space, the bitmap's offset is ioperm()'s. */
static void clean_tss(guint8 *tss, guint bytes)
{
    if (bytes >= TSS_BYTES) {
        memset(tss + 12, 0, 16);
        memset(tss + 102, 0, 2);
    }
}

static bool
has_table(const VsmScope *scope, VsmTableKind kind, guint64 va, guint bytes)
{
    for (guint i = 0; i < scope->tables->len; i++) {
        const VsmScopeTable *table = g_ptr_array_index(scope->tables, i);

        if (table->kind == kind && table->va == va &&
            g_bytes_get_size(table->bytes) == bytes) {
            return true;
        }
    }
    return false;
}

/* A table that is not mapped is an empty one. */
static void add_table(VsmCapture *capture,
                      VsmTableKind kind,
                      guint vcpu,
                      const VsmX86Table *where)
{
    guint bytes = MIN((guint64)where->limit + 1, VSM_PAGE_BYTES);
    guint8 buffer[VSM_PAGE_BYTES] = {0};
    VsmScopeTable *table;

    if (kind == VSM_TABLE_TSS) {
        bytes = MIN(bytes, TSS_BYTES);
    }
    /* All vCPUs share the kernel's half: one copy of each is enough. */
    if (kind == VSM_TABLE_IDT &&
        has_table(capture->scope, kind, where->base, bytes)) {
        return;
    }
    if (!vsm_walk_read(&capture->paging, capture->root, where->base, buffer,
                       bytes)) {
        bytes = 0;
    }
    if (kind == VSM_TABLE_GDT) {
        clean_gdt(capture, vcpu, buffer, bytes);
    } else if (kind == VSM_TABLE_TSS) {
        clean_tss(buffer, bytes);
    }
    table = g_new0(VsmScopeTable, 1);
    table->kind = kind;
    table->vcpu = vcpu;
    table->va = where->base;
    table->bytes = g_bytes_new(buffer, bytes);
    g_ptr_array_add(capture->scope->tables, table);
}

/* A process's LDT: free, but never a gate or a segment of the kernel's. */
static void check_ldt(VsmCapture *capture, guint vcpu, const VsmX86Table *ldt)
{
    guint entries = MIN(((guint64)ldt->limit + 1) / 8, LDT_ENTRIES_MAX);
    guint64 root = capture->root;
    guint8 entry[8];

    for (guint i = 0; i < capture->cr3s->len; i++) {
        const VsmLoadedRoot *loaded =
            &g_array_index(capture->cr3s, VsmLoadedRoot, i);

        root = loaded->vcpu == vcpu ? loaded->kernel : root;
    }
    for (guint i = 0; i < entries; i++) {
        if (vsm_walk_read(&capture->paging, root, ldt->base + 8 * i, entry,
                          8) &&
            !is_user_entry(entry)) {
            add_entry(capture, vcpu, ldt->base + 8 * i, entry);
        }
    }
}

void vsm_capture_tables(VsmCapture *capture)
{
    for (guint i = 0; i < capture->guest->n_vcpus; i++) {
        const VsmX86Regs *regs = &capture->guest->vcpus[i];

        if (regs->parked) {
            continue;
        }
        add_table(capture, VSM_TABLE_IDT, i + 1, &regs->idtr);
        add_table(capture, VSM_TABLE_GDT, i + 1, &regs->gdtr);
        add_table(capture, VSM_TABLE_TSS, i + 1, &regs->tr);
        if (regs->ldtr.selector) {
            check_ldt(capture, i + 1, &regs->ldtr);
        }
    }
}
