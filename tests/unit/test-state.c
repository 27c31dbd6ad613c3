/*
 * Pool, tree, map, geometry, masks and recheck: the parts under the engine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "core/leaves.h"
#include "core/map.h"
#include "core/masks.h"
#include "core/recheck.h"

static bool count_task(gpointer data, VsmHasher *hasher, GError **error)
{
    (void)hasher, (void)error;
    __atomic_fetch_add((guint *)data, 1, __ATOMIC_RELAXED);
    return true;
}

static bool failing_task(gpointer data, VsmHasher *hasher, GError **error)
{
    (void)data, (void)hasher;
    g_set_error(error, VSM_ERROR, VSM_ERROR_CRYPTO, "broken");
    return false;
}

static void test_wait_returns_after_all_tasks(void)
{
    for (guint threads = 1; threads <= 4; threads++) {
        g_autoptr(VsmPool) pool =
            vsm_pool_new(threads, VSM_HASH_BACKEND_AUTO, NULL);
        g_autoptr(VsmGroup) group = vsm_group_new(pool, 3);
        guint done = 0;

        for (guint i = 0; i < 1000; i++) {
            vsm_group_push(group, count_task, &done);
        }
        g_assert_true(vsm_group_wait(group, NULL));
        g_assert_cmpuint(done, ==, 1000);
    }
}

static void test_a_failed_task_fails_its_group_alone(void)
{
    g_autoptr(VsmPool) pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    g_autoptr(VsmGroup) bad = vsm_group_new(pool, 8);
    g_autoptr(VsmGroup) good = vsm_group_new(pool, 8);
    g_autoptr(GError) error = NULL;
    guint done = 0;

    vsm_group_push(bad, failing_task, NULL);
    vsm_group_push(good, count_task, &done);
    g_assert_false(vsm_group_wait(bad, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CRYPTO);
    g_assert_true(vsm_group_is_cancelled(bad));
    g_assert_true(vsm_group_wait(good, NULL));
    g_assert_false(vsm_group_is_cancelled(good));
}

static void test_too_many_threads_are_refused(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vsm_pool_new(257, VSM_HASH_BACKEND_AUTO, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_LIMIT);
}

/* The tree as tree.h describes it, one node after the other. */
static VsmDigest
slow_node(guint level, guint64 index, const VsmDigest *below, guint64 n_below)
{
    guint64 first = index * 64, n = MIN(64, n_below - first);
    g_autoptr(GByteArray) message = g_byte_array_new();
    guint64 le = GUINT64_TO_LE(index);
    guint8 l = level;
    VsmDigest digest;
    guint zero = 0, absent = 0;

    for (guint64 i = first; i < first + n; i++) {
        zero += memcmp(&below[i], &vsm_leaf_zero, 48) == 0;
        absent += memcmp(&below[i], &vsm_leaf_absent, 48) == 0;
    }
    if (zero == n || absent == n) {
        return zero == n ? vsm_leaf_zero : vsm_leaf_absent;
    }
    g_byte_array_append(message, (const guint8 *)"VSM-NODE-1", 10);
    g_byte_array_append(message, &l, 1);
    g_byte_array_append(message, (guint8 *)&le, 8);
    g_byte_array_append(message, below[first].b, n * 48);
    g_assert_true(vsm_sha384(message->data, message->len, &digest, NULL));
    return digest;
}

static VsmDigest slow_root(VsmTreeKind kind, VsmDigest *leaves, guint64 count)
{
    g_autoptr(GByteArray) message = g_byte_array_new();
    guint64 le = GUINT64_TO_LE(count), width = count;
    guint8 k = kind;
    VsmDigest root;

    for (guint level = 1; width && (level == 1 || width > 1); level++) {
        guint64 next = (width + 63) / 64;

        for (guint64 i = 0; i < next; i++) {
            leaves[i] = slow_node(level, i, leaves, width);
        }
        width = next;
    }
    g_byte_array_append(message, (const guint8 *)"VSM-ROOT-1", 10);
    g_byte_array_append(message, &k, 1);
    g_byte_array_append(message, (guint8 *)&le, 8);
    g_byte_array_append(message, count ? leaves[0].b : vsm_leaf_zero.b, 48);
    g_assert_true(vsm_sha384(message->data, message->len, &root, NULL));
    return root;
}

static void test_tree_is_as_described(void)
{
    static const guint64 counts[] = {0,    1,    2,    63,   64,   65,
                                     4095, 4096, 4097, 5000, 70000};
    g_autoptr(VsmPool) pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);

    for (guint c = 0; c < G_N_ELEMENTS(counts); c++) {
        guint64 n = counts[c];
        g_autoptr(VsmLeaves) leaves = vsm_leaves_new();
        g_autofree VsmDigest *copy = g_new0(VsmDigest, n + 1);
        VsmDigest fast, slow;

        g_assert_true(vsm_leaves_grow(leaves, n, NULL));
        for (guint64 i = 0; i < n; i++) {
            /* Long stretches of zero and absent, other leaves between. */
            if (i / 100 % 5 == 1) {
                copy[i] = vsm_leaf_absent;
            } else if (i / 100 % 5 > 2) {
                memset(&copy[i], i % 251 + 1, 48);
            }
            *vsm_leaves_at(leaves, i) = copy[i];
        }
        g_assert_true(vsm_leaves_root(leaves, pool, VSM_TREE_RAM, &fast, NULL));
        slow = slow_root(VSM_TREE_RAM, copy, n);
        g_assert_true(vsm_digest_equal(&fast, &slow));
    }
}

/* Same leaves, other count or kind: another root. */
static void test_root_binds_count_and_kind(void)
{
    g_autoptr(VsmPool) pool = vsm_pool_new(1, VSM_HASH_BACKEND_AUTO, NULL);
    VsmDigest roots[4];

    for (guint i = 0; i < 4; i++) {
        g_autoptr(VsmLeaves) leaves = vsm_leaves_new();

        g_assert_true(vsm_leaves_grow(leaves, i == 3 ? 65 : 64 + i, NULL));
        g_assert_true(vsm_leaves_root(leaves, pool,
                                      i == 3 ? VSM_TREE_BODIES : VSM_TREE_RAM,
                                      &roots[i], NULL));
        for (guint j = 0; j < i; j++) {
            g_assert_false(vsm_digest_equal(&roots[i], &roots[j]));
        }
    }
}

static VsmGeometry *geometry(void)
{
    static const VsmRange absent[] = {{10, 5}, {20, 1}};
    static const VsmRamBlock blocks[] = {
        {"a", 100 * 4096, NULL, NULL, 0, NULL},
        {"b", 30 * 4096, NULL, absent, 2, NULL}};

    return vsm_geometry_new(blocks, 2, NULL);
}

#define LENGTH 1000000

static void check_run(VsmRun run, const VsmRun *before, bool good)
{
    g_autoptr(VsmGeometry) shape = geometry();
    g_autoptr(VsmMap) map = vsm_map_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = NULL;
    VsmRun runs[2] = {run, run};

    if (before) {
        runs[0] = *before;
    }
    bytes = g_bytes_new(runs, before ? sizeof(runs) : sizeof(run));
    g_assert_true(vsm_map_append(map, bytes, NULL));
    g_assert_cmpint(vsm_map_check(map, shape, LENGTH, &error), ==, good);
    if (!good) {
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    }
}

static void test_map_check_refuses_every_wrong_run(void)
{
    const VsmRun first = {1000, 0, 0, 2, 5000};

    check_run((VsmRun){0, 0, 0, 100, 4096}, NULL, true);
    check_run((VsmRun){0, 0, 0, 101, 4096}, NULL, false); /* block's end */
    check_run((VsmRun){0, 0, 100, 1, 4096}, NULL, false);
    check_run((VsmRun){0, 0, G_MAXUINT32, 2, 4096}, NULL, false);
    check_run((VsmRun){0, 0, 0, 0, 4096}, NULL, false); /* no pages */
    check_run((VsmRun){0, 2, 0, 1, 4096}, NULL, false); /* no such block */
    check_run((VsmRun){0, 0, 0, 2, 4095}, NULL, false); /* overlap */
    check_run((VsmRun){0, 0, 0, 1, 4097}, NULL, false); /* not canonical */
    check_run((VsmRun){0, 0, 0, 2, 0xffffffff}, NULL, false);
    check_run((VsmRun){LENGTH - 4096, 0, 0, 1, 4096}, NULL, true);
    check_run((VsmRun){LENGTH - 4095, 0, 0, 1, 4096}, NULL, false);
    check_run((VsmRun){G_MAXUINT64, 0, 0, 1, 4096}, NULL, false);
    check_run((VsmRun){G_MAXUINT64 - 4095, 0, 0, 1, 4096}, NULL, false);
    check_run((VsmRun){0, 1, 9, 1, 4096}, NULL, true);
    check_run((VsmRun){0, 1, 9, 2, 4096}, NULL, false); /* absent */
    check_run((VsmRun){0, 1, 15, 5, 4096}, NULL, true);
    check_run((VsmRun){0, 1, 20, 1, 4096}, NULL, false);
    check_run((VsmRun){0, 1, 0, 30, 4096}, NULL, false);
    check_run((VsmRun){10096, 0, 9, 1, 4096}, &first, true);
    check_run((VsmRun){10095, 0, 9, 1, 4096}, &first, false); /* overlap */
    check_run((VsmRun){0, 0, 9, 1, 4096}, &first, false); /* descends */
}

/* Random pages at random places: what was added is what is found. */
static void test_map_finds_what_was_added(void)
{
    for (guint round = 0; round < 50; round++) {
        g_autoptr(VsmMap) map = vsm_map_new();
        g_autoptr(GArray) offsets = g_array_new(FALSE, FALSE, 8);
        g_autofree guint64 *last = g_new0(guint64, 100);
        guint64 offset = 0;
        guint32 page = 0;
        VsmMapCursor cursor;

        vsm_map_first(map, &cursor);
        for (guint i = 0; i < 300; i++) {
            offset += g_test_rand_bit() ? 8 : g_test_rand_int_range(0, 3000000);
            page = g_test_rand_bit() ? (page + 1) % 100
                                     : (guint32)g_test_rand_int_range(0, 100);
            g_assert_true(vsm_map_add(map, offset, 0, page, NULL));
            g_array_append_val(offsets, offset);
            last[page] = offset + 1;
            offset += VSM_PAGE_BYTES;
        }
        g_assert_cmpuint(vsm_map_bodies(map), ==, 300);
        for (guint i = 0; i < 300; i++) {
            g_assert_cmpuint(vsm_map_offset(&cursor), ==,
                             g_array_index(offsets, guint64, i));
            vsm_map_next(&cursor);
        }
        g_assert_cmpuint(vsm_map_offset(&cursor), ==, G_MAXUINT64);
        for (guint32 p = 0; p < 100; p++) {
            guint64 found = 0, body = 0;
            bool there = vsm_map_find_page(map, 0, p, &found, &body);

            g_assert_cmpint(there, ==, last[p] != 0);
            if (there) {
                g_assert_cmpuint(found, ==, last[p] - 1);
                g_assert_cmpuint(g_array_index(offsets, guint64, body), ==,
                                 found);
            }
        }
    }
}

static void check_shape(VsmRamBlock block, guint n, int code)
{
    g_autoptr(GError) error = NULL;
    g_autofree VsmRamBlock *blocks = g_new(VsmRamBlock, n);
    g_autoptr(VsmGeometry) shape = NULL;

    for (guint i = 0; i < n; i++) {
        blocks[i] = block;
    }
    shape = vsm_geometry_new(blocks, n, &error);
    g_assert_cmpint(!shape, ==, code != 0);
    if (code) {
        g_assert_error(error, VSM_ERROR, code);
    }
}

static void test_geometry_refuses_what_cannot_be(void)
{
    static const VsmRange backwards[] = {{5, 1}, {4, 1}};
    static const VsmRange outside[] = {{9, 2}};
    static const VsmRange huge[] = {{9, G_MAXUINT64}};
    static const VsmRange empty[] = {{5, 0}};

    check_shape((VsmRamBlock){"a", 40960, NULL, NULL, 0, NULL}, 1, 0);
    check_shape((VsmRamBlock){"a", 40961, NULL, NULL, 0, NULL}, 1,
                VSM_ERROR_INVALID);
    check_shape((VsmRamBlock){"", 40960, NULL, NULL, 0, NULL}, 1,
                VSM_ERROR_INVALID);
    check_shape((VsmRamBlock){"a", 40960, NULL, NULL, 0, NULL}, 2,
                VSM_ERROR_INVALID); /* twice the same name */
    check_shape((VsmRamBlock){"a", 1ull << 60, NULL, NULL, 0, NULL}, 1,
                VSM_ERROR_LIMIT);
    check_shape((VsmRamBlock){"a", 40960, NULL, NULL, 0, NULL}, 1025,
                VSM_ERROR_LIMIT);
    check_shape((VsmRamBlock){"a", 40960, NULL, backwards, 2, NULL}, 1,
                VSM_ERROR_INVALID);
    check_shape((VsmRamBlock){"a", 40960, NULL, outside, 1, NULL}, 1,
                VSM_ERROR_INVALID);
    check_shape((VsmRamBlock){"a", 40960, NULL, huge, 1, NULL}, 1,
                VSM_ERROR_INVALID);
    check_shape((VsmRamBlock){"a", 40960, NULL, empty, 1, NULL}, 1,
                VSM_ERROR_INVALID);
}

static GBytes *chunk(guint8 fill, gsize bytes)
{
    guint8 *data = g_malloc(bytes);

    memset(data, fill, bytes);
    return g_bytes_new_take(data, bytes);
}

static bool
add_chunk(VsmRecheck *recheck, guint64 index, GBytes *bytes, GError **error)
{
    g_autoptr(VsmTagging) tagging =
        vsm_tagging_new(recheck, index, bytes, error);

    return tagging && vsm_tagging_end(tagging, error);
}

static void test_recheck_refuses_what_changed_between_the_passes(void)
{
    g_autoptr(VsmPool) pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    g_autoptr(VsmRecheck) recheck =
        vsm_recheck_new(pool, 2 * VSM_CHUNK_BYTES + 10, NULL);
    g_autoptr(GBytes) whole = chunk(1, VSM_CHUNK_BYTES);
    g_autoptr(GBytes) last = chunk(2, 10);
    g_autoptr(GBytes) shorter = chunk(2, 9);
    g_autoptr(GError) error = NULL;
    guint8 *data = (guint8 *)g_bytes_get_data(whole, NULL);

    g_assert_true(add_chunk(recheck, 0, whole, NULL));
    g_assert_true(add_chunk(recheck, 2, last, NULL));
    g_assert_true(vsm_recheck_check(recheck, 0, whole, NULL));
    g_assert_true(vsm_recheck_check(recheck, 2, last, NULL));
    g_assert_true(vsm_recheck_check(recheck, 0, whole, NULL));
    for (guint at = 0; at < VSM_CHUNK_BYTES; at += 65521) {
        g_autoptr(GError) why = NULL;

        data[at] ^= 0x10;
        g_assert_false(vsm_recheck_check(recheck, 0, whole, &why));
        g_assert_error(why, VSM_ERROR, VSM_ERROR_TAMPERED);
        data[at] ^= 0x10;
    }
    g_assert_false(vsm_recheck_check(recheck, 2, shorter, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
}

static void test_recheck_knows_its_chunks(void)
{
    g_autoptr(VsmPool) pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    g_autoptr(VsmRecheck) recheck =
        vsm_recheck_new(pool, 2 * VSM_CHUNK_BYTES + 10, NULL);
    g_autoptr(GBytes) whole = chunk(1, VSM_CHUNK_BYTES);
    g_autoptr(GBytes) last = chunk(2, 10);
    g_autoptr(GError) error = NULL;

    g_assert_false(vsm_recheck_check(recheck, 0, whole, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID); /* not seen */
    g_assert_true(add_chunk(recheck, 0, whole, NULL));
    g_assert_false(add_chunk(recheck, 0, whole, NULL)); /* twice */
    g_assert_false(add_chunk(recheck, 1, last, NULL)); /* too short */
    g_assert_false(add_chunk(recheck, 2, whole, NULL)); /* too long */
    g_assert_false(add_chunk(recheck, 3, last, NULL)); /* no such one */
    /* Equal bytes at another place are other bytes. */
    g_assert_true(add_chunk(recheck, 1, whole, NULL));
    g_assert_false(vsm_recheck_check(recheck, G_MAXUINT64, whole, NULL));
}

/* A chunk is checked while later ones begin to be: each gets its own answer. */
static void test_recheck_answers_in_the_order_of_its_questions(void)
{
    for (guint threads = 1; threads <= 4; threads++) {
        g_autoptr(VsmPool) pool =
            vsm_pool_new(threads, VSM_HASH_BACKEND_AUTO, NULL);
        g_autoptr(VsmRecheck) recheck =
            vsm_recheck_new(pool, 50 * VSM_CHUNK_BYTES, NULL);
        g_autoptr(GBytes) good = chunk(1, VSM_CHUNK_BYTES);
        g_autoptr(GBytes) bad = chunk(2, VSM_CHUNK_BYTES);
        g_autoptr(GError) error = NULL;

        for (guint i = 0; i < 50; i++) {
            g_assert_true(add_chunk(recheck, i, good, NULL));
        }
        for (guint i = 0; i < 50; i++) {
            g_assert_true(
                vsm_recheck_begin(recheck, i, i % 7 ? good : bad, NULL));
        }
        g_assert_false(vsm_recheck_check(recheck, 0, good, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID); /* not its turn */
        for (guint i = 0; i < 50; i++) {
            g_autoptr(GError) why = NULL;

            g_assert_true(vsm_recheck_end(recheck, &why) == (i % 7 != 0));
            if (i % 7 == 0) {
                g_assert_error(why, VSM_ERROR, VSM_ERROR_TAMPERED);
            }
        }
        g_clear_error(&error);
        g_assert_false(vsm_recheck_end(recheck, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID); /* none begun */
        /* freed while it is at work */
        g_assert_true(vsm_recheck_begin(recheck, 1, good, NULL));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pool/wait-returns-after-all-tasks",
                    test_wait_returns_after_all_tasks);
    g_test_add_func("/pool/a-failed-task-fails-its-group-alone",
                    test_a_failed_task_fails_its_group_alone);
    g_test_add_func("/pool/too-many-threads-are-refused",
                    test_too_many_threads_are_refused);
    g_test_add_func("/tree/is-as-described", test_tree_is_as_described);
    g_test_add_func("/tree/root-binds-count-and-kind",
                    test_root_binds_count_and_kind);
    g_test_add_func("/map/check-refuses-every-wrong-run",
                    test_map_check_refuses_every_wrong_run);
    g_test_add_func("/map/finds-what-was-added", test_map_finds_what_was_added);
    g_test_add_func("/geometry/refuses-what-cannot-be",
                    test_geometry_refuses_what_cannot_be);
    g_test_add_func("/recheck/refuses-what-changed-between-the-passes",
                    test_recheck_refuses_what_changed_between_the_passes);
    g_test_add_func("/recheck/knows-its-chunks", test_recheck_knows_its_chunks);
    g_test_add_func("/recheck/answers-in-the-order-of-its-questions",
                    test_recheck_answers_in_the_order_of_its_questions);
    return g_test_run();
}
