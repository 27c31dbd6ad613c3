/*
 * The stream engine: digests depend on the state alone, not on threads, hash
 * library or buffers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "core/leaves.h"
#include "crypto/hash.h"
#include "fake-stream.h"

static void assert_same(const FakeRecord *a, const FakeRecord *b)
{
    g_assert_true(g_bytes_equal(a->manifest, b->manifest));
    g_assert_true(g_bytes_equal(a->document, b->document));
    for (guint i = 0; i < G_N_ELEMENTS(a->parts); i++) {
        g_assert_cmpmem(a->parts[i]->data, a->parts[i]->len, b->parts[i]->data,
                        b->parts[i]->len);
    }
}

/* Else the test is skipped, and says so. */
static bool is_there(VsmHashBackend backend)
{
    if (!vsm_hash_backend_available(backend)) {
        g_test_skip("this CPU or build has no intel-ipsec-mb");
        return false;
    }
    return true;
}

static const guint threads[] = {1, 2, 3, 4, 8};

/* As one thread of OpenSSL makes it of the whole. */
static void check_cuts(const FakeStream *fake,
                       VsmHashBackend backend,
                       const gsize *chunks,
                       guint n_chunks)
{
    g_autoptr(VsmPool) one = fake_pool(1, VSM_HASH_BACKEND_OPENSSL);
    g_autoptr(FakeRecord) first = fake_saved(fake, one, 0);

    for (guint t = 0; t < G_N_ELEMENTS(threads); t++) {
        g_autoptr(VsmPool) pool = fake_pool(threads[t], backend);

        for (guint c = 0; c < n_chunks; c++) {
            g_autoptr(FakeRecord) record = fake_saved(fake, pool, chunks[c]);

            assert_same(first, record);
        }
    }
}

/* Threads, back ends, cuts and alignments: all the same bytes come out. */
static void test_no_digest_depends_on_how_it_was_made(gconstpointer opaque)
{
    static const gsize chunks[] = {0, 7, 100, 4096, 4104, 70000};
    static const gsize long_chunks[] = {0, 70000, VSM_CHUNK_BYTES,
                                        3 * VSM_CHUNK_BYTES + 5};
    VsmHashBackend backend = GPOINTER_TO_INT(opaque);
    g_autoptr(FakeStream) chunky = NULL;

    if (!is_there(backend)) {
        return;
    }
    for (guint32 seed = 1; seed <= 3; seed++) {
        g_autoptr(FakeStream) fake = fake_stream_new(seed, 17 + 40 * seed);

        check_cuts(fake, backend, chunks, G_N_ELEMENTS(chunks));
    }
    chunky = fake_stream_new(4, 3000);
    g_assert_cmpuint(chunky->bytes->len, >, 8 * VSM_CHUNK_BYTES);
    check_cuts(chunky, backend, long_chunks, G_N_ELEMENTS(long_chunks));
}

/*
 * A stream of more bodies than one put of leaves takes.  They are the pages of
 * one buffer over and over, each with a header before it; the number of pages
 * is a prime, so that no put has the leaves of another.
 */
enum {
    MANY_BODIES = 22000,
    MANY_PAGES = 257,
    MANY_STRIDE = 8 + VSM_PAGE_BYTES,
};

static GBytes *many_pages(VsmDigest *ret_leaves)
{
    guint8 *buffer = g_malloc0(MANY_PAGES * MANY_STRIDE);

    memset(ret_leaves, 0, MANY_PAGES * sizeof(*ret_leaves));
    for (guint i = 0; i < MANY_PAGES; i++) {
        guint8 *page = buffer + i * MANY_STRIDE + 8;

        if (i == 100) {
            continue; /* a body of zeros has the leaf zero */
        }
        memset(page, i, VSM_PAGE_BYTES);
        page[i] ^= 0x80;
        page[VSM_PAGE_BYTES - 1] = i >> 8;
        g_assert_true(vsm_sha384(page, VSM_PAGE_BYTES, &ret_leaves[i], NULL));
    }
    return g_bytes_new_take(buffer, MANY_PAGES * MANY_STRIDE);
}

static FakeRecord *save_many(VsmPool *pool, GBytes *pages, gsize chunk_max)
{
    const VsmRamBlock block = {
        "pc.ram", MANY_BODIES * (guint64)VSM_PAGE_BYTES, NULL, NULL, 0, NULL};
    const gsize round = g_bytes_get_size(pages);
    const gsize total = MANY_BODIES * (gsize)MANY_STRIDE;
    FakeRecord *record = fake_record_new();
    g_autoptr(VsmStream) stream =
        vsm_stream_new_save(pool, fake_record_put, record);
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_stream_set_ram(stream, &block, 1, NULL));
    for (guint64 i = 0; i < MANY_BODIES; i++) {
        vsm_stream_page(stream, i * MANY_STRIDE + 8, 0, i);
    }
    for (gsize at = 0, n; at < total; at += n) {
        g_autoptr(GBytes) piece = NULL;

        n = MIN(MIN(chunk_max, round - at % round), total - at);
        piece = g_bytes_new_from_bytes(pages, at % round, n); /* no copy */
        g_assert_true(vsm_stream_feed(stream, piece, NULL));
    }
    vsm_stream_finish(stream, &error);
    g_assert_no_error(error);
    g_assert_true(vsm_stream_documents(stream, &record->manifest,
                                       &record->document, NULL));
    return record;
}

static void
test_leaves_of_many_puts_are_those_of_the_pages(gconstpointer opaque)
{
    static const gsize chunks[] = {VSM_CHUNK_BYTES, 70001};
    VsmHashBackend backend = GPOINTER_TO_INT(opaque);
    VsmDigest expected[MANY_PAGES];
    g_autoptr(GBytes) pages = many_pages(expected);

    G_STATIC_ASSERT(MANY_BODIES > VSM_LEAVES_SEGMENT);
    if (!is_there(backend)) {
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(chunks); i++) {
        g_autoptr(VsmPool) pool = fake_pool(i ? 8 : 2, backend);
        g_autoptr(FakeRecord) record = save_many(pool, pages, chunks[i]);
        GByteArray *leaves = record->parts[VSM_PART_LEAVES];

        g_assert_cmpuint(leaves->len, ==, MANY_BODIES * VSM_DIGEST_BYTES);
        for (guint j = 0; j < MANY_BODIES; j++) {
            g_assert_cmpmem(leaves->data + j * VSM_DIGEST_BYTES,
                            VSM_DIGEST_BYTES, expected[j % MANY_PAGES].b,
                            VSM_DIGEST_BYTES);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/stream/no-digest-depends-on-how-it-was-made",
                         GINT_TO_POINTER(VSM_HASH_BACKEND_OPENSSL),
                         test_no_digest_depends_on_how_it_was_made);
    g_test_add_data_func("/stream/no-digest-depends-on-the-back-end",
                         GINT_TO_POINTER(VSM_HASH_BACKEND_IPSEC_MB),
                         test_no_digest_depends_on_how_it_was_made);
    g_test_add_data_func("/stream/leaves-of-many-puts-are-those-of-the-pages",
                         GINT_TO_POINTER(VSM_HASH_BACKEND_OPENSSL),
                         test_leaves_of_many_puts_are_those_of_the_pages);
    g_test_add_data_func("/stream/leaves-of-many-puts-from-the-other-back-end",
                         GINT_TO_POINTER(VSM_HASH_BACKEND_IPSEC_MB),
                         test_leaves_of_many_puts_are_those_of_the_pages);
    return g_test_run();
}
