/*
 * The manifest: RAM roots and section digests of one state of a VM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/geometry.h"
#include <vsm/digest.h>

typedef struct {
    char *idstr;
    guint8 kind; /* VsmSectionKind */
    guint32 instance, version, bytes;
    VsmMask *masks;
    guint n_masks;
    VsmDigest digest; /* of the payload with masked bytes set to zero */
} VsmManifestSection;

typedef struct {
    guint16 masks; /* version of the mask table; of a new one the latest */
    VsmGeometry *geometry; /* NULL until set */
    VsmDigest *roots; /* one a block */
    GPtrArray *sections; /* of VsmManifestSection, in the order of the stream */
    GHashTable *names; /* the same by vsm_section_name() */
} VsmManifest;

VsmManifest *vsm_manifest_new(void);

/* @geometry: (transfer full); @roots: copied. */
void vsm_manifest_set_ram(VsmManifest *manifest,
                          VsmGeometry *geometry,
                          const VsmDigest *roots);

/**
 * vsm_manifest_add_section:
 *
 * Digest of @payload under the masks of the table.  Errors: INVALID (name,
 * kind, or the same idstr and instance twice), LIMIT, CRYPTO.
 */
bool vsm_manifest_add_section(VsmManifest *manifest,
                              const VsmSection *section,
                              const guint8 *payload,
                              gsize bytes,
                              GError **error);

/* INVALID for a wrong name or kind, LIMIT. */
bool vsm_section_check(const VsmSection *section,
                       guint64 bytes,
                       GError **error);

/* @section: (transfer full), also on failure; INVALID when it is there. */
bool vsm_manifest_take_section(VsmManifest *manifest,
                               VsmManifestSection *section,
                               GError **error);
void vsm_manifest_section_free(VsmManifestSection *section);

GBytes *vsm_manifest_encode(const VsmManifest *manifest, GError **error);

/* All from outside is checked, masks against the table: FORMAT, LIMIT, POLICY.
 */
VsmManifest *vsm_manifest_decode(GBytes *bytes, GError **error);

/**
 * vsm_manifest_order_like:
 *
 * Puts the sections of @manifest into the order of @sealed; those that @sealed
 * has not come last.  A save writes some sections early (virtio-mem's), a visit
 * of a stopped VM does not: in what order sections come is no state.
 */
void vsm_manifest_order_like(VsmManifest *manifest, const VsmManifest *sealed);

/* NULL if there is none. */
const VsmManifestSection *vsm_manifest_find(const VsmManifest *manifest,
                                            const char *idstr,
                                            guint32 instance);
void vsm_manifest_free(VsmManifest *manifest);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmManifest, vsm_manifest_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmManifestSection, vsm_manifest_section_free)
