/*
 * The scope document as it is in memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "runtime/walk.h"

typedef enum {
    VSM_CLASS_CPU = 1,
    VSM_CLASS_TEXT = 2,
    VSM_CLASS_RODATA = 3,
    VSM_CLASS_MODULE_TEXT = 4,
    VSM_CLASS_MODULE_RO = 5,
    VSM_CLASS_TABLES = 6,
    VSM_CLASS_JIT = 7,
    VSM_CLASS_EXEC = 8,
    VSM_CLASS_ALIAS = 9,
    VSM_CLASS_ROOTS = 10,
    VSM_CLASS_FIRMWARE = 11,
} VsmScopeClass;

const char *vsm_scope_class_name(guint8 scope_class); /* static */

/* Flag beside the permissions of a run: its pages have digests. */
#define VSM_RUN_HASHED 0x80

/* Pages side by side, in both address spaces; "(ttuyy)". */
typedef struct {
    guint64 va, pa; /* class firmware: va is the physical address too */
    guint32 pages;
    guint8 scope_class, perms;
    guint16 zero;
} VsmScopeRun;

#define VSM_WITNESS_BRANCH 1 /* the entry's branch bit: on when key is off */
#define VSM_WITNESS_LONG 2 /* 5 bytes; else 2 */
#define VSM_WITNESS_FIXED 4 /* the key is in read-only memory */

/* A jump-label site that sealed read-only memory proves; "(tttu)". */
typedef struct {
    guint64 va, target, key;
    guint32 flags;
    guint32 zero;
} VsmWitness;

typedef enum {
    VSM_SITE_NOP = 0,
    VSM_SITE_JUMP = 1,
    VSM_SITE_IN_FLIGHT = 2, /* an 0xCC stands there, or its key is in change */
    VSM_SITE_OTHER = 3, /* neither: its bytes count */
    VSM_SITE_FORM = 3, /* mask of the above */
    VSM_SITE_INCONSISTENT = 4, /* flag: its key says otherwise */
} VsmSiteState;

/*
 * Something that is a finding by itself, unless the sealed scope has it too;
 * "(ttttuyy)".
 */
typedef struct {
    guint64 va, bytes, pa, value;
    guint32 vcpu; /* index plus 1 */
    guint8 kind, scope_class; /* VsmFactKind, VsmScopeClass */
    guint16 zero;
} VsmFact;

typedef enum {
    VSM_FACT_WRITABLE_ALIAS = 1,
    VSM_FACT_FOREIGN_ROOT = 2,
    VSM_FACT_NEW_EXEC = 3, /* outside of the kernel half of the main root */
    VSM_FACT_TABLE_ENTRY = 4, /* a gate or DPL 0 where users' entries are */
    VSM_FACT_NESTED = 5,
    VSM_FACT_SMM = 6,
    VSM_FACT_IN_FLIGHT = 7, /* the kernel's own writable alias of a patch */
    VSM_FACT_TRUNCATED = 8, /* a limit was reached: not all was seen */
    VSM_FACT_A20 = 9, /* bit 20 of physical addresses is masked */
} VsmFactKind;

const char *vsm_fact_kind_name(guint8 kind); /* VSM_KIND_*; NULL: unknown */

typedef enum {
    VSM_TABLE_IDT = 1,
    VSM_TABLE_GDT = 2,
    VSM_TABLE_TSS = 3,
} VsmTableKind;

/* A descriptor table, what users change in it set to zero. */
typedef struct {
    guint8 kind; /* VsmTableKind */
    guint32 vcpu; /* index plus 1 of the first that has it */
    guint64 va;
    GBytes *bytes;
} VsmScopeTable;

void vsm_scope_table_free(VsmScopeTable *table);

typedef struct {
    guint32 levels; /* 4 or 5 */
    GArray *registers; /* of guint64: VSM_SCOPE_REGISTERS of each vCPU */
    GByteArray *parked; /* 1 for each vCPU that waits to be started */
    GPtrArray *tables; /* of VsmScopeTable */
    GArray *root; /* of guint64: upper half of the main root, or empty */
    GArray *runs; /* of VsmScopeRun, firmware last, ascending */
    GArray *digests; /* of VsmDigest: pages of the hashed runs, in order */
    GArray *witnesses; /* of VsmWitness, ascending */
    GByteArray *states; /* VsmSiteState of each witness */
    GArray *facts; /* of VsmFact, sorted */
    guint64 facts_left_out;
} VsmScope;

VsmScope *vsm_scope_new(void);
void vsm_scope_free(VsmScope *scope);

/* LIMIT. */
GBytes *vsm_scope_encode(const VsmScope *scope, GError **error);

/* FORMAT, LIMIT: every index and size inside was checked. */
VsmScope *vsm_scope_decode(GBytes *bytes, GError **error);

static inline const VsmScopeRun *vsm_scope_run(const VsmScope *scope, guint i)
{
    return &g_array_index(scope->runs, VsmScopeRun, i);
}

static inline const VsmWitness *vsm_scope_witness(const VsmScope *scope,
                                                  guint i)
{
    return &g_array_index(scope->witnesses, VsmWitness, i);
}

/* Order of runs: by address, firmware last. */
int vsm_scope_run_order(const VsmScopeRun *a, const VsmScopeRun *b);

/* The run of mapped pages that holds @va; NULL: none. */
const VsmScopeRun *vsm_scope_find_run(const VsmScope *scope, guint64 va);

/* Counts what no longer fits. */
void vsm_scope_add_fact(VsmScope *scope, const VsmFact *fact);

/* registers.c: names of the sealed registers, in the document's order. */
#define VSM_SCOPE_REGISTERS 20u
const char *vsm_scope_register_name(guint index); /* static */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmScope, vsm_scope_free)
