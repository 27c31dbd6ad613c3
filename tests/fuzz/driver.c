/*
 * Runs a fuzz target without a fuzzer: a bounded number of random mutants.
 *
 * Usage: fuzz-NAME RUNS SEED [BYTE:FILE...].  Each FILE is a seed input, with
 * BYTE (decimal) put before it, by which the target chooses its parser.  The
 * same RUNS and SEED give the same inputs again.  The input that ends the
 * program is left in fuzz-crash.bin.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES_MAX 20000

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static GByteArray *input; /* of the run that is on */

static void on_crash(int signal_number)
{
    int fd = open("fuzz-crash.bin", O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd >= 0 && write(fd, input->data, input->len) >= 0) {
        close(fd);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static GPtrArray *load_seeds(int n, char **args)
{
    GPtrArray *seeds =
        g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);

    for (int i = 0; i < n; i++) {
        char *path = NULL;
        guint8 byte = g_ascii_strtoull(args[i], &path, 10);
        GByteArray *seed = g_byte_array_new();
        g_autofree char *data = NULL;
        g_autoptr(GError) error = NULL;
        gsize bytes;

        if (*path != ':' ||
            !g_file_get_contents(path + 1, &data, &bytes, &error)) {
            g_printerr("%s\n", error ? error->message : args[i]);
            exit(3);
        }
        g_byte_array_append(seed, &byte, 1);
        g_byte_array_append(seed, (guint8 *)data, bytes);
        g_ptr_array_add(seeds, seed);
    }
    return seeds;
}

static guint below(GRand *rand, guint limit)
{
    return limit ? g_rand_int_range(rand, 0, limit) : 0;
}

/* Numbers that break sizes, of 1 to 8 bytes, in either byte order. */
static void put_number(GRand *rand, GByteArray *bytes)
{
    static const guint64 numbers[] = {
        0,          1,          0x7f,       0x80,       0xff,       0x7fff,
        0x8000,     0xffff,     0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0,
        1ull << 32, 1ull << 44, G_MAXINT64, 1ull << 63, G_MAXUINT64};
    guint64 value = numbers[below(rand, G_N_ELEMENTS(numbers))];
    guint width = 1u << below(rand, 4);

    if (g_rand_boolean(rand)) {
        value = GUINT64_SWAP_LE_BE(value) >> (64 - 8 * width);
    }
    if (bytes->len >= width) {
        memcpy(bytes->data + below(rand, bytes->len - width + 1), &value,
               width);
    }
}

/* Puts a part of @from into @bytes, at a random place. */
static void insert_part(GRand *rand, GByteArray *bytes, const GByteArray *from)
{
    guint n = below(rand, MIN(from->len, 64) + 1);
    guint source = below(rand, from->len - n + 1);
    guint at = below(rand, bytes->len + 1);
    g_autofree guint8 *part = g_memdup2(from->data + source, n);
    guint tail = bytes->len - at;

    if (n == 0 || bytes->len + n > INPUT_BYTES_MAX) {
        return;
    }
    g_byte_array_set_size(bytes, bytes->len + n);
    memmove(bytes->data + at + n, bytes->data + at, tail);
    memcpy(bytes->data + at, part, n);
}

static void mutate(GRand *rand, GByteArray *bytes, const GPtrArray *seeds)
{
    const GByteArray *other = bytes;

    switch (below(rand, 7)) {
    case 0:
    case 1:
        if (bytes->len) {
            bytes->data[below(rand, bytes->len)] ^= 1u << below(rand, 8);
        }
        break;
    case 2:
        if (bytes->len) {
            bytes->data[below(rand, bytes->len)] = g_rand_int(rand);
        }
        break;
    case 3:
        put_number(rand, bytes);
        break;
    case 4:
        g_byte_array_set_size(bytes, below(rand, bytes->len + 1));
        break;
    case 5:
        if (bytes->len) {
            guint at = below(rand, bytes->len);

            g_byte_array_remove_range(
                bytes, at, below(rand, MIN(64, bytes->len - at) + 1));
        }
        break;
    default:
        if (seeds->len && g_rand_boolean(rand)) {
            other = g_ptr_array_index(seeds, below(rand, seeds->len));
        }
        insert_part(rand, bytes, other);
    }
}

/* A seed as it is, mutated a little, or bytes out of nowhere. */
static void make_input(GRand *rand, const GPtrArray *seeds, guint run)
{
    g_byte_array_set_size(input, 0);
    if (seeds->len && below(rand, 10)) {
        const GByteArray *seed =
            g_ptr_array_index(seeds, below(rand, seeds->len));

        if (run < seeds->len) {
            seed = g_ptr_array_index(seeds, run);
        }
        g_byte_array_append(input, seed->data, seed->len);
    } else {
        guint n = below(rand, 200);

        g_byte_array_set_size(input, n);
        for (guint i = 0; i < n; i++) {
            input->data[i] = g_rand_int(rand);
        }
    }
    if (run >= seeds->len) {
        for (guint n = 1 + below(rand, 4); n; n--) {
            mutate(rand, input, seeds);
        }
    }
}

int main(int argc, char **argv)
{
    g_autoptr(GPtrArray) seeds = NULL;
    guint runs = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    GRand *rand;

    if (runs == 0) {
        g_printerr("usage: %s RUNS SEED [BYTE:FILE...]\n", argv[0]);
        return 3;
    }
    seeds = load_seeds(argc - 3, argv + 3);
    rand = g_rand_new_with_seed(strtoul(argv[2], NULL, 10));
    input = g_byte_array_new();
    signal(SIGABRT, on_crash);
    signal(SIGSEGV, on_crash);
    for (guint run = 0; run < runs; run++) {
        /* The target gets just the bytes, so that a sanitizer sees the end. */
        g_autofree guint8 *exact = NULL;

        make_input(rand, seeds, run);
        exact = g_memdup2(input->data, input->len);
        LLVMFuzzerTestOneInput(exact, input->len);
    }
    g_byte_array_unref(input);
    g_rand_free(rand);
    return 0;
}
