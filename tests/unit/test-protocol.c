/*
 * The messages of the protocol: known answers, no member left out, and what is
 * refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/runtime.h>

#include "base/codec.h"
#include "base/limits.h"
#include "protocol-fixture.h"

/* --- Comparing by the table ------------------------------------------- */

static void assert_equal(const VsmWire *wire, gconstpointer a, gconstpointer b);

static void
assert_arrays_equal(const VsmWireMember *member, GPtrArray *a, GPtrArray *b)
{
    g_assert_cmpuint(a->len, ==, b->len);
    for (guint i = 0; i < a->len; i++) {
        if (member->inner) {
            assert_equal(member->inner, a->pdata[i], b->pdata[i]);
        } else {
            g_assert_cmpstr(a->pdata[i], ==, b->pdata[i]);
        }
    }
}

static void
assert_member_equal(const VsmWireMember *m, gconstpointer a, gconstpointer b)
{
    gpointer x, y;

    switch (m->type) {
    case VSM_WIRE_STRUCT:
        assert_equal(m->inner, a, b);
        return;
    case VSM_WIRE_TEXT:
    case VSM_WIRE_KIND:
    case VSM_WIRE_BYTES:
    case VSM_WIRE_TEXTS:
    case VSM_WIRE_STRUCTS:
        memcpy(&x, a, sizeof(x));
        memcpy(&y, b, sizeof(y));
        g_assert_nonnull(x);
        g_assert_nonnull(y);
        break;
    default:
        g_assert_cmpmem(a, m->bytes, b, m->bytes);
        return;
    }
    if (m->type == VSM_WIRE_BYTES) {
        g_assert_true(g_bytes_equal(x, y));
    } else if (m->type == VSM_WIRE_TEXT || m->type == VSM_WIRE_KIND) {
        g_assert_cmpstr(x, ==, y);
    } else {
        assert_arrays_equal(m, x, y);
    }
}

static void assert_equal(const VsmWire *wire, gconstpointer a, gconstpointer b)
{
    for (guint i = 0; i < wire->n_members; i++) {
        const VsmWireMember *m = &wire->members[i];

        assert_member_equal(m, (const guint8 *)a + m->offset,
                            (const guint8 *)b + m->offset);
    }
}

/* --- Members ---------------------------------------------------------- */

static bool is_zero(const guint8 *data, gsize bytes)
{
    for (gsize i = 0; i < bytes; i++) {
        if (data[i]) {
            return false;
        }
    }
    return true;
}

/* Members at the end of a struct that stay with who made it do not count. */
static gsize end_of_wire(const VsmWire *wire)
{
    return strcmp(wire->name, "verdict") == 0 ? offsetof(VsmVerdict, pages)
                                              : wire->bytes;
}

/*
 * @value has all members set: what the table leaves over may only be the
 * compiler's padding, which is short and, in a static struct, zero.
 */
static void assert_complete(const VsmWire *wire, const guint8 *value)
{
    gsize at = 0;

    for (guint i = 0; i <= wire->n_members; i++) {
        const VsmWireMember *m = &wire->members[i];
        gsize next = i < wire->n_members ? m->offset : end_of_wire(wire);

        g_assert_cmpuint(next, >=, at); /* in the order of the struct */
        g_assert_cmpuint(next - at, <, sizeof(gpointer));
        if (!is_zero(value + at, next - at)) {
            g_error("%s: a member after byte %zu is in no table", wire->name,
                    at);
        }
        if (i == wire->n_members) {
            break;
        }
        if (is_zero(value + m->offset, m->bytes)) {
            g_error("%s: the example has no %s", wire->name, m->name);
        }
        if (m->inner && m->type == VSM_WIRE_STRUCT) {
            assert_complete(m->inner, value + m->offset);
        } else if (m->inner) {
            GPtrArray *array;

            memcpy(&array, value + m->offset, sizeof(array));
            assert_complete(m->inner, array->pdata[0]);
        }
        at = m->offset + m->bytes;
    }
}

static void test_every_member_crosses_the_wire(void)
{
    for (const ProtocolExample *e = protocol_examples(); e->file; e++) {
        const VsmWire *wire = vsm_protocol_wire(e->op);
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) body = vsm_protocol_encode(e->op, e->value, &error);
        gpointer back;

        g_assert_no_error(error);
        if (wire != &vsm_wire_nothing) {
            assert_complete(wire, e->value);
        }
        back = vsm_protocol_decode(e->op, body, &error);
        g_assert_no_error(error);
        assert_equal(wire, e->value, back);
        vsm_protocol_free(e->op, back);
    }
}

static void test_what_may_be_absent_stays_absent(void)
{
    VsmMeasured measured = {.pause_ms = 1};
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) body =
        vsm_protocol_encode(VSM_PROTOCOL_CHECK_FINISH, &measured, &error);
    VsmMeasured *back;

    g_assert_no_error(error);
    back = vsm_protocol_decode(VSM_PROTOCOL_CHECK_FINISH, body, &error);
    g_assert_no_error(error);
    g_assert_null(back->accepted);
    g_assert_null(back->changed);
    g_assert_null(back->unavailable);
    g_assert_cmpuint(back->pause_ms, ==, 1);
    vsm_protocol_free(VSM_PROTOCOL_CHECK_FINISH, back);
}

/* A finding's kind is one of libvsm's own words again: compared by address. */
static void test_kinds_are_static_words(void)
{
    VsmFinding finding = {.kind = "ram"};
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) tuple = g_variant_ref_sink(
        vsm_wire_encode(&vsm_wire_finding, &finding, &error));
    g_autoptr(VsmFinding) one = NULL;
    g_autoptr(VsmFinding) two = NULL;

    one = vsm_wire_decode(&vsm_wire_finding, tuple, &error);
    two = vsm_wire_decode(&vsm_wire_finding, tuple, &error);
    g_assert_no_error(error);
    g_assert_true(one->kind == two->kind);
    g_assert_cmpstr(one->kind, ==, "ram");
    g_clear_pointer(&one, vsm_finding_free);
    finding.kind = VSM_KIND_PATCH_IN_FLIGHT; /* of the runtime scope */
    g_variant_unref(tuple);
    tuple = g_variant_ref_sink(
        vsm_wire_encode(&vsm_wire_finding, &finding, &error));
    one = vsm_wire_decode(&vsm_wire_finding, tuple, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(one->kind, ==, VSM_KIND_PATCH_IN_FLIGHT);
    finding.kind = "unheard-of";
    g_variant_unref(tuple);
    tuple = g_variant_ref_sink(
        vsm_wire_encode(&vsm_wire_finding, &finding, &error));
    g_assert_null(vsm_wire_decode(&vsm_wire_finding, tuple, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
}

/* --- Known answers ---------------------------------------------------- */

static void test_messages_are_as_they_always_were(void)
{
    guint n = 0;

    for (const ProtocolExample *e = protocol_examples(); e->file; e++, n++) {
        const VsmWire *wire = vsm_protocol_wire(e->op);
        g_autofree char *type = vsm_wire_type(wire);
        g_autoptr(GBytes) bytes = protocol_example_bytes(e);
        g_autoptr(GBytes) known = protocol_fixture(e->file);
        g_autoptr(GBytes) body = NULL;
        g_autoptr(GError) error = NULL;
        VsmProtocolHeader header;
        gpointer value;
        gsize size;
        const guint8 *data = g_bytes_get_data(known, &size);

        g_assert_cmpstr(type, ==, e->type);
        g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
                        data, size);
        g_assert_true(vsm_protocol_read_header(data, &header, &error));
        g_assert_cmpuint(header.op, ==, e->op);
        g_assert_cmpuint(header.version, ==, 1);
        g_assert_cmpuint(header.bytes, ==, size - VSM_PROTOCOL_HEADER_BYTES);
        body = g_bytes_new_from_bytes(known, VSM_PROTOCOL_HEADER_BYTES,
                                      header.bytes);
        value = vsm_protocol_decode(e->op, body, &error);
        g_assert_no_error(error);
        assert_equal(wire, e->value, value);
        vsm_protocol_free(e->op, value);
    }
    g_assert_cmpuint(n, ==, 2 * VSM_PROTOCOL_FORGET + 2);
}

/* --- What is refused -------------------------------------------------- */

static void assert_refused(guint16 op, const void *data, gsize bytes)
{
    g_autoptr(GBytes) body = g_bytes_new(data, bytes);
    g_autoptr(GError) error = NULL;

    g_assert_null(vsm_protocol_decode(op, body, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL);
    g_test_message("%s", error->message);
}

static void test_bodies_of_other_types_are_refused(void)
{
    static const guint8 zeros[64];

    for (guint op = 1; op <= VSM_PROTOCOL_FORGET; op++) {
        assert_refused(op, "", 0);
        assert_refused(op, zeros, sizeof(zeros));
        assert_refused(op, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9);
    }
}

static void test_unknown_messages_are_refused(void)
{
    static const guint16 ops[] = {0, VSM_PROTOCOL_FORGET + 1,
                                  VSM_PROTOCOL_ADMIN, 0x7fff, 0xfffe};

    for (guint i = 0; i < G_N_ELEMENTS(ops); i++) {
        g_assert_null(vsm_protocol_wire(ops[i]));
        assert_refused(ops[i], "\0", 1);
    }
}

static void test_headers_of_others_are_refused(void)
{
    guint8 header[VSM_PROTOCOL_HEADER_BYTES];
    VsmProtocolHeader ret = {.op = 77};
    g_autoptr(GError) error = NULL;

    vsm_protocol_write_header(
        &(VsmProtocolHeader){VSM_PROTOCOL_PUT, 1, VSM_MESSAGE_BYTES_MAX},
        header);
    g_assert_true(vsm_protocol_read_header(header, &ret, &error));
    g_assert_cmpuint(ret.bytes, ==, VSM_MESSAGE_BYTES_MAX);
    header[7]++; /* one byte more than allowed */
    ret.op = 77;
    g_assert_false(vsm_protocol_read_header(header, &ret, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL);
    g_assert_cmpuint(ret.op, ==, 77);
    g_clear_error(&error);
    header[7]--;
    header[3] = '2'; /* "VSM2" */
    g_assert_false(vsm_protocol_read_header(header, &ret, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL);
}

/* The largest piece fills a message, and not a byte more goes. */
static void test_the_largest_piece_fits_in_a_message(void)
{
    g_autoptr(GBytes) piece =
        g_bytes_new_take(g_malloc0(VSM_PIECE_BYTES_MAX), VSM_PIECE_BYTES_MAX);
    g_autoptr(GBytes) longer = g_bytes_new_take(
        g_malloc0(VSM_PIECE_BYTES_MAX + 1), VSM_PIECE_BYTES_MAX + 1);
    VsmProtocolPut put = {VSM_PART_LEAVES, 1ull << 40, piece};
    g_autoptr(GBytes) body = NULL;
    g_autoptr(GError) error = NULL;

    body = vsm_protocol_encode(VSM_PROTOCOL_PUT, &put, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_bytes_get_size(body), ==, VSM_MESSAGE_BYTES_MAX);
    put.bytes = longer;
    g_assert_null(vsm_protocol_encode(VSM_PROTOCOL_PUT, &put, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_LIMIT);
}

/* As a hostile peer would send it: the type is right, the content is not. */
static void assert_value_refused(guint16 op, GVariant *tuple)
{
    g_autoptr(GBytes) body =
        vsm_codec_encode(tuple, VSM_MESSAGE_BYTES_MAX, "test", NULL);

    assert_refused(op, g_bytes_get_data(body, NULL), g_bytes_get_size(body));
}

static void test_values_out_of_range_are_refused(void)
{
    g_autofree char *tag = g_strnfill(VSM_TAG_BYTES_MAX + 1, 'x');
    g_autofree char *name = g_strnfill(VSM_NAME_BYTES_MAX + 1, 'x');

    assert_value_refused(VSM_PROTOCOL_PUT,
                         g_variant_new("(yt^ay)", 0, 0ull, "x"));
    assert_value_refused(VSM_PROTOCOL_PUT,
                         g_variant_new("(yt^ay)", 7, 0ull, "x"));
    assert_value_refused(
        VSM_PROTOCOL_GET,
        g_variant_new("(ytu)", 1, 0ull, VSM_PIECE_BYTES_MAX + 1));
    assert_value_refused(VSM_PROTOCOL_SEAL_BEGIN,
                         g_variant_new("((smsmsmsb)sbt)", "u", NULL, NULL, NULL,
                                       FALSE, tag, FALSE, 0ull));
    assert_value_refused(
        VSM_PROTOCOL_STATUS,
        g_variant_new("(smsmsmsb)", "u", name, NULL, NULL, FALSE));
    assert_value_refused(VSM_PROTOCOL_CHECK_BEGIN,
                         g_variant_new("((smsmsmsb)usmaymsms)", "u", NULL, NULL,
                                       NULL, FALSE, VSM_PURPOSE_WATCH + 1,
                                       "one", NULL, NULL, NULL));
    assert_value_refused(VSM_PROTOCOL_ERROR, g_variant_new("(us)", 0, "ok"));
}

/* An error's text is never the reason that there is none. */
static void test_long_errors_are_cut_and_others_pass(void)
{
    g_autofree char *text = g_strnfill(3 * VSM_ERROR_TEXT_BYTES_MAX, 'x');
    g_autoptr(GError) error =
        g_error_new_literal(VSM_ERROR, VSM_ERROR_CONFIG, text);
    g_autoptr(GError) foreign =
        g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_PERM, "no \xff UTF-8");
    g_autoptr(GBytes) body = vsm_protocol_encode_error(error);
    g_autoptr(GBytes) other = vsm_protocol_encode_error(foreign);
    g_autoptr(GError) back = NULL;
    g_autoptr(GError) stored = NULL;

    vsm_protocol_take_error(body, &back);
    g_assert_error(back, VSM_ERROR, VSM_ERROR_CONFIG);
    g_assert_cmpuint(strlen(back->message), ==, VSM_ERROR_TEXT_BYTES_MAX);
    vsm_protocol_take_error(other, &stored);
    g_assert_error(stored, VSM_ERROR, VSM_ERROR_STORE);
    g_assert_true(g_utf8_validate(stored->message, -1, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/protocol/every-member-crosses-the-wire",
                    test_every_member_crosses_the_wire);
    g_test_add_func("/protocol/what-may-be-absent-stays-absent",
                    test_what_may_be_absent_stays_absent);
    g_test_add_func("/protocol/kinds-are-static-words",
                    test_kinds_are_static_words);
    g_test_add_func("/protocol/messages-are-as-they-always-were",
                    test_messages_are_as_they_always_were);
    g_test_add_func("/protocol/bodies-of-other-types-are-refused",
                    test_bodies_of_other_types_are_refused);
    g_test_add_func("/protocol/unknown-messages-are-refused",
                    test_unknown_messages_are_refused);
    g_test_add_func("/protocol/headers-of-others-are-refused",
                    test_headers_of_others_are_refused);
    g_test_add_func("/protocol/the-largest-piece-fits-in-a-message",
                    test_the_largest_piece_fits_in_a_message);
    g_test_add_func("/protocol/values-out-of-range-are-refused",
                    test_values_out_of_range_are_refused);
    g_test_add_func("/protocol/long-errors-are-cut-and-others-pass",
                    test_long_errors_are_cut_and_others_pass);
    return g_test_run();
}
