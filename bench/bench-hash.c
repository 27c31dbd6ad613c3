/*
 * Throughput of hashing 4 KiB pages: back ends and threads against the raw
 * libraries, in one run.
 *
 * Usage: bench-hash [--raw] [ROUNDS [MIB]].  Every round measures every line
 * once, so that other load on the machine hits all of them; medians and the
 * spread over the rounds are printed.  Only ratios within one run count.
 * --raw: the bare libraries alone, for a program: a name and GB/s a line.
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
    VsmRamBlock block = {.idstr = "ram", .bytes = load->bytes, .host = memory};
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
static void raw_ipsec_pages(const guint8 *pages, gsize n)
{
    IMB_MGR *manager = alloc_mb_mgr(0);
    guint8 digests[256][48];

    init_mb_mgr_auto(manager, NULL);
    for (gsize page = 0; page < n; page++) {
        IMB_JOB *job = IMB_GET_NEXT_JOB(manager);

        job->cipher_mode = IMB_CIPHER_NULL;
        job->cipher_direction = IMB_DIR_ENCRYPT;
        job->chain_order = IMB_ORDER_HASH_CIPHER;
        job->hash_alg = IMB_AUTH_SHA_384;
        job->src = pages + page * 4096;
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
    free_mb_mgr(manager);
}

typedef struct {
    const guint8 *pages;
    gsize n;
} Slice;

static gpointer raw_ipsec_thread(gpointer opaque)
{
    const Slice *slice = opaque;

    raw_ipsec_pages(slice->pages, slice->n);
    return NULL;
}

static double raw_ipsec_threads(const Load *load, guint n)
{
    g_autofree GThread **threads = g_new(GThread *, n);
    g_autofree Slice *slices = g_new(Slice, n);
    gsize pages = load->bytes / 4096 / n;
    gint64 begin = g_get_monotonic_time();

    for (guint i = 0; i < n; i++) {
        slices[i] = (Slice){load->random + i * pages * 4096, pages};
        threads[i] = g_thread_new("raw", raw_ipsec_thread, &slices[i]);
    }
    for (guint i = 0; i < n; i++) {
        g_thread_join(threads[i]);
    }
    return gb_per_s(pages * n * 4096, begin);
}

static double raw_ipsec_mb(const Load *load, GError **error)
{
    (void)error;
    return raw_ipsec_threads(load, 1);
}

static double raw_ipsec_mb_all(const Load *load, GError **error)
{
    (void)error;
    return raw_ipsec_threads(load, g_get_num_processors());
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

/* For a program: one line after the other, nothing aligned. */
static int print_raw(const Load *load, guint rounds)
{
    for (guint round = 0; round < rounds; round++) {
        printf("openssl-1 %.3f\n", openssl_speed(load, NULL));
#ifdef VSM_HAVE_IPSEC_MB
        if (vsm_hash_backend_available(VSM_HASH_BACKEND_IPSEC_MB)) {
            printf("ipsec-mb-1 %.3f\n", raw_ipsec_mb(load, NULL));
            printf("ipsec-mb-all %.3f\n", raw_ipsec_mb_all(load, NULL));
        }
#endif
    }
    return 0;
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

static void add_all(GPtrArray *lines)
{
    add(lines, g_strdup("openssl speed sha384, 1 thread"), openssl_speed, NULL);
    add_back_end(lines, VSM_HASH_BACKEND_OPENSSL);
#ifdef VSM_HAVE_IPSEC_MB
    add(lines, g_strdup("raw ipsec-mb, 1 thread"), raw_ipsec_mb, NULL);
    add(lines, g_strdup("raw ipsec-mb, a thread a CPU"), raw_ipsec_mb_all,
        NULL);
#endif
    add_back_end(lines, VSM_HASH_BACKEND_IPSEC_MB);
    add(lines, g_strdup("vsm GMAC of 1 MiB chunks, 1 thread"), gmac, NULL);
}

static void fill_random(guint8 *memory, gsize bytes)
{
    GRand *rand = g_rand_new_with_seed(1);

    for (gsize i = 0; i < bytes; i += sizeof(guint32)) {
        guint32 word = g_rand_int(rand);

        memcpy(memory + i, &word, sizeof(word));
    }
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    bool raw = argc > 1 && strcmp(argv[1], "--raw") == 0;
    char **args = argv + raw;
    int n_args = argc - raw;
    guint rounds = n_args > 1 ? strtoul(args[1], NULL, 10) : 5;
    gsize mib = n_args > 2 ? strtoul(args[2], NULL, 10) : 512;
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    Load load = {.bytes = mib << 20};

    if (rounds == 0 || rounds > ROUNDS_MAX || mib == 0 || mib > 65536) {
        g_printerr("usage: %s [--raw] [ROUNDS [MIB]]\n", argv[0]);
        return 3;
    }
    load.random = map_memory(load.bytes);
    fill_random(load.random, load.bytes);
    if (raw) {
        return print_raw(&load, rounds);
    }
    load.zero = map_memory(load.bytes);
    add_all(lines);
    run(lines, &load, rounds);
    print(lines, rounds);
    return 0;
}
