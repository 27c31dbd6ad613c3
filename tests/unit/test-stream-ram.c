/*
 * Live RAM beside the stream that was saved of it: the same roots, and each
 * change at its place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "core/ram.h"
#include "fake-stream.h"

/* Live RAM after the save gives the roots that the stream gave. */
static void test_ram_and_stream_give_the_same_roots(void)
{
    for (guint threads = 1; threads <= 3; threads++) {
        g_autoptr(VsmPool) pool = fake_pool(threads, VSM_HASH_BACKEND_AUTO);
        g_autoptr(FakeStream) fake = fake_stream_new(7, 2500);
        g_autoptr(FakeRecord) record = fake_saved(fake, pool, 0);
        g_autoptr(VsmStored) stored = fake_loaded(record, pool);
        g_autoptr(VsmManifest) manifest = vsm_manifest_new();
        g_autoptr(GError) error = NULL;
        VsmRamResult result;

        vsm_ram_measure(pool, stored, fake->blocks, FAKE_BLOCKS, manifest,
                        &result, NULL, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(result.changed_pages, ==, 0);
        g_assert_cmpuint(result.changed->len, ==, 0);
        for (guint i = 0; i < FAKE_BLOCKS; i++) {
            g_assert_true(vsm_digest_equal(
                &manifest->roots[i], &vsm_stored_manifest(stored)->roots[i]));
        }
        vsm_ram_result_clear(&result);
    }
}

static void test_changed_ram_is_found_at_its_place(void)
{
    g_autoptr(VsmPool) pool = fake_pool(2, VSM_HASH_BACKEND_AUTO);
    g_autoptr(FakeStream) fake = fake_stream_new(8, 2500);
    g_autoptr(FakeRecord) record = fake_saved(fake, pool, 0);
    g_autoptr(VsmStored) stored = fake_loaded(record, pool);
    g_autoptr(VsmManifest) manifest = vsm_manifest_new();
    guint8 *ram = (guint8 *)fake->blocks[0].host;
    VsmRamResult result;
    const VsmFinding *finding;

    ram[5] ^= 1; /* page 0 alone */
    ram[63 * VSM_PAGE_BYTES + 4095] ^= 0x80; /* 63 to 65: over a word */
    ram[64 * VSM_PAGE_BYTES] ^= 1;
    memset(ram + 65 * VSM_PAGE_BYTES, 0x55, VSM_PAGE_BYTES);
    ram[2499 * VSM_PAGE_BYTES] ^= 1; /* the last */
    g_assert_true(vsm_ram_measure(pool, stored, fake->blocks, FAKE_BLOCKS,
                                  manifest, &result, NULL, NULL));
    g_assert_cmpuint(result.changed_pages, ==, 5);
    g_assert_cmpuint(result.changed->len, ==, 3);
    finding = g_ptr_array_index(result.changed, 0);
    g_assert_cmpstr(finding->where, ==, "pc.ram");
    g_assert_cmpuint(finding->offset, ==, 0);
    g_assert_cmpuint(finding->bytes, ==, VSM_PAGE_BYTES);
    finding = g_ptr_array_index(result.changed, 1);
    g_assert_cmpuint(finding->offset, ==, 63 * VSM_PAGE_BYTES);
    g_assert_cmpuint(finding->bytes, ==, 3 * VSM_PAGE_BYTES);
    finding = g_ptr_array_index(result.changed, 2);
    g_assert_cmpuint(finding->offset, ==, 2499 * VSM_PAGE_BYTES);
    g_assert_false(vsm_digest_equal(&manifest->roots[0],
                                    &vsm_stored_manifest(stored)->roots[0]));
    vsm_ram_result_clear(&result);
}

static void test_changed_ranges_are_capped_but_counted(void)
{
    g_autoptr(VsmPool) pool = fake_pool(2, VSM_HASH_BACKEND_AUTO);
    g_autoptr(FakeStream) fake = fake_stream_new(8, 2500);
    g_autoptr(FakeRecord) record = fake_saved(fake, pool, 0);
    g_autoptr(VsmStored) stored = fake_loaded(record, pool);
    g_autoptr(VsmManifest) manifest = vsm_manifest_new();
    guint8 *ram = (guint8 *)fake->blocks[0].host;
    VsmRamResult result;

    for (guint page = 0; page < 2000; page += 2) {
        ram[page * VSM_PAGE_BYTES + page] ^= 1;
    }
    g_assert_true(vsm_ram_measure(pool, stored, fake->blocks, FAKE_BLOCKS,
                                  manifest, &result, NULL, NULL));
    g_assert_cmpuint(result.changed_pages, ==, 1000);
    g_assert_cmpuint(result.changed->len, ==, 256);
    g_assert_cmpuint(result.changed_left_out, ==, 744);
    vsm_ram_result_clear(&result);
}

static void test_cancelled_measuring_gives_no_roots(void)
{
    g_autoptr(VsmPool) pool = fake_pool(2, VSM_HASH_BACKEND_AUTO);
    g_autoptr(FakeStream) fake = fake_stream_new(8, 2500);
    g_autoptr(VsmManifest) manifest = vsm_manifest_new();
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    g_autoptr(GError) error = NULL;
    VsmRamResult result;

    g_cancellable_cancel(cancel);
    g_assert_false(vsm_ram_measure(pool, NULL, fake->blocks, FAKE_BLOCKS,
                                   manifest, &result, cancel, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CANCELLED);
    g_assert_null(manifest->geometry);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/ram-and-stream-give-the-same-roots",
                    test_ram_and_stream_give_the_same_roots);
    g_test_add_func("/stream/changed-ram-is-found-at-its-place",
                    test_changed_ram_is_found_at_its_place);
    g_test_add_func("/stream/changed-ranges-are-capped-but-counted",
                    test_changed_ranges_are_capped_but_counted);
    g_test_add_func("/stream/cancelled-measuring-gives-no-roots",
                    test_cancelled_measuring_gives_no_roots);
    return g_test_run();
}
