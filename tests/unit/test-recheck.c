/*
 * RAM after a load: told equal by tags only where it is, and with the same
 * result as hashing it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vsm/error.h>
#include <vsm/pagemap.h>

#include "core/recheck.h"
#include "core/stream.h"
#include "fake-stream.h"

#define PAGES 1500

/* A snapshot that was verified with tags. */
typedef struct {
    VsmPool *pool;
    FakeStream *fake;
    FakeRecord *record;
    VsmStored *stored;
    VsmStream *stream;
    VsmRecheck *recheck;
} Loaded;

/* As fake_feed(), or for VSM_CHUNK_BYTES in chunks as a load reads them. */
static void feed(Loaded *loaded, gsize chunk_max)
{
    const GByteArray *all = loaded->fake->bytes;
    gsize step = chunk_max == VSM_CHUNK_BYTES ? chunk_max : all->len;
    g_autoptr(GError) error = NULL;

    for (gsize at = 0; at < all->len; at += step) {
        fake_feed(loaded->stream, all->data + at, MIN(step, all->len - at),
                  step < all->len ? 0 : chunk_max, &error);
        g_assert_no_error(error);
    }
}

static void pass(Loaded *loaded, gsize chunk_max)
{
    g_autoptr(GError) error = NULL;

    loaded->recheck =
        vsm_recheck_new(loaded->pool, loaded->fake->bytes->len, &error);
    g_assert_no_error(error);
    loaded->stream = vsm_stream_new_verify(loaded->pool, loaded->stored, false);
    vsm_stream_set_recheck(loaded->stream, loaded->recheck);
    feed(loaded, chunk_max);
    vsm_stream_finish(loaded->stream, &error);
    g_assert_no_error(error);
}

static Loaded *
load(VsmHashBackend backend, guint threads, FakeStream *fake, gsize chunk_max)
{
    Loaded *loaded = g_new0(Loaded, 1);

    loaded->pool = fake_pool(threads, backend);
    loaded->fake = fake;
    loaded->record = fake_saved(fake, loaded->pool, 0);
    loaded->stored = fake_loaded(loaded->record, loaded->pool);
    pass(loaded, chunk_max);
    return loaded;
}

static void loaded_free(Loaded *loaded)
{
    vsm_stream_free(loaded->stream);
    vsm_recheck_free(loaded->recheck);
    vsm_stored_free(loaded->stored);
    fake_record_free(loaded->record);
    fake_stream_free(loaded->fake);
    vsm_pool_free(loaded->pool);
    g_free(loaded);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Loaded, loaded_free)

static bool is_equal(Loaded *loaded, GBytes **ret_manifest)
{
    g_autoptr(VsmManifest) manifest = vsm_manifest_new();
    g_autoptr(GError) error = NULL;
    VsmRamResult result = {0};
    bool equal;

    vsm_recheck_ram(loaded->recheck, loaded->stored, loaded->fake->blocks,
                    FAKE_BLOCKS, manifest, &result, &equal, NULL, &error);
    g_assert_no_error(error);
    if (equal && ret_manifest) {
        g_assert_cmpuint(result.changed->len, ==, 0);
        g_assert_cmpuint(result.changed_pages, ==, 0);
        *ret_manifest = vsm_manifest_encode(manifest, &error);
        g_assert_no_error(error);
    }
    g_assert_true(equal || !result.changed);
    vsm_ram_result_clear(&result);
    return equal;
}

static GBytes *hashed(Loaded *loaded)
{
    g_autoptr(VsmManifest) manifest = vsm_manifest_new();
    g_autoptr(GError) error = NULL;
    VsmRamResult result;
    GBytes *bytes;

    vsm_ram_measure(loaded->pool, loaded->stored, loaded->fake->blocks,
                    FAKE_BLOCKS, manifest, &result, NULL, &error);
    g_assert_no_error(error);
    vsm_ram_result_clear(&result);
    bytes = vsm_manifest_encode(manifest, &error);
    g_assert_no_error(error);
    return bytes;
}

static void test_tags_and_hashing_give_the_same_manifest(void)
{
    static const gsize chunks[] = {0, 4096, 4104, 70000, 1048576};
    static const VsmHashBackend backends[] = {VSM_HASH_BACKEND_OPENSSL,
                                              VSM_HASH_BACKEND_AUTO};

    for (guint threads = 1; threads <= 4; threads += 3) {
        for (guint b = 0; b < G_N_ELEMENTS(backends); b++) {
            for (guint c = 0; c < G_N_ELEMENTS(chunks); c++) {
                g_autoptr(Loaded) loaded =
                    load(backends[b], threads, fake_stream_new_once(c, PAGES),
                         chunks[c]);
                g_autoptr(GBytes) by_tags = NULL;
                g_autoptr(GBytes) by_hashing = hashed(loaded);

                g_assert_true(is_equal(loaded, &by_tags));
                g_assert_true(g_bytes_equal(by_tags, by_hashing));
            }
        }
    }
}

/* Pages with a body, zero pages, every block; the first and the last byte. */
static void check_each_page(Loaded *loaded)
{
    guint tried = 0;

    for (guint i = 0; i < FAKE_BLOCKS; i++) {
        const VsmRamBlock *block = &loaded->fake->blocks[i];
        guint64 pages = block->n_absent ? 0 : block->bytes / VSM_PAGE_BYTES;

        for (guint64 page = 0; page < pages; page++) {
            guint8 *byte = (guint8 *)block->host + page * VSM_PAGE_BYTES +
                           (page % 2 ? VSM_PAGE_BYTES - 1 : 0);

            *byte ^= 1 << page % 8;
            g_assert_false(is_equal(loaded, NULL));
            *byte ^= 1 << page % 8;
            tried++;
        }
    }
    g_assert_cmpuint(tried, ==, 303);
    g_assert_true(is_equal(loaded, NULL));
}

static void test_no_changed_page_is_told_equal(void)
{
    g_autoptr(Loaded) loaded =
        load(VSM_HASH_BACKEND_AUTO, 2, fake_stream_new_once(5, 300), 0);
    g_autoptr(VsmPagemap) pagemap =
        vsm_pagemap_new(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));

    g_assert_nonnull(pagemap);
    for (guint i = 0; i < FAKE_BLOCKS; i++) {
        loaded->fake->blocks[i].pagemap = pagemap;
    }
    check_each_page(loaded);
    for (guint i = 0; i < FAKE_BLOCKS; i++) {
        loaded->fake->blocks[i].pagemap = NULL;
    }
    check_each_page(loaded); /* all are read */
}

/* Pages of a block that nobody read or wrote, from the kernel's own words. */
static guint count_left_alone(const VsmRamBlock *block)
{
    int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    guint count = 0;

    for (guint64 page = 0; page < block->bytes / VSM_PAGE_BYTES; page++) {
        off_t at =
            ((guintptr)block->host / VSM_PAGE_BYTES + page) * sizeof(guint64);
        guint64 word;

        g_assert_cmpint(pread(map, &word, sizeof(word), at), ==, sizeof(word));
        count += !(word >> 62); /* neither present nor swapped out */
    }
    close(map);
    return count;
}

/* A page without a body is not given memory to see that it is zero. */
static void test_untouched_pages_are_left_alone(void)
{
    g_autoptr(Loaded) loaded =
        load(VSM_HASH_BACKEND_AUTO, 2, fake_stream_new_once(5, 300), 0);
    g_autoptr(VsmPagemap) pagemap =
        vsm_pagemap_new(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    VsmRamBlock *block = &loaded->fake->blocks[0];
    guint zero = 0;

    for (guint64 page = 0; page < block->bytes / VSM_PAGE_BYTES; page++) {
        guint8 *host = (guint8 *)block->host + page * VSM_PAGE_BYTES;

        if (vsm_is_zero(host, VSM_PAGE_BYTES)) {
            g_assert_cmpint(madvise(host, VSM_PAGE_BYTES, MADV_DONTNEED), ==,
                            0);
            zero++;
        }
    }
    g_assert_cmpuint(zero, >, 10);
    block->pagemap = pagemap;
    g_assert_true(is_equal(loaded, NULL));
    g_assert_cmpuint(count_left_alone(block), ==, zero);
    block->pagemap = NULL;
    g_assert_true(is_equal(loaded, NULL));
    g_assert_cmpuint(count_left_alone(block), ==, 0);
}

/* The same bytes at each other's place are other RAM. */
static void test_exchanged_pages_are_not_told_equal(void)
{
    g_autoptr(Loaded) loaded =
        load(VSM_HASH_BACKEND_AUTO, 2, fake_stream_new_once(5, 300), 0);
    guint8 *a = (guint8 *)loaded->fake->blocks[0].host;
    guint8 *b = a + 100 * VSM_PAGE_BYTES;
    g_autofree guint8 *old = g_malloc(VSM_PAGE_BYTES);

    while (vsm_is_zero(a, VSM_PAGE_BYTES) || !memcmp(a, b, VSM_PAGE_BYTES)) {
        a += VSM_PAGE_BYTES;
    }
    memcpy(old, a, VSM_PAGE_BYTES);
    memcpy(a, b, VSM_PAGE_BYTES);
    memcpy(b, old, VSM_PAGE_BYTES);
    g_assert_false(is_equal(loaded, NULL));
}

/* Where tags cannot tell, RAM is hashed: they never guess. */
static void test_tags_do_not_tell_of_pages_sent_twice(void)
{
    g_autoptr(Loaded) loaded =
        load(VSM_HASH_BACKEND_AUTO, 2, fake_stream_new(6, 300), 0);

    g_assert_false(is_equal(loaded, NULL));
}

static void test_tags_do_not_tell_of_another_geometry(void)
{
    g_autoptr(Loaded) loaded =
        load(VSM_HASH_BACKEND_AUTO, 2, fake_stream_new_once(6, 300), 0);

    loaded->fake->blocks[0].bytes -= VSM_PAGE_BYTES;
    g_assert_false(is_equal(loaded, NULL));
    loaded->fake->blocks[0].bytes += VSM_PAGE_BYTES;
    g_assert_true(is_equal(loaded, NULL));
    loaded->fake->blocks[0].idstr = "other";
    g_assert_false(is_equal(loaded, NULL));
}

static void test_cancelled_comparing_tells_nothing(void)
{
    g_autoptr(Loaded) loaded =
        load(VSM_HASH_BACKEND_AUTO, 2, fake_stream_new_once(6, 300), 0);
    g_autoptr(VsmManifest) manifest = vsm_manifest_new();
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    g_autoptr(GError) error = NULL;
    VsmRamResult result;
    bool equal = false;

    g_cancellable_cancel(cancel);
    g_assert_false(vsm_recheck_ram(loaded->recheck, loaded->stored,
                                   loaded->fake->blocks, FAKE_BLOCKS, manifest,
                                   &result, &equal, cancel, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CANCELLED);
    g_assert_false(equal);
}

static GBytes *chunk_of(const Loaded *loaded, guint64 index, int flipped)
{
    const GByteArray *all = loaded->fake->bytes;
    gsize begin = index * VSM_CHUNK_BYTES;
    gsize bytes = MIN(VSM_CHUNK_BYTES, all->len - begin);
    guint8 *data = g_memdup2(all->data + begin, bytes);

    if (flipped >= 0) {
        data[flipped % bytes] ^= 0x40;
    }
    return g_bytes_new_take(data, bytes);
}

/* What pass 1 was fed, and nothing else, is what pass 2 lets through. */
static void test_the_stream_remembers_each_chunk(void)
{
    g_autoptr(Loaded) loaded =
        load(VSM_HASH_BACKEND_AUTO, 2, fake_stream_new_once(7, 900),
             VSM_CHUNK_BYTES);
    guint64 chunks = loaded->fake->bytes->len / VSM_CHUNK_BYTES + 1;

    g_assert_cmpuint(chunks, >, 2);
    g_assert_true(vsm_recheck_complete(loaded->recheck, NULL));
    for (guint64 i = 0; i < chunks; i++) {
        g_autoptr(GBytes) good = chunk_of(loaded, i, -1);
        g_autoptr(GBytes) bad = chunk_of(loaded, i, 77777 * (i + 1));
        g_autoptr(GError) error = NULL;

        g_assert_true(vsm_recheck_check(loaded->recheck, i, good, NULL));
        g_assert_false(vsm_recheck_check(loaded->recheck, i, bad, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
    }
}

static void test_what_came_in_parts_is_not_let_through(void)
{
    g_autoptr(Loaded) loaded =
        load(VSM_HASH_BACKEND_AUTO, 2, fake_stream_new_once(7, 900), 70000);
    g_autoptr(GBytes) good = chunk_of(loaded, 1, -1);
    g_autoptr(GError) error = NULL;

    g_assert_false(vsm_recheck_check(loaded->recheck, 1, good, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_false(vsm_recheck_complete(loaded->recheck, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
}

/* Whatever its parts, a chunk has one tag; an end elsewhere is none. */
static void test_tags_in_parts_are_those_of_the_whole(void)
{
    g_autoptr(Loaded) loaded =
        load(VSM_HASH_BACKEND_AUTO, 2, fake_stream_new_once(7, 900), 70000);

    for (guint64 i = 0; i < 3; i++) {
        g_autoptr(GBytes) bytes = chunk_of(loaded, i, -1);
        g_autoptr(GBytes) bad = chunk_of(loaded, i, 333333 * (i + 1));
        g_autoptr(VsmTagging) tagging =
            vsm_tagging_new(loaded->recheck, i, bytes, NULL);
        gsize size;
        const guint8 *data = g_bytes_get_data(bytes, &size);

        g_assert_nonnull(tagging);
        for (guint j = 0; j < 300; j++) {
            const guint8 *end =
                j % 10 ? data + g_test_rand_int_range(0, size / 50) * j / 6
                       : g_bytes_get_data(bad, NULL);

            g_assert_true(vsm_tagging_up_to(tagging, end, NULL));
        }
        g_assert_true(vsm_tagging_end(tagging, NULL));
        g_assert_true(vsm_recheck_check(loaded->recheck, i, bytes, NULL));
        g_assert_false(vsm_recheck_check(loaded->recheck, i, bad, NULL));
    }
}

static void test_chunk_without_its_whole_tag_is_not_let_through(void)
{
    g_autoptr(Loaded) loaded =
        load(VSM_HASH_BACKEND_AUTO, 2, fake_stream_new_once(7, 900), 70000);
    g_autoptr(GBytes) bytes = chunk_of(loaded, 1, -1);
    VsmTagging *tagging = vsm_tagging_new(loaded->recheck, 1, bytes, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_tagging_up_to(
        tagging, (const guint8 *)g_bytes_get_data(bytes, NULL) + 5000, NULL));
    vsm_tagging_free(tagging);
    g_assert_false(vsm_recheck_check(loaded->recheck, 1, bytes, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
}

/* A page in the middle of a chunk, behind some that are tagged already. */
static void test_chunk_that_differs_has_no_tag(void)
{
    g_autoptr(Loaded) loaded =
        load(VSM_HASH_BACKEND_AUTO, 2, fake_stream_new_once(7, 900), 70000);
    g_autoptr(VsmStream) stream =
        vsm_stream_new_verify(loaded->pool, loaded->stored, false);
    g_autoptr(VsmRecheck) recheck =
        vsm_recheck_new(loaded->pool, loaded->fake->bytes->len, NULL);
    guint64 chunks = loaded->fake->bytes->len / VSM_CHUNK_BYTES + 1;

    vsm_stream_set_recheck(stream, recheck);
    for (guint64 i = 0; i < chunks; i++) {
        g_autoptr(GBytes) bytes = chunk_of(loaded, i, i == 1 ? 600000 : -1);

        vsm_stream_feed(stream, bytes, NULL); /* may tell, sooner or later */
    }
    g_assert_false(vsm_stream_finish(stream, NULL));
    for (guint64 i = 0; i < 2; i++) {
        g_autoptr(GBytes) bytes = chunk_of(loaded, i, i == 1 ? 600000 : -1);
        g_autoptr(GError) error = NULL;

        g_assert_true(vsm_recheck_check(recheck, i, bytes, &error) == (i == 0));
        if (i == 1) {
            g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/recheck/tags-and-hashing-give-the-same-manifest",
                    test_tags_and_hashing_give_the_same_manifest);
    g_test_add_func("/recheck/no-changed-page-is-told-equal",
                    test_no_changed_page_is_told_equal);
    g_test_add_func("/recheck/untouched-pages-are-left-alone",
                    test_untouched_pages_are_left_alone);
    g_test_add_func("/recheck/exchanged-pages-are-not-told-equal",
                    test_exchanged_pages_are_not_told_equal);
    g_test_add_func("/recheck/tags-do-not-tell-of-pages-sent-twice",
                    test_tags_do_not_tell_of_pages_sent_twice);
    g_test_add_func("/recheck/tags-do-not-tell-of-another-geometry",
                    test_tags_do_not_tell_of_another_geometry);
    g_test_add_func("/recheck/cancelled-comparing-tells-nothing",
                    test_cancelled_comparing_tells_nothing);
    g_test_add_func("/recheck/the-stream-remembers-each-chunk",
                    test_the_stream_remembers_each_chunk);
    g_test_add_func("/recheck/what-came-in-parts-is-not-let-through",
                    test_what_came_in_parts_is_not_let_through);
    g_test_add_func("/recheck/tags-in-parts-are-those-of-the-whole",
                    test_tags_in_parts_are_those_of_the_whole);
    g_test_add_func("/recheck/chunk-without-its-whole-tag-is-not-let-through",
                    test_chunk_without_its_whole_tag_is_not_let_through);
    g_test_add_func("/recheck/chunk-that-differs-has-no-tag",
                    test_chunk_that_differs_has_no_tag);
    return g_test_run();
}
