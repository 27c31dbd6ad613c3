/*
 * The stream document: what the stored bytes are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/attester.h>
#include <vsm/digest.h>

typedef struct {
    guint64 bytes; /* of the stream */
    guint32 runs; /* of the map */
    guint64 skeleton_bytes; /* all bytes that are no body */
    VsmDigest map; /* SHA-384 of the map as stored */
    VsmDigest skeleton; /* root over the pieces */
    VsmDigest bodies; /* root over the body leaves */
} VsmDocument;

GBytes *vsm_document_encode(const VsmDocument *document, GError **error);

/* FORMAT, LIMIT. */
bool vsm_document_decode(GBytes *bytes, VsmDocument *ret, GError **error);

/* Page bodies, skeleton pieces. */
guint64 vsm_document_bodies(const VsmDocument *document);
guint64 vsm_document_pieces(const VsmDocument *document);

/* How long the bulk part must be in bytes: MAP, LEAVES, SKELETON; else 0. */
guint64 vsm_document_part_bytes(const VsmDocument *document, VsmPart part);
