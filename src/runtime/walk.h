/*
 * x86 page tables, 4 and 5 levels: what they map, with effective permissions.
 *
 * Intel SDM volume 3, section 5.5; AMD APM volume 2, section 5.3.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/runtime.h>

/* Effective: W and U anded, NX ored down the levels. */
#define VSM_PERM_WRITE 1
#define VSM_PERM_EXEC 2
#define VSM_PERM_USER 4

#define VSM_TABLE_ENTRIES 512
#define VSM_KERNEL_HALF 256 /* first entry of the upper half of a root */

/* One mapping: of 4 KiB, 2 MiB or 1 GiB. */
typedef struct {
    guint64 va, pa, bytes;
    guint8 perms;
} VsmLeaf;

/*
 * What one capture may do with tables: entries that it visits, and other steps
 * of that size.  A hostile guest uses it up, and then there is no match.
 */
typedef struct {
    guint64 used, max;
} VsmBudget;

/* false: it is used up, and stays so. */
static inline bool vsm_budget_take(VsmBudget *budget, guint64 steps)
{
    if (budget->max - budget->used < steps) {
        budget->used = budget->max;
        return false;
    }
    budget->used += steps;
    return true;
}

static inline bool vsm_budget_is_spent(const VsmBudget *budget)
{
    return budget->used == budget->max;
}

/* How a guest's tables are to be read. */
typedef struct {
    const VsmGuest *guest;
    VsmBudget *budget; /* borrowed; of all that is read with this */
    guint levels; /* 4 or 5 */
    bool nx; /* EFER.NXE: else bit 63 is reserved */
} VsmPaging;

typedef struct _VsmWalk VsmWalk;

/* Ascending by address within one vsm_walk_range(). */
typedef void (*VsmLeafFunc)(gpointer opaque, const VsmLeaf *leaf);

/*
 * A table that is mapped again, at the same level and with the same
 * permissions, is not entered again; when executable pages are below it, this
 * is called instead.
 */
typedef void (*VsmRepeatFunc)(gpointer opaque, guint64 va, guint64 pa);

/**
 * vsm_walk_new:
 * @paging: copied
 * @repeat: (nullable)
 *
 * One limit of tables for all that is walked with it, beside @paging's budget:
 * no more than the guest has pages, and VSM_WALK_TABLES_MAX.
 */
VsmWalk *vsm_walk_new(const VsmPaging *paging,
                      VsmLeafFunc leaf,
                      VsmRepeatFunc repeat,
                      gpointer opaque);

/*
 * From now on tables are entered each time that they are met: for a question
 * whose answer depends on the address.  The budget alone bounds the walk.
 */
void vsm_walk_enter_each(VsmWalk *walk);

/*
 * Below entries @first to @last of the table at @root; nothing if that is not
 * in memory, which its caller finds out.
 */
void vsm_walk_range(VsmWalk *walk, guint64 root, guint first, guint last);
guint vsm_walk_tables(const VsmWalk *walk); /* entered so far */

/* Something was not seen: a budget was used up, or a table is not in memory. */
bool vsm_walk_is_truncated(const VsmWalk *walk);
void vsm_walk_free(VsmWalk *walk);

/*
 * Where @va is mapped by the table at @root; @ret covers it.  False too when
 * the budget is used up.
 */
bool vsm_walk_find(const VsmPaging *paging,
                   guint64 root,
                   guint64 va,
                   VsmLeaf *ret);

/* Bytes at @va, which may lie in two pages; false: not all are mapped RAM. */
bool vsm_walk_read(
    const VsmPaging *paging, guint64 root, guint64 va, void *out, guint bytes);

/* The virtual address where entry @index of a root begins. */
guint64 vsm_walk_entry_va(const VsmPaging *paging, guint index);

/* Frame of a present entry of a table. */
guint64 vsm_walk_entry_pa(guint64 entry);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmWalk, vsm_walk_free)
