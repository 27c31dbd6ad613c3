/*
 * Snapshot metadata: what goes in comes out, and nothing else is taken.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "base/codec.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "fake-documents.h"

static void test_what_goes_in_comes_out(void)
{
    g_autoptr(VsmMetadata) in = fake_metadata();
    g_autoptr(GBytes) bytes = fake_metadata_bytes();
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmMetadata) out = vsm_metadata_decode(bytes, &error);
    g_autoptr(GBytes) again = NULL;
    const VsmDisk *disk;

    g_assert_no_error(error);
    g_assert_cmpstr(out->id, ==, in->id);
    g_assert_cmpstr(out->tag, ==, in->tag);
    g_assert_cmpstr(out->config, ==, in->config);
    g_assert_cmpstr(out->scope_reason, ==, in->scope_reason);
    g_assert_cmpint(out->time, ==, in->time);
    g_assert_cmpuint(out->container.icount, ==, G_MAXUINT64);
    g_assert_cmpuint(out->container.date_nsec, ==, 123456789);
    g_assert_cmpuint(out->container.disks->len, ==, 2);
    disk = g_ptr_array_index(out->container.disks, 0);
    g_assert_true(disk->vmstate);
    g_assert_cmpstr(disk->device, ==, "/machine/peripheral/disk0");
    g_assert_true(
        g_bytes_equal(out->sealed.private_area, in->sealed.private_area));
    g_assert_true(vsm_digest_equal(&out->stream, &in->stream));
    g_assert_cmpuint(out->boot_pcrs, ==, 0xff);
    again = vsm_metadata_encode(out, NULL);
    g_assert_true(g_bytes_equal(again, bytes));
}

static void test_record_holds_the_digest_of_the_stored_bytes(void)
{
    g_autoptr(VsmMetadata) metadata = fake_metadata();
    g_autoptr(GBytes) bytes = fake_metadata_bytes();
    g_autoptr(VsmRecord) record = vsm_metadata_record(metadata, bytes, NULL);
    VsmDigest digest;

    g_assert_true(vsm_sha384_bytes(bytes, &digest, NULL));
    g_assert_true(vsm_digest_equal(&record->metadata, &digest));
    g_assert_false(record->listed);
    g_assert_true(record->has_mark);
    g_assert_cmpstr(record->container.tag, ==, "before upgrade");
    g_assert_cmpuint(record->container.disks->len, ==, 2);
}

/* A field that is wrong is refused when written. */
static void check_refused(VsmMetadata *metadata, int code)
{
    g_autoptr(VsmMetadata) held = metadata;
    g_autoptr(GError) error = NULL;

    g_assert_null(vsm_metadata_encode(metadata, &error));
    g_assert_error(error, VSM_ERROR, code);
}

static void set(char **field, const char *text)
{
    g_free(*field);
    *field = g_strdup(text);
}

static void test_wrong_texts_are_refused(void)
{
    VsmMetadata *m = fake_metadata();

    set(&m->id, "00112233445566778899AABBCCDDEEFF");
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    set(&m->id, "../../../../etc");
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    set(&m->vm_uuid, "../..");
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    set(&m->tag, "a\nb");
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    set(&m->tag, "00112233445566778899aabbccddeeff");
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    set(&m->pcr_bank, "sha1");
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    set(&m->attester, "somebody");
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    set(&m->boot_policy, "none");
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    g_free(m->config);
    m->config = g_strnfill(VSM_CONFIG_BYTES_MAX + 1, 'x');
    check_refused(m, VSM_ERROR_LIMIT);
    m = fake_metadata();
    g_free(m->config);
    m->config = g_strnfill(VSM_METADATA_BYTES_MAX, 'x');
    check_refused(m, VSM_ERROR_LIMIT);
}

static void test_wrong_values_are_refused(void)
{
    VsmMetadata *m = fake_metadata();

    m->boot_pcrs = 0;
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    m->boot_pcrs = 0x1ff; /* one more than values */
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    m->boot_pcrs = 0xff000000;
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    m->container.kind = 2;
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    g_clear_pointer(&m->scope_reason, g_free); /* and no scope */
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    g_clear_pointer(&m->ssk.name, g_bytes_unref);
    check_refused(m, VSM_ERROR_INVALID);
    m = fake_metadata();
    g_clear_pointer(&m->sealed.private_area, g_bytes_unref);
    m->sealed.private_area = g_bytes_new_take(g_malloc0(2049), 2049);
    check_refused(m, VSM_ERROR_LIMIT);
    m = fake_metadata();
    ((VsmDisk *)g_ptr_array_index(m->container.disks, 1))->vmstate = true;
    check_refused(m, VSM_ERROR_INVALID);
}

/* The dictionary of the example with one key changed, encoded. */
static GBytes *with_key(const char *key, GVariant *value)
{
    g_autoptr(GBytes) bytes = fake_metadata_bytes();
    g_autoptr(GVariant) whole = g_variant_ref_sink(
        g_variant_new_from_bytes(G_VARIANT_TYPE("(sqa{sv})"), bytes, FALSE));
    g_autoptr(GVariant) dict = g_variant_get_child_value(whole, 2);
    GVariantDict changed;

    g_variant_dict_init(&changed, dict);
    if (value) {
        g_variant_dict_insert_value(&changed, key, value);
    } else {
        g_assert_true(g_variant_dict_remove(&changed, key));
    }
    return vsm_codec_encode(g_variant_new("(sq@a{sv})", "VSM-METADATA", 1,
                                          g_variant_dict_end(&changed)),
                            VSM_METADATA_BYTES_MAX, "test", NULL);
}

static void check_decode(GBytes *bytes, int code)
{
    g_autoptr(GBytes) held = bytes;
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmMetadata) metadata = vsm_metadata_decode(bytes, &error);

    if (code) {
        g_assert_null(metadata);
        g_assert_error(error, VSM_ERROR, code);
    } else {
        g_assert_no_error(error);
    }
}

static void test_unknown_and_missing_keys_are_refused(void)
{
    static const char *const keys[] = {
        "id",     "vm-uuid",     "vm-name",    "vm-version", "tag",
        "time",   "container",   "disks",      "state",      "stream",
        "ssk",    "sealed",      "pcr-bank",   "boot-pcrs",  "pcr-values",
        "config", "measured-by", "hypervisor", "attester",   "boot-policy",
    };

    check_decode(with_key("vm-name", g_variant_new_string("x")), 0);
    check_decode(with_key("extra", g_variant_new_string("x")),
                 VSM_ERROR_FORMAT);
    check_decode(with_key("time", g_variant_new_string("x")), VSM_ERROR_FORMAT);
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        check_decode(with_key(keys[i], NULL), VSM_ERROR_FORMAT);
    }
    check_decode(with_key("scope-reason", NULL), VSM_ERROR_FORMAT);
    check_decode(with_key("state", g_variant_new_bytestring("short")),
                 VSM_ERROR_FORMAT);
}

static void test_a_scope_stands_instead_of_its_reason(void)
{
    g_autoptr(VsmMetadata) m = fake_metadata();
    g_autoptr(VsmMetadata) out = NULL;
    g_autoptr(GBytes) bytes = NULL;
    VsmDigest scope;

    memset(&scope, 9, sizeof(scope));
    check_decode(with_key("scope", vsm_codec_new_digest(&scope)),
                 VSM_ERROR_FORMAT); /* both */
    g_clear_pointer(&m->scope_reason, g_free);
    m->scope = scope;
    bytes = vsm_metadata_encode(m, NULL);
    g_assert_nonnull(bytes);
    out = vsm_metadata_decode(bytes, NULL);
    g_assert_true(vsm_digest_equal(&out->scope, &scope));
    g_assert_null(out->scope_reason);
}

/* Names are whatever the caller has; they are made UTF-8, never a crash. */
static void test_a_name_that_is_not_utf8_is_made_valid(void)
{
    g_autoptr(VsmMetadata) m = fake_metadata();
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(VsmMetadata) out = NULL;

    set(&m->vm_name, "a\xff"
                     "b");
    bytes = vsm_metadata_encode(m, NULL);
    g_assert_nonnull(bytes);
    out = vsm_metadata_decode(bytes, NULL);
    g_assert_true(g_utf8_validate(out->vm_name, -1, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/metadata/what-goes-in-comes-out",
                    test_what_goes_in_comes_out);
    g_test_add_func("/metadata/record-holds-the-digest-of-the-stored-bytes",
                    test_record_holds_the_digest_of_the_stored_bytes);
    g_test_add_func("/metadata/wrong-texts-are-refused",
                    test_wrong_texts_are_refused);
    g_test_add_func("/metadata/wrong-values-are-refused",
                    test_wrong_values_are_refused);
    g_test_add_func("/metadata/unknown-and-missing-keys-are-refused",
                    test_unknown_and_missing_keys_are_refused);
    g_test_add_func("/metadata/a-scope-stands-instead-of-its-reason",
                    test_a_scope_stands_instead_of_its_reason);
    g_test_add_func("/metadata/a-name-that-is-not-utf8-is-made-valid",
                    test_a_name_that_is_not_utf8_is_made_valid);
    return g_test_run();
}
