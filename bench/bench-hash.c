/*
 * Throughput of hashing 4 KiB pages: back ends and threads against the raw
 * libraries, in one run.
 *
 * Usage: bench-hash [ROUNDS [MIB]].  Every round measures every line once, so
 * that other load on the machine hits all of them; medians and the spread over
 * the rounds are printed.  Only ratios within one run count.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifdef VSM_HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/ram.h"
#include "crypto/gmac.h"

#define ROUNDS_MAX 100

typedef struct {
    guint8 *random, *zero; /* of @bytes each */
    gsize bytes;
    VsmPool *pool;
} Load;

typedef double (*BenchFunc)(const Load *load, GError **error); /* GB/s */

static double gb_per_s(gsize bytes, gint64 begin)
{
    return bytes / (double)(g_get_monotonic_time() - begin) / 1e3;
}

static double
measure_ram(const Load *load, const guint8 *memory, GError **error)
{
    VsmRamBlock block = {"ram", load->bytes, memory, NULL, 0};
    g_autoptr(VsmManifest) manifest = vsm_manifest_new();
    gint64 begin = g_get_monotonic_time();
    VsmRamResult result;

    if (!vsm_ram_measure(load->pool, NULL, &block, 1, manifest, &result, NULL,
                         error)) {
        return 0;
    }
    vsm_ram_result_clear(&result);
    return gb_per_s(load->bytes, begin);
}

static double ram(const Load *load, GError **error)
{
    return measure_ram(load, load->random, error);
}

static double zero_ram(const Load *load, GError **error)
{
    return measure_ram(load, load->zero, error);
}

static double gmac(const Load *load, GError **error)
{
    g_autoptr(VsmGmac) gmac = vsm_gmac_new(error);
    gint64 begin = g_get_monotonic_time();
    VsmGmacTag tag;

    for (gsize at = 0; gmac && at < load->bytes; at += 1 << 20) {
        if (!vsm_gmac_tag(gmac, at, load->random + at, 1 << 20, &tag, error)) {
            return 0;
        }
    }
    return gb_per_s(load->bytes, begin);
}

#ifdef VSM_HAVE_IPSEC_MB
/* As the library's own users call it: one job a page, nothing around it. */
static double raw_ipsec_mb(const Load *load, GError **error)
{
    IMB_MGR *manager = alloc_mb_mgr(0);
    guint8 digests[256][48];
    gint64 begin;
    double speed;

    (void)error;
    init_mb_mgr_auto(manager, NULL);
    begin = g_get_monotonic_time();
    for (gsize page = 0; page < load->bytes / 4096; page++) {
        IMB_JOB *job = IMB_GET_NEXT_JOB(manager);

        job->cipher_mode = IMB_CIPHER_NULL;
        job->cipher_direction = IMB_DIR_ENCRYPT;
        job->chain_order = IMB_ORDER_HASH_CIPHER;
        job->hash_alg = IMB_AUTH_SHA_384;
        job->src = load->random + page * 4096;
        job->hash_start_src_offset_in_bytes = 0;
        job->msg_len_to_hash_in_bytes = 4096;
        job->auth_tag_output = digests[page % 256];
        job->auth_tag_output_len_in_bytes = 48;
        IMB_SUBMIT_JOB_NOCHECK(manager);
        while (IMB_GET_COMPLETED_JOB(manager)) {
        }
    }
    while (IMB_FLUSH_JOB(manager)) {
    }
    speed = gb_per_s(load->bytes, begin);
    free_mb_mgr(manager);
    return speed;
}
#endif

/* "+F:0:sha384:BYTES_A_SECOND" of openssl's machine-readable output. */
static double openssl_speed(const Load *load, GError **error)
{
    const char *argv[] = {"openssl", "speed", "-mr",  "-seconds", "1",
                          "-bytes",  "4096",  "-evp", "sha384",   NULL};
    g_autofree char *out = NULL;
    const char *line;
    g_auto(GStrv) fields = NULL;

    (void)load;
    if (!g_spawn_sync(NULL, (char **)argv, NULL,
                      G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                      NULL, &out, NULL, NULL, error)) {
        return 0;
    }
    line = strstr(out, "+F:");
    fields = g_strsplit(line ? line : "", ":", 5);
    return g_strv_length(fields) < 4 ? 0
                                     : g_ascii_strtod(fields[3], NULL) / 1e9;
}

typedef struct {
    char *name;
    BenchFunc func;
    VsmPool *pool;
    double speeds[ROUNDS_MAX];
} Line;

static void add(GPtrArray *lines, char *name, BenchFunc func, VsmPool *pool)
{
    Line *line = g_new0(Line, 1);

    line->name = name;
    line->func = func;
    line->pool = pool;
    g_ptr_array_add(lines, line);
}

static void add_back_end(GPtrArray *lines, VsmHashBackend backend)
{
    guint processors = g_get_num_processors();

    if (!vsm_hash_backend_available(backend)) {
        return;
    }
    for (guint threads = 1;; threads = MIN(2 * threads, processors)) {
        g_autoptr(GError) error = NULL;
        VsmPool *pool = vsm_pool_new(threads, backend, &error);

        if (!pool) {
            g_printerr("%s\n", error->message);
            exit(1);
        }
        add(lines,
            g_strdup_printf("vsm %s, %u threads", vsm_pool_backend_name(pool),
                            threads),
            ram, pool);
        if (threads == processors) {
            add(lines,
                g_strdup_printf("vsm %s, %u threads, zero pages",
                                vsm_pool_backend_name(pool), threads),
                zero_ram, pool);
            break;
        }
    }
}

static gint by_value(gconstpointer a, gconstpointer b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void print(GPtrArray *lines, guint rounds)
{
    printf("%-36s %8s %8s %8s  GB/s, %u rounds\n", "hashing of 4 KiB pages",
           "median", "lowest", "highest", rounds);
    for (guint i = 0; i < lines->len; i++) {
        Line *line = g_ptr_array_index(lines, i);

        qsort(line->speeds, rounds, sizeof(double), by_value);
        printf("%-36s %8.2f %8.2f %8.2f\n", line->name,
               line->speeds[rounds / 2], line->speeds[0],
               line->speeds[rounds - 1]);
    }
}

static guint8 *map_memory(gsize bytes)
{
    guint8 *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        g_printerr("no memory for %zu bytes: give a smaller MIB\n", bytes);
        exit(1);
    }
    memset(memory, 0, bytes);
    return memory;
}

static void run(GPtrArray *lines, Load *load, guint rounds)
{
    for (guint round = 0; round < rounds; round++) {
        for (guint i = 0; i < lines->len; i++) {
            Line *line = g_ptr_array_index(lines, i);
            g_autoptr(GError) error = NULL;

            load->pool = line->pool;
            line->speeds[round] = line->func(load, &error);
            if (line->speeds[round] == 0) {
                g_printerr("%s: %s\n", line->name,
                           error ? error->message : "not measured");
            }
        }
    }
}

int main(int argc, char **argv)
{
    guint rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 5;
    gsize mib = argc > 2 ? strtoul(argv[2], NULL, 10) : 512;
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    GRand *rand = g_rand_new_with_seed(1);
    Load load = {.bytes = mib << 20};

    if (rounds == 0 || rounds > ROUNDS_MAX || mib == 0 || mib > 65536) {
        g_printerr("usage: %s [ROUNDS [MIB]]\n", argv[0]);
        return 3;
    }
    load.random = map_memory(load.bytes);
    load.zero = map_memory(load.bytes);
    for (gsize i = 0; i < load.bytes; i += sizeof(guint32)) {
        guint32 word = g_rand_int(rand);

        memcpy(load.random + i, &word, sizeof(word));
    }
    add(lines, g_strdup("openssl speed sha384, 1 thread"), openssl_speed, NULL);
    add_back_end(lines, VSM_HASH_BACKEND_OPENSSL);
#ifdef VSM_HAVE_IPSEC_MB
    add(lines, g_strdup("raw ipsec-mb, 1 thread"), raw_ipsec_mb, NULL);
#endif
    add_back_end(lines, VSM_HASH_BACKEND_IPSEC_MB);
    add(lines, g_strdup("vsm GMAC of 1 MiB chunks, 1 thread"), gmac, NULL);
    run(lines, &load, rounds);
    print(lines, rounds);
    g_rand_free(rand);
    return 0;
}
