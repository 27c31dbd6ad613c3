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
#define CR3_KPTI_USER 0x1000ull /* Linux: the user's root lies behind it */

#define ENTRY_PRESENT 1ull
#define ENTRY_ACCESSED_DIRTY 0x60ull

static bool runs(const VsmX86Regs *regs)
{
    return !regs->parked && (regs->cr0 & CR0_PG) && (regs->efer & EFER_LMA);
}

static guint kernel_entries(const VsmGuest *guest, guint64 root)
{
    const guint8 *page = vsm_memory_page(guest, root);
    guint n = 0;

    for (guint i = VSM_KERNEL_HALF; page && i < VSM_TABLE_ENTRIES; i++) {
        n += vsm_memory_u64(page, i) & ENTRY_PRESENT;
    }
    return n;
}

/*
 * Under KPTI a vCPU in user mode is on the second page of a pair, which maps
 * little of the kernel.  The first page then has more; without KPTI the page
 * before a root is a page like any other.
 */
static VsmLoadedRoot load_root(const VsmGuest *guest, guint vcpu, guint64 cr3)
{
    VsmLoadedRoot loaded = {vcpu, cr3 & CR3_ADDRESS, 0};
    guint64 first = loaded.kernel & ~CR3_KPTI_USER;

    if (first != loaded.kernel &&
        kernel_entries(guest, first) > kernel_entries(guest, loaded.kernel)) {
        loaded.user = loaded.kernel;
        loaded.kernel = first;
    }
    return loaded;
}

static void remember_root(VsmCapture *capture)
{
    const guint8 *page = vsm_memory_page(capture->guest, capture->root);

    for (guint i = VSM_KERNEL_HALF; page && i < VSM_TABLE_ENTRIES; i++) {
        guint64 entry = i == VSM_LDT_SLOT ? 0 : vsm_memory_u64(page, i);

        entry &= ~ENTRY_ACCESSED_DIRTY;
        g_array_append_val(capture->scope->root, entry);
    }
}

bool vsm_capture_find_root(VsmCapture *capture, char **ret_reason)
{
    const VsmGuest *guest = capture->guest;

    for (guint i = 0; i < guest->n_vcpus; i++) {
        const VsmX86Regs *regs = &guest->vcpus[i];
        VsmLoadedRoot loaded;

        if (!runs(regs)) {
            continue;
        }
        loaded = load_root(guest, i + 1, regs->cr3);
        if (capture->cr3s->len == 0) {
            capture->paging.levels = regs->cr4 & CR4_LA57 ? 5 : 4;
            capture->paging.nx = regs->efer & EFER_NXE;
            capture->root = loaded.kernel;
        }
        g_array_append_val(capture->cr3s, loaded);
    }
    if (capture->cr3s->len == 0) {
        *ret_reason = g_strdup("the guest is not ready: no vCPU runs in 64-bit "
                               "mode with paging");
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

typedef struct {
    VsmCapture *capture;
    guint vcpu;
    guint64 root; /* the kernel's root to compare with */
} Below;

/* Below the LDT slot nothing may be executable. */
static void check_slot_leaf(gpointer opaque, const VsmLeaf *leaf)
{
    Below *below = opaque;

    if (leaf->perms & VSM_PERM_EXEC) {
        add_fact(below->capture, VSM_FACT_NEW_EXEC, leaf->va, leaf->pa,
                 leaf->perms, below->vcpu);
    }
}

static void check_slot(VsmCapture *capture, guint64 root, guint vcpu)
{
    Below below = {capture, vcpu, root};
    g_autoptr(VsmWalk) walk =
        vsm_walk_new(&capture->paging, check_slot_leaf, NULL, &below);

    vsm_walk_range(walk, root, VSM_LDT_SLOT, VSM_LDT_SLOT);
}

/*
 * An entry that is missing takes nothing from what is judged: a copy in the
 * making has such.  One that differs maps something else.
 */
void vsm_capture_compare_root(VsmCapture *capture, guint64 root, guint vcpu)
{
    const guint8 *page = vsm_memory_page(capture->guest, root);

    if (!page) {
        add_fact(capture, VSM_FACT_FOREIGN_ROOT, 0, root, 0, vcpu);
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

/* What the user's root of KPTI maps, the kernel's maps the same way. */
static void check_user_leaf(gpointer opaque, const VsmLeaf *leaf)
{
    Below *below = opaque;
    guint64 va = leaf->va;
    guint64 end = leaf->va + (leaf->bytes - 1);

    while (va <= end) {
        VsmLeaf kernel;

        if (!vsm_walk_find(&below->capture->paging, below->root, va, &kernel) ||
            kernel.pa + (va - kernel.va) != leaf->pa + (va - leaf->va) ||
            (leaf->perms & ~kernel.perms)) {
            add_fact(below->capture, VSM_FACT_FOREIGN_ROOT, va,
                     leaf->pa + (va - leaf->va), leaf->perms, below->vcpu);
            return;
        }
        if (kernel.va + (kernel.bytes - 1) >= end) {
            return;
        }
        va = kernel.va + kernel.bytes;
    }
}

static void check_user_root(VsmCapture *capture, const VsmLoadedRoot *loaded)
{
    Below below = {capture, loaded->vcpu, loaded->kernel};
    g_autoptr(VsmWalk) walk =
        vsm_walk_new(&capture->paging, check_user_leaf, NULL, &below);

    vsm_walk_range(walk, loaded->user, VSM_KERNEL_HALF, VSM_TABLE_ENTRIES - 1);
}

void vsm_capture_loaded_roots(VsmCapture *capture)
{
    for (guint i = 0; i < capture->cr3s->len; i++) {
        const VsmLoadedRoot *loaded =
            &g_array_index(capture->cr3s, VsmLoadedRoot, i);

        vsm_capture_compare_root(capture, loaded->kernel, loaded->vcpu);
        if (loaded->user) {
            check_user_root(capture, loaded);
        }
    }
}
