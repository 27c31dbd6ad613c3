/*
 * Errors, encoding and text rules of src/base.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "base/codec.h"
#include "base/limits.h"
#include "base/text.h"

#define TYPE "(sqa{sv})"

static GBytes *encode(const char *magic, guint16 version)
{
    return vsm_codec_encode(g_variant_new("(sqa{sv})", magic, version, NULL),
                            4096, "thing", NULL);
}

static void check_decode(GBytes *bytes, gsize max, int code)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) value =
        vsm_codec_decode(bytes, TYPE, "THING", 1, max, "thing", &error);

    if (code) {
        g_assert_null(value);
        g_assert_error(error, VSM_ERROR, code);
        g_assert_true(g_str_has_prefix(error->message, "thing: "));
    } else {
        g_assert_no_error(error);
        g_assert_nonnull(value);
    }
}

static void test_numbers_of_errors_never_change(void)
{
    g_assert_cmpint(VSM_ERROR_INVALID, ==, 1);
    g_assert_cmpint(VSM_ERROR_TAMPERED, ==, 9);
    g_assert_cmpint(VSM_ERROR_IN_DOUBT, ==, 22);
    g_assert_cmpint(VSM_ERROR_POLICY, ==, 27);
    g_assert_cmpstr(vsm_error_name(VSM_ERROR_TAMPERED), ==, "tampered");
    g_assert_cmpstr(vsm_error_name(0), ==, "unknown");
    g_assert_cmpstr(vsm_error_name(-1), ==, "unknown");
    g_assert_cmpstr(vsm_error_name(28), ==, "unknown");
    g_assert_cmpint(vsm_error_exit_code(VSM_ERROR_REPLAYED), ==, 2);
    g_assert_cmpint(vsm_error_exit_code(VSM_ERROR_CONNECTION), ==, 3);
    for (int code = VSM_ERROR_INVALID; code <= VSM_ERROR_POLICY; code++) {
        g_assert_cmpstr(vsm_error_name(code), !=, "unknown");
    }
}

static void test_decode_refuses_another_magic_or_version(void)
{
    g_autoptr(GBytes) good = encode("THING", 1);
    g_autoptr(GBytes) magic = encode("THINK", 1);
    g_autoptr(GBytes) version = encode("THING", 2);

    check_decode(good, 4096, 0);
    check_decode(magic, 4096, VSM_ERROR_FORMAT);
    check_decode(version, 4096, VSM_ERROR_FORMAT);
}

static void test_decode_refuses_what_is_too_long(void)
{
    g_autoptr(GBytes) good = encode("THING", 1);

    check_decode(good, g_bytes_get_size(good), 0);
    check_decode(good, g_bytes_get_size(good) - 1, VSM_ERROR_LIMIT);
}

static void test_decode_refuses_all_but_normal_form(void)
{
    g_autoptr(GBytes) good = encode("THING", 1);
    g_autoptr(GBytes) empty = g_bytes_new(NULL, 0);
    g_autoptr(GBytes) more = NULL;
    gsize n;
    const guint8 *data = g_bytes_get_data(good, &n);
    g_autofree guint8 *longer = g_malloc0(n + 1);

    for (gsize i = 0; i < n; i++) {
        g_autoptr(GBytes) part = g_bytes_new(data, i);

        check_decode(part, 4096, VSM_ERROR_FORMAT);
    }
    memcpy(longer, data, n);
    more = g_bytes_new(longer, n + 1);
    check_decode(more, 4096, VSM_ERROR_FORMAT);
    check_decode(empty, 4096, VSM_ERROR_FORMAT);
}

/* An empty file would be the default value of three byte arrays. */
static void test_decode_refuses_nothing_at_all(void)
{
    g_autoptr(GBytes) empty = g_bytes_new(NULL, 0);
    g_autoptr(GError) error = NULL;

    g_assert_null(
        vsm_codec_decode(empty, "(ayayay)", NULL, 0, 4096, "thing", &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
}

/* Bytes that begin at an odd address are decoded all the same. */
static void test_decode_needs_no_alignment(void)
{
    g_autoptr(GBytes) good = encode("THING", 1);
    gsize n;
    const guint8 *data = g_bytes_get_data(good, &n);

    for (guint at = 0; at < 8; at++) {
        g_autofree guint8 *moved = g_malloc(n + 8);
        g_autoptr(GBytes) bytes = NULL;

        memcpy(moved + at, data, n);
        bytes = g_bytes_new(moved + at, n);
        check_decode(bytes, 4096, 0);
    }
}

static void test_encode_refuses_what_is_too_long(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(
        vsm_codec_encode(g_variant_new_string("123456"), 6, "thing", &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_LIMIT);
}

static void check_dict(const char *text, int code)
{
    static const VsmCodecField fields[] = {{"a", "u", true}, {"b", "s", false}};
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) dict =
        g_variant_parse(G_VARIANT_TYPE("a{sv}"), text, NULL, NULL, NULL);
    bool ok;

    g_assert_nonnull(dict);
    ok = vsm_codec_check_dict(dict, fields, G_N_ELEMENTS(fields), "thing",
                              &error);
    g_assert_cmpint(ok, ==, code == 0);
    if (code) {
        g_assert_error(error, VSM_ERROR, code);
    }
}

static void test_dict_has_the_keys_of_its_table_alone(void)
{
    check_dict("{'a': <uint32 1>}", 0);
    check_dict("{'b': <'x'>, 'a': <uint32 1>}", 0);
    check_dict("{'b': <'x'>}", VSM_ERROR_FORMAT); /* missing */
    check_dict("{'a': <uint32 1>, 'c': <'x'>}", VSM_ERROR_FORMAT);
    check_dict("{'a': <uint64 1>}", VSM_ERROR_FORMAT); /* another type */
    check_dict("{'a': <uint32 1>, 'a': <uint32 1>}", VSM_ERROR_FORMAT);
}

static void test_fields_cannot_be_moved_into_each_other(void)
{
    g_autoptr(GByteArray) a = g_byte_array_new();
    g_autoptr(GByteArray) b = g_byte_array_new();
    static const guint8 expected[] = {0, 2, 'a', 'b', 0, 1, 'c'};

    vsm_codec_append_text(a, "ab");
    vsm_codec_append_text(a, "c");
    g_assert_cmpmem(a->data, a->len, expected, sizeof(expected));
    vsm_codec_append_text(b, "a");
    vsm_codec_append_text(b, "bc");
    g_assert_false(a->len == b->len && memcmp(a->data, b->data, a->len) == 0);
    g_byte_array_set_size(b, 0);
    vsm_codec_append_text(b, NULL);
    g_assert_cmpuint(b->len, ==, 2);
}

static void test_hex_is_lower_case_and_of_the_right_length(void)
{
    guint8 out[2] = {7, 7};

    g_assert_true(vsm_codec_parse_hex("0aff", out, 2));
    g_assert_cmpuint(out[0], ==, 0x0a);
    g_assert_cmpuint(out[1], ==, 0xff);
    g_assert_false(vsm_codec_parse_hex("0aFF", out, 2));
    g_assert_false(vsm_codec_parse_hex("0af", out, 2));
    g_assert_false(vsm_codec_parse_hex("0aff0", out, 2));
    g_assert_false(vsm_codec_parse_hex("0ag0", out, 2));
    g_assert_cmpuint(out[0], ==, 0x0a); /* untouched on failure */
}

static void check_tag(const char *tag, bool good)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(vsm_text_check_tag(tag, &error), ==, good);
    if (!good) {
        g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    }
}

static void test_a_tag_is_text_and_no_id(void)
{
    g_autofree char *longest = g_strnfill(VSM_TAG_BYTES_MAX, 'x');
    g_autofree char *longer = g_strnfill(VSM_TAG_BYTES_MAX + 1, 'x');

    check_tag("before upgrade", true);
    check_tag("1", true);
    check_tag("gr\xc3\xbc\xc3\x9f", true);
    check_tag(longest, true);
    check_tag(longer, false);
    check_tag("", false);
    check_tag(NULL, false);
    check_tag("a\nb", false);
    check_tag("tag:a", false);
    check_tag("id:a", false);
    check_tag("a\x1b[2Jb", false);
    check_tag("a\xc2\x9b"
              "b",
              false); /* C1 control */
    check_tag("a\xff"
              "b",
              false); /* no UTF-8 */
    check_tag("0123456789abcdef0123456789abcdef", false);
    check_tag("0123456789ABCDEF0123456789ABCDEF", false);
    check_tag("0123456789abcdef0123456789abcde", true);
}

static void check_asked(const char *asked, int kind, const char *name)
{
    g_autoptr(GError) error = NULL;
    VsmAsked found = 0;
    const char *found_name = NULL;
    bool ok = vsm_text_parse_asked(asked, &found, &found_name, &error);

    g_assert_cmpint(ok, ==, kind != 0);
    g_assert_cmpint(found, ==, kind);
    g_assert_cmpstr(found_name, ==, name);
    if (!ok) {
        g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    }
}

static void test_a_snapshot_is_asked_for_by_tag_or_id(void)
{
    check_asked("tag:a", VSM_ASKED_TAG, "a");
    check_asked("tag:id:a", VSM_ASKED_TAG, "id:a");
    check_asked("id:0123456789abcdef0123456789abcdef", VSM_ASKED_ID,
                "0123456789abcdef0123456789abcdef");
    check_asked("a", VSM_ASKED_WORD, "a");
    check_asked("id:0123", 0, NULL);
    check_asked("id:0123456789ABCDEF0123456789abcdef", 0, NULL);
    check_asked("tag:", 0, NULL);
    check_asked("", 0, NULL);
    check_asked(NULL, 0, NULL);
}

static void test_a_uuid_has_one_form(void)
{
    g_assert_true(vsm_text_is_uuid("01234567-89ab-cdef-0123-456789abcdef"));
    g_assert_false(vsm_text_is_uuid("01234567-89AB-cdef-0123-456789abcdef"));
    g_assert_false(vsm_text_is_uuid("0123456789abcdef0123456789abcdef"));
    g_assert_false(vsm_text_is_uuid("01234567-89ab-cdef-0123-456789abcde/"));
    g_assert_false(vsm_text_is_uuid(""));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error/numbers-never-change",
                    test_numbers_of_errors_never_change);
    g_test_add_func("/codec/decode-refuses-another-magic-or-version",
                    test_decode_refuses_another_magic_or_version);
    g_test_add_func("/codec/decode-refuses-what-is-too-long",
                    test_decode_refuses_what_is_too_long);
    g_test_add_func("/codec/decode-refuses-all-but-normal-form",
                    test_decode_refuses_all_but_normal_form);
    g_test_add_func("/codec/decode-refuses-nothing-at-all",
                    test_decode_refuses_nothing_at_all);
    g_test_add_func("/codec/decode-needs-no-alignment",
                    test_decode_needs_no_alignment);
    g_test_add_func("/codec/encode-refuses-what-is-too-long",
                    test_encode_refuses_what_is_too_long);
    g_test_add_func("/codec/dict-has-the-keys-of-its-table-alone",
                    test_dict_has_the_keys_of_its_table_alone);
    g_test_add_func("/codec/fields-cannot-be-moved-into-each-other",
                    test_fields_cannot_be_moved_into_each_other);
    g_test_add_func("/codec/hex-is-lower-case",
                    test_hex_is_lower_case_and_of_the_right_length);
    g_test_add_func("/text/a-tag-is-text-and-no-id",
                    test_a_tag_is_text_and_no_id);
    g_test_add_func("/text/a-snapshot-is-asked-for-by-tag-or-id",
                    test_a_snapshot_is_asked_for_by_tag_or_id);
    g_test_add_func("/text/a-uuid-has-one-form", test_a_uuid_has_one_form);
    return g_test_run();
}
