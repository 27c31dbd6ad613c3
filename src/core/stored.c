/*
 * What was sealed of a snapshot, fetched part by part and proved.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/stored.h"

#include <vsm/error.h>

#include "base/limits.h"
#include "base/part.h"
#include "crypto/hash.h"

struct _VsmStored {
    VsmManifest *manifest;
    VsmDocument document;
    VsmMap *map;
    VsmLeaves *leaves, *skeleton;
    guint64 map_bytes; /* that came */
    VsmView *view; /* NULL until proved */
};

VsmStored *vsm_stored_new(GBytes *manifest, GBytes *document, GError **error)
{
    g_autoptr(VsmStored) stored = g_new0(VsmStored, 1);

    stored->map = vsm_map_new();
    stored->leaves = vsm_leaves_new();
    stored->skeleton = vsm_leaves_new();
    stored->manifest = vsm_manifest_decode(manifest, error);
    if (!stored->manifest ||
        !vsm_document_decode(document, &stored->document, error)) {
        return NULL;
    }
    return g_steal_pointer(&stored);
}

guint64 vsm_stored_part_bytes(const VsmStored *stored, VsmPart part)
{
    return vsm_document_part_bytes(&stored->document, part);
}

static guint64 came(const VsmStored *stored, VsmPart part)
{
    switch (part) {
    case VSM_PART_MAP:
        return stored->map_bytes;
    case VSM_PART_LEAVES:
        return vsm_leaves_count(stored->leaves) * VSM_DIGEST_BYTES;
    case VSM_PART_SKELETON:
        return vsm_leaves_count(stored->skeleton) * VSM_DIGEST_BYTES;
    default:
        return 0;
    }
}

static bool tampered(VsmPart part, const char *why, GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                "the snapshot's part '%s' %s: it was changed after sealing; "
                "the snapshot can only be removed",
                vsm_part_name(part), why);
    return false;
}

bool vsm_stored_add(VsmStored *stored,
                    VsmPart part,
                    GBytes *bytes,
                    GError **error)
{
    gsize size = g_bytes_get_size(bytes);

    if (size > vsm_stored_part_bytes(stored, part) - came(stored, part)) {
        return tampered(part, "is longer than it was", error);
    }
    switch (part) {
    case VSM_PART_MAP:
        stored->map_bytes += size;
        return vsm_map_append(stored->map, bytes, error);
    case VSM_PART_LEAVES:
        return vsm_leaves_append(stored->leaves, bytes, error);
    case VSM_PART_SKELETON:
        return vsm_leaves_append(stored->skeleton, bytes, error);
    default:
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "part %d is not fetched in pieces", part);
        return false;
    }
}

static bool check_complete(const VsmStored *stored, GError **error)
{
    static const VsmPart parts[] = {VSM_PART_MAP, VSM_PART_LEAVES,
                                    VSM_PART_SKELETON};

    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (came(stored, parts[i]) != vsm_stored_part_bytes(stored, parts[i])) {
            return tampered(parts[i], "is shorter than it was", error);
        }
    }
    return true;
}

static bool prove_map(VsmStored *stored, GError **error)
{
    gsize size;
    const guint8 *data = vsm_map_data(stored->map, &size);
    VsmDigest digest;

    if (!vsm_sha384(data, size, &digest, error)) {
        return false;
    }
    if (!vsm_digest_equal(&digest, &stored->document.map)) {
        return tampered(VSM_PART_MAP, "has another digest", error);
    }
    if (!vsm_map_check(stored->map, stored->manifest->geometry,
                       stored->document.bytes, error)) {
        return false;
    }
    if (vsm_map_bodies(stored->map) != vsm_document_bodies(&stored->document)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "map: its pages do not fit the stream document");
        return false;
    }
    return true;
}

static bool prove_leaves(const VsmLeaves *leaves,
                         VsmPool *pool,
                         VsmTreeKind kind,
                         const VsmDigest *root,
                         VsmPart part,
                         GError **error)
{
    VsmDigest measured;

    if (!vsm_leaves_root(leaves, pool, kind, &measured, error)) {
        return false;
    }
    return vsm_digest_equal(&measured, root) ||
           tampered(part, "has another digest", error);
}

/* The bytes of the stream and the state are two views of the same leaves. */
static bool prove_roots(VsmStored *stored, VsmPool *pool, GError **error)
{
    const VsmManifest *manifest = stored->manifest;

    for (guint i = 0; i < manifest->geometry->n_blocks; i++) {
        VsmDigest root;

        if (!vsm_view_root(stored->view, pool, i, &root, error)) {
            return false;
        }
        if (!vsm_digest_equal(&root, &manifest->roots[i])) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                        "RAM block '%s': the stored page digests do not give "
                        "the sealed root",
                        manifest->geometry->blocks[i].idstr);
            return false;
        }
    }
    return true;
}

bool vsm_stored_prove(VsmStored *stored, VsmPool *pool, GError **error)
{
    const VsmDocument *document = &stored->document;
    VsmView *view;

    if (!check_complete(stored, error) || !prove_map(stored, error) ||
        !prove_leaves(stored->leaves, pool, VSM_TREE_BODIES, &document->bodies,
                      VSM_PART_LEAVES, error) ||
        !prove_leaves(stored->skeleton, pool, VSM_TREE_SKELETON,
                      &document->skeleton, VSM_PART_SKELETON, error)) {
        return false;
    }
    view = vsm_view_new(stored->manifest->geometry, stored->map, stored->leaves,
                        error);
    if (!view) {
        return false;
    }
    stored->view = view;
    if (!prove_roots(stored, pool, error)) {
        g_clear_pointer(&stored->view, vsm_view_free);
        return false;
    }
    return true;
}

const VsmManifest *vsm_stored_manifest(const VsmStored *stored)
{
    return stored->manifest;
}

const VsmDocument *vsm_stored_document(const VsmStored *stored)
{
    return &stored->document;
}

const VsmMap *vsm_stored_map(const VsmStored *stored)
{
    return stored->map;
}

const VsmLeaves *vsm_stored_leaves(const VsmStored *stored)
{
    return stored->leaves;
}

const VsmLeaves *vsm_stored_skeleton(const VsmStored *stored)
{
    return stored->skeleton;
}

const VsmView *vsm_stored_view(const VsmStored *stored)
{
    return stored->view;
}

void vsm_stored_free(VsmStored *stored)
{
    if (!stored) {
        return;
    }
    vsm_view_free(stored->view);
    vsm_leaves_free(stored->leaves);
    vsm_leaves_free(stored->skeleton);
    vsm_map_free(stored->map);
    vsm_manifest_free(stored->manifest);
    g_free(stored);
}
