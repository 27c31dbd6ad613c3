/*
 * Jump labels: sites in sealed text that sealed read-only memory proves to be
 * patched by the kernel itself, and the states that they are in.
 *
 * An entry of Linux's jump table (include/linux/jump_label.h) is {s32 code,
 * s32 target, s64 key}, each relative to its own address; bit 0 of the key is
 * the branch bit.  A site is a nop, or a jump to exactly its target:
 * arch/x86/kernel/jump_label.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "runtime/witness.h"

#include <string.h>

#include "base/limits.h"
#include "runtime/capture.h"
#include "runtime/memory.h"

#define ENTRY_BYTES 16
#define ENTRY_ALIGN 8
#define TRAP 0xcc /* int3: the first byte while a site is patched */

static const guint8 nop5[5] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
static const guint8 nop2[2] = {0x66, 0x90};

static gint64 read_signed(const guint8 *bytes, guint n)
{
    guint64 value = 0;

    for (guint i = 0; i < n; i++) {
        value |= (guint64)bytes[i] << (8 * i);
    }
    return n == 8 ? (gint64)value
                  : (gint64)(value << (64 - 8 * n)) >> (64 - 8 * n);
}

/* Whether the bytes behind the opcode lead to the target. */
static bool leads_to(const VsmWitness *witness, const guint8 *code)
{
    guint bytes = vsm_witness_bytes(witness);
    gint64 distance = read_signed(code + 1, bytes - 1);

    return witness->va + bytes + (guint64)distance == witness->target;
}

VsmSiteState vsm_witness_form(const VsmWitness *witness, const guint8 *code)
{
    bool is_long = witness->flags & VSM_WITNESS_LONG;

    if (memcmp(code, is_long ? nop5 : nop2, vsm_witness_bytes(witness)) == 0) {
        return VSM_SITE_NOP;
    }
    if (code[0] == (is_long ? 0xe9 : 0xeb) && leads_to(witness, code)) {
        return VSM_SITE_JUMP;
    }
    return code[0] == TRAP ? VSM_SITE_IN_FLIGHT : VSM_SITE_OTHER;
}

guint vsm_witness_first(const VsmScope *scope, guint64 va)
{
    guint low = 0, high = scope->witnesses->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const VsmWitness *witness = vsm_scope_witness(scope, middle);

        if (witness->va + vsm_witness_bytes(witness) <= va) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Length of a site to be sealed; 0: it has none of the forms. */
static guint site_bytes(const VsmWitness *entry, const guint8 *code)
{
    VsmWitness as_long = *entry, as_short = *entry;

    as_long.flags |= VSM_WITNESS_LONG;
    if (code[0] != TRAP) {
        return vsm_witness_form(&as_long, code) != VSM_SITE_OTHER    ? 5
               : vsm_witness_form(&as_short, code) != VSM_SITE_OTHER ? 2
                                                                     : 0;
    }
    if (memcmp(code + 1, nop5 + 1, 4) == 0 || leads_to(&as_long, code)) {
        return 5;
    }
    return code[1] == nop2[1] || leads_to(&as_short, code) ? 2 : 0;
}

static bool is_text(const VsmScope *scope, guint64 va, guint bytes)
{
    const VsmScopeRun *run = vsm_scope_find_run(scope, va);

    if (!run || (run->scope_class != VSM_CLASS_TEXT &&
                 run->scope_class != VSM_CLASS_MODULE_TEXT)) {
        return false;
    }
    return bytes == 1 || is_text(scope, va + bytes - 1, 1);
}

/* A key is a data structure: never executable. */
static bool find_key(const VsmCapture *capture, VsmWitness *witness)
{
    VsmLeaf leaf;

    if (witness->key % 8 ||
        !vsm_walk_find(&capture->paging, capture->root, witness->key, &leaf) ||
        leaf.perms & (VSM_PERM_EXEC | VSM_PERM_USER)) {
        return false;
    }
    witness->flags |= leaf.perms & VSM_PERM_WRITE ? 0 : VSM_WITNESS_FIXED;
    return true;
}

/* Adds the entry at @va, if it proves a site. */
static void try_entry(VsmCapture *capture, guint64 va, const guint8 *entry)
{
    gint64 key = read_signed(entry + 8, 8);
    VsmWitness witness = {
        .va = va + (guint64)read_signed(entry, 4),
        .target = va + 4 + (guint64)read_signed(entry + 4, 4),
        .key = va + 8 + (guint64)(key & ~3ll),
        .flags = key & 1 ? VSM_WITNESS_BRANCH : 0,
    };
    guint8 code[VSM_SITE_BYTES_MAX] = {0};
    guint bytes;

    if (!is_text(capture->scope, witness.va, 2) ||
        !is_text(capture->scope, witness.target, 1)) {
        return;
    }
    if (!vsm_capture_read(capture, witness.va, code, 5) &&
        !vsm_capture_read(capture, witness.va, code, 2)) {
        return;
    }
    bytes = site_bytes(&witness, code);
    if (bytes == 0 || !is_text(capture->scope, witness.va, bytes)) {
        return;
    }
    if (bytes == 2) {
        gint64 distance = witness.target - (witness.va + 2);

        if (distance != (gint8)distance) {
            return;
        }
    } else {
        witness.flags |= VSM_WITNESS_LONG;
    }
    if (find_key(capture, &witness) &&
        capture->scope->witnesses->len < VSM_SCOPE_WITNESSES_MAX) {
        g_array_append_val(capture->scope->witnesses, witness);
    }
}

typedef struct {
    guint64 first, last; /* of all that can be patched */
} TextBounds;

static TextBounds text_bounds(const VsmScope *scope)
{
    TextBounds bounds = {G_MAXUINT64, 0};

    for (guint i = 0; i < scope->runs->len; i++) {
        const VsmScopeRun *run = vsm_scope_run(scope, i);

        if (run->scope_class == VSM_CLASS_TEXT ||
            run->scope_class == VSM_CLASS_MODULE_TEXT) {
            bounds.first = MIN(bounds.first, run->va);
            bounds.last = run->va + ((guint64)run->pages * VSM_PAGE_BYTES - 1);
        }
    }
    return bounds;
}

/* All positions of one page; an entry may end in the next one. */
static void scan_page(VsmCapture *capture,
                      const TextBounds *bounds,
                      guint64 va,
                      const guint8 *page,
                      const guint8 *next)
{
    guint8 entry[ENTRY_BYTES];

    for (guint at = 0; at < VSM_PAGE_BYTES; at += ENTRY_ALIGN) {
        guint64 code = va + at + (guint64)read_signed(page + at, 4);
        guint here = MIN(ENTRY_BYTES, VSM_PAGE_BYTES - at);

        if (code < bounds->first || code > bounds->last ||
            (here < ENTRY_BYTES && !next)) {
            continue;
        }
        memcpy(entry, page + at, here);
        if (here < ENTRY_BYTES) {
            memcpy(entry + here, next, ENTRY_BYTES - here);
        }
        try_entry(capture, va + at, entry);
    }
}

/* The page at @va of sealed read-only data; NULL: it is none. */
static const guint8 *rodata_page(const VsmCapture *capture, guint64 va)
{
    const VsmScopeRun *run = vsm_scope_find_run(capture->scope, va);

    if (!run || (run->scope_class != VSM_CLASS_RODATA &&
                 run->scope_class != VSM_CLASS_MODULE_RO)) {
        return NULL;
    }
    return vsm_memory_page(capture->guest, run->pa + (va - run->va));
}

static int by_va(gconstpointer a, gconstpointer b)
{
    const VsmWitness *x = a, *y = b;

    if (x->va != y->va) {
        return x->va < y->va ? -1 : 1;
    }
    return x->key < y->key ? -1 : x->key > y->key;
}

static void find_witnesses(VsmCapture *capture)
{
    VsmScope *scope = capture->scope;
    TextBounds bounds = text_bounds(scope);

    for (guint i = 0; i < scope->runs->len; i++) {
        const VsmScopeRun *run = vsm_scope_run(scope, i);

        for (guint64 p = 0; p < run->pages; p++) {
            guint64 va = run->va + p * VSM_PAGE_BYTES;
            const guint8 *page = rodata_page(capture, va);

            if (page) {
                scan_page(capture, &bounds, va, page,
                          rodata_page(capture, va + VSM_PAGE_BYTES));
            }
        }
    }
    g_array_sort(scope->witnesses, by_va);
}

/* Whether the key is on; @ret_changing: the kernel is changing it. */
static bool
key_is_on(const VsmCapture *capture, guint64 key, bool *ret_changing)
{
    guint8 bytes[4] = {0};
    gint64 enabled;

    vsm_walk_read(&capture->paging, capture->root, key, bytes, 4);
    enabled = read_signed(bytes, 4);
    *ret_changing = enabled < 0;
    return enabled != 0;
}

static guint8 site_state(const VsmCapture *capture, const VsmWitness *witness)
{
    guint8 code[VSM_SITE_BYTES_MAX];
    bool branch = witness->flags & VSM_WITNESS_BRANCH;
    bool changing, on;
    guint8 form;

    if (!vsm_capture_read(capture, witness->va, code,
                          vsm_witness_bytes(witness))) {
        return VSM_SITE_OTHER;
    }
    form = vsm_witness_form(witness, code);
    if (form > VSM_SITE_JUMP) {
        return form;
    }
    on = key_is_on(capture, witness->key, &changing);
    if ((on != branch) == (form == VSM_SITE_JUMP)) {
        return form;
    }
    return changing ? VSM_SITE_IN_FLIGHT : form | VSM_SITE_INCONSISTENT;
}

/*
 * While one site of a key is patched, others of it are not yet, or already.
 * A site in flight is reported; so they need not be.
 */
static void excuse_keys_in_flight(VsmScope *scope)
{
    g_autoptr(GHashTable) keys = g_hash_table_new(NULL, NULL);

    for (guint i = 0; i < scope->states->len; i++) {
        if (scope->states->data[i] == VSM_SITE_IN_FLIGHT) {
            g_hash_table_add(
                keys, GSIZE_TO_POINTER(vsm_scope_witness(scope, i)->key));
        }
    }
    for (guint i = 0; i < scope->states->len; i++) {
        guint8 *state = &scope->states->data[i];

        if (*state & VSM_SITE_INCONSISTENT &&
            g_hash_table_contains(
                keys, GSIZE_TO_POINTER(vsm_scope_witness(scope, i)->key))) {
            *state = VSM_SITE_IN_FLIGHT;
        }
    }
}

/* To be sealed: what its key contradicts, or overlaps another, is no proof. */
static void drop_unproved(VsmScope *scope)
{
    guint64 end = 0;
    guint kept = 0;

    for (guint i = 0; i < scope->states->len; i++) {
        VsmWitness witness = *vsm_scope_witness(scope, i);
        guint8 state = scope->states->data[i];

        if (state > VSM_SITE_IN_FLIGHT || witness.va < end) {
            continue;
        }
        end = witness.va + vsm_witness_bytes(&witness);
        g_array_index(scope->witnesses, VsmWitness, kept) = witness;
        scope->states->data[kept++] = state;
    }
    g_array_set_size(scope->witnesses, kept);
    g_byte_array_set_size(scope->states, kept);
}

void vsm_capture_witnesses(VsmCapture *capture)
{
    VsmScope *scope = capture->scope;

    if (capture->sealed) {
        g_array_append_vals(scope->witnesses, capture->sealed->witnesses->data,
                            capture->sealed->witnesses->len);
    } else {
        find_witnesses(capture);
    }
    for (guint i = 0; i < scope->witnesses->len; i++) {
        guint8 state = site_state(capture, vsm_scope_witness(scope, i));

        g_byte_array_append(scope->states, &state, 1);
    }
    excuse_keys_in_flight(scope);
    if (!capture->sealed) {
        drop_unproved(scope);
    }
    capture->stats.witnesses = scope->witnesses->len;
    for (guint i = 0; i < scope->states->len; i++) {
        capture->stats.in_flight +=
            scope->states->data[i] == VSM_SITE_IN_FLIGHT;
    }
}
