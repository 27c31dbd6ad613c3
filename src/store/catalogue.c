/*
 * Catalogue codec and the pure rule (NV value, catalogue, next) → action.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "store/catalogue.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/text.h"
#include "crypto/hash.h"

#define BODY_TYPE "(sqaya(sssayay))"
#define BODY_MAGIC "VSM-CATALOGUE"
#define BODY_VERSION 1

static const VsmDigest zero;

VsmCatalogue *vsm_catalogue_new(const VsmDigest *previous)
{
    VsmCatalogue *catalogue = g_new0(VsmCatalogue, 1);

    catalogue->previous = *previous;
    catalogue->entries = g_array_new(false, true, sizeof(VsmEntry));
    return catalogue;
}

VsmCatalogue *vsm_catalogue_copy(const VsmCatalogue *catalogue)
{
    VsmCatalogue *copy = vsm_catalogue_new(&catalogue->previous);

    if (catalogue->entries->len) {
        g_array_append_vals(copy->entries, catalogue->entries->data,
                            catalogue->entries->len);
    }
    return copy;
}

void vsm_catalogue_free(VsmCatalogue *catalogue)
{
    if (catalogue) {
        g_array_unref(catalogue->entries);
        g_free(catalogue);
    }
}

static int compare(const VsmEntry *entry, const char *uuid, const char *id)
{
    int by_uuid = strcmp(entry->uuid, uuid);

    return by_uuid ? by_uuid : strcmp(entry->id, id);
}

/* Index of the first entry that is not below (@uuid, @id). */
static guint
position(const VsmCatalogue *catalogue, const char *uuid, const char *id)
{
    guint low = 0, high = catalogue->entries->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (compare(&g_array_index(catalogue->entries, VsmEntry, middle), uuid,
                    id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

VsmCatalogue *vsm_catalogue_of(const VsmCatalogue *catalogue, const char *uuid)
{
    VsmCatalogue *own = vsm_catalogue_new(&catalogue->previous);

    for (guint i = position(catalogue, uuid, ""); i < catalogue->entries->len;
         i++) {
        const VsmEntry *entry = &g_array_index(catalogue->entries, VsmEntry, i);

        if (strcmp(entry->uuid, uuid)) {
            break;
        }
        g_array_append_val(own->entries, *entry);
    }
    return own;
}

const VsmEntry *vsm_catalogue_find(const VsmCatalogue *catalogue,
                                   const char *uuid,
                                   const char *id)
{
    guint at = position(catalogue, uuid, id);
    const VsmEntry *entry;

    if (at == catalogue->entries->len) {
        return NULL;
    }
    entry = &g_array_index(catalogue->entries, VsmEntry, at);
    return compare(entry, uuid, id) == 0 ? entry : NULL;
}

void vsm_catalogue_put(VsmCatalogue *catalogue, const VsmEntry *entry)
{
    vsm_catalogue_drop(catalogue, entry->uuid, entry->id);
    g_array_insert_vals(catalogue->entries,
                        position(catalogue, entry->uuid, entry->id), entry, 1);
}

bool vsm_catalogue_drop(VsmCatalogue *catalogue,
                        const char *uuid,
                        const char *id)
{
    if (!vsm_catalogue_find(catalogue, uuid, id)) {
        return false;
    }
    g_array_remove_index(catalogue->entries, position(catalogue, uuid, id));
    return true;
}

void vsm_catalogue_settle(VsmCatalogue *catalogue, const VsmDigest *value)
{
    for (guint i = 0; i < catalogue->entries->len; i++) {
        VsmEntry *entry = &g_array_index(catalogue->entries, VsmEntry, i);

        if (vsm_digest_equal(&entry->commit, &zero)) {
            entry->commit = *value;
        }
    }
}

void vsm_catalogue_sealed(const VsmCatalogue *catalogue, VsmDigest *ret)
{
    *ret = zero;
    for (guint i = 0; i < catalogue->entries->len; i++) {
        const VsmEntry *entry = &g_array_index(catalogue->entries, VsmEntry, i);

        if (vsm_digest_equal(&entry->commit, &zero)) {
            *ret = entry->metadata;
        }
    }
}

GBytes *vsm_catalogue_encode(const VsmCatalogue *catalogue, GError **error)
{
    GVariantBuilder entries;

    g_variant_builder_init(&entries, G_VARIANT_TYPE("a(sssayay)"));
    for (guint i = 0; i < catalogue->entries->len; i++) {
        const VsmEntry *entry = &g_array_index(catalogue->entries, VsmEntry, i);

        g_variant_builder_add(&entries, "(sss@ay@ay)", entry->uuid, entry->id,
                              entry->tag, vsm_codec_new_digest(&entry->commit),
                              vsm_codec_new_digest(&entry->metadata));
    }
    return vsm_codec_encode(
        g_variant_new("(sq@aya(sssayay))", BODY_MAGIC, (guint16)BODY_VERSION,
                      vsm_codec_new_digest(&catalogue->previous), &entries),
        VSM_CATALOGUE_BYTES_MAX, "catalogue", error);
}

static bool bad(GError **error, const char *what, const char *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, "%s: %s", what, why);
    return false;
}

static bool
decode_entry(GVariant *value, const char *what, VsmEntry *ret, GError **error)
{
    g_autoptr(GVariant) commit = g_variant_get_child_value(value, 3);
    g_autoptr(GVariant) metadata = g_variant_get_child_value(value, 4);
    const char *uuid, *id, *tag;

    g_variant_get_child(value, 0, "&s", &uuid);
    g_variant_get_child(value, 1, "&s", &id);
    g_variant_get_child(value, 2, "&s", &tag);
    if (!vsm_text_is_uuid(uuid) || !vsm_text_is_id(id)) {
        return bad(error, what, "an entry without a valid uuid and id");
    }
    if (!vsm_text_check_tag(tag, NULL)) {
        return bad(error, what, "an entry without a valid tag");
    }
    g_strlcpy(ret->tag, tag, sizeof(ret->tag));
    memcpy(ret->uuid, uuid, sizeof(ret->uuid));
    memcpy(ret->id, id, sizeof(ret->id));
    return vsm_codec_get_digest(commit, &ret->commit, what, error) &&
           vsm_codec_get_digest(metadata, &ret->metadata, what, error);
}

static bool decode_entries(GVariant *entries,
                           const char *what,
                           VsmCatalogue *catalogue,
                           GError **error)
{
    gsize n = g_variant_n_children(entries);

    for (gsize i = 0; i < n; i++) {
        g_autoptr(GVariant) value = g_variant_get_child_value(entries, i);
        VsmEntry entry = {.uuid = ""};
        const VsmEntry *last =
            i ? &g_array_index(catalogue->entries, VsmEntry, i - 1) : NULL;

        if (!decode_entry(value, what, &entry, error)) {
            return false;
        }
        if (last && compare(last, entry.uuid, entry.id) >= 0) {
            return bad(error, what, "entries are not in ascending order");
        }
        g_array_append_val(catalogue->entries, entry);
    }
    return true;
}

VsmCatalogue *
vsm_catalogue_decode(GBytes *body, const char *what, GError **error)
{
    g_autoptr(GVariant) value =
        vsm_codec_decode(body, BODY_TYPE, BODY_MAGIC, BODY_VERSION,
                         VSM_CATALOGUE_BYTES_MAX, what, error);
    g_autoptr(GVariant) previous = NULL;
    g_autoptr(GVariant) entries = NULL;
    g_autoptr(VsmCatalogue) catalogue = NULL;

    if (!value) {
        return NULL;
    }
    catalogue = vsm_catalogue_new(&zero);
    previous = g_variant_get_child_value(value, 2);
    entries = g_variant_get_child_value(value, 3);
    if (!vsm_codec_get_digest(previous, &catalogue->previous, what, error) ||
        !decode_entries(entries, what, catalogue, error)) {
        return NULL;
    }
    return g_steal_pointer(&catalogue);
}

void vsm_signed_clear(VsmSigned *file)
{
    g_clear_pointer(&file->body, g_bytes_unref);
    g_clear_pointer(&file->attest, g_bytes_unref);
    g_clear_pointer(&file->signature, g_bytes_unref);
}

GBytes *vsm_signed_encode(const VsmSigned *file, GError **error)
{
    return vsm_codec_encode(g_variant_new("(@ay@ay@ay)",
                                          vsm_codec_new_bytes(file->body),
                                          vsm_codec_new_bytes(file->attest),
                                          vsm_codec_new_bytes(file->signature)),
                            VSM_CATALOGUE_BYTES_MAX, "catalogue", error);
}

bool vsm_signed_decode(GBytes *bytes,
                       const char *what,
                       VsmSigned *ret,
                       GError **error)
{
    g_autoptr(GVariant) value = vsm_codec_decode(
        bytes, "(ayayay)", NULL, 0, VSM_CATALOGUE_BYTES_MAX, what, error);
    g_auto(VsmSigned) file = {NULL};
    GBytes **members[] = {&file.body, &file.attest, &file.signature};

    if (!value) {
        return false;
    }
    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        g_autoptr(GVariant) ay = g_variant_get_child_value(value, i);
        gsize max = i ? VSM_SIGNATURE_BYTES_MAX : VSM_CATALOGUE_BYTES_MAX;

        *members[i] = vsm_codec_get_bytes(ay, max, what, error);
        if (!*members[i]) {
            return false;
        }
    }
    *ret = file;
    file = (VsmSigned){NULL};
    return true;
}

bool vsm_catalogue_value(const VsmDigest *previous,
                         GBytes *body,
                         VsmDigest *ret,
                         GError **error)
{
    VsmDigest both[2] = {*previous};

    return vsm_sha384_bytes(body, &both[1], error) &&
           vsm_sha384(both, sizeof(both), ret, error);
}

VsmCatalogueAction vsm_catalogue_rule(const VsmDigest *nv,
                                      const VsmDigest *value,
                                      const VsmDigest *next)
{
    if (value && vsm_digest_equal(nv, value)) {
        return VSM_CATALOGUE_KEEP;
    }
    if (next && vsm_digest_equal(nv, next)) {
        return VSM_CATALOGUE_TAKE_NEXT;
    }
    return VSM_CATALOGUE_REPLAYED;
}
