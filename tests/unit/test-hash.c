/*
 * Hash back ends: known answers, and equal digests from all of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "base/codec.h"
#include "crypto/hash.h"

static const VsmHashBackend backends[] = {
    VSM_HASH_BACKEND_AUTO, VSM_HASH_BACKEND_OPENSSL, VSM_HASH_BACKEND_IPSEC_MB};

/* FIPS 180-2 examples, and the empty message of NIST's byte-oriented set. */
static const struct {
    const char *message;
    guint repeat;
    const char *hex;
} vectors[] = {
    {"", 1,
     "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da"
     "274edebfe76f65fbd51ad2f14898b95b"},
    {"abc", 1,
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
     "8086072ba1e7cc2358baeca134c825a7"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
     "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     1,
     "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712"
     "fcc7c71a557e2db966c3e9fa91746039"},
    {"a", 1000000,
     "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b"
     "07b8b3dc38ecc4ebae97ddd87f3d8985"},
};

static void check_vectors(VsmHasher *hasher)
{
    for (guint i = 0; i < G_N_ELEMENTS(vectors); i++) {
        g_autoptr(GString) message = g_string_new(NULL);
        g_autoptr(GError) error = NULL;
        g_autofree char *hex = NULL;
        VsmDigest digest;
        VsmHashJob job;

        for (guint j = 0; j < vectors[i].repeat; j++) {
            g_string_append(message, vectors[i].message);
        }
        job = (VsmHashJob){message->str, message->len, &digest};
        vsm_hasher_run(hasher, &job, 1, &error);
        g_assert_no_error(error);
        hex = vsm_digest_hex(&digest);
        g_assert_cmpstr(hex, ==, vectors[i].hex);

        vsm_sha384(message->str, message->len, &digest, &error);
        g_assert_no_error(error);
        g_free(hex);
        hex = vsm_digest_hex(&digest);
        g_assert_cmpstr(hex, ==, vectors[i].hex);
    }
}

static void test_every_back_end_gives_the_known_answers(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(backends); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VsmHasher) hasher = NULL;

        if (!vsm_hash_backend_available(backends[i])) {
            continue;
        }
        hasher = vsm_hasher_new(backends[i], &error);
        g_assert_no_error(error);
        g_assert_nonnull(hasher);
        check_vectors(hasher);
    }
}

static void test_absent_back_end_is_unsupported(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vsm_hasher_new((VsmHashBackend)77, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED);
}

static void test_auto_is_the_faster_one_that_is_there(void)
{
    g_autoptr(VsmHasher) hasher = vsm_hasher_new(VSM_HASH_BACKEND_AUTO, NULL);
    bool multi = vsm_hash_backend_available(VSM_HASH_BACKEND_IPSEC_MB);

    g_assert_nonnull(hasher);
    g_assert_cmpint(g_str_equal(vsm_hasher_name(hasher), "openssl"), ==,
                    !multi);
}

/* Random lengths around block, page and back end limits, random counts. */
static void test_back_ends_agree_on_any_mix_of_messages(void)
{
    enum { MESSAGES = 40, BUFFER = 70000 };
    g_autofree guint8 *data = g_malloc(BUFFER);
    g_autoptr(VsmHasher) openssl =
        vsm_hasher_new(VSM_HASH_BACKEND_OPENSSL, NULL);
    g_autoptr(VsmHasher) other =
        vsm_hasher_new(VSM_HASH_BACKEND_IPSEC_MB, NULL);
    static const gsize edges[] = {0,    1,    111,  112,   127,   128,  129,
                                  4095, 4096, 4097, 16384, 16385, 65535};

    if (!other) {
        g_assert_false(vsm_hash_backend_available(VSM_HASH_BACKEND_IPSEC_MB));
        g_test_skip("this CPU or build has no intel-ipsec-mb");
        return;
    }
    for (guint i = 0; i < BUFFER; i++) {
        data[i] = g_test_rand_int();
    }
    for (guint round = 0; round < 300; round++) {
        guint n = g_test_rand_int_range(1, MESSAGES + 1);
        VsmHashJob a[MESSAGES], b[MESSAGES];
        VsmDigest da[MESSAGES], db[MESSAGES];

        for (guint i = 0; i < n; i++) {
            gsize bytes =
                g_test_rand_bit()
                    ? edges[g_test_rand_int_range(0, G_N_ELEMENTS(edges))]
                    : (gsize)g_test_rand_int_range(0, 9000);
            gsize at = g_test_rand_int_range(0, BUFFER - bytes);

            a[i] = (VsmHashJob){data + at, bytes, &da[i]};
            b[i] = (VsmHashJob){data + at, bytes, &db[i]};
        }
        g_assert_true(vsm_hasher_run(openssl, a, n, NULL));
        g_assert_true(vsm_hasher_run(other, b, n, NULL));
        for (guint i = 0; i < n; i++) {
            g_assert_true(vsm_digest_equal(&da[i], &db[i]));
        }
    }
}

static void test_pieces_give_the_digest_of_the_whole(void)
{
    guint8 data[1000];

    for (guint i = 0; i < sizeof(data); i++) {
        data[i] = i * 7;
    }
    for (guint round = 0; round < 100; round++) {
        g_autoptr(VsmSha384) hash = vsm_sha384_new(NULL);
        VsmDigest whole, pieces;
        gsize done = 0;

        while (done < sizeof(data)) {
            gsize n = g_test_rand_int_range(0, sizeof(data) - done + 1);

            g_assert_true(vsm_sha384_update(hash, data + done, n, NULL));
            done += n;
        }
        g_assert_true(vsm_sha384_finish(hash, &pieces, NULL));
        g_assert_true(vsm_sha384(data, sizeof(data), &whole, NULL));
        g_assert_true(vsm_digest_equal(&whole, &pieces));
    }
}

/* One bit anywhere, any alignment and length: never taken for zero. */
static void test_zero_test_sees_every_bit(void)
{
    static guint8 memory[8192 + 64];

    for (guint at = 0; at < 3; at++) {
        for (gsize bytes = 0; bytes < 1100; bytes += 1 + at) {
            g_assert_true(vsm_is_zero(memory + at, bytes));
            for (gsize i = 0; i < bytes; i += 1 + bytes / 37) {
                memory[at + i] = 1 << (i % 8);
                g_assert_false(vsm_is_zero(memory + at, bytes));
                memory[at + i] = 0;
            }
        }
    }
    for (gsize i = 0; i < 4096; i++) {
        memory[64 + i] = 0x80;
        g_assert_false(vsm_is_zero(memory + 64, 4096));
        memory[64 + i] = 0;
    }
    memory[63] = memory[64 + 4096] = 1; /* neighbours do not count */
    g_assert_true(vsm_is_zero(memory + 64, 4096));
    memory[63] = memory[64 + 4096] = 0;
}

static void test_equal_sees_every_bit(void)
{
    VsmDigest a, b;

    memset(&a, 0x5a, sizeof(a));
    b = a;
    g_assert_true(vsm_digest_equal(&a, &b));
    for (guint bit = 0; bit < 8 * VSM_DIGEST_BYTES; bit++) {
        b.b[bit / 8] ^= 1u << (bit % 8);
        g_assert_false(vsm_digest_equal(&a, &b));
        b = a;
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hash/every-back-end-gives-the-known-answers",
                    test_every_back_end_gives_the_known_answers);
    g_test_add_func("/hash/absent-back-end-is-unsupported",
                    test_absent_back_end_is_unsupported);
    g_test_add_func("/hash/auto-is-the-faster-one-that-is-there",
                    test_auto_is_the_faster_one_that_is_there);
    g_test_add_func("/hash/back-ends-agree-on-any-mix-of-messages",
                    test_back_ends_agree_on_any_mix_of_messages);
    g_test_add_func("/hash/pieces-give-the-digest-of-the-whole",
                    test_pieces_give_the_digest_of_the_whole);
    g_test_add_func("/hash/zero-test-sees-every-bit",
                    test_zero_test_sees_every_bit);
    g_test_add_func("/hash/equal-sees-every-bit", test_equal_sees_every_bit);
    return g_test_run();
}
