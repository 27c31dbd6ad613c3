/*
 * Classes: what the kernel's half maps, cut into runs of pages.
 *
 * To be sealed, runs are told apart by what they look like; a measurement
 * takes over the sealed runs, and whatever is executable beside them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "runtime/capture.h"
#include "runtime/memory.h"

/* Linux, Documentation/arch/x86/x86_64/mm.rst; the same with 5 levels. */
#define IMAGE_FIRST 0xffffffff80000000ull
#define MODULES_FIRST 0xffffffffc0000000ull
#define MODULES_END 0xffffffffff000000ull

#define JIT_PAGES_MIN 512 /* BPF's packs are of 2 MiB */
#define TRAP 0xcc /* what fills the unused part of a pack */

typedef struct {
    VsmCapture *capture;
    guint64 pages; /* collected so far */
    bool truncated;
    guint run; /* sealed run that the walk has reached */
} Collecting;

static bool is_read_only(const VsmLeaf *leaf)
{
    return !(leaf->perms & (VSM_PERM_WRITE | VSM_PERM_EXEC));
}

static guint64 leaf_end(const VsmLeaf *leaf)
{
    return leaf->va + (leaf->bytes - 1);
}

static guint64 run_end(const VsmScopeRun *run)
{
    return run->va + ((guint64)run->pages * VSM_PAGE_BYTES - 1);
}

/* Adds the part of @leaf from @first to @last, both inclusive. */
static void
collect(Collecting *to, const VsmLeaf *leaf, guint64 first, guint64 last)
{
    VsmLeaf part = {first, leaf->pa + (first - leaf->va), last - first + 1,
                    leaf->perms};

    to->pages += part.bytes / VSM_PAGE_BYTES;
    if (to->pages > VSM_SCOPE_PAGES_MAX) {
        to->pages -= part.bytes / VSM_PAGE_BYTES;
        to->truncated = true;
        return;
    }
    g_array_append_val(to->capture->leaves, part);
}

/* Leaves come ascending, and so do sealed runs. */
static void collect_sealed(Collecting *to, const VsmLeaf *leaf)
{
    const VsmScope *sealed = to->capture->sealed;
    guint64 at = leaf->va, end = leaf_end(leaf);

    while (to->run < sealed->runs->len) {
        const VsmScopeRun *run = vsm_scope_run(sealed, to->run);
        guint64 last;

        if (run->scope_class == VSM_CLASS_FIRMWARE || run->va > end) {
            break;
        }
        if (run_end(run) < at) {
            to->run++;
            continue;
        }
        if (run->va > at && (leaf->perms & VSM_PERM_EXEC)) {
            collect(to, leaf, at, run->va - 1);
        }
        last = MIN(end, run_end(run));
        collect(to, leaf, MAX(at, run->va), last);
        if (last == end) {
            return;
        }
        at = last + 1;
    }
    if (leaf->perms & VSM_PERM_EXEC) {
        collect(to, leaf, at, end);
    }
}

static void collect_leaf(gpointer opaque, const VsmLeaf *leaf)
{
    Collecting *to = opaque;

    to->capture->stats.leaves++;
    if (to->capture->sealed) {
        collect_sealed(to, leaf);
    } else if ((leaf->perms & VSM_PERM_EXEC) ||
               (is_read_only(leaf) && leaf->va >= IMAGE_FIRST &&
                leaf->va < MODULES_END)) {
        collect(to, leaf, leaf->va, leaf_end(leaf));
    }
}

static void add_fact(gpointer opaque, VsmFactKind kind, guint64 va, guint64 pa)
{
    Collecting *to = opaque;
    VsmFact fact = {
        .va = va, .pa = pa, .kind = kind, .scope_class = VSM_CLASS_EXEC};

    vsm_scope_add_fact(to->capture->scope, &fact);
}

static void collect_repeat(gpointer opaque, guint64 va, guint64 pa)
{
    add_fact(opaque, VSM_FACT_NEW_EXEC, va, pa);
}

/* Supervisor pages that can be executed, in a process's own half. */
static void collect_low(gpointer opaque, const VsmLeaf *leaf)
{
    if ((leaf->perms & VSM_PERM_EXEC) && !(leaf->perms & VSM_PERM_USER)) {
        add_fact(opaque, VSM_FACT_NEW_EXEC, leaf->va, leaf->pa);
    }
}

static void walk_low_halves(Collecting *to, VsmWalk *walk)
{
    const GArray *cr3s = to->capture->cr3s;

    for (guint i = 0; i < cr3s->len; i++) {
        const VsmLoadedRoot *loaded = &g_array_index(cr3s, VsmLoadedRoot, i);

        vsm_walk_range(walk, loaded->kernel, 0, VSM_KERNEL_HALF - 1);
        if (loaded->user) {
            vsm_walk_range(walk, loaded->user, 0, VSM_KERNEL_HALF - 1);
        }
    }
}

static void walk_all(VsmCapture *capture)
{
    Collecting to = {capture, 0, false, 0};
    g_autoptr(VsmWalk) kernel =
        vsm_walk_new(&capture->paging, collect_leaf, collect_repeat, &to);
    g_autoptr(VsmWalk) low =
        vsm_walk_new(&capture->paging, collect_low, NULL, &to);

    vsm_walk_range(kernel, capture->root, VSM_KERNEL_HALF,
                   VSM_TABLE_ENTRIES - 1);
    walk_low_halves(&to, low);
    if (to.truncated || vsm_walk_is_truncated(kernel) ||
        vsm_walk_is_truncated(low)) {
        vsm_capture_truncated(capture, VSM_CLASS_EXEC);
    }
    capture->stats.table_pages +=
        vsm_walk_tables(kernel) + vsm_walk_tables(low);
}

/* Leaves of one class, side by side in the virtual address space. */
typedef struct {
    guint first, n; /* leaves */
    guint64 va, pages;
    guint8 perms;
} Stretch;

static GArray *find_stretches(const GArray *leaves)
{
    GArray *stretches = g_array_new(FALSE, FALSE, sizeof(Stretch));
    Stretch *last = NULL;

    for (guint i = 0; i < leaves->len; i++) {
        const VsmLeaf *leaf = &g_array_index(leaves, VsmLeaf, i);
        Stretch next = {i, 1, leaf->va, leaf->bytes / VSM_PAGE_BYTES,
                        leaf->perms};

        if (last && last->perms == leaf->perms &&
            last->va + last->pages * VSM_PAGE_BYTES == leaf->va) {
            last->n++;
            last->pages += next.pages;
            continue;
        }
        g_array_append_val(stretches, next);
        last = &g_array_index(stretches, Stretch, stretches->len - 1);
    }
    return stretches;
}

static bool is_image(const Stretch *stretch)
{
    return stretch->va >= IMAGE_FIRST && stretch->va < MODULES_FIRST &&
           !(stretch->perms & VSM_PERM_USER);
}

/* The largest one of the kernel's image, executable or read-only. */
static const Stretch *largest(const GArray *stretches, guint8 perms)
{
    const Stretch *best = NULL;

    for (guint i = 0; i < stretches->len; i++) {
        const Stretch *stretch = &g_array_index(stretches, Stretch, i);

        if (is_image(stretch) && stretch->perms == perms &&
            (!best || stretch->pages > best->pages)) {
            best = stretch;
        }
    }
    return best;
}

/* Whether half or more of it is filled with traps. */
static bool is_jit(const VsmCapture *capture, const Stretch *stretch)
{
    guint64 traps = 0;

    if (stretch->pages < JIT_PAGES_MIN) {
        return false;
    }
    for (guint i = 0; i < stretch->n; i++) {
        const VsmLeaf *leaf =
            &g_array_index(capture->leaves, VsmLeaf, stretch->first + i);

        for (guint64 at = 0; at < leaf->bytes; at += VSM_PAGE_BYTES) {
            const guint8 *page = vsm_memory_page(capture->guest, leaf->pa + at);

            for (guint b = 0; page && b < VSM_PAGE_BYTES; b++) {
                traps += page[b] == TRAP;
            }
        }
    }
    return traps >= stretch->pages * (VSM_PAGE_BYTES / 2);
}

static guint8 choose_class(const VsmCapture *capture,
                           const Stretch *stretch,
                           const Stretch *text,
                           const Stretch *rodata)
{
    bool modules = stretch->va >= MODULES_FIRST && stretch->va < MODULES_END;

    if (stretch == text) {
        return VSM_CLASS_TEXT;
    }
    if (stretch == rodata) {
        return VSM_CLASS_RODATA;
    }
    if (!(stretch->perms & VSM_PERM_EXEC)) {
        return modules ? VSM_CLASS_MODULE_RO : 0;
    }
    if (is_jit(capture, stretch)) {
        return VSM_CLASS_JIT;
    }
    return modules ? VSM_CLASS_MODULE_TEXT : VSM_CLASS_EXEC;
}

/* Appends a leaf, or grows the run before it. */
static void
add_run(GArray *runs, const VsmLeaf *leaf, guint8 class, guint8 flag)
{
    VsmScopeRun next = {.va = leaf->va,
                        .pa = leaf->pa,
                        .pages = leaf->bytes / VSM_PAGE_BYTES,
                        .scope_class = class,
                        .perms = leaf->perms | flag};
    VsmScopeRun *last =
        runs->len ? &g_array_index(runs, VsmScopeRun, runs->len - 1) : NULL;
    guint64 bytes = last ? (guint64)last->pages * VSM_PAGE_BYTES : 0;

    if (last && last->scope_class == class && last->perms == next.perms &&
        last->va + bytes == next.va && last->pa + bytes == next.pa) {
        last->pages += next.pages;
    } else {
        g_array_append_val(runs, next);
    }
}

static void
add_stretch(VsmCapture *capture, const Stretch *stretch, guint8 class)
{
    for (guint i = 0; i < stretch->n; i++) {
        add_run(capture->scope->runs,
                &g_array_index(capture->leaves, VsmLeaf, stretch->first + i),
                class, VSM_RUN_HASHED);
    }
}

static bool unready(char **ret_reason, const char *why)
{
    *ret_reason = g_strconcat("the guest is not ready: ", why, NULL);
    return false;
}

static bool seal_classes(VsmCapture *capture, char **ret_reason)
{
    g_autoptr(GArray) stretches = find_stretches(capture->leaves);
    const Stretch *text = largest(stretches, VSM_PERM_EXEC);
    const Stretch *rodata = largest(stretches, 0);

    for (guint i = 0; i < stretches->len; i++) {
        const Stretch *stretch = &g_array_index(stretches, Stretch, i);

        if ((stretch->perms & VSM_PERM_WRITE)) {
            return unready(ret_reason, "its kernel has pages that are writable "
                                       "and executable");
        }
    }
    if (!text || !rodata) {
        return unready(ret_reason, text ? "its kernel has no read-only data yet"
                                        : "no kernel text is mapped");
    }
    for (guint i = 0; i < stretches->len; i++) {
        const Stretch *stretch = &g_array_index(stretches, Stretch, i);
        guint8 class = choose_class(capture, stretch, text, rodata);

        if (class) {
            add_stretch(capture, stretch, class);
        }
    }
    return true;
}

/* Each collected piece lies in one sealed run, or in none. */
static void measure_classes(VsmCapture *capture)
{
    for (guint i = 0; i < capture->leaves->len; i++) {
        const VsmLeaf *leaf = &g_array_index(capture->leaves, VsmLeaf, i);
        const VsmScopeRun *run = vsm_scope_find_run(capture->sealed, leaf->va);

        if (run) {
            add_run(capture->scope->runs, leaf, run->scope_class,
                    VSM_RUN_HASHED);
        } else {
            add_run(capture->scope->runs, leaf, VSM_CLASS_EXEC, 0);
        }
    }
}

bool vsm_capture_classes(VsmCapture *capture, char **ret_reason)
{
    walk_all(capture);
    if (!capture->sealed) {
        return seal_classes(capture, ret_reason);
    }
    measure_classes(capture);
    return true;
}

bool vsm_capture_firmware(VsmCapture *capture, GError **error)
{
    guint64 pages = 0;

    for (guint i = 0; i < capture->guest->n_memory; i++) {
        const VsmGuestMemory *piece = &capture->guest->memory[i];
        VsmLeaf leaf = {piece->address, piece->address, piece->bytes, 0};

        if (!piece->rom) {
            continue;
        }
        pages += piece->bytes / VSM_PAGE_BYTES;
        if (pages > VSM_SCOPE_PAGES_MAX) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                        "runtime scope: the firmware has more than %u pages",
                        VSM_SCOPE_PAGES_MAX);
            return false;
        }
        add_run(capture->scope->runs, &leaf, VSM_CLASS_FIRMWARE,
                VSM_RUN_HASHED);
    }
    return true;
}
