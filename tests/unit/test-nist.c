/*
 * SHA-384 of each back end against NIST's whole CAVP response files, as
 * Debian's python3-cryptography-vectors has them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>
#include <vsm/error.h>

#include "base/text.h"
#include "crypto/hash.h"

#define FOLDER "/usr/lib/python3/dist-packages/cryptography_vectors/hashes/SHA2"
#define MONTE_ROUNDS 1000 /* messages for each checkpoint */

/* What follows "NAME = " in @line; NULL: it is another line. */
static const char *value_of(const char *line, const char *name)
{
    gsize bytes = strlen(name);

    return g_str_has_prefix(line, name) && g_str_has_prefix(line + bytes, " = ")
               ? line + bytes + 3
               : NULL;
}

static char **read_lines(const char *name)
{
    g_autofree char *path = g_build_filename(FOLDER, name, NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    char **lines;

    if (!g_file_get_contents(path, &text, NULL, &error)) {
        g_error("%s: install python3-cryptography-vectors", error->message);
    }
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        g_strchomp(lines[i]);
    }
    return lines;
}

/* Hex of at least @bytes bytes. */
static GByteArray *from_hex(const char *hex, gsize bytes)
{
    GByteArray *data = g_byte_array_new();

    g_assert_cmpuint(strlen(hex), >=, 2 * bytes);
    for (gsize i = 0; i < bytes; i++) {
        guint8 byte = g_ascii_xdigit_value(hex[2 * i]) << 4 |
                      g_ascii_xdigit_value(hex[2 * i + 1]);

        g_byte_array_append(data, &byte, 1);
    }
    return data;
}

static void hash(VsmHasher *hasher, GByteArray *message, VsmDigest *ret)
{
    VsmHashJob job = {message->data, message->len, ret};
    g_autoptr(GError) error = NULL;

    vsm_hasher_run(hasher, &job, 1, &error);
    g_assert_no_error(error);
}

static void is_digest(const VsmDigest *digest, const char *expected)
{
    g_autofree char *hex = vsm_digest_hex(digest);

    g_assert_cmpstr(hex, ==, expected);
}

static void check_messages(VsmHasher *hasher, const char *name, guint wanted)
{
    g_auto(GStrv) lines = read_lines(name);
    guint64 bits = 0;
    guint n = 0;
    VsmDigest digest;

    for (guint i = 0; lines[i]; i++) {
        const char *length = value_of(lines[i], "Len");
        const char *hex = value_of(lines[i], "Msg");
        const char *expected = value_of(lines[i], "MD");

        if (length) {
            bits = g_ascii_strtoull(length, NULL, 10);
        } else if (hex) {
            g_autoptr(GByteArray) message = from_hex(hex, bits / 8);

            hash(hasher, message, &digest);
        } else if (expected) {
            is_digest(&digest, expected);
            n++;
        }
    }
    g_assert_cmpuint(n, ==, wanted);
}

/* SHA Validation System, 6.4: each message is the last three digests. */
static void checkpoint(VsmHasher *hasher, VsmDigest *seed)
{
    VsmDigest last[3] = {*seed, *seed, *seed};

    for (guint i = 0; i < MONTE_ROUNDS; i++) {
        g_autoptr(GByteArray) message = g_byte_array_new();
        VsmDigest next;

        g_byte_array_append(message, (guint8 *)last, sizeof(last));
        hash(hasher, message, &next);
        memmove(&last[0], &last[1], 2 * sizeof(last[0]));
        last[2] = next;
    }
    *seed = last[2];
}

static void check_monte(VsmHasher *hasher)
{
    g_auto(GStrv) lines = read_lines("SHA384Monte.rsp");
    VsmDigest seed;
    guint n = 0;

    for (guint i = 0; lines[i]; i++) {
        const char *start = value_of(lines[i], "Seed");
        const char *expected = value_of(lines[i], "MD");

        if (start) {
            g_autoptr(GByteArray) bytes = from_hex(start, sizeof(seed.b));

            memcpy(seed.b, bytes->data, sizeof(seed.b));
        } else if (expected) {
            checkpoint(hasher, &seed);
            is_digest(&seed, expected);
            n++;
        }
    }
    g_assert_cmpuint(n, ==, 100);
}

static void test_backend(gconstpointer backend)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmHasher) hasher =
        vsm_hasher_new(GPOINTER_TO_INT(backend), &error);

    /* Absent from a build without it, or from a CPU that cannot. */
    if (g_error_matches(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED) &&
        GPOINTER_TO_INT(backend) != VSM_HASH_BACKEND_OPENSSL) {
        g_test_skip(error->message);
        return;
    }
    g_assert_no_error(error);
    check_messages(hasher, "SHA384ShortMsg.rsp", 129);
    check_messages(hasher, "SHA384LongMsg.rsp", 128);
    check_monte(hasher);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/nist/openssl",
                         GINT_TO_POINTER(VSM_HASH_BACKEND_OPENSSL),
                         test_backend);
    g_test_add_data_func("/nist/ipsec-mb",
                         GINT_TO_POINTER(VSM_HASH_BACKEND_IPSEC_MB),
                         test_backend);
    return g_test_run();
}
