/*
 * The steps of a capture, which scope.c runs in order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/pool.h"
#include "runtime/scope.h"

typedef struct {
    const VsmGuest *guest;
    VsmPool *pool;
    const VsmScope *sealed; /* NULL: this scope will be sealed */
    VsmScope *scope; /* in the making */
    VsmPaging paging;
    guint64 root; /* of the kernel, as the first running vCPU has it; may lie
                     where no memory is, as it does if none runs */
    GArray *cr3s; /* of VsmLoadedRoot, one for each vCPU that runs */
    GArray *leaves; /* of VsmLeaf: what classes.c looks at */
    GArray *frames; /* of VsmFrames: all that is sealed, ascending, disjoint */
    VsmWalk *slots; /* below the LDT slots of all roots */
    guint slot_vcpu; /* whose root it is at; 0: one in memory */
    VsmBudget budget; /* of all walks and look-ups */
    VsmScopeStats stats;
} VsmCapture;

/* What a vCPU's CR3 stands for. */
typedef struct {
    guint vcpu; /* index plus 1 */
    guint64 kernel; /* root with the kernel's mappings */
    guint64 user; /* root of KPTI that is loaded now; 0: none */
} VsmLoadedRoot;

/*
 * The root slot where Linux maps a process's LDT under KPTI, in both paging
 * modes: the one entry of the upper half that processes differ in.
 */
#define VSM_LDT_SLOT 272

/* registers.c */
void vsm_capture_registers(VsmCapture *capture);
void vsm_capture_tables(VsmCapture *capture);

/*
 * roots.c: finds the kernel's root.  No vCPU has paging: to be sealed, false
 * with @ret_reason; with a sealed scope none, and the scope's root is empty.
 */
bool vsm_capture_find_root(VsmCapture *capture, char **ret_reason);
void vsm_capture_loaded_roots(VsmCapture *capture); /* after the frames */

/* What was not seen because a limit was reached, of @scope_class. */
void vsm_capture_truncated(VsmCapture *capture, VsmScopeClass scope_class);

/* The last step: of the budget, and of what lies below the LDT slots. */
void vsm_capture_check_budget(VsmCapture *capture);

/* census.c: all roots in memory; CRYPTO never, the pool's errors. */
bool vsm_capture_census(VsmCapture *capture, GError **error);

/* roots.c: compares one root with the main one. */
void vsm_capture_compare_root(VsmCapture *capture, guint64 root, guint vcpu);

/* classes.c: walks the kernel's half; sealing: false with a reason. */
bool vsm_capture_classes(VsmCapture *capture, char **ret_reason);
bool vsm_capture_firmware(VsmCapture *capture, GError **error);

/* Frames from @first to @last, both inclusive, in bytes. */
typedef struct {
    guint64 first, last;
} VsmFrames;

/* aliases.c: writable mappings of sealed frames. */
void vsm_capture_frames(VsmCapture *capture); /* after classes and firmware */
void vsm_capture_aliases(VsmCapture *capture);

/* The same of one mapping beside the kernel's half of the main root. */
void vsm_capture_alias_leaf(VsmCapture *capture, const VsmLeaf *leaf);

/* witness.c */
void vsm_capture_witnesses(VsmCapture *capture);

/* pages.c: digests of all hashed runs. */
bool vsm_capture_pages(VsmCapture *capture, GError **error);

/* The bytes at @va as the captured runs map it; false: not mapped there. */
bool vsm_capture_read(const VsmCapture *capture,
                      guint64 va,
                      void *out,
                      guint bytes);
