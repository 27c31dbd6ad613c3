/*
 * The shape of RAM: blocks, their lengths and absent ranges, copied and
 * checked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/geometry.h"

#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "base/text.h"

static bool bad_block(const char *idstr, const char *why, GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID, "RAM block '%s': %s",
                idstr, why);
    return false;
}

/* Copies ascending, disjoint ranges; joins those that touch. */
static bool
copy_absent(const VsmRamBlock *in, VsmGeometryBlock *out, GError **error)
{
    if (in->n_absent > VSM_ABSENT_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "RAM block '%s': %u absent ranges, at most %u are allowed",
                    in->idstr, in->n_absent, VSM_ABSENT_MAX);
        return false;
    }
    out->absent = g_new0(VsmRange, in->n_absent);
    for (guint i = 0; i < in->n_absent; i++) {
        VsmRange range = in->absent[i];
        VsmRange *last = out->n_absent ? &out->absent[out->n_absent - 1] : NULL;

        if (range.count == 0 || range.first >= out->pages ||
            range.count > out->pages - range.first) {
            return bad_block(in->idstr, "an absent range is outside", error);
        }
        if (last && range.first < last->first + last->count) {
            return bad_block(in->idstr, "absent ranges do not ascend", error);
        }
        if (last && range.first == last->first + last->count) {
            last->count += range.count;
        } else {
            out->absent[out->n_absent++] = range;
        }
    }
    return true;
}

static bool copy_block(const VsmRamBlock *in,
                       VsmGeometryBlock *out,
                       guint64 *total,
                       GError **error)
{
    if (!vsm_text_check(in->idstr, VSM_IDSTR_BYTES_MAX, "RAM block name",
                        error)) {
        return false;
    }
    if (in->bytes % VSM_PAGE_BYTES) {
        return bad_block(in->idstr, "its length is no multiple of 4096", error);
    }
    if (in->bytes > VSM_RAM_BYTES_MAX - *total) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "RAM block '%s': all RAM together is more than %llu bytes",
                    in->idstr, VSM_RAM_BYTES_MAX);
        return false;
    }
    *total += in->bytes;
    out->idstr = g_strdup(in->idstr);
    out->pages = in->bytes / VSM_PAGE_BYTES;
    return copy_absent(in, out, error);
}

VsmGeometry *
vsm_geometry_new(const VsmRamBlock *blocks, guint n_blocks, GError **error)
{
    g_autoptr(VsmGeometry) geometry = g_new0(VsmGeometry, 1);
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    guint64 total = 0;

    if (n_blocks > VSM_BLOCKS_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "%u RAM blocks, at most %u are allowed", n_blocks,
                    VSM_BLOCKS_MAX);
        return NULL;
    }
    geometry->blocks = g_new0(VsmGeometryBlock, n_blocks);
    geometry->n_blocks = n_blocks;
    for (guint i = 0; i < n_blocks; i++) {
        if (!copy_block(&blocks[i], &geometry->blocks[i], &total, error)) {
            return NULL;
        }
        if (!g_hash_table_add(names, geometry->blocks[i].idstr)) {
            bad_block(blocks[i].idstr, "is named twice", error);
            return NULL;
        }
    }
    return g_steal_pointer(&geometry);
}

void vsm_geometry_free(VsmGeometry *geometry)
{
    if (!geometry) {
        return;
    }
    for (guint i = 0; i < geometry->n_blocks; i++) {
        g_free(geometry->blocks[i].idstr);
        g_free(geometry->blocks[i].absent);
    }
    g_free(geometry->blocks);
    g_free(geometry);
}

/* The first absent range that ends behind @page, or n_absent. */
static guint find_absent(const VsmGeometryBlock *block, guint64 page)
{
    guint low = 0, high = block->n_absent;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const VsmRange *range = &block->absent[middle];

        if (range->first + range->count <= page) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool vsm_geometry_touches_absent(const VsmGeometryBlock *block,
                                 guint64 first,
                                 guint64 count)
{
    guint i = find_absent(block, first);

    return i < block->n_absent && block->absent[i].first < first + count;
}

bool vsm_geometry_is_absent(const VsmGeometryBlock *block, guint64 page)
{
    return vsm_geometry_touches_absent(block, page, 1);
}

void vsm_geometry_mark_absent(const VsmGeometryBlock *block,
                              guint64 first,
                              guint n,
                              VsmDigest *leaves,
                              const VsmDigest *mark)
{
    guint64 end = first + n;

    for (guint i = find_absent(block, first);
         i < block->n_absent && block->absent[i].first < end; i++) {
        const VsmRange *range = &block->absent[i];
        guint64 from = MAX(range->first, first);
        guint64 to = MIN(range->first + range->count, end);

        for (guint64 page = from; page < to; page++) {
            leaves[page - first] = *mark;
        }
    }
}

bool vsm_geometry_block_equal(const VsmGeometryBlock *a,
                              const VsmGeometryBlock *b)
{
    if (strcmp(a->idstr, b->idstr) != 0 || a->pages != b->pages ||
        a->n_absent != b->n_absent) {
        return false;
    }
    return a->n_absent == 0 ||
           memcmp(a->absent, b->absent, a->n_absent * sizeof(VsmRange)) == 0;
}

const VsmGeometryBlock *vsm_geometry_find(const VsmGeometry *geometry,
                                          const char *idstr,
                                          guint *ret_index)
{
    for (guint i = 0; i < geometry->n_blocks; i++) {
        if (strcmp(geometry->blocks[i].idstr, idstr) == 0) {
            *ret_index = i;
            return &geometry->blocks[i];
        }
    }
    return NULL;
}

guint64 vsm_geometry_present(const VsmGeometryBlock *block)
{
    guint64 pages = block->pages;

    for (guint i = 0; i < block->n_absent; i++) {
        pages -= block->absent[i].count;
    }
    return pages;
}
