/*
 * Documents of core: known answers of each version, refusals, comparison.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "core/compare.h"
#include "core/masks.h"
#include "crypto/hash.h"
#include "fake-documents.h"
#include "known-answer.h"

/* SHA-384 of the files under tests/fixtures; a change is a new version. */
static const struct {
    const char *file;
    GBytes *(*make)(void);
    const char *hex;
} fixtures[] = {
    {"manifest-v1.bin", fake_manifest_bytes,
     "8ce1220092dfae8a656d0d5399daac367c376635316950a9"
     "c220afd5070aa20817de789c073a5472197b27b3a35587b4"},
    {"stream-v1.bin", fake_document_bytes,
     "a07ebdb83cfb100eb7800df4d094b6a48091bab2484c0c80"
     "525fe16f617ee1bacc8458710709289cb8029127f5c9c406"},
    {"map-v1.bin", fake_map_bytes,
     "240e5fe6f9b77a75daf8f82039a63e196d02d626f8150f83"
     "0179e5a08abf3b6bbeca5a2ade6a81be6956213b4e5c9311"},
    {"metadata-v1.bin", fake_metadata_bytes,
     "1299acbc12289795834a17753c134b127988c538032c7084"
     "9a90c3602de69e70561a045121dab46811ecb654376ab1dd"},
};

static void test_formats_have_their_known_answers(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(fixtures); i++) {
        g_autoptr(GBytes) made = fixtures[i].make();
        g_autoptr(GBytes) file = known_answer(fixtures[i].file);
        g_autofree char *hex = NULL;
        VsmDigest digest;

        g_assert_true(vsm_sha384_bytes(made, &digest, NULL));
        hex = vsm_digest_hex(&digest);
        g_assert_cmpstr(hex, ==, fixtures[i].hex);
        g_assert_true(g_bytes_equal(made, file));
    }
}

static void test_seal_digest_has_its_known_answer(void)
{
    VsmDigest a, b, c, expected, seal;
    guint8 message[10 + 3 * 48] = "VSM-SNAP-1";

    memset(&a, 1, 48);
    memset(&b, 2, 48);
    memset(&c, 0, 48);
    memcpy(message + 10, &a, 48);
    memcpy(message + 58, &b, 48);
    g_assert_true(vsm_sha384(message, sizeof(message), &expected, NULL));
    g_assert_true(vsm_seal_digest(&a, &b, &c, &seal, NULL));
    g_assert_true(vsm_digest_equal(&seal, &expected));
}

static GBytes *flipped(GBytes *bytes, gsize at, guint bit)
{
    gsize n;
    const guint8 *data = g_bytes_get_data(bytes, &n);
    guint8 *copy = g_memdup2(data, n);

    copy[at] ^= 1u << bit;
    return g_bytes_new_take(copy, n);
}

/* What is accepted is in the one form that we would write ourselves. */
static void test_a_document_has_one_form(void)
{
    g_autoptr(GBytes) manifest = fake_manifest_bytes();
    g_autoptr(GBytes) document = fake_document_bytes();

    for (gsize i = 0; i < 8 * g_bytes_get_size(manifest); i++) {
        g_autoptr(GBytes) bad = flipped(manifest, i / 8, i % 8);
        g_autoptr(VsmManifest) read = vsm_manifest_decode(bad, NULL);
        g_autoptr(GBytes) again = read ? vsm_manifest_encode(read, NULL) : NULL;

        g_assert_true(!read || g_bytes_equal(again, bad));
    }
    for (gsize i = 0; i < 8 * g_bytes_get_size(document); i++) {
        g_autoptr(GBytes) bad = flipped(document, i / 8, i % 8);
        VsmDocument read;

        if (vsm_document_decode(bad, &read, NULL)) {
            g_autoptr(GBytes) again = vsm_document_encode(&read, NULL);

            g_assert_true(g_bytes_equal(again, bad));
        }
    }
}

static void check_document(VsmDocument document, int code)
{
    g_autoptr(GBytes) bytes = vsm_document_encode(&document, NULL);
    g_autoptr(GError) error = NULL;
    VsmDocument read;

    g_assert_cmpint(vsm_document_decode(bytes, &read, &error), ==, code == 0);
    if (code) {
        g_assert_error(error, VSM_ERROR, code);
    }
}

static void test_lengths_of_a_stream_fit_together(void)
{
    VsmDocument document = fake_document();

    check_document(document, 0);
    document.bytes++;
    check_document(document, VSM_ERROR_FORMAT);
    document.bytes = document.skeleton_bytes - 1;
    check_document(document, VSM_ERROR_FORMAT);
    document.bytes = document.skeleton_bytes;
    check_document(document, VSM_ERROR_FORMAT); /* runs without bodies */
    document.runs = 0;
    check_document(document, 0);
    document.bytes += 4096;
    check_document(document, VSM_ERROR_FORMAT); /* bodies without runs */
    document.runs = 1;
    document.bytes = 1ull << 60;
    check_document(document, VSM_ERROR_LIMIT);
    document.bytes = G_MAXUINT64;
    document.skeleton_bytes = G_MAXUINT64;
    check_document(document, VSM_ERROR_LIMIT);
}

static void check_masks(VsmMask *masks, guint n, int code)
{
    g_autoptr(VsmManifest) manifest = vsm_manifest_new();
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(VsmManifest) read = NULL;
    g_autoptr(GError) error = NULL;
    VsmManifestSection *section = g_new0(VsmManifestSection, 1);
    VsmDigest none;

    vsm_manifest_set_ram(manifest, vsm_geometry_new(NULL, 0, NULL), &none);
    section->idstr = g_strdup("globalstate");
    section->kind = VSM_SECTION_DEVICE;
    section->version = 1;
    section->bytes = 104;
    section->masks = g_memdup2(masks, n * sizeof(*masks));
    section->n_masks = n;
    g_assert_true(vsm_manifest_take_section(manifest, section, NULL));
    bytes = vsm_manifest_encode(manifest, NULL);
    read = vsm_manifest_decode(bytes, &error);
    g_assert_cmpint(read != NULL, ==, code == 0);
    if (code) {
        g_assert_error(error, VSM_ERROR, code);
    }
}

static void test_masks_that_the_table_does_not_name_are_refused(void)
{
    VsmMask right = {0, 36, VSM_MASK_RUN_STATE};
    VsmMask longer = {0, 37, VSM_MASK_RUN_STATE};
    VsmMask reason = {0, 36, VSM_MASK_HOST_CLOCK};
    VsmMask two[] = {right, {50, 1, VSM_MASK_RUN_STATE}};
    VsmMask outside = {100, 36, VSM_MASK_RUN_STATE};
    VsmMask overflow = {G_MAXUINT32, G_MAXUINT32, VSM_MASK_RUN_STATE};

    check_masks(&right, 1, 0);
    check_masks(NULL, 0, VSM_ERROR_POLICY); /* the mask is missing */
    check_masks(&longer, 1, VSM_ERROR_POLICY);
    check_masks(&reason, 1, VSM_ERROR_POLICY);
    check_masks(two, 2, VSM_ERROR_POLICY);
    check_masks(&outside, 1, VSM_ERROR_FORMAT);
    check_masks(&overflow, 1, VSM_ERROR_FORMAT);
}

static void test_only_texts_of_the_table_are_named(void)
{
    g_autoptr(VsmManifest) manifest = fake_manifest();

    for (guint i = 0; i < manifest->sections->len; i++) {
        const VsmManifestSection *section =
            g_ptr_array_index(manifest->sections, i);
        VsmSection plain = {section->idstr, section->kind, section->instance,
                            section->version};

        for (guint j = 0; j < section->n_masks; j++) {
            g_autofree char *text = vsm_mask_text(&plain, &section->masks[j]);

            g_assert_true(vsm_masks_names_field(text));
        }
    }
    g_assert_true(vsm_masks_names_field("globalstate/0 v1 +0:36 run-state"));
    g_assert_false(vsm_masks_names_field("globalstate/0 v1 +0:37 run-state"));
    g_assert_false(vsm_masks_names_field("globalstate/0 v2 +0:36 run-state"));
    g_assert_false(vsm_masks_names_field("globalstate/0 v1 +0:36 host-clock"));
    g_assert_false(vsm_masks_names_field("globalstate/0 v1 +0:36 "));
    g_assert_false(vsm_masks_names_field("cpu/0 v1 +0:36 run-state"));
    g_assert_false(vsm_masks_names_field("v1 +0:36 run-state"));
    g_assert_false(
        vsm_masks_names_field("globalstate/0 v1 +0:4294967332 run-state"));
    g_assert_false(vsm_masks_names_field(""));
    g_assert_false(vsm_masks_names_field(NULL));
    g_assert_true(vsm_masks_names_accepted("0000:00:03.0/e1000e/0"));
    g_assert_false(vsm_masks_names_accepted("0000:00:03.0/e1000e"));
    g_assert_false(vsm_masks_names_accepted("cpu/0"));
    g_assert_false(vsm_masks_names_accepted(NULL));
}

/* A masked byte does not count; every other one does. */
static void test_a_mask_covers_its_bytes_alone(void)
{
    VsmSection section = {"globalstate", VSM_SECTION_DEVICE, 0, 1};
    guint8 payload[104] = {0};
    g_autoptr(VsmManifest) first = vsm_manifest_new();
    const VsmManifestSection *a, *b;

    g_assert_true(
        vsm_manifest_add_section(first, &section, payload, 104, NULL));
    a = g_ptr_array_index(first->sections, 0);
    for (guint i = 0; i < sizeof(payload); i++) {
        g_autoptr(VsmManifest) other = vsm_manifest_new();

        payload[i] = 1;
        g_assert_true(
            vsm_manifest_add_section(other, &section, payload, 104, NULL));
        b = g_ptr_array_index(other->sections, 0);
        g_assert_cmpint(vsm_digest_equal(&a->digest, &b->digest), ==, i < 36);
        payload[i] = 0;
    }
}

/* Sizes in the payload are hostile: no mask beyond its end. */
static void test_masks_that_are_found_stay_inside(void)
{
    VsmSection section = {"tpm-emulator", VSM_SECTION_DEVICE, 0, 0};
    guint8 payload[64];

    for (guint round = 0; round < 20000; round++) {
        gsize bytes = g_test_rand_int_range(0, sizeof(payload));
        g_autoptr(GArray) masks = NULL;

        for (guint i = 0; i < sizeof(payload); i++) {
            payload[i] = g_test_rand_int_range(0, 8) ? 0 : g_test_rand_int();
        }
        masks = vsm_masks_derive(VSM_MASKS_VERSION, &section, payload, bytes);
        for (guint i = 0; i < masks->len; i++) {
            VsmMask mask = g_array_index(masks, VsmMask, i);

            g_assert_cmpuint((guint64)mask.offset + mask.bytes, <=, bytes);
        }
    }
}

/* What is not masked as the table of its version says is not believed. */
static void test_unknown_version_of_the_mask_table_is_refused(void)
{
    static const guint16 versions[] = {0, VSM_MASKS_VERSION + 1, G_MAXUINT16};

    for (guint i = 0; i < G_N_ELEMENTS(versions); i++) {
        g_autoptr(VsmManifest) manifest = fake_manifest();
        g_autoptr(VsmManifest) decoded = NULL;
        g_autoptr(GBytes) bytes = NULL;
        g_autoptr(GError) error = NULL;

        manifest->masks = versions[i];
        bytes = vsm_manifest_encode(manifest, NULL);
        decoded = vsm_manifest_decode(bytes, &error);
        g_assert_null(decoded);
        g_assert_error(error, VSM_ERROR, VSM_ERROR_POLICY);
    }
}

static void test_mask_texts_name_a_place_that_the_table_allows(void)
{
    g_assert_true(vsm_masks_names_field("tpm-emulator/0 v0 +16:5 external"));
    g_assert_false(vsm_masks_names_field("tpm-emulator/0 v0 +15:5 external"));
    g_assert_false(vsm_masks_names_field("tpm-emulator/0 v0 +16:0 external"));
    g_assert_false(
        vsm_masks_names_field("tpm-emulator/0 v0 +16:4294967295 external"));
    g_assert_false(vsm_masks_names_field("tpm-emulator/0 v0 +16:5 host-clock"));
}

static VsmComparison *compare(VsmManifest *measured, GPtrArray *accepted)
{
    g_autoptr(VsmManifest) sealed = fake_manifest();

    return vsm_compare_manifests(sealed, measured, accepted);
}

static void
assert_finding(VsmComparison *comparison, const char *kind, const char *where)
{
    const VsmFinding *finding;

    g_assert_false(comparison->equal);
    g_assert_cmpuint(comparison->findings->len, ==, 1);
    finding = g_ptr_array_index(comparison->findings, 0);
    g_assert_cmpstr(finding->kind, ==, kind);
    g_assert_cmpstr(finding->where, ==, where);
}

static VsmManifestSection *section_of(VsmManifest *manifest, guint index)
{
    return g_ptr_array_index(manifest->sections, index);
}

static void test_equal_manifests_compare_equal(void)
{
    g_autoptr(VsmManifest) same = fake_manifest();
    g_autoptr(VsmComparison) comparison = compare(same, NULL);

    g_assert_true(comparison->equal);
    g_assert_cmpuint(comparison->findings->len, ==, 0);
    g_assert_cmpuint(comparison->accepted->len, ==, 0);
    g_assert_cmpuint(comparison->masked->len, >, 0);
}

static VsmManifest *sections_in_order(const char *const *names)
{
    VsmManifest *manifest = vsm_manifest_new();

    for (; *names; names++) {
        VsmSection section = {.idstr = *names, .kind = VSM_SECTION_DEVICE};

        g_assert_true(vsm_manifest_add_section(
            manifest, &section, (const guint8 *)*names, 1, NULL));
    }
    return manifest;
}

static void test_order_of_a_visit_is_no_state(void)
{
    const char *const saved[] = {"early", "a", "b", NULL};
    const char *const visited[] = {"new", "a", "early", "b", NULL};
    const char *const wanted[] = {"early", "a", "b", "new", NULL};
    g_autoptr(VsmManifest) sealed = sections_in_order(saved);
    g_autoptr(VsmManifest) measured = sections_in_order(visited);

    vsm_manifest_order_like(measured, sealed);
    g_assert_cmpuint(measured->sections->len, ==, 4);
    for (guint i = 0; i < measured->sections->len; i++) {
        const VsmManifestSection *section = measured->sections->pdata[i];

        g_assert_cmpstr(section->idstr, ==, wanted[i]);
    }
}

static void test_each_difference_is_named(void)
{
    for (guint i = 0; i < 6; i++) {
        g_autoptr(VsmManifest) m = fake_manifest();
        g_autoptr(VsmComparison) comparison = NULL;
        static const char *const expected[][2] = {
            {"ram", "vmem"},
            {"vcpu", "cpu/1"},
            {"device", "globalstate/0"},
            {"geometry", "pc.ram"},
            {"missing", "0000:00:03.0/e1000e/0"},
            {"geometry", "vmem"}};

        switch (i) {
        case 0:
            m->roots[1].b[47] ^= 1;
            break;
        case 1:
            section_of(m, 1)->digest.b[0] ^= 0x80;
            break;
        case 2:
            section_of(m, 2)->version++;
            break;
        case 3:
            m->geometry->blocks[0].pages--;
            break;
        case 4:
            g_hash_table_remove(m->names, "0000:00:03.0/e1000e/0");
            g_ptr_array_set_size(m->sections, 4);
            break;
        case 5:
            m->geometry->blocks[1].absent[1].count--;
            break;
        }
        comparison = compare(m, NULL);
        assert_finding(comparison, expected[i][0], expected[i][1]);
    }
}

static void test_an_accepted_form_counts_only_where_the_table_names_it(void)
{
    g_autoptr(VsmManifest) m = fake_manifest();
    g_autoptr(GPtrArray) accepted = g_ptr_array_new();
    g_autoptr(VsmComparison) without = NULL;
    g_autoptr(VsmComparison) with = NULL;
    g_autoptr(VsmComparison) other = NULL;

    g_ptr_array_add(accepted, (char *)"0000:00:03.0/e1000e/0");
    g_ptr_array_add(accepted, (char *)"globalstate/0");
    section_of(m, 4)->digest.b[0] ^= 1;
    without = compare(m, NULL);
    assert_finding(without, "device", "0000:00:03.0/e1000e/0");
    with = compare(m, accepted);
    g_assert_true(with->equal);
    g_assert_cmpuint(with->accepted->len, ==, 1);
    section_of(m, 2)->digest.b[0] ^= 1;
    other = compare(m, accepted);
    assert_finding(other, "device", "globalstate/0");
}

static void test_documents_compare_field_by_field(void)
{
    VsmDocument a = fake_document(), b = a;
    g_autoptr(VsmComparison) same = vsm_compare_documents(&a, &b);
    g_autoptr(VsmComparison) body = NULL;

    g_assert_true(same->equal);
    b.bodies.b[7] ^= 1;
    body = vsm_compare_documents(&a, &b);
    assert_finding(body, "body", "stream");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/documents/formats-have-their-known-answers",
                    test_formats_have_their_known_answers);
    g_test_add_func("/documents/seal-digest-has-its-known-answer",
                    test_seal_digest_has_its_known_answer);
    g_test_add_func("/documents/have-one-form", test_a_document_has_one_form);
    g_test_add_func("/documents/lengths-of-a-stream-fit-together",
                    test_lengths_of_a_stream_fit_together);
    g_test_add_func("/masks/not-in-the-table-are-refused",
                    test_masks_that_the_table_does_not_name_are_refused);
    g_test_add_func("/masks/only-texts-of-the-table-are-named",
                    test_only_texts_of_the_table_are_named);
    g_test_add_func("/masks/cover-their-bytes-alone",
                    test_a_mask_covers_its_bytes_alone);
    g_test_add_func("/masks/that-are-found-stay-inside",
                    test_masks_that_are_found_stay_inside);
    g_test_add_func("/compare/equal-manifests-compare-equal",
                    test_equal_manifests_compare_equal);
    g_test_add_func("/compare/order-of-a-visit-is-no-state",
                    test_order_of_a_visit_is_no_state);
    g_test_add_func("/compare/each-difference-is-named",
                    test_each_difference_is_named);
    g_test_add_func("/compare/accepted-forms-only-of-the-table",
                    test_an_accepted_form_counts_only_where_the_table_names_it);
    g_test_add_func("/compare/documents-field-by-field",
                    test_documents_compare_field_by_field);
    g_test_add_func("/documents/unknown-version-of-the-mask-table-is-refused",
                    test_unknown_version_of_the_mask_table_is_refused);
    g_test_add_func("/documents/mask-texts-name-a-place-that-the-table-allows",
                    test_mask_texts_name_a_place_that_the_table_allows);
    return g_test_run();
}
