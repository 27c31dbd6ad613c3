/*
 * Two documents of one kind in, differences out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/compare.h"

#include <string.h>

#include "base/limits.h"
#include "core/masks.h"

static VsmComparison *comparison_new(void)
{
    VsmComparison *comparison = g_new0(VsmComparison, 1);

    comparison->findings =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_finding_free);
    comparison->accepted = g_ptr_array_new_with_free_func(g_free);
    comparison->masked = g_ptr_array_new_with_free_func(g_free);
    return comparison;
}

void vsm_comparison_free(VsmComparison *comparison)
{
    if (!comparison) {
        return;
    }
    g_ptr_array_unref(comparison->findings);
    g_ptr_array_unref(comparison->accepted);
    g_ptr_array_unref(comparison->masked);
    g_free(comparison);
}

/* @where: (transfer full) */
static void
add(VsmComparison *comparison, const char *kind, char *where, guint64 bytes)
{
    VsmFinding *finding;

    if (comparison->findings->len == VSM_FINDINGS_MAX) {
        comparison->left_out++;
        g_free(where);
        return;
    }
    finding = g_new0(VsmFinding, 1);
    finding->kind = kind;
    finding->where = where;
    finding->bytes = bytes;
    g_ptr_array_add(comparison->findings, finding);
}

static void finish(VsmComparison *comparison)
{
    comparison->equal =
        comparison->findings->len == 0 && comparison->left_out == 0;
}

static void compare_block(VsmComparison *comparison,
                          const VsmManifest *sealed,
                          guint index,
                          const VsmManifest *measured)
{
    const VsmGeometryBlock *block = &sealed->geometry->blocks[index];
    const VsmGeometryBlock *now;
    guint now_index;

    now = vsm_geometry_find(measured->geometry, block->idstr, &now_index);
    if (!now) {
        add(comparison, "missing", g_strdup(block->idstr),
            block->pages * VSM_PAGE_BYTES);
    } else if (!vsm_geometry_block_equal(block, now) || index != now_index) {
        add(comparison, "geometry", g_strdup(block->idstr),
            now->pages * VSM_PAGE_BYTES);
    } else if (!vsm_digest_equal(&sealed->roots[index],
                                 &measured->roots[now_index])) {
        add(comparison, "ram", g_strdup(block->idstr), 0);
    }
}

static void compare_blocks(VsmComparison *comparison,
                           const VsmManifest *sealed,
                           const VsmManifest *measured)
{
    for (guint i = 0; i < sealed->geometry->n_blocks; i++) {
        compare_block(comparison, sealed, i, measured);
    }
    for (guint i = 0; i < measured->geometry->n_blocks; i++) {
        const VsmGeometryBlock *block = &measured->geometry->blocks[i];
        guint index;

        if (!vsm_geometry_find(sealed->geometry, block->idstr, &index)) {
            add(comparison, "added", g_strdup(block->idstr),
                block->pages * VSM_PAGE_BYTES);
        }
    }
}

static bool same_masks(const VsmManifestSection *a, const VsmManifestSection *b)
{
    if (a->n_masks != b->n_masks) {
        return false;
    }
    for (guint i = 0; i < a->n_masks; i++) {
        const VsmMask *x = &a->masks[i], *y = &b->masks[i];

        if (x->offset != y->offset || x->bytes != y->bytes ||
            x->reason != y->reason) {
            return false;
        }
    }
    return true;
}

static bool same_section(const VsmManifestSection *a,
                         const VsmManifestSection *b)
{
    return a->kind == b->kind && a->version == b->version &&
           a->bytes == b->bytes && same_masks(a, b) &&
           vsm_digest_equal(&a->digest, &b->digest);
}

/* The measurer's word, for sections alone that the table names. */
static bool is_accepted(const VsmManifestSection *section,
                        const char *name,
                        GPtrArray *accepted)
{
    VsmSection plain = {section->idstr, section->kind, section->instance,
                        section->version};

    return accepted && vsm_masks_may_accept(&plain) &&
           g_ptr_array_find_with_equal_func(accepted, name, g_str_equal, NULL);
}

static void add_masks(VsmComparison *comparison,
                      const VsmManifestSection *section)
{
    VsmSection plain = {section->idstr, section->kind, section->instance,
                        section->version};

    for (guint i = 0; i < section->n_masks; i++) {
        g_ptr_array_add(comparison->masked,
                        vsm_mask_text(&plain, &section->masks[i]));
    }
}

static void compare_section(VsmComparison *comparison,
                            const VsmManifestSection *sealed,
                            const VsmManifest *measured,
                            GPtrArray *accepted)
{
    g_autofree char *name = vsm_section_name(sealed->idstr, sealed->instance);
    const VsmManifestSection *now =
        vsm_manifest_find(measured, sealed->idstr, sealed->instance);

    if (!now) {
        add(comparison, "missing", g_steal_pointer(&name), sealed->bytes);
    } else if (same_section(sealed, now)) {
        add_masks(comparison, now);
    } else if (sealed->kind == now->kind && sealed->version == now->version &&
               is_accepted(now, name, accepted)) {
        add_masks(comparison, now);
        g_ptr_array_add(comparison->accepted, g_steal_pointer(&name));
    } else {
        add(comparison, sealed->kind == VSM_SECTION_VCPU ? "vcpu" : "device",
            g_steal_pointer(&name), now->bytes);
    }
}

/* Both hold the same sections: do they come in the same order? */
static bool same_order(const VsmManifest *a, const VsmManifest *b)
{
    for (guint i = 0; i < a->sections->len; i++) {
        const VsmManifestSection *x = g_ptr_array_index(a->sections, i);
        const VsmManifestSection *y = g_ptr_array_index(b->sections, i);

        if (strcmp(x->idstr, y->idstr) != 0 || x->instance != y->instance) {
            return false;
        }
    }
    return true;
}

static void compare_sections(VsmComparison *comparison,
                             const VsmManifest *sealed,
                             const VsmManifest *measured,
                             GPtrArray *accepted)
{
    guint before = comparison->findings->len;

    for (guint i = 0; i < sealed->sections->len; i++) {
        compare_section(comparison, g_ptr_array_index(sealed->sections, i),
                        measured, accepted);
    }
    for (guint i = 0; i < measured->sections->len; i++) {
        const VsmManifestSection *section =
            g_ptr_array_index(measured->sections, i);

        if (!vsm_manifest_find(sealed, section->idstr, section->instance)) {
            add(comparison, "added",
                vsm_section_name(section->idstr, section->instance),
                section->bytes);
        }
    }
    if (comparison->findings->len == before && comparison->left_out == 0 &&
        !same_order(sealed, measured)) {
        add(comparison, "geometry", g_strdup("order of sections"), 0);
    }
}

VsmComparison *vsm_compare_manifests(const VsmManifest *sealed,
                                     const VsmManifest *measured,
                                     GPtrArray *accepted)
{
    VsmComparison *comparison = comparison_new();

    if (sealed->masks != measured->masks) {
        add(comparison, "geometry", g_strdup("version of the mask table"), 0);
    }
    compare_blocks(comparison, sealed, measured);
    compare_sections(comparison, sealed, measured, accepted);
    finish(comparison);
    return comparison;
}

VsmComparison *vsm_compare_documents(const VsmDocument *sealed,
                                     const VsmDocument *measured)
{
    VsmComparison *comparison = comparison_new();

    if (sealed->bytes != measured->bytes) {
        add(comparison, "geometry", g_strdup("length of the stream"),
            measured->bytes);
    }
    if (sealed->runs != measured->runs ||
        sealed->skeleton_bytes != measured->skeleton_bytes ||
        !vsm_digest_equal(&sealed->map, &measured->map)) {
        add(comparison, "geometry", g_strdup("map"), 0);
    }
    if (!vsm_digest_equal(&sealed->bodies, &measured->bodies)) {
        add(comparison, "body", g_strdup("stream"), 0);
    }
    if (!vsm_digest_equal(&sealed->skeleton, &measured->skeleton)) {
        add(comparison, "skeleton", g_strdup("stream"), 0);
    }
    finish(comparison);
    return comparison;
}
