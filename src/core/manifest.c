/*
 * The manifest: RAM roots and section digests of one state of a VM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/manifest.h"

#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "base/text.h"
#include "core/masks.h"
#include "crypto/hash.h"

void vsm_manifest_section_free(VsmManifestSection *section)
{
    if (!section) {
        return;
    }
    g_free(section->idstr);
    g_free(section->masks);
    g_free(section);
}

VsmManifest *vsm_manifest_new(void)
{
    VsmManifest *manifest = g_new0(VsmManifest, 1);

    manifest->masks = VSM_MASKS_VERSION;
    manifest->sections = g_ptr_array_new_with_free_func(
        (GDestroyNotify)vsm_manifest_section_free);
    manifest->names =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return manifest;
}

void vsm_manifest_free(VsmManifest *manifest)
{
    if (!manifest) {
        return;
    }
    vsm_geometry_free(manifest->geometry);
    g_free(manifest->roots);
    g_hash_table_unref(manifest->names);
    g_ptr_array_unref(manifest->sections);
    g_free(manifest);
}

void vsm_manifest_set_ram(VsmManifest *manifest,
                          VsmGeometry *geometry,
                          const VsmDigest *roots)
{
    vsm_geometry_free(manifest->geometry);
    g_free(manifest->roots);
    manifest->geometry = geometry;
    manifest->roots = g_memdup2(roots, geometry->n_blocks * sizeof(VsmDigest));
}

bool vsm_section_check(const VsmSection *section, guint64 bytes, GError **error)
{
    if (!vsm_text_check(section->idstr, VSM_IDSTR_BYTES_MAX, "section name",
                        error)) {
        return false;
    }
    if (section->kind != VSM_SECTION_VCPU &&
        section->kind != VSM_SECTION_DEVICE) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "section '%s/%u': kind %u is not known", section->idstr,
                    section->instance, section->kind);
        return false;
    }
    if (bytes > VSM_SECTION_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "section '%s/%u': %" G_GUINT64_FORMAT
                    " bytes, at most %u are allowed",
                    section->idstr, section->instance, bytes,
                    VSM_SECTION_BYTES_MAX);
        return false;
    }
    return true;
}

bool vsm_manifest_take_section(VsmManifest *manifest,
                               VsmManifestSection *section,
                               GError **error)
{
    g_autoptr(VsmManifestSection) held = section;
    char *name = vsm_section_name(section->idstr, section->instance);

    if (manifest->sections->len >= VSM_SECTIONS_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "more than %u device sections", VSM_SECTIONS_MAX);
        g_free(name);
        return false;
    }
    if (g_hash_table_contains(manifest->names, name)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "section '%s' comes twice", name);
        g_free(name);
        return false;
    }
    g_hash_table_insert(manifest->names, name, section);
    g_ptr_array_add(manifest->sections, g_steal_pointer(&held));
    return true;
}

/* SHA-384 of the payload with the masked bytes set to zero. */
static bool masked_digest(const guint8 *payload,
                          gsize bytes,
                          GArray *masks,
                          VsmDigest *ret,
                          GError **error)
{
    g_autofree guint8 *copy = NULL;

    if (masks->len == 0) {
        return vsm_sha384(payload, bytes, ret, error);
    }
    copy = g_try_malloc(bytes);
    if (!copy) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "no memory for a section of %" G_GSIZE_FORMAT " bytes",
                    bytes);
        return false;
    }
    memcpy(copy, payload, bytes);
    for (guint i = 0; i < masks->len; i++) {
        const VsmMask *mask = &g_array_index(masks, VsmMask, i);

        memset(copy + mask->offset, 0, mask->bytes);
    }
    return vsm_sha384(copy, bytes, ret, error);
}

bool vsm_manifest_add_section(VsmManifest *manifest,
                              const VsmSection *section,
                              const guint8 *payload,
                              gsize bytes,
                              GError **error)
{
    g_autoptr(VsmManifestSection) added = NULL;
    g_autoptr(GArray) masks = NULL;

    if (!vsm_section_check(section, bytes, error)) {
        return false;
    }
    added = g_new0(VsmManifestSection, 1);
    added->idstr = g_strdup(section->idstr);
    added->kind = section->kind;
    added->instance = section->instance;
    added->version = section->version;
    added->bytes = bytes;
    masks = vsm_masks_derive(manifest->masks, section, payload, bytes);
    if (!masked_digest(payload, bytes, masks, &added->digest, error)) {
        return false;
    }
    added->n_masks = masks->len;
    added->masks = g_memdup2(masks->data, masks->len * sizeof(VsmMask));
    return vsm_manifest_take_section(manifest, g_steal_pointer(&added), error);
}

const VsmManifestSection *vsm_manifest_find(const VsmManifest *manifest,
                                            const char *idstr,
                                            guint32 instance)
{
    g_autofree char *name = vsm_section_name(idstr, instance);

    return g_hash_table_lookup(manifest->names, name);
}

/* Where @section stands in the order; G_MAXUINT if it does not. */
static guint rank(GHashTable *order, const VsmManifestSection *section)
{
    g_autofree char *name = vsm_section_name(section->idstr, section->instance);
    gpointer place;

    if (!g_hash_table_lookup_extended(order, name, NULL, &place)) {
        return G_MAXUINT;
    }
    return GPOINTER_TO_UINT(place);
}

static gint by_rank(gconstpointer a, gconstpointer b, gpointer order)
{
    guint first = rank(order, *(VsmManifestSection *const *)a);
    guint second = rank(order, *(VsmManifestSection *const *)b);

    return first < second ? -1 : first > second;
}

void vsm_manifest_order_like(VsmManifest *manifest, const VsmManifest *sealed)
{
    g_autoptr(GHashTable) order =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < sealed->sections->len; i++) {
        const VsmManifestSection *section = sealed->sections->pdata[i];

        g_hash_table_insert(order,
                            vsm_section_name(section->idstr, section->instance),
                            GUINT_TO_POINTER(i));
    }
    g_ptr_array_sort_with_data(manifest->sections, by_rank, order);
}
