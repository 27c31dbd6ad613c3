/*
 * The map: where in the stream the body of each RAM page lies.
 *
 * A flat little-endian array of runs, 24 bytes each: u64 offset, u32 block,
 * u32 first page, u32 pages, u32 stride (from body to body; VSM_PAGE_BYTES in
 * a run of one page).  Runs ascend by offset; bodies are disjoint, inside the
 * stream and inside their block, and not in an absent range.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/geometry.h"

#define VSM_RUN_BYTES 24

typedef struct {
    guint64 offset;
    guint32 block, first, pages, stride;
} VsmRun;

typedef struct _VsmMap VsmMap;

/* Building: bodies in the order of the stream. */
VsmMap *vsm_map_new(void);
bool vsm_map_add(
    VsmMap *map, guint64 offset, guint32 block, guint32 page, GError **error);

/* Appends stored bytes, any cut; nothing is used before vsm_map_check(). */
bool vsm_map_append(VsmMap *map, GBytes *bytes, GError **error);

/* FORMAT unless every run is as promised above. */
bool vsm_map_check(VsmMap *map,
                   const VsmGeometry *geometry,
                   guint64 stream_bytes,
                   GError **error);

guint32 vsm_map_runs(const VsmMap *map);
guint64 vsm_map_bodies(const VsmMap *map); /* after a check, or building */
VsmRun vsm_map_run(const VsmMap *map, guint32 index);

/* All runs as stored; borrowed. */
const guint8 *vsm_map_data(const VsmMap *map, gsize *ret_bytes);

/* At most @bytes of the runs as stored, from @offset on; transfer full. */
GBytes *vsm_map_slice(const VsmMap *map, guint64 offset, gsize bytes);

/* A place among the bodies, going forward. */
typedef struct {
    const VsmMap *map;
    guint32 run, in_run;
    guint64 body; /* index of the body, in stream order */
} VsmMapCursor;

void vsm_map_first(const VsmMap *map, VsmMapCursor *cursor);
/*
 * Offset of the body at @cursor, or G_MAXUINT64 after the last; the map may
 * grow meanwhile.
 */
guint64 vsm_map_offset(VsmMapCursor *cursor);
void vsm_map_next(VsmMapCursor *cursor);

/* The last body of a page: its stream offset and index; false: none. */
bool vsm_map_find_page(const VsmMap *map,
                       guint32 block,
                       guint32 page,
                       guint64 *ret_offset,
                       guint64 *ret_body);
void vsm_map_free(VsmMap *map);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmMap, vsm_map_free)
