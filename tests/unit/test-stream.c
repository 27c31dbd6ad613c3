/*
 * The stream engine: every byte counts, and an inconsistent stream is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "fake-stream.h"

static void test_verify_accepts_what_was_saved(void)
{
    static const gsize chunks[] = {0, 13, 4096, 100000};
    g_autoptr(VsmPool) pool = fake_pool(2, VSM_HASH_BACKEND_AUTO);
    g_autoptr(FakeStream) fake = fake_stream_new(9, 300);
    g_autoptr(FakeRecord) record = fake_saved(fake, pool, 0);
    g_autoptr(VsmStored) stored = fake_loaded(record, pool);

    for (guint c = 0; c < G_N_ELEMENTS(chunks); c++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VsmStream) stream =
            vsm_stream_new_verify(pool, stored, false);
        g_autoptr(GBytes) measured = NULL;

        g_assert_true(fake_feed(stream, fake->bytes->data, fake->bytes->len,
                                chunks[c], &error));
        g_assert_true(vsm_stream_finish(stream, &error));
        g_assert_no_error(error);
        g_assert_true(vsm_stream_measured(stream, &measured, &error));
        g_assert_true(g_bytes_equal(measured, record->document));
    }
}

/* Where the damage of the byte at @at must be reported; an own computation. */
static guint64
expected_offset(const FakeStream *fake, guint64 at, bool *ret_skeleton)
{
    guint64 skeleton = 0, start = 0, position = 0;

    for (guint i = 0; i <= fake->pages->len; i++) {
        bool end = i == fake->pages->len;
        guint64 body = end ? fake->bytes->len
                           : g_array_index(fake->pages, FakePage, i).offset;

        for (; position < body; position++, skeleton++) {
            if (skeleton % VSM_PAGE_BYTES == 0) {
                start = position;
            }
            if (position == at) {
                *ret_skeleton = true;
                return start;
            }
        }
        if (!end && at < body + VSM_PAGE_BYTES) {
            *ret_skeleton = false;
            return body;
        }
        position += VSM_PAGE_BYTES;
    }
    g_assert_not_reached();
}

static void check_flip(const FakeStream *fake,
                       const FakeRecord *record,
                       VsmPool *pool,
                       const VsmStored *stored,
                       guint64 at)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmStream) stream = vsm_stream_new_verify(pool, stored, true);
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GBytes) measured = NULL;
    g_autoptr(GPtrArray) damage = NULL;
    const VsmFinding *finding;
    guint64 left_out, offset;
    bool skeleton;

    fake->bytes->data[at] ^= 1u << (at % 8);
    bytes = g_bytes_new_static(fake->bytes->data, fake->bytes->len);
    g_assert_true(vsm_stream_feed(stream, bytes, NULL));
    g_assert_false(vsm_stream_finish(stream, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
    fake->bytes->data[at] ^= 1u << (at % 8);

    damage = vsm_stream_damage(stream, &left_out);
    g_assert_cmpuint(damage->len, ==, 1);
    g_assert_cmpuint(left_out, ==, 0);
    finding = g_ptr_array_index(damage, 0);
    offset = expected_offset(fake, at, &skeleton);
    g_assert_cmpstr(finding->kind, ==, skeleton ? "skeleton" : "body");
    g_assert_cmpuint(finding->offset, ==, offset);
    if (at % 64 == 0) {
        g_assert_true(vsm_stream_measured(stream, &measured, NULL));
        g_assert_false(g_bytes_equal(measured, record->document));
    }
}

static void test_every_flipped_byte_is_refused_at_its_place(void)
{
    g_autoptr(VsmPool) pool = fake_pool(1, VSM_HASH_BACKEND_AUTO);
    g_autoptr(FakeStream) fake = fake_stream_new(4, 5);
    g_autoptr(FakeRecord) record = fake_saved(fake, pool, 0);
    g_autoptr(VsmStored) stored = fake_loaded(record, pool);
    guint step = g_test_slow() ? 1 : 7;

    for (gsize at = 0; at < fake->bytes->len; at += step) {
        check_flip(fake, record, pool, stored, at);
    }
}

static void test_a_difference_fails_the_feed(void)
{
    g_autoptr(VsmPool) pool = fake_pool(2, VSM_HASH_BACKEND_AUTO);
    g_autoptr(FakeStream) fake = fake_stream_new(5, 3000);
    g_autoptr(FakeRecord) record = fake_saved(fake, pool, 0);
    g_autoptr(VsmStored) stored = fake_loaded(record, pool);
    g_autoptr(VsmStream) stream = vsm_stream_new_verify(pool, stored, false);
    g_autoptr(GError) error = NULL;

    fake->bytes->data[10] ^= 1;
    for (gsize at = 0; !error && at < fake->bytes->len; at += 65536) {
        fake_feed(stream, fake->bytes->data + at,
                  MIN(65536, fake->bytes->len - at), 65536, &error);
        g_usleep(2000); /* the hashing threads' turn */
    }
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
    g_assert_nonnull(strstr(error->message, "first difference at byte 0 "));
    /* Not all was hashed before it was told. */
    g_assert_cmpuint(vsm_stream_position(stream), <, fake->bytes->len);
}

static void check_length(const FakeStream *fake,
                         VsmPool *pool,
                         const VsmStored *stored,
                         gsize bytes)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmStream) stream = vsm_stream_new_verify(pool, stored, true);
    g_autoptr(GBytes) measured = NULL;
    g_autofree guint8 *longer = g_malloc0(bytes + 1);
    VsmDocument document;

    memcpy(longer, fake->bytes->data, MIN(bytes, fake->bytes->len));
    g_assert_true(fake_feed(stream, longer, bytes, 0, NULL));
    g_assert_false(vsm_stream_finish(stream, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
    /* The measured document can be read and is another one. */
    g_assert_true(vsm_stream_measured(stream, &measured, NULL));
    g_assert_true(vsm_document_decode(measured, &document, NULL));
    g_assert_cmpuint(document.bytes, ==, bytes);
}

static void test_a_shorter_or_longer_stream_is_refused(void)
{
    g_autoptr(VsmPool) pool = fake_pool(1, VSM_HASH_BACKEND_AUTO);
    g_autoptr(FakeStream) fake = fake_stream_new(6, 8);
    g_autoptr(FakeRecord) record = fake_saved(fake, pool, 0);
    g_autoptr(VsmStored) stored = fake_loaded(record, pool);

    for (gsize bytes = 0; bytes < fake->bytes->len; bytes += 211) {
        check_length(fake, pool, stored, bytes);
    }
    check_length(fake, pool, stored, fake->bytes->len - 1);
    check_length(fake, pool, stored, fake->bytes->len + 1);
    check_length(fake, pool, stored, fake->bytes->len + 9999);
}

/* Every byte of map, leaves and skeleton digests is proved before use. */
static void test_every_flipped_byte_of_a_part_is_refused(void)
{
    static const VsmPart parts[] = {VSM_PART_MAP, VSM_PART_LEAVES,
                                    VSM_PART_SKELETON};
    g_autoptr(VsmPool) pool = fake_pool(1, VSM_HASH_BACKEND_AUTO);
    g_autoptr(FakeStream) fake = fake_stream_new(4, 12);
    g_autoptr(FakeRecord) record = fake_saved(fake, pool, 0);

    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        GByteArray *part = record->parts[parts[i]];

        g_assert_cmpuint(part->len, >, 0);
        for (guint at = 0; at < part->len; at++) {
            g_autoptr(GError) error = NULL;

            part->data[at] ^= 1u << (at % 8);
            g_assert_null(fake_load(record, pool, &error));
            g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
            part->data[at] ^= 1u << (at % 8);
        }
    }
}

static void test_a_part_of_another_length_is_refused(void)
{
    static const VsmPart parts[] = {VSM_PART_MAP, VSM_PART_LEAVES,
                                    VSM_PART_SKELETON};
    g_autoptr(VsmPool) pool = fake_pool(1, VSM_HASH_BACKEND_AUTO);
    g_autoptr(FakeStream) fake = fake_stream_new(4, 12);
    g_autoptr(FakeRecord) record = fake_saved(fake, pool, 0);

    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        GByteArray *part = record->parts[parts[i]];
        guint8 more[48] = {0};
        guint whole = part->len;
        g_autoptr(GError) longer = NULL;
        g_autoptr(GError) shorter = NULL;

        g_byte_array_append(part, more, sizeof(more));
        g_assert_null(fake_load(record, pool, &longer));
        g_assert_error(longer, VSM_ERROR, VSM_ERROR_TAMPERED);
        part->len = whole - (parts[i] == VSM_PART_MAP ? 24 : 48);
        g_assert_null(fake_load(record, pool, &shorter));
        g_assert_error(shorter, VSM_ERROR, VSM_ERROR_TAMPERED);
        part->len = whole;
    }
}

static void feed_some(VsmStream *stream, gsize bytes)
{
    g_autoptr(GBytes) chunk = g_bytes_new_take(g_malloc0(bytes), bytes);

    vsm_stream_feed(stream, chunk, NULL);
}

/* What a hypervisor that is wrong about its stream gets. */
static void test_an_inconsistent_save_fails(void)
{
    static const struct {
        guint64 fed, offset;
        guint block;
        guint64 page, then;
    } cases[] = {
        {100, 50, 0, 0, 5000}, /* the page's first byte was already fed */
        {0, 10, 0, 99, 5000}, /* no such page */
        {0, 10, 9, 0, 5000}, /* no such block */
        {0, 10, 1, 4, 5000}, /* an absent page */
        {0, 10, 0, 0, 4000}, /* the stream ends inside of the page */
        {0, 9000, 0, 0, 5000}, /* the stream ends before the page */
    };
    static const VsmRange absent = {4, 4};
    static const VsmRamBlock blocks[] = {
        {"a", 10 * 4096, NULL, NULL, 0, NULL},
        {"b", 10 * 4096, NULL, &absent, 1, NULL}};
    g_autoptr(VsmPool) pool = fake_pool(1, VSM_HASH_BACKEND_AUTO);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(VsmStream) stream = vsm_stream_new_save(pool, NULL, NULL);
        g_autoptr(GError) error = NULL;

        g_assert_true(vsm_stream_set_ram(stream, blocks, 2, NULL));
        feed_some(stream, cases[i].fed);
        vsm_stream_page(stream, cases[i].offset, cases[i].block, cases[i].page);
        feed_some(stream, cases[i].then);
        g_assert_false(vsm_stream_finish(stream, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    }
}

static void test_pages_that_overlap_fail_the_save(void)
{
    static const VsmRamBlock block = {"a", 10 * 4096, NULL, NULL, 0, NULL};
    g_autoptr(VsmPool) pool = fake_pool(1, VSM_HASH_BACKEND_AUTO);
    g_autoptr(VsmStream) stream = vsm_stream_new_save(pool, NULL, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_stream_set_ram(stream, &block, 1, NULL));
    vsm_stream_page(stream, 10, 0, 0);
    vsm_stream_page(stream, 10 + 4095, 0, 1);
    g_assert_false(vsm_stream_finish(stream, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
}

static bool refuse_put(gpointer opaque,
                       VsmPart part,
                       guint64 offset,
                       GBytes *bytes,
                       GError **error)
{
    (void)opaque, (void)part, (void)offset, (void)bytes;
    g_set_error(error, VSM_ERROR, VSM_ERROR_NO_SPACE, "full");
    return false;
}

static void test_a_store_that_fails_fails_the_save(void)
{
    static const VsmRamBlock block = {"a", 10 * 4096, NULL, NULL, 0, NULL};
    g_autoptr(VsmPool) pool = fake_pool(1, VSM_HASH_BACKEND_AUTO);
    g_autoptr(VsmStream) stream = vsm_stream_new_save(pool, refuse_put, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) again = NULL;

    g_assert_true(vsm_stream_set_ram(stream, &block, 1, NULL));
    vsm_stream_page(stream, 10, 0, 0);
    feed_some(stream, 5000);
    g_assert_false(vsm_stream_finish(stream, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NO_SPACE);
    g_assert_false(vsm_stream_finish(stream, &again));
    g_assert_error(again, VSM_ERROR, VSM_ERROR_NO_SPACE);
}

static void test_sections_are_what_was_in_the_stream(void)
{
    g_autoptr(VsmPool) pool = fake_pool(1, VSM_HASH_BACKEND_AUTO);
    g_autoptr(FakeStream) fake = fake_stream_new(11, 5);
    g_autoptr(FakeRecord) record = fake_saved(fake, pool, 100);
    g_autoptr(VsmManifest) sealed = vsm_manifest_decode(record->manifest, NULL);
    g_autoptr(VsmManifest) captured = vsm_manifest_new();

    g_assert_cmpuint(sealed->sections->len, ==, fake->sections->len);
    for (guint i = 0; i < fake->sections->len; i++) {
        FakeSection *section = &g_array_index(fake->sections, FakeSection, i);
        const VsmManifestSection *a = g_ptr_array_index(sealed->sections, i);
        const VsmManifestSection *b;

        g_assert_true(vsm_manifest_add_section(
            captured, &section->section, fake->bytes->data + section->begin,
            section->end - section->begin, NULL));
        b = g_ptr_array_index(captured->sections, i);
        g_assert_cmpstr(a->idstr, ==, b->idstr);
        g_assert_cmpuint(a->bytes, ==, b->bytes);
        g_assert_true(vsm_digest_equal(&a->digest, &b->digest));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/verify-accepts-what-was-saved",
                    test_verify_accepts_what_was_saved);
    g_test_add_func("/stream/every-flipped-byte-is-refused-at-its-place",
                    test_every_flipped_byte_is_refused_at_its_place);
    g_test_add_func("/stream/a-difference-fails-the-feed",
                    test_a_difference_fails_the_feed);
    g_test_add_func("/stream/a-shorter-or-longer-stream-is-refused",
                    test_a_shorter_or_longer_stream_is_refused);
    g_test_add_func("/stream/every-flipped-byte-of-a-part-is-refused",
                    test_every_flipped_byte_of_a_part_is_refused);
    g_test_add_func("/stream/a-part-of-another-length-is-refused",
                    test_a_part_of_another_length_is_refused);
    g_test_add_func("/stream/an-inconsistent-save-fails",
                    test_an_inconsistent_save_fails);
    g_test_add_func("/stream/pages-that-overlap-fail-the-save",
                    test_pages_that_overlap_fail_the_save);
    g_test_add_func("/stream/a-store-that-fails-fails-the-save",
                    test_a_store_that_fails_fails_the_save);
    g_test_add_func("/stream/sections-are-what-was-in-the-stream",
                    test_sections_are_what_was_in_the_stream);
    return g_test_run();
}
