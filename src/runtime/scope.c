/*
 * Capture: registers and memory of a stopped VM in, a scope document out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "runtime/capture.h"
#include "runtime/memory.h"

#define CR0_WP (1ull << 16)
#define CR0_PG (1ull << 31)

static bool unready(char **ret_reason, guint vcpu, const char *why)
{
    *ret_reason =
        g_strdup_printf("the guest is not ready: vCPU %u %s", vcpu, why);
    return false;
}

/* What must hold of the registers of a guest that is to be sealed. */
static bool check_registers(const VsmGuest *guest, char **ret_reason)
{
    for (guint i = 0; i < guest->n_vcpus; i++) {
        const VsmX86Regs *regs = &guest->vcpus[i];

        if (regs->a20_masked) {
            return unready(ret_reason, i, "masks address line A20");
        }
        if (regs->parked) {
            continue;
        }
        if (regs->smm) {
            return unready(ret_reason, i, "is in system management mode");
        }
        if (regs->nested) {
            return unready(ret_reason, i, "runs a guest of its own");
        }
        if (!(regs->cr0 & CR0_PG) || !(regs->efer & 1ull << 10)) {
            return unready(ret_reason, i, "is not in 64-bit mode");
        }
        if (!(regs->cr0 & CR0_WP)) {
            return unready(ret_reason, i, "ignores write protection (CR0.WP)");
        }
    }
    return true;
}

static int by_fact(gconstpointer a, gconstpointer b)
{
    const VsmFact *x = a, *y = b;

    if (x->kind != y->kind) {
        return x->kind < y->kind ? -1 : 1;
    }
    if (x->vcpu != y->vcpu) {
        return x->vcpu < y->vcpu ? -1 : 1;
    }
    if (x->va != y->va) {
        return x->va < y->va ? -1 : 1;
    }
    if (x->pa != y->pa) {
        return x->pa < y->pa ? -1 : 1;
    }
    return x->value < y->value ? -1 : x->value > y->value;
}

/* Facts that must not be sealed as if they were the guest's normal state. */
static bool settle_facts(VsmCapture *capture, char **ret_reason)
{
    GArray *facts = capture->scope->facts;
    guint kept = 0;

    g_array_sort(facts, by_fact);
    if (capture->sealed) {
        return true;
    }
    for (guint i = 0; i < facts->len; i++) {
        VsmFact fact = g_array_index(facts, VsmFact, i);

        if (fact.kind == VSM_FACT_TRUNCATED) {
            *ret_reason = g_strdup("the guest maps more executable pages or "
                                   "page tables than the limits allow, or "
                                   "has tables outside of its memory");
            return false;
        }
        if (fact.kind != VSM_FACT_IN_FLIGHT) {
            g_array_index(facts, VsmFact, kept++) = fact;
        }
    }
    g_array_set_size(facts, kept);
    if (capture->scope->facts_left_out) {
        *ret_reason = g_strdup("the guest maps its kernel writable in more "
                               "places than the limits allow");
        return false;
    }
    return true;
}

/* false: @error, or @ret_reason, is set. */
static bool run(VsmCapture *capture, char **ret_reason, GError **error)
{
    vsm_capture_registers(capture);
    if (!vsm_capture_find_root(capture, ret_reason)) {
        return false;
    }
    if (!capture->sealed && !check_registers(capture->guest, ret_reason)) {
        return false;
    }
    if (!vsm_capture_classes(capture, ret_reason) ||
        !vsm_capture_firmware(capture, error)) {
        return false;
    }
    vsm_capture_frames(capture);
    vsm_capture_loaded_roots(capture);
    vsm_capture_witnesses(capture);
    vsm_capture_tables(capture);
    vsm_capture_aliases(capture);
    if (!vsm_capture_pages(capture, error) ||
        !vsm_capture_census(capture, error)) {
        return false;
    }
    vsm_capture_check_budget(capture);
    return settle_facts(capture, ret_reason);
}

/* Far more than any healthy guest needs; bounded whatever its size. */
static guint64 work_max(const VsmGuest *guest)
{
    guint64 pages = vsm_memory_pages(guest);

    return MIN(VSM_SCOPE_WORK_MIN + pages * VSM_SCOPE_WORK_PAGE,
               VSM_SCOPE_WORK_MAX);
}

bool vsm_scope_capture(const VsmGuest *guest,
                       VsmPool *pool,
                       GBytes *sealed,
                       GBytes **ret,
                       char **ret_reason,
                       VsmScopeStats *ret_stats,
                       GError **error)
{
    g_autoptr(VsmScope) before = NULL;
    g_autoptr(VsmScope) scope = vsm_scope_new();
    g_autoptr(GArray) cr3s = g_array_new(FALSE, TRUE, sizeof(VsmLoadedRoot));
    g_autoptr(GArray) leaves = g_array_new(FALSE, TRUE, sizeof(VsmLeaf));
    g_autoptr(GArray) frames = g_array_new(FALSE, TRUE, sizeof(VsmFrames));
    g_autoptr(GError) why = NULL;
    g_autoptr(GBytes) document = NULL;
    g_autofree char *reason = NULL;
    VsmCapture capture = {.guest = guest,
                          .pool = pool,
                          .scope = scope,
                          .paging = {guest, &capture.budget, 4, false},
                          .cr3s = cr3s,
                          .leaves = leaves,
                          .frames = frames};
    bool ok;

    if (!vsm_memory_check(guest, error)) {
        return false;
    }
    if (sealed) {
        before = vsm_scope_decode(sealed, error);
        if (!before) {
            return false;
        }
        capture.sealed = before;
    }
    capture.budget.max = work_max(guest);
    ok = run(&capture, &reason, &why);
    vsm_walk_free(capture.slots);
    if (ok) {
        document = vsm_scope_encode(scope, error);
        if (!document) {
            return false;
        }
    } else if (why) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    *ret = g_steal_pointer(&document);
    *ret_reason = g_steal_pointer(&reason);
    capture.stats.steps = capture.budget.used;
    if (ret_stats) {
        *ret_stats = capture.stats;
    }
    return true;
}
