/*
 * The shape of RAM: blocks, their lengths and absent ranges, copied and
 * checked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/state.h>

typedef struct {
    char *idstr;
    guint64 pages;
    VsmRange *absent; /* ascending, disjoint, not adjacent, inside */
    guint n_absent;
} VsmGeometryBlock;

typedef struct {
    VsmGeometryBlock *blocks;
    guint n_blocks;
} VsmGeometry;

/* INVALID for a shape that cannot be, LIMIT for one that is too big. */
VsmGeometry *
vsm_geometry_new(const VsmRamBlock *blocks, guint n_blocks, GError **error);
void vsm_geometry_free(VsmGeometry *geometry);

/* Whether @page is absent. */
bool vsm_geometry_is_absent(const VsmGeometryBlock *block, guint64 page);

/* Whether [@first, @first + @count) touches an absent range. */
bool vsm_geometry_touches_absent(const VsmGeometryBlock *block,
                                 guint64 first,
                                 guint64 count);

/* Sets those of the @n leaves from page @first on that are absent to @mark. */
void vsm_geometry_mark_absent(const VsmGeometryBlock *block,
                              guint64 first,
                              guint n,
                              VsmDigest *leaves,
                              const VsmDigest *mark);

/* Same name, length and absent ranges. */
bool vsm_geometry_block_equal(const VsmGeometryBlock *a,
                              const VsmGeometryBlock *b);

/* Pages that are not absent. */
guint64 vsm_geometry_present(const VsmGeometryBlock *block);

/* The block of this name and its index, or NULL. */
const VsmGeometryBlock *vsm_geometry_find(const VsmGeometry *geometry,
                                          const char *idstr,
                                          guint *ret_index);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmGeometry, vsm_geometry_free)
