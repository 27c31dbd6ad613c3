/*
 * Judging mappings and digests, page by page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "crypto/hash.h"
#include "runtime/judge.h"

#define TRAP 0xcc /* what fills an unused page of a JIT pack */

/* A place in the runs of one document. */
typedef struct {
    const VsmScope *scope;
    guint run, page, digest;
} Cursor;

typedef struct {
    VsmScopeRun page; /* one page of a run */
    const VsmDigest *digest; /* NULL: none */
} Place;

static bool here(const Cursor *cursor, Place *ret)
{
    const VsmScopeRun *run;

    if (cursor->run >= cursor->scope->runs->len) {
        return false;
    }
    run = vsm_scope_run(cursor->scope, cursor->run);
    ret->page = *run;
    ret->page.va += (guint64)cursor->page * VSM_PAGE_BYTES;
    ret->page.pa += (guint64)cursor->page * VSM_PAGE_BYTES;
    ret->page.pages = 1;
    ret->digest =
        run->perms & VSM_RUN_HASHED
            ? &g_array_index(cursor->scope->digests, VsmDigest, cursor->digest)
            : NULL;
    return true;
}

static void step(Cursor *cursor)
{
    const VsmScopeRun *run = vsm_scope_run(cursor->scope, cursor->run);

    cursor->digest += run->perms & VSM_RUN_HASHED ? 1 : 0;
    if (++cursor->page == run->pages) {
        cursor->page = 0;
        cursor->run++;
    }
}

static const char *bytes_kind(guint8 scope_class)
{
    switch (scope_class) {
    case VSM_CLASS_RODATA:
    case VSM_CLASS_MODULE_RO:
        return VSM_KIND_RODATA_BYTES;
    case VSM_CLASS_JIT:
        return VSM_KIND_JIT_BYTES;
    case VSM_CLASS_FIRMWARE:
        return VSM_KIND_FIRMWARE_BYTES;
    default:
        return VSM_KIND_TEXT_BYTES;
    }
}

/* The finding before, if this page only makes it longer. */
static bool
grow_last(VsmJudgement *judgement, const char *kind, const VsmScopeRun *page)
{
    GPtrArray *findings = judgement->verdict->findings;
    VsmFinding *last;

    if (findings->len == 0 || judgement->verdict->findings_left_out) {
        return false;
    }
    last = g_ptr_array_index(findings, findings->len - 1);
    if (strcmp(last->kind, kind) != 0 || last->sealed || last->measured ||
        strcmp(last->where, vsm_scope_class_name(page->scope_class)) != 0 ||
        last->offset + last->bytes != page->va ||
        last->address + last->bytes != page->pa) {
        return false;
    }
    last->bytes += VSM_PAGE_BYTES;
    return true;
}

static void
add_page(VsmJudgement *judgement, const char *kind, const VsmScopeRun *page)
{
    VsmFinding *finding;

    if (grow_last(judgement, kind, page)) {
        return;
    }
    finding = vsm_judge_finding(kind, page->scope_class);
    finding->offset = page->va;
    finding->bytes = VSM_PAGE_BYTES;
    finding->address = page->pa;
    vsm_judge_add(judgement, finding);
}

/* A page that has a finding may be changed again: its digest tells. */
static void note_bytes(VsmJudgement *judgement, const Place *now)
{
    guint64 va = GUINT64_TO_BE(now->page.va);

    g_byte_array_append(judgement->pages, (const guint8 *)&va, sizeof(va));
    if (now->digest) {
        g_byte_array_append(judgement->pages, now->digest->b, VSM_DIGEST_BYTES);
    }
}

static void add_change(VsmJudgement *judgement,
                       const char *kind,
                       const VsmScopeRun *sealed,
                       const VsmScopeRun *now,
                       guint64 old_value,
                       guint64 new_value,
                       guint bytes)
{
    VsmFinding *finding = vsm_judge_finding(kind, sealed->scope_class);

    finding->offset = now->va;
    finding->bytes = VSM_PAGE_BYTES;
    finding->address = now->pa;
    finding->sealed = vsm_judge_number(old_value, bytes);
    finding->measured = vsm_judge_number(new_value, bytes);
    vsm_judge_add(judgement, finding);
}

/* What to call a change of permissions from @old to @now. */
static const char *perms_kind(guint8 old, guint8 now)
{
    if ((now & VSM_PERM_EXEC) && (now & VSM_PERM_WRITE)) {
        return VSM_KIND_NEW_WX;
    }
    if ((old & VSM_PERM_EXEC) && !(now & VSM_PERM_EXEC)) {
        return VSM_KIND_GONE_EXEC;
    }
    if (!(old & VSM_PERM_EXEC) && (now & VSM_PERM_EXEC)) {
        return VSM_KIND_NEW_EXEC;
    }
    if (!(old & VSM_PERM_WRITE) && (now & VSM_PERM_WRITE)) {
        return VSM_KIND_RO_LOST;
    }
    return VSM_KIND_PERMISSIONS;
}

static void judge_gone(VsmJudgement *judgement, const Place *sealed)
{
    add_page(judgement,
             sealed->page.scope_class == VSM_CLASS_FIRMWARE
                 ? VSM_KIND_FIRMWARE_BYTES
             : sealed->page.perms & VSM_PERM_EXEC ? VSM_KIND_GONE_EXEC
                                                  : VSM_KIND_RO_LOST,
             &sealed->page);
}

static void judge_new(VsmJudgement *judgement, const Place *now)
{
    if (now->page.scope_class == VSM_CLASS_FIRMWARE) {
        add_page(judgement, VSM_KIND_FIRMWARE_BYTES, &now->page);
    } else {
        add_page(judgement,
                 now->page.perms & VSM_PERM_WRITE ? VSM_KIND_NEW_WX
                                                  : VSM_KIND_NEW_EXEC,
                 &now->page);
    }
}

static void
judge_both(VsmJudgement *judgement, const Place *sealed, const Place *now)
{
    guint8 old_perms = sealed->page.perms & ~VSM_RUN_HASHED;
    guint8 new_perms = now->page.perms & ~VSM_RUN_HASHED;
    bool jit = sealed->page.scope_class == VSM_CLASS_JIT;

    if (old_perms != new_perms) {
        add_change(judgement, perms_kind(old_perms, new_perms), &sealed->page,
                   &now->page, old_perms, new_perms, 1);
    }
    if (sealed->page.pa != now->page.pa) {
        add_change(judgement, VSM_KIND_REMAPPED, &sealed->page, &now->page,
                   sealed->page.pa, now->page.pa, 8);
    }
    if (jit && !judgement->strict) {
        return;
    }
    if (!sealed->digest || !now->digest ||
        !vsm_digest_equal(sealed->digest, now->digest)) {
        VsmScopeRun page = now->page;

        page.scope_class = sealed->page.scope_class;
        add_page(judgement, bytes_kind(page.scope_class), &page);
        note_bytes(judgement, now);
    }
}

static void compare(VsmJudgement *judgement)
{
    Cursor old = {judgement->sealed, 0, 0, 0};
    Cursor new = {judgement->measured, 0, 0, 0};
    Place sealed, now;

    for (;;) {
        bool has_old = here(&old, &sealed);
        bool has_new = here(&new, &now);
        int order = !has_old   ? 1
                    : !has_new ? -1
                               : vsm_scope_run_order(&sealed.page, &now.page);

        if (!has_old && !has_new) {
            return;
        }
        if (order < 0) {
            judge_gone(judgement, &sealed);
        } else if (order > 0) {
            judge_new(judgement, &now);
        } else {
            judge_both(judgement, &sealed, &now);
        }
        if (order <= 0) {
            step(&old);
        }
        if (order >= 0) {
            step(&new);
        }
    }
}

/* How much code of JIT compilers nobody answers for. */
static bool list_jit(VsmJudgement *judgement, GError **error)
{
    guint8 traps[VSM_PAGE_BYTES];
    guint64 first = 0, used = 0;
    bool any = false;
    VsmDigest empty;
    Place place;

    memset(traps, TRAP, sizeof(traps));
    if (!vsm_sha384(traps, sizeof(traps), &empty, error)) {
        return false;
    }
    for (Cursor at = {judgement->measured, 0, 0, 0}; here(&at, &place);
         step(&at)) {
        if (place.page.scope_class != VSM_CLASS_JIT || !place.digest) {
            continue;
        }
        first = any ? first : place.page.va;
        any = true;
        used += !vsm_digest_equal(place.digest, &empty);
    }
    if (any) {
        g_ptr_array_add(judgement->verdict->unattested,
                        g_strdup_printf("jit 0x%" G_GINT64_MODIFIER "x %" //
                                        G_GUINT64_FORMAT " pages",
                                        first, used));
    }
    return true;
}

bool vsm_judge_pages(VsmJudgement *judgement, GError **error)
{
    g_autoptr(GByteArray) pages = g_byte_array_new();

    judgement->pages = pages;
    compare(judgement);
    if (pages->len && !vsm_sha384(pages->data, pages->len,
                                  &judgement->verdict->pages, error)) {
        return false;
    }
    return judgement->strict || list_jit(judgement, error);
}
