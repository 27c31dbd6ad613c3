/*
 * Which bytes of a page differ, and what kind of patch that is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/limits.h"
#include "runtime/judge.h"
#include "runtime/witness.h"

#define VALUE_BYTES_MAX 16 /* of a finding */
#define GAP_MAX 3 /* equal bytes within one changed instruction */
#define CALL_BYTES 5 /* call and jump with a distance of 32 bits */

static const guint8 nop5[CALL_BYTES] = {0x0f, 0x1f, 0x44, 0x00, 0x00};

typedef struct {
    const VsmScope *sealed;
    GPtrArray *found; /* of VsmFinding */
    guint64 left_out;
} Explaining;

/* Takes the finding. */
static void add(Explaining *to, VsmFinding *finding)
{
    if (to->found->len < VSM_FINDINGS_MAX) {
        g_ptr_array_add(to->found, finding);
    } else {
        to->left_out++;
        vsm_finding_free(finding);
    }
}

static VsmFinding *copy_finding(const VsmFinding *finding)
{
    VsmFinding *copy = g_new0(VsmFinding, 1);

    *copy = *finding;
    copy->where = g_strdup(finding->where);
    copy->sealed = finding->sealed ? g_bytes_ref(finding->sealed) : NULL;
    copy->measured = finding->measured ? g_bytes_ref(finding->measured) : NULL;
    return copy;
}

/* Sites that had and have one of their two forms are judged elsewhere. */
static void
equate_sites(const VsmScope *sealed, guint64 va, const guint8 *old, guint8 *now)
{
    for (guint i = vsm_witness_first(sealed, va); i < sealed->witnesses->len;
         i++) {
        const VsmWitness *witness = vsm_scope_witness(sealed, i);
        guint bytes = vsm_witness_bytes(witness);
        guint64 at = witness->va - va;

        if (witness->va > va + (VSM_PAGE_BYTES - 1)) {
            return;
        }
        if (witness->va < va || at + bytes > VSM_PAGE_BYTES) {
            continue; /* across a border: shown as bytes */
        }
        if (vsm_witness_form(witness, old + at) != VSM_SITE_OTHER &&
            vsm_witness_form(witness, now + at) != VSM_SITE_OTHER) {
            memcpy(now + at, old + at, bytes);
        }
    }
}

static bool is_transfer(guint8 opcode)
{
    return opcode == 0xe8 || opcode == 0xe9;
}

/* The text patches that Linux makes: @at is the first changed byte. */
static const char *
patch_kind(const guint8 *old, const guint8 *now, guint *at, guint *bytes)
{
    if (*at + CALL_BYTES <= VSM_PAGE_BYTES) {
        bool was_nop = memcmp(old + *at, nop5, CALL_BYTES) == 0;
        bool is_nop = memcmp(now + *at, nop5, CALL_BYTES) == 0;

        if ((was_nop && now[*at] == 0xe8) || (old[*at] == 0xe8 && is_nop)) {
            *bytes = MAX(*bytes, CALL_BYTES);
            return VSM_KIND_TRACED_FUNCTION;
        }
    }
    for (guint back = 1; back < CALL_BYTES && back <= *at; back++) {
        guint first = *at - back;

        if (is_transfer(old[first]) && old[first] == now[first] &&
            first + CALL_BYTES <= VSM_PAGE_BYTES &&
            *at + *bytes <= first + CALL_BYTES) {
            *at = first;
            *bytes = CALL_BYTES;
            return VSM_KIND_STATIC_CALL;
        }
    }
    return NULL;
}

static void add_range(Explaining *to,
                      const VsmFinding *whole,
                      guint64 page,
                      guint at,
                      guint bytes,
                      const guint8 *old,
                      const guint8 *now)
{
    VsmFinding *finding = copy_finding(whole);

    if (strcmp(whole->kind, VSM_KIND_TEXT_BYTES) == 0) {
        const char *kind = patch_kind(old, now, &at, &bytes);

        finding->kind = kind ? kind : finding->kind;
    }
    finding->offset = whole->offset + page + at;
    finding->address = whole->address + page + at;
    finding->bytes = bytes;
    finding->sealed = g_bytes_new(old + at, MIN(bytes, VALUE_BYTES_MAX));
    finding->measured = g_bytes_new(now + at, MIN(bytes, VALUE_BYTES_MAX));
    add(to, finding);
}

/* All ranges of one page; false: no byte differs. */
static bool split_page(Explaining *to,
                       const VsmFinding *whole,
                       guint64 page,
                       const guint8 *old,
                       const guint8 *now)
{
    bool any = false;
    guint at = 0;

    while (at < VSM_PAGE_BYTES) {
        guint last = at;

        if (old[at] == now[at]) {
            at++;
            continue;
        }
        for (guint i = at; i < VSM_PAGE_BYTES && i <= last + GAP_MAX + 1; i++) {
            last = old[i] != now[i] ? i : last;
        }
        add_range(to, whole, page, at, last - at + 1, old, now);
        any = true;
        at = last + 1;
    }
    return any;
}

static bool wants_bytes(const VsmFinding *finding)
{
    return !finding->sealed && !finding->measured && finding->bytes &&
           finding->bytes % VSM_PAGE_BYTES == 0 &&
           (strcmp(finding->kind, VSM_KIND_TEXT_BYTES) == 0 ||
            strcmp(finding->kind, VSM_KIND_RODATA_BYTES) == 0 ||
            strcmp(finding->kind, VSM_KIND_JIT_BYTES) == 0 ||
            strcmp(finding->kind, VSM_KIND_FIRMWARE_BYTES) == 0);
}

/* Where the page was when it was sealed. */
static guint64 sealed_address(const VsmScope *sealed, const VsmFinding *finding)
{
    const VsmScopeRun *run = vsm_scope_find_run(sealed, finding->offset);

    return run && strcmp(finding->kind, VSM_KIND_FIRMWARE_BYTES) != 0
               ? run->pa + (finding->offset - run->va)
               : finding->address;
}

static void explain_page(Explaining *to,
                         const VsmFinding *whole,
                         guint64 page,
                         VsmScopePageFunc before,
                         VsmScopePageFunc now,
                         gpointer opaque)
{
    guint8 old_bytes[VSM_PAGE_BYTES], new_bytes[VSM_PAGE_BYTES];
    VsmFinding one = *whole;

    one.offset += page;
    one.address += page;
    one.bytes = VSM_PAGE_BYTES;
    if (before(opaque, sealed_address(to->sealed, &one), old_bytes) &&
        now(opaque, one.address, new_bytes)) {
        if (strcmp(one.kind, VSM_KIND_TEXT_BYTES) == 0) {
            equate_sites(to->sealed, one.offset, old_bytes, new_bytes);
        }
        if (split_page(to, whole, page, old_bytes, new_bytes)) {
            return;
        }
    }
    add(to, copy_finding(&one));
}

GPtrArray *vsm_scope_explain(GBytes *sealed,
                             GPtrArray *findings,
                             VsmScopePageFunc before,
                             VsmScopePageFunc now,
                             gpointer opaque,
                             guint64 *ret_left_out,
                             GError **error)
{
    g_autoptr(VsmScope) scope = vsm_scope_decode(sealed, error);
    g_autoptr(GPtrArray) found =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_finding_free);
    Explaining to = {scope, found, 0};

    if (!scope) {
        return NULL;
    }
    for (guint i = 0; i < findings->len; i++) {
        const VsmFinding *finding = g_ptr_array_index(findings, i);

        if (!wants_bytes(finding)) {
            add(&to, copy_finding(finding));
            continue;
        }
        for (guint64 page = 0; page < finding->bytes; page += VSM_PAGE_BYTES) {
            if (to.found->len < VSM_FINDINGS_MAX) {
                explain_page(&to, finding, page, before, now, opaque);
            } else {
                to.left_out++;
            }
        }
    }
    *ret_left_out = to.left_out;
    return g_steal_pointer(&found);
}
