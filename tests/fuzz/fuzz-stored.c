/*
 * Fuzz target: a whole record, and a stream that is verified against it.
 *
 * The input is cut into map, leaves, skeleton digests and stream bytes.  The
 * documents are made to fit, so that mutants get past the digests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/stored.h"
#include "core/stream.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static VsmPool *pool;

static GBytes *take(const guint8 **data, gsize *size, gsize want)
{
    gsize n = MIN(want, *size);
    GBytes *bytes = g_bytes_new(*data, n);

    *data += n;
    *size -= n;
    return bytes;
}

static GBytes *make_manifest(const VsmLeaves *leaves, const VsmMap *map)
{
    static const VsmRamBlock block = {"ram", 16 * 4096, NULL, NULL, 0, NULL};
    g_autoptr(VsmManifest) manifest = vsm_manifest_new();
    VsmGeometry *geometry = vsm_geometry_new(&block, 1, NULL);
    g_autoptr(VsmView) view = vsm_view_new(geometry, map, leaves, NULL);
    VsmDigest root;

    g_assert_true(vsm_view_root(view, pool, 0, &root, NULL));
    g_clear_pointer(&view, vsm_view_free);
    vsm_manifest_set_ram(manifest, geometry, &root);
    return vsm_manifest_encode(manifest, NULL);
}

static void verify(const VsmStored *stored, const guint8 *data, gsize size)
{
    g_autoptr(VsmStream) stream = vsm_stream_new_verify(pool, stored, true);
    g_autoptr(GPtrArray) damage = NULL;
    g_autoptr(GBytes) measured = NULL;
    guint64 left_out;

    while (size) {
        g_autoptr(GBytes) chunk = take(&data, &size, 1 + data[0] * 64);

        g_assert_true(vsm_stream_feed(stream, chunk, NULL));
    }
    vsm_stream_finish(stream, NULL);
    damage = vsm_stream_damage(stream, &left_out);
    g_assert_true(vsm_stream_measured(stream, &measured, NULL));
}

/* A map of this geometry that passes its check; else NULL. */
static VsmMap *make_map(GBytes *bytes, guint64 stream_bytes)
{
    static const VsmRamBlock block = {"ram", 16 * 4096, NULL, NULL, 0, NULL};
    g_autoptr(VsmGeometry) geometry = vsm_geometry_new(&block, 1, NULL);
    g_autoptr(VsmMap) map = vsm_map_new();

    g_assert_true(vsm_map_append(map, bytes, NULL));
    if (!vsm_map_check(map, geometry, stream_bytes, NULL)) {
        return NULL;
    }
    return g_steal_pointer(&map);
}

static void run(const guint8 *data, gsize size)
{
    guint runs = data[0] % 4;
    guint64 stream_bytes = 4096 * (data[1] % 8) + data[2];
    const guint8 *rest = data + 3;
    gsize left = size - 3;
    g_autoptr(GBytes) map_bytes = take(&rest, &left, runs * VSM_RUN_BYTES);
    g_autoptr(VsmMap) map = make_map(map_bytes, stream_bytes);
    g_autoptr(VsmLeaves) leaves = vsm_leaves_new();
    g_autoptr(VsmLeaves) skeleton = vsm_leaves_new();
    g_autoptr(VsmStored) stored = NULL;
    g_autoptr(GBytes) manifest = NULL;
    g_autoptr(GBytes) encoded = NULL;
    g_autoptr(GBytes) leaf_bytes = NULL;
    g_autoptr(GBytes) piece_bytes = NULL;
    VsmDocument document = {.bytes = stream_bytes};

    if (!map) {
        return;
    }
    document.runs = vsm_map_runs(map);
    document.skeleton_bytes =
        stream_bytes - vsm_map_bodies(map) * VSM_PAGE_BYTES;
    leaf_bytes = take(&rest, &left, vsm_map_bodies(map) * VSM_DIGEST_BYTES);
    piece_bytes =
        take(&rest, &left, vsm_document_pieces(&document) * VSM_DIGEST_BYTES);
    if (!vsm_leaves_append(leaves, leaf_bytes, NULL) ||
        !vsm_leaves_append(skeleton, piece_bytes, NULL) ||
        vsm_leaves_count(leaves) != vsm_map_bodies(map)) {
        return;
    }
    g_assert_true(vsm_sha384_bytes(map_bytes, &document.map, NULL));
    g_assert_true(
        vsm_leaves_root(leaves, pool, VSM_TREE_BODIES, &document.bodies, NULL));
    g_assert_true(vsm_leaves_root(skeleton, pool, VSM_TREE_SKELETON,
                                  &document.skeleton, NULL));
    manifest = make_manifest(leaves, map);
    encoded = vsm_document_encode(&document, NULL);
    stored = vsm_stored_new(manifest, encoded, NULL);
    if (stored && vsm_stored_add(stored, VSM_PART_MAP, map_bytes, NULL) &&
        vsm_stored_add(stored, VSM_PART_LEAVES, leaf_bytes, NULL) &&
        vsm_stored_add(stored, VSM_PART_SKELETON, piece_bytes, NULL) &&
        vsm_stored_prove(stored, pool, NULL)) {
        verify(stored, rest, left);
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    if (!pool) {
        pool = vsm_pool_new(1, VSM_HASH_BACKEND_AUTO, NULL);
    }
    if (size > 3) {
        run(data, size);
    }
    return 0;
}
