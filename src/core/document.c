/*
 * The stream document: what the stored bytes are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/document.h"

#include <vsm/error.h>

#include "base/codec.h"
#include "base/limits.h"
#include "core/map.h"

#define DOCUMENT_TYPE "(sqtutayayay)"
#define DOCUMENT_MAGIC "VSM-STREAM"
#define DOCUMENT_VERSION 1
#define WHAT "stream document"

GBytes *vsm_document_encode(const VsmDocument *document, GError **error)
{
    GVariant *value =
        g_variant_new("(sqtut@ay@ay@ay)", DOCUMENT_MAGIC, DOCUMENT_VERSION,
                      document->bytes, document->runs, document->skeleton_bytes,
                      vsm_codec_new_digest(&document->map),
                      vsm_codec_new_digest(&document->skeleton),
                      vsm_codec_new_digest(&document->bodies));

    return vsm_codec_encode(value, VSM_STREAM_DOCUMENT_BYTES_MAX, WHAT, error);
}

static bool
get_digest(GVariant *value, gsize index, VsmDigest *ret, GError **error)
{
    g_autoptr(GVariant) child = g_variant_get_child_value(value, index);

    return vsm_codec_get_digest(child, ret, WHAT, error);
}

static bool check(const VsmDocument *document, GError **error)
{
    guint64 bodies;

    if (document->bytes > VSM_STREAM_BYTES_MAX ||
        document->runs > VSM_RUNS_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    WHAT ": the stream or its map is too long");
        return false;
    }
    if (document->skeleton_bytes > document->bytes ||
        (document->bytes - document->skeleton_bytes) % VSM_PAGE_BYTES) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    WHAT ": its lengths do not fit together");
        return false;
    }
    bodies = vsm_document_bodies(document);
    if (document->runs > bodies || (bodies && !document->runs)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    WHAT ": its map does not fit its pages");
        return false;
    }
    return true;
}

bool vsm_document_decode(GBytes *bytes, VsmDocument *ret, GError **error)
{
    g_autoptr(GVariant) value =
        vsm_codec_decode(bytes, DOCUMENT_TYPE, DOCUMENT_MAGIC, DOCUMENT_VERSION,
                         VSM_STREAM_DOCUMENT_BYTES_MAX, WHAT, error);
    VsmDocument document = {0};

    if (!value) {
        return false;
    }
    g_variant_get_child(value, 2, "t", &document.bytes);
    g_variant_get_child(value, 3, "u", &document.runs);
    g_variant_get_child(value, 4, "t", &document.skeleton_bytes);
    if (!get_digest(value, 5, &document.map, error) ||
        !get_digest(value, 6, &document.skeleton, error) ||
        !get_digest(value, 7, &document.bodies, error) ||
        !check(&document, error)) {
        return false;
    }
    *ret = document;
    return true;
}

guint64 vsm_document_bodies(const VsmDocument *document)
{
    return (document->bytes - document->skeleton_bytes) / VSM_PAGE_BYTES;
}

guint64 vsm_document_pieces(const VsmDocument *document)
{
    return document->skeleton_bytes / VSM_PAGE_BYTES +
           (document->skeleton_bytes % VSM_PAGE_BYTES != 0);
}

guint64 vsm_document_part_bytes(const VsmDocument *document, VsmPart part)
{
    switch (part) {
    case VSM_PART_MAP:
        return (guint64)document->runs * VSM_RUN_BYTES;
    case VSM_PART_LEAVES:
        return vsm_document_bodies(document) * VSM_DIGEST_BYTES;
    case VSM_PART_SKELETON:
        return vsm_document_pieces(document) * VSM_DIGEST_BYTES;
    default:
        return 0;
    }
}
