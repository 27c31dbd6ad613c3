/*
 * Fuzz target: every decoder of core and crypto that reads foreign bytes.
 *
 * The first byte chooses the decoder.  Map and leaves are read behind their
 * digests, so that mutants reach the checks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/text.h"
#include "core/masks.h"
#include "core/metadata.h"
#include "core/stored.h"
#include "crypto/keys.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/* What was read is what would be written. */
static void fuzz_manifest(GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmManifest) manifest = vsm_manifest_decode(bytes, &error);
    g_autoptr(GBytes) again = NULL;

    g_assert_true(!manifest == !!error);
    if (manifest) {
        again = vsm_manifest_encode(manifest, NULL);
        g_assert_true(g_bytes_equal(bytes, again));
    }
}

static void fuzz_document(GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) again = NULL;
    VsmDocument document;

    if (!vsm_document_decode(bytes, &document, &error)) {
        g_assert_nonnull(error);
        return;
    }
    again = vsm_document_encode(&document, NULL);
    g_assert_true(g_bytes_equal(bytes, again));
    g_assert_cmpuint(vsm_document_bodies(&document) * VSM_PAGE_BYTES +
                         document.skeleton_bytes,
                     ==, document.bytes);
}

static void fuzz_metadata(GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmMetadata) metadata = vsm_metadata_decode(bytes, &error);
    g_autoptr(VsmRecord) record = NULL;

    g_assert_true(!metadata == !!error);
    if (metadata) {
        record = vsm_metadata_record(metadata, bytes, NULL);
        g_assert_true(vsm_text_is_id(record->id));
        g_assert_true(vsm_text_is_uuid(record->vm_uuid));
    }
}

/* A map that passes can be walked, indexed and turned into leaves. */
static void fuzz_map(GBytes *bytes)
{
    static const VsmRange absent[] = {{0, 2}, {7, 3}};
    static const VsmRamBlock blocks[] = {
        {"pc.ram", 4096 * 100, NULL, NULL, 0, NULL},
        {"vmem", 4096 * 10, NULL, absent, 2, NULL}};
    g_autoptr(VsmGeometry) geometry = vsm_geometry_new(blocks, 2, NULL);
    g_autoptr(VsmMap) map = vsm_map_new();
    g_autoptr(VsmLeaves) leaves = vsm_leaves_new();
    g_autoptr(VsmView) view = NULL;
    VsmDigest out[100];
    VsmMapCursor cursor;
    guint64 offset = 0;

    g_assert_true(vsm_map_append(map, bytes, NULL));
    if (!vsm_map_check(map, geometry, 50 * 4096 + 1234, NULL)) {
        return;
    }
    g_assert_true(vsm_leaves_grow(leaves, vsm_map_bodies(map), NULL));
    view = vsm_view_new(geometry, map, leaves, NULL);
    vsm_view_leaves(view, 0, 0, 100, out);
    vsm_view_leaves(view, 1, 0, 10, out);
    vsm_map_first(map, &cursor);
    while (vsm_map_offset(&cursor) != G_MAXUINT64) {
        g_assert_cmpuint(vsm_map_offset(&cursor), >=, offset);
        offset = vsm_map_offset(&cursor) + VSM_PAGE_BYTES;
        vsm_map_next(&cursor);
    }
    g_assert_cmpuint(offset, <=, 50 * 4096 + 1234);
    g_assert_cmpuint(cursor.body, ==, vsm_map_bodies(map));
}

/* Sections come from the guest's side: every payload has masks inside it. */
static void fuzz_payload(GBytes *bytes)
{
    static const char *const names[] = {"tpm-emulator", "globalstate",
                                        "mc146818rtc", "0000:00:01.3/x"};
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        for (guint32 version = 0; version < 4; version++) {
            VsmSection section = {names[i], VSM_SECTION_DEVICE, 0, version};
            g_autoptr(GArray) masks =
                vsm_masks_derive(VSM_MASKS_VERSION, &section, data, size);

            g_assert_true(vsm_masks_check(VSM_MASKS_VERSION, &section, size,
                                          (const VsmMask *)masks->data,
                                          masks->len, NULL));
        }
    }
}

static void fuzz_text(GBytes *bytes)
{
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);
    g_autofree char *text = g_strndup(data, size);
    const char *name = NULL;
    VsmAsked kind;

    vsm_masks_names_field(text);
    vsm_masks_names_accepted(text);
    vsm_text_check_tag(text, NULL);
    if (vsm_text_parse_asked(text, &kind, &name, NULL)) {
        g_assert_true(name >= text && name < text + strlen(text));
    }
}

static void fuzz_keys(GBytes *bytes)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    g_autoptr(VsmKey) key = vsm_key_new_pem((const char *)data, size, NULL);
    g_autoptr(GBytes) raw =
        vsm_ecdsa_der_to_raw(VSM_CURVE_P256, data, size, NULL);
    g_autoptr(GBytes) der = NULL;

    if (raw) {
        der = vsm_ecdsa_raw_to_der(VSM_CURVE_P256, g_bytes_get_data(raw, NULL),
                                   64, NULL);
        g_assert_true(g_bytes_equal(der, bytes));
    }
    if (size <= 2 * VSM_CURVE_BYTES_MAX) {
        g_autoptr(VsmKey) point = vsm_key_new(VSM_CURVE_P384, data, size / 2,
                                              data + size / 2, size / 2, NULL);
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static void (*const targets[])(GBytes *) = {
        fuzz_manifest, fuzz_document, fuzz_map,  fuzz_metadata,
        fuzz_payload,  fuzz_text,     fuzz_keys,
    };
    g_autoptr(GBytes) bytes = NULL;

    if (size > 0) {
        bytes = g_bytes_new(data + 1, size - 1);
        targets[data[0] % G_N_ELEMENTS(targets)](bytes);
    }
    return 0;
}
