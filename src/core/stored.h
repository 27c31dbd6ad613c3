/*
 * What was sealed of a snapshot, fetched part by part and proved: small parts
 * against digests that the caller checked, bulk parts against the small ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/document.h"
#include "core/manifest.h"
#include "core/view.h"

typedef struct _VsmStored VsmStored;

/* Decodes both documents, which must be authentic: FORMAT, LIMIT, POLICY. */
VsmStored *vsm_stored_new(GBytes *manifest, GBytes *document, GError **error);

/* Bytes to come of MAP, LEAVES, SKELETON. */
guint64 vsm_stored_part_bytes(const VsmStored *stored, VsmPart part);

/**
 * vsm_stored_add:
 *
 * The next bytes of a bulk part, in order.  TAMPERED when they are more than
 * the document says.
 */
bool vsm_stored_add(VsmStored *stored,
                    VsmPart part,
                    GBytes *bytes,
                    GError **error);

/**
 * vsm_stored_prove:
 *
 * Map digest and every run, leaves root, skeleton root, RAM roots of the
 * manifest from map and leaves.  TAMPERED names the part and the block.
 * Nothing of the bulk parts is used as index or size before.
 */
bool vsm_stored_prove(VsmStored *stored, VsmPool *pool, GError **error);

const VsmManifest *vsm_stored_manifest(const VsmStored *stored);
const VsmDocument *vsm_stored_document(const VsmStored *stored);
const VsmMap *vsm_stored_map(const VsmStored *stored);
const VsmLeaves *vsm_stored_leaves(const VsmStored *stored);
const VsmLeaves *vsm_stored_skeleton(const VsmStored *stored);
const VsmView *vsm_stored_view(const VsmStored *stored); /* once proved */
void vsm_stored_free(VsmStored *stored);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmStored, vsm_stored_free)
