/*
 * x86 page tables, 4 and 5 levels: what they map, with effective permissions.
 *
 * A hostile guest builds tables that contain themselves, or a million of them:
 * each is entered once at each level and with each set of permissions, unless
 * the walk's question depends on the address; and all count against a budget.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "runtime/walk.h"

#include <string.h>

#include "base/limits.h"
#include "runtime/memory.h"

#define ENTRY_PRESENT 1ull
#define ENTRY_WRITE 2ull
#define ENTRY_USER 4ull
#define ENTRY_LARGE 0x80ull
#define ENTRY_NX (1ull << 63)
#define ENTRY_ADDRESS 0x000ffffffffff000ull
#define ALL_PERMS (VSM_PERM_WRITE | VSM_PERM_EXEC | VSM_PERM_USER)

struct _VsmWalk {
    VsmPaging paging;
    VsmLeafFunc leaf;
    VsmRepeatFunc repeat;
    gpointer opaque;
    GHashTable *visited; /* table, level, permissions → 1, or 2: executable */
    guint tables, tables_max;
    bool each; /* nothing is remembered as visited */
    bool truncated;
};

/* The keys of the set are numbers of 64 bits. */
G_STATIC_ASSERT(sizeof(gpointer) == sizeof(guint64));

static guint level_shift(guint level)
{
    return 12 + 9 * (level - 1);
}

static guint64 sign_extend(const VsmPaging *paging, guint64 va)
{
    guint bits = level_shift(paging->levels) + 9;

    return va >> (bits - 1) & 1 ? va | ~0ull << bits : va;
}

guint64 vsm_walk_entry_va(const VsmPaging *paging, guint index)
{
    return sign_extend(paging, (guint64)index << level_shift(paging->levels));
}

guint64 vsm_walk_entry_pa(guint64 entry)
{
    return entry & ENTRY_ADDRESS;
}

/* An entry with a reserved bit set maps nothing: the CPU faults on it. */
static bool is_reserved(const VsmPaging *paging, guint64 entry, guint level)
{
    guint64 low = 0;

    if ((entry & ENTRY_ADDRESS) >> paging->guest->phys_bits) {
        return true;
    }
    if ((entry & ENTRY_NX) && !paging->nx) {
        return true;
    }
    if (!(entry & ENTRY_LARGE) || level == 1) {
        return false;
    }
    /* bit 12 of a large page is its PAT bit */
    low = ((1ull << level_shift(level)) - 1) & ENTRY_ADDRESS & ~0x1000ull;
    return level > 3 || (entry & low);
}

/* What one entry adds: false if it maps nothing. */
static bool decode(const VsmPaging *paging,
                   guint64 entry,
                   guint level,
                   guint8 *perms,
                   bool *ret_leaf,
                   guint64 *ret_pa)
{
    guint8 here = VSM_PERM_EXEC;

    if (!(entry & ENTRY_PRESENT) || is_reserved(paging, entry, level)) {
        return false;
    }
    if (entry & ENTRY_WRITE) {
        here |= VSM_PERM_WRITE;
    }
    if (entry & ENTRY_USER) {
        here |= VSM_PERM_USER;
    }
    if (entry & ENTRY_NX) {
        here &= ~VSM_PERM_EXEC;
    }
    *perms &= here;
    *ret_leaf = level == 1 || (entry & ENTRY_LARGE);
    *ret_pa = entry & ENTRY_ADDRESS;
    if (*ret_leaf) {
        *ret_pa &= ~((1ull << level_shift(level)) - 1);
    }
    return true;
}

VsmWalk *vsm_walk_new(const VsmPaging *paging,
                      VsmLeafFunc leaf,
                      VsmRepeatFunc repeat,
                      gpointer opaque)
{
    VsmWalk *walk = g_new0(VsmWalk, 1);

    walk->paging = *paging;
    walk->leaf = leaf;
    walk->repeat = repeat;
    walk->opaque = opaque;
    walk->visited = g_hash_table_new(NULL, NULL);
    walk->tables_max =
        MIN(vsm_memory_pages(paging->guest), VSM_WALK_TABLES_MAX);
    return walk;
}

/* Low bits of a table's address are free for what else tells visits apart. */
static gpointer visit_key(guint64 pa, guint level, guint8 perms)
{
    return GSIZE_TO_POINTER(pa | level << 4 | perms);
}

static bool
walk_table(VsmWalk *walk, guint64 pa, guint level, guint64 va, guint8 perms);

/* Whether something executable is mapped by this entry. */
static bool
walk_entry(VsmWalk *walk, guint64 entry, guint level, guint64 va, guint8 perms)
{
    bool is_leaf;
    guint64 pa;

    if (!decode(&walk->paging, entry, level, &perms, &is_leaf, &pa)) {
        return false;
    }
    if (is_leaf) {
        VsmLeaf leaf = {va, pa, 1ull << level_shift(level), perms};

        walk->leaf(walk->opaque, &leaf);
        return perms & VSM_PERM_EXEC;
    }
    return walk_table(walk, pa, level - 1, va, perms);
}

/* The table's page, if it may be entered. */
static const guint8 *enter(VsmWalk *walk, guint64 pa)
{
    const guint8 *page = vsm_memory_page(walk->paging.guest, pa);

    /* The CPU would read a table from a device, too. */
    if (!page || walk->tables >= walk->tables_max ||
        !vsm_budget_take(walk->paging.budget, VSM_TABLE_ENTRIES)) {
        walk->truncated = true;
        return NULL;
    }
    walk->tables++;
    return page;
}

static bool
walk_table(VsmWalk *walk, guint64 pa, guint level, guint64 va, guint8 perms)
{
    gpointer key = visit_key(pa, level, perms);
    const guint8 *page;
    guint before;
    bool executable = false;

    before = GPOINTER_TO_UINT(g_hash_table_lookup(walk->visited, key));
    if (before && !walk->each) {
        if (before == 2 && walk->repeat) {
            walk->repeat(walk->opaque, va, pa);
        }
        return before == 2;
    }
    page = enter(walk, pa);
    if (!page) {
        return false;
    }
    g_hash_table_insert(walk->visited, key, GUINT_TO_POINTER(1));
    for (guint i = 0; i < VSM_TABLE_ENTRIES; i++) {
        executable |=
            walk_entry(walk, vsm_memory_u64(page, i), level,
                       va + ((guint64)i << level_shift(level)), perms);
    }
    if (executable) {
        g_hash_table_insert(walk->visited, key, GUINT_TO_POINTER(2));
    }
    return executable;
}

void vsm_walk_enter_each(VsmWalk *walk)
{
    walk->each = true;
}

void vsm_walk_range(VsmWalk *walk, guint64 root, guint first, guint last)
{
    const guint8 *page = vsm_memory_page(walk->paging.guest, root);
    guint level = walk->paging.levels;

    if (!page) {
        return;
    }
    if (!vsm_budget_take(walk->paging.budget, last - first + 1)) {
        walk->truncated = true;
        return;
    }
    walk->tables++;
    for (guint i = first; i <= last && i < VSM_TABLE_ENTRIES; i++) {
        walk_entry(walk, vsm_memory_u64(page, i), level,
                   vsm_walk_entry_va(&walk->paging, i), ALL_PERMS);
    }
}

guint vsm_walk_tables(const VsmWalk *walk)
{
    return walk->tables;
}

bool vsm_walk_is_truncated(const VsmWalk *walk)
{
    return walk->truncated;
}

void vsm_walk_free(VsmWalk *walk)
{
    if (walk) {
        g_hash_table_unref(walk->visited);
        g_free(walk);
    }
}

bool vsm_walk_find(const VsmPaging *paging,
                   guint64 root,
                   guint64 va,
                   VsmLeaf *ret)
{
    guint8 perms = ALL_PERMS;
    guint64 pa = root;

    if (sign_extend(paging, va) != va ||
        !vsm_budget_take(paging->budget, paging->levels)) {
        return false;
    }
    for (guint level = paging->levels; level > 0; level--) {
        const guint8 *page = vsm_memory_page(paging->guest, pa);
        guint index = va >> level_shift(level) & (VSM_TABLE_ENTRIES - 1);
        bool is_leaf;

        if (!page || !decode(paging, vsm_memory_u64(page, index), level, &perms,
                             &is_leaf, &pa)) {
            return false;
        }
        if (is_leaf) {
            guint64 bytes = 1ull << level_shift(level);

            *ret = (VsmLeaf){va & ~(bytes - 1), pa, bytes, perms};
            return true;
        }
    }
    return false;
}

bool vsm_walk_read(
    const VsmPaging *paging, guint64 root, guint64 va, void *out, guint bytes)
{
    guint8 *to = out;

    while (bytes) {
        guint offset = va % VSM_PAGE_BYTES;
        guint n = MIN(bytes, VSM_PAGE_BYTES - offset);
        const guint8 *page;
        VsmLeaf leaf;

        if (!vsm_walk_find(paging, root, va, &leaf)) {
            return false;
        }
        page = vsm_memory_page(paging->guest, leaf.pa + (va - leaf.va));
        if (!page) {
            return false;
        }
        memcpy(to, page + offset, n);
        to += n;
        va += n;
        bytes -= n;
    }
    return true;
}
