/*
 * RAM after a load: each page is, by its tag, one that pass 1 hashed.
 *
 * Hashing all RAM again would say the same at a third of the speed: under a key
 * that never left this process, equal tags mean equal bytes, and the digests of
 * those bytes were compared with the sealed ones in pass 1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "core/recheck-internal.h"
#include "crypto/hash.h"

/* Pages under one tag: with few the MAC's ends cost time, with many memory. */
#define TAG_PAGES 16
#define TASK_TAGS 64 /* 4 MiB */
#define TASK_PAGES 1024 /* 4 MiB; a multiple of 64 */
G_STATIC_ASSERT(TASK_PAGES <= VSM_PAGEMAP_PAGES_MAX);

static bool tag_run(VsmRecheck *recheck,
                    VsmGmac *gmac,
                    const VsmRecheckPage *pages,
                    guint n,
                    GError **error)
{
    VsmPagesTag tag = {pages->body, pages->block, pages->page, n, {{0}}};

    if (!vsm_gmac_begin(gmac, VSM_RECHECK_PAGES_NONCE(tag.body), error)) {
        return false;
    }
    for (guint i = 0; i < n; i++) {
        if (!vsm_gmac_update(gmac, pages[i].data, VSM_PAGE_BYTES, error)) {
            return false;
        }
    }
    if (!vsm_gmac_end(gmac, &tag.tag, error)) {
        return false;
    }
    pthread_mutex_lock(&recheck->lock);
    g_array_append_val(recheck->pages, tag);
    pthread_mutex_unlock(&recheck->lock);
    return true;
}

bool vsm_recheck_tag_pages(VsmRecheck *recheck,
                           const VsmRecheckPage *pages,
                           guint n,
                           GError **error)
{
    VsmGmac *gmac = vsm_recheck_take_gmac(recheck, error);
    bool ok = gmac != NULL;
    guint run;

    for (guint at = 0; at < n && ok; at += run) {
        for (run = 1; at + run < n && run < TAG_PAGES; run++) {
            const VsmRecheckPage *page = &pages[at + run];

            if (page->block != pages[at].block ||
                page->page != pages[at].page + run) {
                break;
            }
        }
        ok = tag_run(recheck, gmac, pages + at, run, error);
    }
    if (gmac) {
        vsm_recheck_give_gmac(recheck, gmac);
    }
    return ok;
}

typedef struct {
    VsmRecheck *recheck;
    VsmGroup *group;
    const VsmGeometry *geometry;
    const VsmRamBlock *blocks;
    guint64 **known; /* for each block a bit a page: tagged, or absent */
    GCancellable *cancel;
    gint differs; /* atomic */
} Comparing;

typedef struct {
    Comparing *comparing;
    guint64 first; /* tag, or page of @block */
    guint block;
} Part;

static bool stopped(Comparing *comparing)
{
    return __atomic_load_n(&comparing->differs, __ATOMIC_RELAXED) ||
           g_cancellable_is_cancelled(comparing->cancel);
}

static void set_differs(Comparing *comparing)
{
    __atomic_store_n(&comparing->differs, 1, __ATOMIC_RELAXED);
}

static bool compare_tag(Comparing *comparing,
                        VsmGmac *gmac,
                        const VsmPagesTag *pages,
                        GError **error)
{
    gsize bytes = (gsize)pages->pages * VSM_PAGE_BYTES;
    VsmGmacTag tag;

    if (!vsm_gmac_tag(gmac, VSM_RECHECK_PAGES_NONCE(pages->body),
                      comparing->blocks[pages->block].host +
                          (gsize)pages->first * VSM_PAGE_BYTES,
                      bytes, &tag, error)) {
        return false;
    }
    if (!vsm_equal(tag.b, pages->tag.b, sizeof(tag.b))) {
        set_differs(comparing);
    }
    vsm_wipe(&tag, sizeof(tag));
    vsm_pool_count_hashed(comparing->recheck->pool, bytes);
    return true;
}

static bool run_tags(gpointer data, VsmHasher *hasher, GError **error)
{
    g_autofree Part *part = data;
    Comparing *comparing = part->comparing;
    VsmRecheck *recheck = comparing->recheck;
    guint64 end = MIN(part->first + TASK_TAGS, recheck->pages->len);
    VsmGmac *gmac;
    bool ok = true;

    (void)hasher;
    if (stopped(comparing)) {
        return true;
    }
    gmac = vsm_recheck_take_gmac(recheck, error);
    if (!gmac) {
        return false;
    }
    for (guint64 i = part->first; i < end && ok; i++) {
        ok = compare_tag(comparing, gmac,
                         &g_array_index(recheck->pages, VsmPagesTag, i), error);
    }
    vsm_recheck_give_gmac(recheck, gmac);
    return ok;
}

/* Whether all pages of the part without a body are zero. */
static bool is_rest_zero(const Comparing *comparing,
                         const Part *part,
                         guint64 end,
                         guint64 *ret_pages)
{
    const guint64 *known = comparing->known[part->block];
    const VsmRamBlock *block = &comparing->blocks[part->block];
    bool untouched[TASK_PAGES], asked = false;

    for (guint64 page = part->first; page < end; page++) {
        const guint8 *host = block->host + page * VSM_PAGE_BYTES;

        if (known[page / 64] == G_MAXUINT64) {
            page |= 63;
            continue;
        }
        if (known[page / 64] >> (page % 64) & 1) {
            continue;
        }
        if (!asked) {
            vsm_pagemap_untouched(block->pagemap,
                                  block->host + part->first * VSM_PAGE_BYTES,
                                  end - part->first, untouched);
            asked = true;
        }
        (*ret_pages)++;
        if (!untouched[page - part->first] &&
            !vsm_is_zero(host, VSM_PAGE_BYTES)) {
            return false;
        }
    }
    return true;
}

/*
 * Pages that the stream has no body of.  Those that nobody wrote are not read:
 * after a load most of them have the kernel's page of zeros in their place.
 */
static bool run_zero(gpointer data, VsmHasher *hasher, GError **error)
{
    g_autofree Part *part = data;
    Comparing *comparing = part->comparing;
    guint64 pages = comparing->geometry->blocks[part->block].pages;
    guint64 n = 0;

    (void)hasher, (void)error;
    if (!stopped(comparing) &&
        !is_rest_zero(comparing, part, MIN(part->first + TASK_PAGES, pages),
                      &n)) {
        set_differs(comparing);
    }
    vsm_pool_count_hashed(comparing->recheck->pool, n * VSM_PAGE_BYTES);
    return true;
}

/* false: one of them was set before. */
static bool mark(guint64 *bits, guint64 first, guint64 n)
{
    for (guint64 page = first; page < first + n; page++) {
        guint64 bit = 1ull << (page % 64);

        if (bits[page / 64] & bit) {
            return false;
        }
        bits[page / 64] |= bit;
    }
    return true;
}

/*
 * Marks what is tagged or absent.  false: tags cannot tell, since a page came
 * twice or a body has no tag.
 */
static bool mark_known(Comparing *comparing, const VsmStored *stored)
{
    const GArray *pages = comparing->recheck->pages;
    guint64 tagged = 0;

    for (guint i = 0; i < comparing->geometry->n_blocks; i++) {
        const VsmGeometryBlock *block = &comparing->geometry->blocks[i];

        for (guint j = 0; j < block->n_absent; j++) {
            if (!mark(comparing->known[i], block->absent[j].first,
                      block->absent[j].count)) {
                return false;
            }
        }
    }
    for (guint i = 0; i < pages->len; i++) {
        const VsmPagesTag *tag = &g_array_index(pages, VsmPagesTag, i);

        if (!mark(comparing->known[tag->block], tag->first, tag->pages)) {
            return false;
        }
        tagged += tag->pages;
    }
    return tagged == vsm_map_bodies(vsm_stored_map(stored));
}

/* Tags are for the sealed geometry, which the map was checked against. */
static bool same_geometry(const VsmGeometry *a, const VsmGeometry *b)
{
    bool same = a->n_blocks == b->n_blocks;

    for (guint i = 0; i < a->n_blocks && same; i++) {
        same = vsm_geometry_block_equal(&a->blocks[i], &b->blocks[i]);
    }
    return same;
}

static bool prepare(Comparing *comparing, GError **error)
{
    guint n = comparing->geometry->n_blocks;

    comparing->known = g_new0(guint64 *, n);
    for (guint i = 0; i < n; i++) {
        guint64 pages = comparing->geometry->blocks[i].pages;

        if (!comparing->blocks[i].host && pages) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "RAM block '%s': has no address",
                        comparing->blocks[i].idstr);
            return false;
        }
        comparing->known[i] = g_try_new0(guint64, pages / 64 + 1);
        if (!comparing->known[i]) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                        "RAM block '%s': no memory for its marks",
                        comparing->blocks[i].idstr);
            return false;
        }
    }
    return true;
}

static void
push(Comparing *comparing, VsmTaskFunc func, guint block, guint64 first)
{
    Part *part = g_new(Part, 1);

    *part = (Part){comparing, first, block};
    vsm_group_push(comparing->group, func, part);
}

static bool compare(Comparing *comparing, GError **error)
{
    for (guint64 i = 0; i < comparing->recheck->pages->len; i += TASK_TAGS) {
        push(comparing, run_tags, 0, i);
    }
    for (guint i = 0; i < comparing->geometry->n_blocks; i++) {
        guint64 pages = comparing->geometry->blocks[i].pages;

        for (guint64 page = 0; page < pages; page += TASK_PAGES) {
            push(comparing, run_zero, i, page);
        }
    }
    if (!vsm_group_wait(comparing->group, error)) {
        return false;
    }
    if (g_cancellable_is_cancelled(comparing->cancel)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CANCELLED,
                    "comparing RAM was cancelled");
        return false;
    }
    return true;
}

static void give_result(VsmGeometry *geometry,
                        const VsmStored *stored,
                        VsmManifest *manifest,
                        VsmRamResult *ret)
{
    VsmRamResult result = {0};

    result.changed =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_finding_free);
    for (guint i = 0; i < geometry->n_blocks; i++) {
        result.bytes_hashed +=
            vsm_geometry_present(&geometry->blocks[i]) * VSM_PAGE_BYTES;
    }
    vsm_manifest_set_ram(manifest, geometry,
                         vsm_stored_manifest(stored)->roots);
    *ret = result;
}

bool vsm_recheck_ram(VsmRecheck *recheck,
                     const VsmStored *stored,
                     const VsmRamBlock *blocks,
                     guint n_blocks,
                     VsmManifest *manifest,
                     VsmRamResult *ret,
                     bool *ret_equal,
                     GCancellable *cancel,
                     GError **error)
{
    g_autoptr(VsmGeometry) geometry = vsm_geometry_new(blocks, n_blocks, error);
    Comparing comparing = {.recheck = recheck,
                           .geometry = geometry,
                           .blocks = blocks,
                           .cancel = cancel};
    bool ok, equal = false;

    if (!geometry) {
        return false;
    }
    if (!same_geometry(geometry, vsm_stored_manifest(stored)->geometry)) {
        *ret_equal = false;
        return true;
    }
    comparing.group =
        vsm_group_new(recheck->pool, vsm_pool_in_flight(recheck->pool));
    ok = prepare(&comparing, error);
    if (ok && mark_known(&comparing, stored)) {
        ok = compare(&comparing, error);
        equal = ok && !comparing.differs;
    }
    vsm_group_free(comparing.group); /* all threads have left the blocks */
    for (guint i = 0; i < n_blocks; i++) {
        g_free(comparing.known[i]);
    }
    g_free(comparing.known);
    if (equal) {
        give_result(g_steal_pointer(&geometry), stored, manifest, ret);
    }
    if (ok) {
        *ret_equal = equal;
    }
    return ok;
}
