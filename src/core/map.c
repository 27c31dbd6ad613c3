/*
 * The map: where in the stream the body of each RAM page lies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/map.h"

#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"

struct _VsmMap {
    guint8 *data; /* runs as stored */
    gsize bytes, room;
    guint64 bodies;
};

VsmMap *vsm_map_new(void)
{
    return g_new0(VsmMap, 1);
}

static bool reserve(VsmMap *map, gsize more, GError **error)
{
    gsize need = map->bytes + more;
    gsize room = MAX(map->room, 4096);
    guint8 *data;

    if (need > (gsize)VSM_RUNS_MAX * VSM_RUN_BYTES) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "map: more than %u runs of pages", VSM_RUNS_MAX);
        return false;
    }
    while (room < need) {
        room *= 2;
    }
    if (room == map->room) {
        return true;
    }
    data = g_try_realloc(map->data, room);
    if (!data) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "map: no memory for %" G_GSIZE_FORMAT " bytes", room);
        return false;
    }
    map->data = data;
    map->room = room;
    return true;
}

VsmRun vsm_map_run(const VsmMap *map, guint32 index)
{
    VsmRun run;

    G_STATIC_ASSERT(sizeof(run) == VSM_RUN_BYTES);
    memcpy(&run, map->data + (gsize)index * VSM_RUN_BYTES, sizeof(run));
    run.offset = GUINT64_FROM_LE(run.offset);
    run.block = GUINT32_FROM_LE(run.block);
    run.first = GUINT32_FROM_LE(run.first);
    run.pages = GUINT32_FROM_LE(run.pages);
    run.stride = GUINT32_FROM_LE(run.stride);
    return run;
}

static void store_run(VsmMap *map, guint32 index, VsmRun run)
{
    run.offset = GUINT64_TO_LE(run.offset);
    run.block = GUINT32_TO_LE(run.block);
    run.first = GUINT32_TO_LE(run.first);
    run.pages = GUINT32_TO_LE(run.pages);
    run.stride = GUINT32_TO_LE(run.stride);
    memcpy(map->data + (gsize)index * VSM_RUN_BYTES, &run, sizeof(run));
}

guint32 vsm_map_runs(const VsmMap *map)
{
    return map->bytes / VSM_RUN_BYTES;
}

guint64 vsm_map_bodies(const VsmMap *map)
{
    return map->bodies;
}

/* Offset of the last body of a run. */
static guint64 last_offset(const VsmRun *run)
{
    return run->offset + (guint64)(run->pages - 1) * run->stride;
}

/* Whether the body goes on with the run; sets the stride of a second one. */
static bool extends(VsmRun *run, guint64 offset, guint32 block, guint32 page)
{
    guint64 step = offset - last_offset(run);

    if (run->block != block || (guint64)run->first + run->pages != page ||
        step > VSM_RUN_STRIDE_MAX || run->pages == G_MAXUINT32) {
        return false;
    }
    if (run->pages == 1) {
        run->stride = step;
    }
    return run->stride == step;
}

bool vsm_map_add(
    VsmMap *map, guint64 offset, guint32 block, guint32 page, GError **error)
{
    guint32 n = vsm_map_runs(map);

    if (offset > VSM_STREAM_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "map: offset %" G_GUINT64_FORMAT " is too far", offset);
        return false;
    }
    if (n) {
        VsmRun last = vsm_map_run(map, n - 1);

        if (offset < last_offset(&last) + VSM_PAGE_BYTES) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "map: the page at %" G_GUINT64_FORMAT
                        " lies before the end of the one before",
                        offset);
            return false;
        }
        if (extends(&last, offset, block, page)) {
            last.pages++;
            store_run(map, n - 1, last);
            map->bodies++;
            return true;
        }
    }
    if (!reserve(map, VSM_RUN_BYTES, error)) {
        return false;
    }
    map->bytes += VSM_RUN_BYTES;
    store_run(map, n, (VsmRun){offset, block, page, 1, VSM_PAGE_BYTES});
    map->bodies++;
    return true;
}

bool vsm_map_append(VsmMap *map, GBytes *bytes, GError **error)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);

    if (!reserve(map, size, error)) {
        return false;
    }
    if (size) {
        memcpy(map->data + map->bytes, data, size);
        map->bytes += size;
    }
    return true;
}

static const char *check_run(const VsmRun *run,
                             const VsmGeometry *geometry,
                             guint64 begin,
                             guint64 end)
{
    const VsmGeometryBlock *block;
    guint64 length;

    if (run->pages == 0 || run->stride < VSM_PAGE_BYTES ||
        run->stride > VSM_RUN_STRIDE_MAX ||
        (run->pages == 1 && run->stride != VSM_PAGE_BYTES)) {
        return "has no pages or a wrong stride";
    }
    if (run->block >= geometry->n_blocks) {
        return "names a RAM block that is not there";
    }
    block = &geometry->blocks[run->block];
    if (run->first >= block->pages || run->pages > block->pages - run->first) {
        return "is outside of its RAM block";
    }
    if (vsm_geometry_touches_absent(block, run->first, run->pages)) {
        return "is in an absent range";
    }
    /* At most 2^32 * 2^20: cannot overflow. */
    length = (guint64)(run->pages - 1) * run->stride + VSM_PAGE_BYTES;
    if (run->offset < begin) {
        return "does not ascend";
    }
    if (run->offset > end || length > end - run->offset) {
        return "is outside of the stream";
    }
    return NULL;
}

bool vsm_map_check(VsmMap *map,
                   const VsmGeometry *geometry,
                   guint64 stream_bytes,
                   GError **error)
{
    guint64 begin = 0, bodies = 0;

    if (map->bytes % VSM_RUN_BYTES) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "map: its length is no multiple of %d", VSM_RUN_BYTES);
        return false;
    }
    for (guint32 i = 0; i < vsm_map_runs(map); i++) {
        VsmRun run = vsm_map_run(map, i);
        const char *why = check_run(&run, geometry, begin, stream_bytes);

        if (why) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, "map: run %u %s", i,
                        why);
            return false;
        }
        begin = last_offset(&run) + VSM_PAGE_BYTES;
        bodies += run.pages;
    }
    map->bodies = bodies;
    return true;
}

GBytes *vsm_map_slice(const VsmMap *map, guint64 offset, gsize bytes)
{
    g_assert(offset <= map->bytes);
    return g_bytes_new(map->data + offset, MIN(bytes, map->bytes - offset));
}

const guint8 *vsm_map_data(const VsmMap *map, gsize *ret_bytes)
{
    *ret_bytes = map->bytes;
    return map->data;
}

void vsm_map_first(const VsmMap *map, VsmMapCursor *cursor)
{
    *cursor = (VsmMapCursor){.map = map};
}

guint64 vsm_map_offset(VsmMapCursor *cursor)
{
    guint32 n = vsm_map_runs(cursor->map);
    VsmRun run;

    if (cursor->run >= n) {
        return G_MAXUINT64;
    }
    run = vsm_map_run(cursor->map, cursor->run);
    if (cursor->in_run >= run.pages) {
        if (cursor->run + 1 >= n) {
            return G_MAXUINT64; /* the run may still grow */
        }
        cursor->run++;
        cursor->in_run = 0;
        run = vsm_map_run(cursor->map, cursor->run);
    }
    return run.offset + (guint64)cursor->in_run * run.stride;
}

void vsm_map_next(VsmMapCursor *cursor)
{
    cursor->in_run++;
    cursor->body++;
}

bool vsm_map_find_page(const VsmMap *map,
                       guint32 block,
                       guint32 page,
                       guint64 *ret_offset,
                       guint64 *ret_body)
{
    guint64 body = map->bodies;

    for (guint32 i = vsm_map_runs(map); i-- > 0;) {
        VsmRun run = vsm_map_run(map, i);

        body -= run.pages;
        if (run.block == block && page >= run.first &&
            page - run.first < run.pages) {
            guint32 in_run = page - run.first;

            *ret_offset = run.offset + (guint64)in_run * run.stride;
            *ret_body = body + in_run;
            return true;
        }
    }
    return false;
}

void vsm_map_free(VsmMap *map)
{
    if (!map) {
        return;
    }
    g_free(map->data);
    g_free(map);
}
