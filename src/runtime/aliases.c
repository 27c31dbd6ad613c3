/*
 * Writable mappings of sealed frames, other than where they are sealed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "runtime/capture.h"

typedef struct {
    VsmCapture *capture;
    bool low; /* in a process's own half */
} Looking;

static int by_first(gconstpointer a, gconstpointer b)
{
    const VsmFrames *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

static void add_frames(GArray *frames, const VsmScope *scope)
{
    for (guint i = 0; scope && i < scope->runs->len; i++) {
        const VsmScopeRun *run = vsm_scope_run(scope, i);
        VsmFrames next = {run->pa,
                          run->pa + (guint64)run->pages * VSM_PAGE_BYTES - 1};

        if (run->perms & VSM_RUN_HASHED &&
            run->scope_class != VSM_CLASS_FIRMWARE) {
            g_array_append_val(frames, next);
        }
    }
}

void vsm_capture_frames(VsmCapture *capture)
{
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(VsmFrames));
    GArray *frames = capture->frames;

    add_frames(all, capture->scope);
    add_frames(all, capture->sealed);
    g_array_sort(all, by_first);
    for (guint i = 0; i < all->len; i++) {
        const VsmFrames *next = &g_array_index(all, VsmFrames, i);
        VsmFrames *last =
            frames->len ? &g_array_index(frames, VsmFrames, frames->len - 1)
                        : NULL;

        if (last && next->first <= last->last + 1) {
            last->last = MAX(last->last, next->last);
        } else {
            g_array_append_val(frames, *next);
        }
    }
}

static guint first_above(const GArray *frames, guint64 pa)
{
    guint low = 0, high = frames->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (g_array_index(frames, VsmFrames, middle).last < pa) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Mapped writable where it is sealed: the comparison of runs says so. */
static bool is_own_mapping(const VsmCapture *capture, guint64 va, guint64 pa)
{
    const VsmScopeRun *run = vsm_scope_find_run(capture->scope, va);

    return run && run->perms & VSM_RUN_HASHED && run->pa + (va - run->va) == pa;
}

static void add_alias(const Looking *looking,
                      const VsmLeaf *leaf,
                      guint64 first,
                      guint64 last)
{
    VsmScope *scope = looking->capture->scope;
    VsmFact *before = scope->facts->len ? &g_array_index(scope->facts, VsmFact,
                                                         scope->facts->len - 1)
                                        : NULL;
    VsmFact fact = {.va = leaf->va + (first - leaf->pa),
                    .bytes = last - first + 1,
                    .pa = first,
                    .value = leaf->perms,
                    .kind = VSM_FACT_WRITABLE_ALIAS,
                    .scope_class = VSM_CLASS_ALIAS};

    if (is_own_mapping(looking->capture, fact.va, fact.pa)) {
        return;
    }
    /* The kernel patches its text through a mapping of its own, for a moment,
     * in the low half of a root for that purpose. */
    if (looking->low && !(leaf->perms & VSM_PERM_USER)) {
        fact.kind = VSM_FACT_IN_FLIGHT;
    }
    if (before && before->kind == fact.kind && before->value == fact.value &&
        before->va + before->bytes == fact.va &&
        before->pa + before->bytes == fact.pa) {
        before->bytes += fact.bytes;
        return;
    }
    vsm_scope_add_fact(scope, &fact);
}

static void look_at_leaf(gpointer opaque, const VsmLeaf *leaf)
{
    const Looking *looking = opaque;
    const GArray *all = looking->capture->frames;
    guint64 end = leaf->pa + (leaf->bytes - 1);

    if (!(leaf->perms & VSM_PERM_WRITE)) {
        return;
    }
    for (guint i = first_above(all, leaf->pa); i < all->len; i++) {
        const VsmFrames *frames = &g_array_index(all, VsmFrames, i);

        if (frames->first > end ||
            !vsm_budget_take(&looking->capture->budget, 1)) {
            break;
        }
        add_alias(looking, leaf, MAX(frames->first, leaf->pa),
                  MIN(frames->last, end));
    }
}

void vsm_capture_alias_leaf(VsmCapture *capture, const VsmLeaf *leaf)
{
    Looking looking = {capture, false};

    look_at_leaf(&looking, leaf);
}

void vsm_capture_aliases(VsmCapture *capture)
{
    Looking looking = {capture, false};
    g_autoptr(VsmWalk) kernel =
        vsm_walk_new(&capture->paging, look_at_leaf, NULL, &looking);
    g_autoptr(VsmWalk) low =
        vsm_walk_new(&capture->paging, look_at_leaf, NULL, &looking);

    vsm_walk_range(kernel, capture->root, VSM_KERNEL_HALF,
                   VSM_TABLE_ENTRIES - 1);
    looking.low = true;
    for (guint i = 0; i < capture->cr3s->len; i++) {
        const VsmLoadedRoot *loaded =
            &g_array_index(capture->cr3s, VsmLoadedRoot, i);

        vsm_walk_range(low, loaded->kernel, 0, VSM_KERNEL_HALF - 1);
        if (loaded->user) {
            vsm_walk_range(low, loaded->user, 0, VSM_KERNEL_HALF - 1);
        }
    }
    if (vsm_walk_is_truncated(kernel) || vsm_walk_is_truncated(low)) {
        vsm_capture_truncated(capture, VSM_CLASS_ALIAS);
    }
    capture->stats.table_pages +=
        vsm_walk_tables(kernel) + vsm_walk_tables(low);
}
