/*
 * Saving: where bodies lie, the parts that are put, and the documents.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/error.h>

#include "base/limits.h"
#include "core/stream-internal.h"
#include "crypto/hash.h"

bool vsm_stream_set_ram(VsmStream *stream,
                        const VsmRamBlock *blocks,
                        guint n_blocks,
                        GError **error)
{
    if (stream->stored || stream->geometry || stream->position) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "stream: RAM blocks are set once, before the first byte");
        return false;
    }
    stream->geometry = vsm_geometry_new(blocks, n_blocks, error);
    return stream->geometry != NULL;
}

static bool add_page(VsmStream *stream,
                     guint64 offset,
                     guint block,
                     guint64 page,
                     GError **error)
{
    const VsmGeometry *geometry = stream->geometry;
    const VsmTap *tap = g_queue_peek_tail(&stream->taps);
    const char *why = NULL;

    if (stream->stored || stream->finished || !geometry) {
        why = "this stream is not being saved";
    } else if (block >= geometry->n_blocks ||
               page >= geometry->blocks[block].pages) {
        why = "there is no such page";
    } else if (vsm_geometry_is_absent(&geometry->blocks[block], page)) {
        why = "the page is in an absent range";
    } else if (offset < stream->position) {
        why = "its first byte was already fed";
    } else if (tap && offset < tap->end) {
        why = "it lies inside of a device section";
    }
    if (why) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "stream: page %" G_GUINT64_FORMAT
                    " of block %u at %" G_GUINT64_FORMAT ": %s",
                    page, block, offset, why);
        return false;
    }
    return vsm_map_add(stream->map, offset, block, page, error);
}

void vsm_stream_page(VsmStream *stream,
                     guint64 offset,
                     guint block,
                     guint64 page)
{
    GError *why = NULL;

    if (!add_page(stream, offset, block, page, &why)) {
        vsm_stream_fail(stream, why, NULL);
    }
}

static bool put(VsmStream *stream,
                VsmPart part,
                guint64 offset,
                GBytes *bytes,
                GError **error)
{
    return !stream->put ||
           stream->put(stream->opaque, part, offset, bytes, error);
}

static bool put_segment(VsmStream *stream,
                        VsmPart part,
                        VsmLeaves *leaves,
                        guint64 segment,
                        GError **error)
{
    g_autoptr(GBytes) bytes = vsm_leaves_segment(leaves, segment);
    guint64 offset = segment * (guint64)VSM_LEAVES_SEGMENT * VSM_DIGEST_BYTES;

    return put(stream, part, offset, bytes, error);
}

bool vsm_stream_put_leaves(VsmStream *stream, bool last, GError **error)
{
    while (stream->complete - stream->leaves_put >=
           (last ? 1 : VSM_LEAVES_SEGMENT)) {
        guint64 segment = stream->leaves_put / VSM_LEAVES_SEGMENT;

        if (!put_segment(stream, VSM_PART_LEAVES, stream->leaves, segment,
                         error)) {
            return false;
        }
        stream->leaves_put =
            MIN(stream->complete, (segment + 1) * (guint64)VSM_LEAVES_SEGMENT);
    }
    return true;
}

static bool put_skeleton(VsmStream *stream, GError **error)
{
    guint64 n = vsm_leaves_count(stream->skeleton);

    for (guint64 i = 0; i * VSM_LEAVES_SEGMENT < n; i++) {
        if (!put_segment(stream, VSM_PART_SKELETON, stream->skeleton, i,
                         error)) {
            return false;
        }
    }
    return true;
}

static bool put_map(VsmStream *stream, GError **error)
{
    gsize size;

    vsm_map_data(stream->map, &size);
    for (gsize at = 0; at < size; at += VSM_PIECE_BYTES_MAX) {
        g_autoptr(GBytes) bytes =
            vsm_map_slice(stream->map, at, VSM_PIECE_BYTES_MAX);

        if (!put(stream, VSM_PART_MAP, at, bytes, error)) {
            return false;
        }
    }
    return true;
}

static bool make_document(VsmStream *stream, GError **error)
{
    VsmDocument *document = &stream->document;
    gsize map_bytes;
    const guint8 *map = vsm_map_data(stream->map, &map_bytes);

    document->bytes = stream->position;
    document->runs = vsm_map_runs(stream->map);
    document->skeleton_bytes = stream->skeleton_bytes;
    return vsm_sha384(map, map_bytes, &document->map, error) &&
           vsm_leaves_root(stream->leaves, stream->pool, VSM_TREE_BODIES,
                           &document->bodies, error) &&
           vsm_leaves_root(stream->skeleton, stream->pool, VSM_TREE_SKELETON,
                           &document->skeleton, error);
}

/* The roots say what a load of these bytes will produce. */
static bool make_roots(VsmStream *stream, GError **error)
{
    guint n = stream->geometry->n_blocks;
    g_autofree VsmDigest *roots = g_new0(VsmDigest, n);
    g_autoptr(VsmView) view =
        vsm_view_new(stream->geometry, stream->map, stream->leaves, error);

    if (!view) {
        return false;
    }
    for (guint i = 0; i < n; i++) {
        if (!vsm_view_root(view, stream->pool, i, &roots[i], error)) {
            return false;
        }
    }
    g_clear_pointer(&view, vsm_view_free); /* it borrows the geometry */
    vsm_manifest_set_ram(stream->manifest, g_steal_pointer(&stream->geometry),
                         roots);
    return true;
}

bool vsm_stream_finish_save(VsmStream *stream, GError **error)
{
    if (!stream->geometry || stream->body ||
        vsm_map_bodies(stream->map) != stream->cursor.body) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "stream: ends at %" G_GUINT64_FORMAT
                    ", before the end of a page that was announced",
                    stream->position);
        return false;
    }
    return vsm_stream_finish_taps(stream, error) &&
           put_skeleton(stream, error) && put_map(stream, error) &&
           make_document(stream, error) && make_roots(stream, error);
}

bool vsm_stream_documents(VsmStream *stream,
                          GBytes **ret_manifest,
                          GBytes **ret_document,
                          GError **error)
{
    g_autoptr(GBytes) manifest = NULL;
    g_autoptr(GBytes) document = NULL;

    if (stream->stored || !stream->finished || stream->failure) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "stream: documents are there once a save has ended well");
        return false;
    }
    manifest = vsm_manifest_encode(stream->manifest, error);
    if (!manifest) {
        return false;
    }
    document = vsm_document_encode(&stream->document, error);
    if (!document) {
        return false;
    }
    *ret_manifest = g_steal_pointer(&manifest);
    *ret_document = g_steal_pointer(&document);
    return true;
}
