/*
 * Root tables: which one is the kernel's, and how another may differ.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "runtime/capture.h"
#include "runtime/memory.h"

#define CR0_PG (1ull << 31)
#define CR4_LA57 (1ull << 12)
#define EFER_LMA (1ull << 10)
#define EFER_NXE (1ull << 11)
#define CR3_ADDRESS 0x000ffffffffff000ull
#define NO_ROOT G_MAXUINT64 /* where no memory can be */
#define CR3_KPTI_USER 0x1000ull /* Linux: the user's root lies behind it */

#define ENTRY_PRESENT 1ull
#define ENTRY_ACCESSED_DIRTY 0x60ull

static bool runs(const VsmX86Regs *regs)
{
    return !regs->parked && (regs->cr0 & CR0_PG) && (regs->efer & EFER_LMA);
}

/*
 * Present entries of the kernel's half; with a sealed root only those that it
 * has.
 */
static guint kernel_entries(const VsmCapture *capture, guint64 root)
{
    const guint8 *page = vsm_memory_page(capture->guest, root);
    const GArray *sealed = capture->sealed ? capture->sealed->root : NULL;
    guint n = 0;

    for (guint i = VSM_KERNEL_HALF; page && i < VSM_TABLE_ENTRIES; i++) {
        guint64 entry = vsm_memory_u64(page, i) & ~ENTRY_ACCESSED_DIRTY;
        guint at = i - VSM_KERNEL_HALF;

        n += (entry & ENTRY_PRESENT) &&
             (!sealed || (at < sealed->len &&
                          entry == g_array_index(sealed, guint64, at)));
    }
    return n;
}

static bool
maps_alike(const VsmPaging *paging, guint64 a, guint64 b, guint64 va)
{
    VsmLeaf x, y;

    return vsm_walk_find(paging, a, va, &x) &&
           vsm_walk_find(paging, b, va, &y) &&
           x.pa + (va - x.va) == y.pa + (va - y.va);
}

/*
 * Under KPTI a vCPU in user mode is on the second page of a pair, which maps
 * little of the kernel.  The first page then has more.  Without KPTI the page
 * before a root is anything: it has nothing of a sealed root, and does not map
 * the IDT as the root does.
 */
static VsmLoadedRoot
load_root(const VsmCapture *capture, guint vcpu, const VsmX86Regs *regs)
{
    VsmLoadedRoot loaded = {vcpu, regs->cr3 & CR3_ADDRESS, 0};
    guint64 first = loaded.kernel & ~CR3_KPTI_USER;

    if (first != loaded.kernel &&
        kernel_entries(capture, first) >
            kernel_entries(capture, loaded.kernel) &&
        (capture->sealed ||
         maps_alike(&capture->paging, first, loaded.kernel, regs->idtr.base))) {
        loaded.user = loaded.kernel;
        loaded.kernel = first;
    }
    return loaded;
}

/* One that cannot be read is empty: it never agrees with a kernel's. */
static void remember_root(VsmCapture *capture)
{
    const guint8 *page = vsm_memory_page(capture->guest, capture->root);

    for (guint i = VSM_KERNEL_HALF; i < VSM_TABLE_ENTRIES; i++) {
        guint64 entry = page && i != VSM_LDT_SLOT ? vsm_memory_u64(page, i) : 0;

        entry &= ~ENTRY_ACCESSED_DIRTY;
        g_array_append_val(capture->scope->root, entry);
    }
}

/*
 * A sealed guest had paging: without it nothing is mapped, and the registers
 * are judged all the same.
 */
static bool without_root(VsmCapture *capture, char **ret_reason)
{
    if (!capture->sealed) {
        *ret_reason = g_strdup("the guest is not ready: no vCPU runs in 64-bit "
                               "mode with paging");
        return false;
    }
    capture->paging.levels = capture->sealed->levels;
    return true;
}

bool vsm_capture_find_root(VsmCapture *capture, char **ret_reason)
{
    const VsmGuest *guest = capture->guest;

    capture->root = NO_ROOT;
    for (guint i = 0; i < guest->n_vcpus; i++) {
        const VsmX86Regs *regs = &guest->vcpus[i];
        VsmLoadedRoot loaded;

        if (!runs(regs)) {
            continue;
        }
        if (capture->cr3s->len == 0) {
            capture->paging.levels = regs->cr4 & CR4_LA57 ? 5 : 4;
            capture->paging.nx = regs->efer & EFER_NXE;
        }
        loaded = load_root(capture, i + 1, regs);
        if (capture->cr3s->len == 0) {
            capture->root = loaded.kernel;
        }
        g_array_append_val(capture->cr3s, loaded);
    }
    if (capture->cr3s->len == 0 && !without_root(capture, ret_reason)) {
        return false;
    }
    capture->scope->levels = capture->paging.levels;
    remember_root(capture);
    return true;
}

static void add_fact(VsmCapture *capture,
                     VsmFactKind kind,
                     guint64 va,
                     guint64 pa,
                     guint64 value,
                     guint vcpu)
{
    VsmFact fact = {.va = va,
                    .pa = pa,
                    .value = value,
                    .vcpu = vcpu,
                    .kind = kind,
                    .scope_class = VSM_CLASS_ROOTS};

    vsm_scope_add_fact(capture->scope, &fact);
}

void vsm_capture_truncated(VsmCapture *capture, VsmScopeClass scope_class)
{
    const GArray *facts = capture->scope->facts;
    VsmFact fact = {.kind = VSM_FACT_TRUNCATED, .scope_class = scope_class};

    for (guint i = 0; i < facts->len; i++) {
        const VsmFact *other = &g_array_index(facts, VsmFact, i);

        if (other->kind == fact.kind && other->scope_class == scope_class) {
            return;
        }
    }
    vsm_scope_add_fact(capture->scope, &fact);
}

/* Below the LDT slot nothing may be executable, or lead to a sealed frame. */
static void check_slot_leaf(gpointer opaque, const VsmLeaf *leaf)
{
    VsmCapture *capture = opaque;

    if (leaf->perms & VSM_PERM_EXEC) {
        add_fact(capture, VSM_FACT_NEW_EXEC, leaf->va, leaf->pa, leaf->perms,
                 capture->slot_vcpu);
    }
    vsm_capture_alias_leaf(capture, leaf);
}

static void check_slot(VsmCapture *capture, guint64 root, guint vcpu)
{
    if (!capture->slots) {
        capture->slots =
            vsm_walk_new(&capture->paging, check_slot_leaf, NULL, capture);
    }
    capture->slot_vcpu = vcpu;
    vsm_walk_range(capture->slots, root, VSM_LDT_SLOT, VSM_LDT_SLOT);
}

/*
 * An entry that is missing takes nothing from what is judged: a copy in the
 * making has such.  One that differs maps something else.  The CPU walks roots
 * in a device's memory too; what those map nobody sees.
 */
void vsm_capture_compare_root(VsmCapture *capture, guint64 root, guint vcpu)
{
    const guint8 *page = vsm_memory_page(capture->guest, root);

    if (!page) {
        add_fact(capture, VSM_FACT_FOREIGN_ROOT, 0, root, 0, vcpu);
        if (!capture->sealed) {
            vsm_capture_truncated(capture, VSM_CLASS_ROOTS); /* not sealed so */
        }
        return;
    }
    if (!vsm_budget_take(&capture->budget, VSM_KERNEL_HALF)) {
        return;
    }
    for (guint i = VSM_KERNEL_HALF; i < VSM_TABLE_ENTRIES; i++) {
        guint64 entry = vsm_memory_u64(page, i) & ~ENTRY_ACCESSED_DIRTY;
        guint64 ours =
            g_array_index(capture->scope->root, guint64, i - VSM_KERNEL_HALF);

        if (!(entry & ENTRY_PRESENT) || entry == ours) {
            continue;
        }
        if (i == VSM_LDT_SLOT) {
            check_slot(capture, root, vcpu);
        } else {
            add_fact(capture, VSM_FACT_FOREIGN_ROOT,
                     vsm_walk_entry_va(&capture->paging, i), root, entry, vcpu);
        }
    }
}

typedef struct {
    VsmCapture *capture;
    const VsmLoadedRoot *loaded;
} Below;

/* What the user's root of KPTI maps, the kernel's maps the same way. */
static void check_user_leaf(gpointer opaque, const VsmLeaf *leaf)
{
    const Below *below = opaque;
    const VsmPaging *paging = &below->capture->paging;
    guint64 va = leaf->va;
    guint64 end = leaf->va + (leaf->bytes - 1);

    while (va <= end) {
        VsmLeaf kernel;

        if (!vsm_walk_find(paging, below->loaded->kernel, va, &kernel) ||
            kernel.pa + (va - kernel.va) != leaf->pa + (va - leaf->va) ||
            (leaf->perms & ~kernel.perms)) {
            add_fact(below->capture, VSM_FACT_FOREIGN_ROOT, va,
                     leaf->pa + (va - leaf->va), leaf->perms,
                     below->loaded->vcpu);
            return;
        }
        if (kernel.va + (kernel.bytes - 1) >= end) {
            return;
        }
        va = kernel.va + kernel.bytes;
    }
}

/*
 * A table that both roots share at one address may be another's at the next:
 * none is taken as seen.  Whole entries that are equal need no walk.
 */
static void check_user_root(VsmCapture *capture, const VsmLoadedRoot *loaded)
{
    Below below = {capture, loaded};
    const guint8 *user = vsm_memory_page(capture->guest, loaded->user);
    const guint8 *kernel = vsm_memory_page(capture->guest, loaded->kernel);
    g_autoptr(VsmWalk) walk =
        vsm_walk_new(&capture->paging, check_user_leaf, NULL, &below);

    vsm_walk_enter_each(walk);
    for (guint i = VSM_KERNEL_HALF; user && i < VSM_TABLE_ENTRIES; i++) {
        guint64 entry = vsm_memory_u64(user, i);

        if ((entry & ENTRY_PRESENT) &&
            ((entry ^ vsm_memory_u64(kernel, i)) & ~ENTRY_ACCESSED_DIRTY)) {
            vsm_walk_range(walk, loaded->user, i, i);
        }
    }
    if (!user || vsm_walk_is_truncated(walk)) {
        vsm_capture_truncated(capture, VSM_CLASS_ROOTS);
    }
    capture->stats.table_pages += vsm_walk_tables(walk);
}

static bool is_text_frame(const VsmScope *scope, guint64 pa)
{
    for (guint i = 0; i < scope->runs->len; i++) {
        const VsmScopeRun *run = vsm_scope_run(scope, i);

        if (run->scope_class == VSM_CLASS_TEXT && pa >= run->pa &&
            (pa - run->pa) / VSM_PAGE_BYTES < run->pages) {
            return true;
        }
    }
    return false;
}

/*
 * The user's root is for user mode, and for the way in and out of it, which is
 * part of the kernel's text; older kernels map that part once more.
 */
static bool may_be_on_user_root(const VsmCapture *capture,
                                const VsmLoadedRoot *loaded)
{
    const VsmX86Regs *regs = &capture->guest->vcpus[loaded->vcpu - 1];
    VsmLeaf leaf;

    return regs->cpl == 3 ||
           (vsm_walk_find(&capture->paging, loaded->kernel, regs->rip, &leaf) &&
            is_text_frame(capture->sealed ? capture->sealed : capture->scope,
                          leaf.pa + (regs->rip - leaf.va)));
}

void vsm_capture_loaded_roots(VsmCapture *capture)
{
    for (guint i = 0; i < capture->cr3s->len; i++) {
        const VsmLoadedRoot *loaded =
            &g_array_index(capture->cr3s, VsmLoadedRoot, i);

        vsm_capture_compare_root(capture, loaded->kernel, loaded->vcpu);
        if (!loaded->user) {
            continue;
        }
        check_user_root(capture, loaded);
        if (!may_be_on_user_root(capture, loaded)) {
            vsm_capture_compare_root(capture, loaded->user, loaded->vcpu);
        }
    }
}

void vsm_capture_check_budget(VsmCapture *capture)
{
    if (vsm_budget_is_spent(&capture->budget) ||
        (capture->slots && vsm_walk_is_truncated(capture->slots))) {
        vsm_capture_truncated(capture, VSM_CLASS_ROOTS);
    }
    if (capture->slots) {
        capture->stats.table_pages += vsm_walk_tables(capture->slots);
    }
}
