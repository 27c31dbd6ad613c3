/*
 * The manifest as bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "base/codec.h"
#include "base/limits.h"
#include "base/text.h"
#include "core/manifest.h"
#include "core/masks.h"

#define MANIFEST_TYPE "(sqqa(sta(tt)ay)a(syuuua(uuy)ay))"
#define MANIFEST_MAGIC "VSM-MANIFEST"
#define MANIFEST_VERSION 1
#define WHAT "manifest"

static void add_block(GVariantBuilder *builder,
                      const VsmGeometryBlock *block,
                      const VsmDigest *root)
{
    GVariantBuilder absent;

    g_variant_builder_init(&absent, G_VARIANT_TYPE("a(tt)"));
    for (guint i = 0; i < block->n_absent; i++) {
        g_variant_builder_add(&absent, "(tt)", block->absent[i].first,
                              block->absent[i].count);
    }
    g_variant_builder_add(builder, "(sta(tt)@ay)", block->idstr,
                          block->pages * VSM_PAGE_BYTES, &absent,
                          vsm_codec_new_digest(root));
}

static void add_section(GVariantBuilder *builder,
                        const VsmManifestSection *section)
{
    GVariantBuilder masks;

    g_variant_builder_init(&masks, G_VARIANT_TYPE("a(uuy)"));
    for (guint i = 0; i < section->n_masks; i++) {
        const VsmMask *mask = &section->masks[i];

        g_variant_builder_add(&masks, "(uuy)", mask->offset, mask->bytes,
                              mask->reason);
    }
    g_variant_builder_add(builder, "(syuuua(uuy)@ay)", section->idstr,
                          section->kind, section->instance, section->version,
                          section->bytes, &masks,
                          vsm_codec_new_digest(&section->digest));
}

GBytes *vsm_manifest_encode(const VsmManifest *manifest, GError **error)
{
    GVariantBuilder blocks, sections;

    g_assert(manifest->geometry);
    g_variant_builder_init(&blocks, G_VARIANT_TYPE("a(sta(tt)ay)"));
    for (guint i = 0; i < manifest->geometry->n_blocks; i++) {
        add_block(&blocks, &manifest->geometry->blocks[i], &manifest->roots[i]);
    }
    g_variant_builder_init(&sections, G_VARIANT_TYPE("a(syuuua(uuy)ay)"));
    for (guint i = 0; i < manifest->sections->len; i++) {
        add_section(&sections, g_ptr_array_index(manifest->sections, i));
    }
    return vsm_codec_encode(g_variant_new(MANIFEST_TYPE, MANIFEST_MAGIC,
                                          MANIFEST_VERSION, manifest->masks,
                                          &blocks, &sections),
                            VSM_MANIFEST_BYTES_MAX, WHAT, error);
}

/* What our own caller may not do is bad form when it comes from outside. */
static bool as_format(GError *inner, GError **error)
{
    int code =
        inner->code == VSM_ERROR_INVALID ? VSM_ERROR_FORMAT : inner->code;

    g_set_error(error, VSM_ERROR, code, WHAT ": %s", inner->message);
    g_error_free(inner);
    return false;
}

static bool bad(const char *why, GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, WHAT ": %s", why);
    return false;
}

static bool get_block(GVariant *value,
                      VsmRamBlock *block,
                      GArray *absent,
                      VsmDigest *root,
                      GError **error)
{
    g_autoptr(GVariant) digest = NULL;
    g_autoptr(GVariantIter) ranges = NULL;
    VsmRange range;

    g_variant_get(value, "(&sta(tt)@ay)", &block->idstr, &block->bytes, &ranges,
                  &digest);
    if (g_variant_iter_n_children(ranges) > VSM_ABSENT_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    WHAT ": more than %u absent ranges", VSM_ABSENT_MAX);
        return false;
    }
    while (g_variant_iter_next(ranges, "(tt)", &range.first, &range.count)) {
        g_array_append_val(absent, range);
    }
    return vsm_codec_get_digest(digest, root, WHAT, error);
}

static VsmGeometry *
make_geometry(VsmRamBlock *blocks, GArray **absent, guint n, GError **error)
{
    g_autoptr(VsmGeometry) geometry = NULL;
    GError *inner = NULL;

    for (guint i = 0; i < n; i++) {
        blocks[i].absent = (const VsmRange *)absent[i]->data;
        blocks[i].n_absent = absent[i]->len;
    }
    geometry = vsm_geometry_new(blocks, n, &inner);
    if (!geometry) {
        as_format(inner, error);
        return NULL;
    }
    for (guint i = 0; i < n; i++) {
        /* One shape has one form: ranges that touch are one range. */
        if (geometry->blocks[i].n_absent != blocks[i].n_absent) {
            bad("absent ranges touch each other", error);
            return NULL;
        }
    }
    return g_steal_pointer(&geometry);
}

static void unref_absent(GArray **absent)
{
    for (guint i = 0; absent[i]; i++) {
        g_array_unref(absent[i]);
    }
    g_free(absent);
}

typedef GArray *AbsentArrays;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AbsentArrays, unref_absent)

static bool get_blocks(VsmManifest *manifest, GVariant *value, GError **error)
{
    gsize n = g_variant_n_children(value);
    g_autofree VsmRamBlock *blocks = NULL;
    g_autofree VsmDigest *roots = NULL;
    g_autoptr(AbsentArrays) absent = NULL;
    VsmGeometry *geometry;

    if (n > VSM_BLOCKS_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    WHAT ": more than %u RAM blocks", VSM_BLOCKS_MAX);
        return false;
    }
    blocks = g_new0(VsmRamBlock, n);
    roots = g_new0(VsmDigest, n);
    absent = g_new0(GArray *, n + 1);
    for (gsize i = 0; i < n; i++) {
        g_autoptr(GVariant) child = g_variant_get_child_value(value, i);

        absent[i] = g_array_new(FALSE, FALSE, sizeof(VsmRange));
        if (!get_block(child, &blocks[i], absent[i], &roots[i], error)) {
            return false;
        }
    }
    geometry = make_geometry(blocks, absent, n, error);
    if (!geometry) {
        return false;
    }
    vsm_manifest_set_ram(manifest, geometry, roots);
    return true;
}

static bool
check_masks(guint16 version, const VsmManifestSection *section, GError **error)
{
    VsmSection plain = {section->idstr, section->kind, section->instance,
                        section->version};
    guint64 end = 0;

    for (guint i = 0; i < section->n_masks; i++) {
        const VsmMask *mask = &section->masks[i];

        if (mask->bytes == 0 || mask->offset < end ||
            (guint64)mask->offset + mask->bytes > section->bytes) {
            return bad("a mask is outside of its section", error);
        }
        end = (guint64)mask->offset + mask->bytes;
    }
    return vsm_masks_check(version, &plain, section->bytes, section->masks,
                           section->n_masks, error);
}

static bool
get_masks(VsmManifestSection *section, GVariantIter *iter, GError **error)
{
    gsize n = g_variant_iter_n_children(iter);

    if (n > VSM_MASKS_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    WHAT ": more than %u masks in a section", VSM_MASKS_MAX);
        return false;
    }
    section->masks = g_new0(VsmMask, n);
    for (gsize i = 0; i < n; i++) {
        VsmMask *mask = &section->masks[section->n_masks++];

        g_variant_iter_next(iter, "(uuy)", &mask->offset, &mask->bytes,
                            &mask->reason);
    }
    return true;
}

static bool get_section(VsmManifest *manifest, GVariant *value, GError **error)
{
    VsmManifestSection *section = g_new0(VsmManifestSection, 1);
    g_autoptr(GVariantIter) masks = NULL;
    g_autoptr(GVariant) digest = NULL;
    GError *inner = NULL;
    VsmSection plain;

    g_variant_get(value, "(syuuua(uuy)@ay)", &section->idstr, &section->kind,
                  &section->instance, &section->version, &section->bytes,
                  &masks, &digest);
    plain = (VsmSection){section->idstr, section->kind, section->instance,
                         section->version};
    if (!vsm_section_check(&plain, section->bytes, &inner)) {
        vsm_manifest_section_free(section);
        return as_format(inner, error);
    }
    if (!get_masks(section, masks, error) ||
        !vsm_codec_get_digest(digest, &section->digest, WHAT, error) ||
        !check_masks(manifest->masks, section, error)) {
        vsm_manifest_section_free(section);
        return false;
    }
    if (!vsm_manifest_take_section(manifest, section, &inner)) {
        return as_format(inner, error);
    }
    return true;
}

VsmManifest *vsm_manifest_decode(GBytes *bytes, GError **error)
{
    g_autoptr(VsmManifest) manifest = vsm_manifest_new();
    g_autoptr(GVariant) value =
        vsm_codec_decode(bytes, MANIFEST_TYPE, MANIFEST_MAGIC, MANIFEST_VERSION,
                         VSM_MANIFEST_BYTES_MAX, WHAT, error);
    g_autoptr(GVariant) blocks = NULL;
    g_autoptr(GVariant) sections = NULL;

    if (!value) {
        return NULL;
    }
    g_variant_get_child(value, 2, "q", &manifest->masks);
    if (!vsm_masks_check_version(manifest->masks, error)) {
        return NULL;
    }
    blocks = g_variant_get_child_value(value, 3);
    sections = g_variant_get_child_value(value, 4);
    if (!get_blocks(manifest, blocks, error)) {
        return NULL;
    }
    for (gsize i = 0; i < g_variant_n_children(sections); i++) {
        g_autoptr(GVariant) child = g_variant_get_child_value(sections, i);

        if (!get_section(manifest, child, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&manifest);
}
