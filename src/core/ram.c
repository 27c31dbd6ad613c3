/*
 * Live RAM: hashed in place, compared with sealed leaves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/ram.h"

#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"

/* Pages of one task: 4 MiB; a multiple of the tree's fan-out and of 64. */
#define TASK_PAGES 1024
G_STATIC_ASSERT(TASK_PAGES <= VSM_PAGEMAP_PAGES_MAX);

typedef struct {
    const guint8 *host;
    const VsmPagemap *pagemap;
    const VsmGeometryBlock *geometry;
    gint sealed; /* index of the same block in what was sealed; -1: none */
    VsmDigest *level1;
    guint64 *changed; /* a bit for each page */
    VsmDigest root;
} Block;

typedef struct {
    VsmPool *pool;
    VsmGroup *group;
    const VsmStored *stored;
    GCancellable *cancel;
    Block *blocks;
    guint n_blocks;
} Measuring;

typedef struct {
    Measuring *measuring;
    Block *block;
    guint64 first; /* page */
} Part;

static bool is_zero_leaf(const VsmDigest *leaf)
{
    return memcmp(leaf, &vsm_leaf_zero, sizeof(*leaf)) == 0;
}

/*
 * Leaves of the pages from @first on; absent ones and those that nobody
 * ever wrote are never read, other zero ones read once.
 */
static bool hash_pages(const Part *part,
                       guint n,
                       VsmHasher *hasher,
                       VsmDigest *leaves,
                       GError **error)
{
    const Block *block = part->block;
    g_autofree VsmHashJob *jobs = g_new(VsmHashJob, n);
    bool untouched[TASK_PAGES];
    guint n_jobs = 0, n_absent = 0;

    vsm_pagemap_untouched(block->pagemap,
                          block->host + part->first * VSM_PAGE_BYTES, n,
                          untouched);
    memset(leaves, 0, n * sizeof(*leaves));
    vsm_geometry_mark_absent(block->geometry, part->first, n, leaves,
                             &vsm_leaf_absent);
    for (guint i = 0; i < n; i++) {
        const guint8 *page = block->host + (part->first + i) * VSM_PAGE_BYTES;

        if (block->geometry->n_absent && !is_zero_leaf(&leaves[i])) {
            n_absent++;
        } else if (!untouched[i] && !vsm_is_zero(page, VSM_PAGE_BYTES)) {
            jobs[n_jobs++] = (VsmHashJob){page, VSM_PAGE_BYTES, &leaves[i]};
        }
    }
    vsm_pool_count_hashed(part->measuring->pool,
                          (guint64)(n - n_absent) * VSM_PAGE_BYTES);
    return vsm_hasher_run(hasher, jobs, n_jobs, error);
}

/* Sets the bits of this part, which no other task touches. */
static void compare_pages(const Part *part, guint n, const VsmDigest *leaves)
{
    const Block *block = part->block;
    const VsmView *view = vsm_stored_view(part->measuring->stored);

    for (guint i = 0; i < n; i++) {
        guint64 page = part->first + i;
        const VsmDigest *sealed = vsm_view_peek(view, block->sealed, page);
        bool equal = sealed == &vsm_leaf_zero
                         ? is_zero_leaf(&leaves[i])
                         : vsm_digest_equal(sealed, &leaves[i]);

        /* An absent page has no body, and is absent on both sides. */
        if (!equal && !(block->geometry->n_absent &&
                        vsm_geometry_is_absent(block->geometry, page))) {
            block->changed[page / 64] |= 1ull << (page % 64);
        }
    }
}

static bool run_part(gpointer data, VsmHasher *hasher, GError **error)
{
    g_autofree Part *part = data;
    Measuring *measuring = part->measuring;
    const Block *block = part->block;
    g_autofree VsmDigest *leaves = NULL;
    guint n = MIN(TASK_PAGES, block->geometry->pages - part->first);
    guint64 node = part->first / VSM_TREE_FANOUT;

    if (vsm_group_is_cancelled(measuring->group)) {
        return true;
    }
    if (g_cancellable_is_cancelled(measuring->cancel)) {
        vsm_group_cancel(measuring->group);
        return true;
    }
    leaves = g_new(VsmDigest, n);
    if (!hash_pages(part, n, hasher, leaves, error)) {
        return false;
    }
    if (block->sealed >= 0) {
        compare_pages(part, n, leaves);
    }
    return vsm_tree_nodes(hasher, 1, node, leaves, n, block->level1 + node,
                          error);
}

static bool run_root(gpointer data, VsmHasher *hasher, GError **error)
{
    Block *block = data;

    return vsm_tree_finish(hasher, VSM_TREE_RAM, block->geometry->pages,
                           block->level1, &block->root, error);
}

static bool check_cancelled(Measuring *measuring, GError **error)
{
    if (vsm_group_is_cancelled(measuring->group) ||
        g_cancellable_is_cancelled(measuring->cancel)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CANCELLED,
                    "measuring RAM was cancelled");
        return false;
    }
    return true;
}

static bool measure(Measuring *measuring, GError **error)
{
    for (guint i = 0; i < measuring->n_blocks; i++) {
        Block *block = &measuring->blocks[i];

        for (guint64 page = 0; page < block->geometry->pages &&
                               !vsm_group_is_cancelled(measuring->group);
             page += TASK_PAGES) {
            Part *part = g_new(Part, 1);

            *part = (Part){measuring, block, page};
            vsm_group_push(measuring->group, run_part, part);
        }
    }
    if (!vsm_group_wait(measuring->group, error) ||
        !check_cancelled(measuring, error)) {
        return false;
    }
    for (guint i = 0; i < measuring->n_blocks; i++) {
        vsm_group_push(measuring->group, run_root, &measuring->blocks[i]);
    }
    return vsm_group_wait(measuring->group, error);
}

/* Pages are compared only where the shape is the same. */
static gint find_sealed(const VsmStored *stored, const VsmGeometryBlock *block)
{
    const VsmGeometryBlock *sealed;
    guint index;

    if (!stored) {
        return -1;
    }
    sealed = vsm_geometry_find(vsm_stored_manifest(stored)->geometry,
                               block->idstr, &index);
    return sealed && vsm_geometry_block_equal(sealed, block) ? (gint)index : -1;
}

static bool prepare_block(Measuring *measuring,
                          Block *block,
                          const VsmRamBlock *in,
                          const VsmGeometryBlock *geometry,
                          GError **error)
{
    block->host = in->host;
    block->pagemap = in->pagemap;
    block->geometry = geometry;
    block->sealed = find_sealed(measuring->stored, geometry);
    if (!in->host && geometry->pages) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "RAM block '%s': has no address", in->idstr);
        return false;
    }
    block->level1 = g_try_new(VsmDigest, vsm_tree_width(geometry->pages) + 1);
    block->changed = g_try_new0(guint64, geometry->pages / 64 + 1);
    if (!block->level1 || !block->changed) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "RAM block '%s': no memory for its digests", in->idstr);
        return false;
    }
    return true;
}

static void
add_range(VsmRamResult *result, const Block *block, guint64 first, guint64 end)
{
    VsmFinding *finding;

    result->changed_pages += end - first;
    if (result->changed->len == VSM_FINDINGS_MAX) {
        result->changed_left_out++;
        return;
    }
    finding = g_new0(VsmFinding, 1);
    finding->kind = "ram";
    finding->where = g_strdup(block->geometry->idstr);
    finding->offset = first * VSM_PAGE_BYTES;
    finding->bytes = (end - first) * VSM_PAGE_BYTES;
    g_ptr_array_add(result->changed, finding);
}

static void collect(const Block *block, VsmRamResult *result)
{
    guint64 begin = G_MAXUINT64; /* of the range that is open */

    for (guint64 page = 0; page < block->geometry->pages; page++) {
        bool bit;

        if (page % 64 == 0 && begin == G_MAXUINT64 &&
            block->changed[page / 64] == 0) {
            page += 63;
            continue;
        }
        bit = block->changed[page / 64] >> (page % 64) & 1;
        if (bit && begin == G_MAXUINT64) {
            begin = page;
        } else if (!bit && begin != G_MAXUINT64) {
            add_range(result, block, begin, page);
            begin = G_MAXUINT64;
        }
    }
    if (begin != G_MAXUINT64) {
        add_range(result, block, begin, block->geometry->pages);
    }
}

static void give_result(const Measuring *measuring,
                        VsmGeometry *geometry,
                        VsmManifest *manifest,
                        VsmRamResult *ret)
{
    g_autofree VsmDigest *roots = g_new0(VsmDigest, measuring->n_blocks);
    VsmRamResult result = {0};

    result.changed =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_finding_free);
    for (guint i = 0; i < measuring->n_blocks; i++) {
        roots[i] = measuring->blocks[i].root;
        result.bytes_hashed +=
            vsm_geometry_present(measuring->blocks[i].geometry) *
            VSM_PAGE_BYTES;
        collect(&measuring->blocks[i], &result);
    }
    vsm_manifest_set_ram(manifest, geometry, roots);
    *ret = result;
}

bool vsm_ram_measure(VsmPool *pool,
                     const VsmStored *stored,
                     const VsmRamBlock *blocks,
                     guint n_blocks,
                     VsmManifest *manifest,
                     VsmRamResult *ret,
                     GCancellable *cancel,
                     GError **error)
{
    g_autoptr(VsmGeometry) geometry = vsm_geometry_new(blocks, n_blocks, error);
    Measuring measuring = {.pool = pool, .stored = stored, .cancel = cancel};
    bool ok = true;

    if (!geometry) {
        return false;
    }
    measuring.group = vsm_group_new(pool, 4 * vsm_pool_threads(pool));
    measuring.blocks = g_new0(Block, n_blocks);
    measuring.n_blocks = n_blocks;
    for (guint i = 0; i < n_blocks && ok; i++) {
        ok = prepare_block(&measuring, &measuring.blocks[i], &blocks[i],
                           &geometry->blocks[i], error);
    }
    ok = ok && measure(&measuring, error);
    vsm_group_free(measuring.group); /* all threads have left the blocks */
    if (ok) {
        give_result(&measuring, g_steal_pointer(&geometry), manifest, ret);
    }
    for (guint i = 0; i < n_blocks; i++) {
        g_free(measuring.blocks[i].level1);
        g_free(measuring.blocks[i].changed);
    }
    g_free(measuring.blocks);
    return ok;
}

void vsm_ram_result_clear(VsmRamResult *result)
{
    g_clear_pointer(&result->changed, g_ptr_array_unref);
    *result = (VsmRamResult){0};
}
