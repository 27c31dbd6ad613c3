/*
 * The host's parts that need no TPM: mappings, hypervisor digest,
 * configuration lines, write budget, verdict.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake-vm.h"
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/limits.h"
#include "core/metadata.h"
#include "crypto/hash.h"
#include "core/stream.h"
#include "host/budget.h"
#include "host/config.h"
#include "host/hypervisor.h"
#include "host/mappings.h"
#include "host/shares.h"
#include "host/verdict.h"

static void test_only_executable_files_are_measured_once(void)
{
    static const char maps[] =
        "00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/qemu\n"
        "00651000-00652000 r--p 00051000 08:02 173521      /usr/bin/qemu\n"
        "00652000-00655000 r-xp 00052000 08:02 173521      /usr/bin/qemu\n"
        "00e03000-00e24000 rwxp 00000000 00:00 0           [heap]\n"
        "35b1800000-35b1820000 r-xp 00000000 08:02 135522  /lib/a b.so\n"
        "35b1a21000-35b1a22000 rw-p 00000000 00:00 0 \n"
        "f2c6ff8c000-7f2c7078c000 r-xp 00000000 00:01 77   /memfd:tcg "
        "(deleted)\n"
        "7fffb2c0d000-7fffb2c2e000 r-xp 00000000 fd:01 9   /lib/c.so "
        "(deleted)\n"
        "7fffb2d48000-7fffb2d49000 r-xp 00000000 00:00 0   [vdso]\n";
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) mappings = vsm_mappings_parse(maps, &error);
    const VsmMapping *one;

    g_assert_no_error(error);
    g_assert_cmpuint(mappings->len, ==, 3);
    one = mappings->pdata[0];
    g_assert_cmpstr(one->path, ==, "/usr/bin/qemu");
    g_assert_cmpstr(one->range, ==, "00400000-00452000");
    g_assert_cmpuint(one->inode, ==, 173521);
    g_assert_false(one->deleted);
    one = mappings->pdata[1];
    g_assert_cmpstr(one->path, ==, "/lib/a b.so");
    one = mappings->pdata[2];
    g_assert_cmpstr(one->path, ==, "/lib/c.so");
    g_assert_true(one->deleted);
}

static void test_unreadable_map_line_is_an_error(void)
{
    static const char *const bad[] = {
        "x", "0-1 r-xp 0 08:02", "0-1 rx 0 08:02 5 /a", "0-1 r-xp 0 zz 5 /a",
        "0-1 r-xp 0 08:02 5x /a"};

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(vsm_mappings_parse(bad[i], &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    }
}

/* A process may have thousands of mappings, of few files or of many. */
static void test_each_file_of_many_lines_is_listed_once(void)
{
    g_autoptr(GString) maps = g_string_new(NULL);
    g_autoptr(GPtrArray) mappings = NULL;
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < 8000; i++) { /* two devices have each inode */
        guint file = i * 7919 % VSM_HYPERVISOR_FILES_MAX;

        g_string_append_printf(maps, "%x-%x r-xp 0 08:%02x %u /lib/%u\n", i,
                               i + 1, file % 2, file / 2 + 1, file);
    }
    mappings = vsm_mappings_parse(maps->str, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(mappings->len, ==, VSM_HYPERVISOR_FILES_MAX);
    for (guint i = 0; i < mappings->len; i++) {
        const VsmMapping *one = mappings->pdata[i];
        g_autofree char *path =
            g_strdup_printf("/lib/%u", i * 7919 % VSM_HYPERVISOR_FILES_MAX);

        g_assert_cmpstr(one->path, ==, path);
    }
    g_string_append(maps, "0-1 r-xp 0 09:00 1 /lib/x\n");
    g_assert_null(vsm_mappings_parse(maps->str, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_LIMIT);
}

static gpointer map_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    gpointer at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

    g_assert_true(at != MAP_FAILED);
    close(fd);
    return at;
}

static void write_file(const char *path, char fill)
{
    g_autofree char *content = g_strnfill(4096, fill);

    g_assert_true(g_file_set_contents(path, content, 4096, NULL));
}

static VsmHypervisor *measure_self(void)
{
    int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(GError) error = NULL;
    VsmHypervisor *hypervisor = vsm_hypervisor_measure(proc, &error);

    close(proc);
    g_assert_no_error(error);
    return hypervisor;
}

static void test_digest_follows_content_not_name(void)
{
    g_autofree char *dir = g_dir_make_tmp("vsm-exe-XXXXXX", NULL);
    g_autofree char *one = g_build_filename(dir, "one", NULL);
    g_autofree char *two = g_build_filename(dir, "two", NULL);
    g_autoptr(VsmHypervisor) before = measure_self();
    g_autoptr(VsmHypervisor) again = measure_self();
    g_autoptr(VsmHypervisor) with_one = NULL;
    g_autoptr(VsmHypervisor) with_two = NULL;
    gpointer at;

    g_assert_true(vsm_digest_equal(vsm_hypervisor_digest(before),
                                   vsm_hypervisor_digest(again)));
    write_file(one, 'a');
    write_file(two, 'a');
    at = map_file(one);
    with_one = measure_self();
    munmap(at, 4096);
    at = map_file(two);
    with_two = measure_self();
    munmap(at, 4096);
    g_assert_false(vsm_digest_equal(vsm_hypervisor_digest(before),
                                    vsm_hypervisor_digest(with_one)));
    g_assert_true(vsm_digest_equal(vsm_hypervisor_digest(with_two),
                                   vsm_hypervisor_digest(with_one)));
    g_unlink(one);
    g_unlink(two);
    g_rmdir(dir);
}

/* A library update under a running VM: measured before, so it still counts. */
static void test_replaced_file_keeps_the_digest_it_was_measured_with(void)
{
    g_autofree char *dir = g_dir_make_tmp("vsm-exe-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "lib", NULL);
    g_autoptr(VsmHypervisor) hypervisor = NULL;
    g_autoptr(GError) error = NULL;
    VsmDigest before;
    gpointer at;

    write_file(path, 'a');
    at = map_file(path);
    hypervisor = measure_self();
    before = *vsm_hypervisor_digest(hypervisor);
    g_unlink(path);
    write_file(path, 'b');
    g_assert_true(vsm_hypervisor_refresh(hypervisor, &error));
    g_assert_no_error(error);
    g_assert_true(vsm_digest_equal(&before, vsm_hypervisor_digest(hypervisor)));
    munmap(at, 4096);
    g_unlink(path);
    g_rmdir(dir);
}

static bool refresh(VsmHypervisor *hypervisor)
{
    g_autoptr(GError) error = NULL;
    bool ok = vsm_hypervisor_refresh(hypervisor, &error);

    g_assert_no_error(error);
    return ok;
}

/* What was mapped once may have left its mark on the process. */
static void test_file_that_was_mapped_stays_in_the_digest(void)
{
    g_autofree char *dir = g_dir_make_tmp("vsm-exe-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "lib", NULL);
    g_autoptr(VsmHypervisor) hypervisor = measure_self();
    VsmDigest before = *vsm_hypervisor_digest(hypervisor), with;
    gpointer at;

    write_file(path, 'a');
    at = map_file(path);
    g_assert_true(refresh(hypervisor));
    with = *vsm_hypervisor_digest(hypervisor);
    g_assert_false(vsm_digest_equal(&before, &with));
    for (guint i = 0; i < 2000; i++) { /* takes no place each time */
        munmap(at, 4096);
        if (i % 500 == 0) {
            g_assert_true(refresh(hypervisor));
            g_assert_true(
                vsm_digest_equal(&with, vsm_hypervisor_digest(hypervisor)));
        }
        at = map_file(path);
    }
    g_assert_true(refresh(hypervisor));
    g_assert_true(vsm_digest_equal(&with, vsm_hypervisor_digest(hypervisor)));
    munmap(at, 4096);
    g_unlink(path);
    g_rmdir(dir);
}

/* Its inode may be another file by now. */
static void test_file_that_is_mapped_anew_is_measured_anew(void)
{
    g_autofree char *dir = g_dir_make_tmp("vsm-exe-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "lib", NULL);
    g_autoptr(VsmHypervisor) hypervisor = NULL;
    VsmDigest before;
    gpointer at;
    int fd;

    write_file(path, 'a');
    at = map_file(path);
    hypervisor = measure_self();
    before = *vsm_hypervisor_digest(hypervisor);
    munmap(at, 4096);
    g_assert_true(refresh(hypervisor));
    fd = open(path, O_WRONLY | O_CLOEXEC); /* the same inode */
    g_assert_cmpint(pwrite(fd, "b", 1, 0), ==, 1);
    close(fd);
    at = map_file(path);
    g_assert_true(refresh(hypervisor));
    g_assert_false(
        vsm_digest_equal(&before, vsm_hypervisor_digest(hypervisor)));
    munmap(at, 4096);
    g_unlink(path);
    g_rmdir(dir);
}

static void test_huge_file_is_refused_unread(void)
{
    g_autofree char *dir = g_dir_make_tmp("vsm-exe-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "huge", NULL);
    g_autoptr(VsmHypervisor) hypervisor = measure_self();
    int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(GError) at_first = NULL;
    g_autoptr(GError) later = NULL;
    gpointer at;

    write_file(path, 'a');
    g_assert_cmpint(truncate(path, 1ll << 40), ==, 0);
    at = map_file(path);
    g_assert_null(vsm_hypervisor_measure(proc, &at_first));
    g_assert_error(at_first, VSM_ERROR, VSM_ERROR_LIMIT);
    g_assert_nonnull(strstr(at_first->message, "1024 MiB"));
    g_assert_false(vsm_hypervisor_refresh(hypervisor, &later));
    g_assert_error(later, VSM_ERROR, VSM_ERROR_LIMIT);
    munmap(at, 4096);
    g_assert_true(refresh(hypervisor)); /* it was never measured */
    close(proc);
    g_unlink(path);
    g_rmdir(dir);
}

static void test_reading_ends_with_the_request(void)
{
    g_autofree char *dir = g_dir_make_tmp("vsm-exe-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "lib", NULL);
    g_autoptr(VsmHypervisor) hypervisor = measure_self();
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    g_autoptr(GError) late = NULL;
    g_autoptr(GError) cancelled = NULL;
    VsmDigest before = *vsm_hypervisor_digest(hypervisor);
    gpointer at;

    write_file(path, 'a');
    at = map_file(path);
    g_assert_false(vsm_hypervisor_refresh_within(hypervisor, 1, NULL, &late));
    g_assert_error(late, VSM_ERROR, VSM_ERROR_TIMEOUT);
    g_cancellable_cancel(cancel);
    g_assert_false(
        vsm_hypervisor_refresh_within(hypervisor, 0, cancel, &cancelled));
    g_assert_error(cancelled, VSM_ERROR, VSM_ERROR_CANCELLED);
    /* only the owner looks from now on */
    g_assert_true(refresh(hypervisor));
    g_assert_true(vsm_digest_equal(&before, vsm_hypervisor_digest(hypervisor)));
    munmap(at, 4096);
    g_unlink(path);
    g_rmdir(dir);
}

/* Files of equal content take one place in the set, but are read each time. */
static void test_what_is_read_again_is_counted_again(void)
{
    g_autofree char *dir = g_dir_make_tmp("vsm-exe-XXXXXX", NULL);
    char *paths[] = {g_build_filename(dir, "one", NULL),
                     g_build_filename(dir, "two", NULL)};
    g_autoptr(VsmHypervisor) hypervisor = measure_self();
    guint64 before = vsm_hypervisor_cost(hypervisor), idle;

    g_assert_true(refresh(hypervisor));
    idle = vsm_hypervisor_cost(hypervisor) - before;
    g_assert_cmpuint(idle, >, 0); /* the list itself */
    g_assert_cmpuint(idle, <, before);
    for (guint i = 0; i < 2; i++) {
        write_file(paths[i], 'a');
        g_assert_cmpint(truncate(paths[i], 8 << 20), ==, 0);
    }
    for (guint i = 0; i < 6; i++) {
        gpointer at = map_file(paths[i % 2]);

        before = vsm_hypervisor_cost(hypervisor);
        g_assert_true(refresh(hypervisor));
        g_assert_cmpuint(vsm_hypervisor_cost(hypervisor) - before, >=, 8 << 20);
        munmap(at, 4096);
    }
    for (guint i = 0; i < 2; i++) {
        g_unlink(paths[i]);
        g_free(paths[i]);
    }
    g_rmdir(dir);
}

static void test_gone_process_is_an_error(void)
{
    int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(GError) error = NULL;

    g_assert_null(vsm_hypervisor_measure(dir, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR);
    close(dir);
}

static void test_config_diff_shows_the_lines(void)
{
    g_autofree char *same = vsm_config_diff("a\nb", "a\nb");
    g_autofree char *changed = vsm_config_diff("a\nb\nc", "a\nx\nc");
    g_autofree char *added = vsm_config_diff("a", "a\na");
    g_autofree char *order = vsm_config_diff("a\nb", "b\na");

    g_assert_null(same);
    g_assert_cmpstr(changed, ==, "sealed with \"b\", now \"x\"");
    g_assert_cmpstr(added, ==, "now \"a\"");
    g_assert_cmpstr(order, ==, "the same lines in another order");
}

static void test_config_diff_is_short(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *diff = NULL;

    for (guint i = 0; i < 1000; i++) {
        g_string_append_printf(text, "%sline %u", i ? "\n" : "", i);
    }
    diff = vsm_config_diff("", text->str);
    g_assert_nonnull(strstr(diff, "and 992 more lines"));
    g_assert_cmpuint(strlen(diff), <, 400);
}

static void test_budget_lets_a_burst_through_and_then_one_each(void)
{
    VsmBudget budget;
    g_autoptr(GError) error = NULL;

    vsm_budget_init(&budget, 2, 10000, 0);
    g_assert_true(vsm_budget_take(&budget, 0, NULL));
    g_assert_true(vsm_budget_take(&budget, 0, NULL));
    g_assert_false(vsm_budget_take(&budget, 4000000, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, "in 7 s"));
    g_assert_true(vsm_budget_take(&budget, 10000000, NULL));
    g_assert_false(vsm_budget_take(&budget, 10000001, NULL));
    vsm_budget_give_back(&budget);
    g_assert_true(vsm_budget_take(&budget, 10000002, NULL));
}

static void test_budget_goes_on_after_a_restart(void)
{
    VsmBudget budget;

    vsm_budget_init(&budget, 3, 1000, 0);
    vsm_budget_resume(&budget, 500000, 500000);
    g_assert_cmpuint(vsm_budget_left(&budget, 0), ==, 1);
    g_assert_true(vsm_budget_take(&budget, 0, NULL));
    g_assert_false(vsm_budget_take(&budget, 999999, NULL));
    g_assert_cmpuint(vsm_budget_left(&budget, 2000000), ==, 2);
}

static void test_budget_gains_nothing_from_a_wrong_clock(void)
{
    VsmBudget budget;

    vsm_budget_init(&budget, 3, 1000, 0);
    vsm_budget_resume(&budget, 1000000, -5000000);
    g_assert_cmpuint(vsm_budget_left(&budget, 0), ==, 1);
    vsm_budget_resume(&budget, G_MAXINT64, G_MAXINT64);
    g_assert_cmpuint(vsm_budget_left(&budget, 0), ==, 3);
    vsm_budget_resume(&budget, G_MININT64, G_MININT64);
    g_assert_cmpuint(vsm_budget_left(&budget, 0), ==, 0);
}

static void test_budget_saves_no_more_than_its_burst(void)
{
    VsmBudget budget;

    vsm_budget_init(&budget, 2, 1000, 0);
    vsm_budget_give_back(&budget);
    for (guint i = 0; i < 2; i++) {
        g_assert_true(
            vsm_budget_take(&budget, G_GINT64_CONSTANT(1) << 50, NULL));
    }
    g_assert_false(vsm_budget_take(&budget, G_GINT64_CONSTANT(1) << 50, NULL));
}

static guint
take_all(VsmShares *shares, VsmBudget *budget, const char *vm, gint64 now_us)
{
    guint taken = 0;

    while (taken < 1000 && vsm_shares_take(shares, budget, vm, now_us, NULL)) {
        taken++;
    }
    return taken;
}

static void test_flood_of_one_vm_leaves_the_others_a_write_each(void)
{
    g_autoptr(VsmShares) shares = vsm_shares_new();
    VsmBudget budget;

    vsm_budget_init(&budget, 20, 10000, 1);
    vsm_shares_join(shares, "a");
    g_assert_cmpuint(take_all(shares, &budget, "a", 1), ==, 20); /* alone */
    vsm_budget_init(&budget, 20, 10000, 1);
    vsm_shares_join(shares, "b");
    vsm_shares_join(shares, "c");
    g_assert_cmpuint(take_all(shares, &budget, "a", 1), ==, 18);
    g_assert_true(vsm_shares_take(shares, &budget, "b", 1, NULL));
    g_assert_cmpuint(take_all(shares, &budget, "a", 1), ==, 0);
    g_assert_true(vsm_shares_take(shares, &budget, "c", 1, NULL));
    g_assert_cmpuint(vsm_budget_left(&budget, 1), ==, 0);
}

static void test_many_idle_vms_keep_half_of_the_burst(void)
{
    g_autoptr(VsmShares) shares = vsm_shares_new();
    VsmBudget budget;

    vsm_budget_init(&budget, 20, 10000, 1);
    vsm_shares_join(shares, "a");
    for (guint i = 0; i < 100; i++) {
        g_autofree char *vm = g_strdup_printf("%u", i);

        vsm_shares_join(shares, vm);
    }
    g_assert_cmpuint(take_all(shares, &budget, "a", 1), ==, 10);
    /* and what comes in is the flooder's, as nobody else asks */
    g_assert_cmpuint(take_all(shares, &budget, "a", 30000001), ==, 3);
    g_assert_true(vsm_shares_take(shares, &budget, "7", 30000002, NULL));
}

static void test_refused_vm_comes_before_who_asks_later(void)
{
    g_autoptr(VsmShares) shares = vsm_shares_new();
    g_autoptr(GError) error = NULL;
    VsmBudget budget;
    gint64 now = 1;

    vsm_budget_init(&budget, 2, 10000, 1);
    vsm_shares_join(shares, "a");
    g_assert_cmpuint(take_all(shares, &budget, "a", now), ==, 2);
    vsm_shares_join(shares, "b"); /* started after the flood */
    g_assert_false(vsm_shares_take(shares, &budget, "b", now, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    for (guint i = 0; i < 6; i++) {
        now += 10000000;
        /* the flooder is faster, and still waits for its turn */
        g_assert_cmpuint(take_all(shares, &budget, "a", now), ==, i % 2);
        g_assert_cmpuint(take_all(shares, &budget, "b", now), ==, i % 2 == 0);
    }
    /* who does not come back loses it */
    now += 200000000;
    g_assert_cmpuint(take_all(shares, &budget, "b", now), >, 0);
}

/* A save of the fake VM, kept as documents. */
typedef struct {
    FakeVm *vm;
    GBytes *manifest, *document;
    VsmSealedState sealed;
} Sealed;

static void sealed_set_up(Sealed *f, G_GNUC_UNUSED gconstpointer data)
{
    static const guint8 page[VSM_PAGE_BYTES] = {1};
    g_autoptr(GBytes) bytes = g_bytes_new_static(page, sizeof(page));
    g_autoptr(VsmStream) stream = NULL;
    VsmRamBlock block = {.idstr = "ram", .bytes = sizeof(page)};

    f->vm = fake_vm_new();
    stream = vsm_stream_new_save(f->vm->pool, NULL, NULL);
    g_assert_true(vsm_stream_set_ram(stream, &block, 1, NULL));
    vsm_stream_page(stream, 0, 0, 0);
    g_assert_true(vsm_stream_feed(stream, bytes, NULL));
    g_assert_true(vsm_stream_finish(stream, NULL));
    g_assert_true(
        vsm_stream_documents(stream, &f->manifest, &f->document, NULL));
    f->sealed.purpose = VSM_PURPOSE_FULL;
    f->sealed.manifest = f->manifest;
    f->sealed.document = f->document;
    f->sealed.unsealed = true;
    g_assert_true(vsm_sha384_bytes(f->manifest, &f->sealed.state, NULL));
    g_assert_true(vsm_sha384_bytes(f->document, &f->sealed.stream, NULL));
    g_assert_true(vsm_seal_digest(&f->sealed.state, &f->sealed.stream,
                                  &f->sealed.scope, &f->sealed.seal, NULL));
}

static void sealed_tear_down(Sealed *f, G_GNUC_UNUSED gconstpointer data)
{
    g_bytes_unref(f->manifest);
    g_bytes_unref(f->document);
    fake_vm_free(f->vm);
}

static guint result_of(Sealed *f, GBytes *document, const VsmMeasured *measured)
{
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    vsm_verdict_build(&f->sealed, document, measured, &verdict, &error);
    g_assert_no_error(error);
    g_assert_true((verdict->result == VSM_RESULT_MISMATCH) ==
                  (verdict->findings->len > 0));
    return verdict->result;
}

static void test_equal_documents_match(Sealed *f,
                                       G_GNUC_UNUSED gconstpointer data)
{
    VsmMeasured measured = {.bytes_hashed = 4096};

    g_assert_cmpuint(result_of(f, f->manifest, &measured), ==,
                     VSM_RESULT_MATCH);
    f->sealed.purpose = VSM_PURPOSE_STORED;
    g_assert_cmpuint(result_of(f, f->document, &measured), ==,
                     VSM_RESULT_MATCH);
}

/* The documents agree, but not with what the TPM released. */
static void
test_another_unsealed_digest_is_a_mismatch(Sealed *f,
                                           G_GNUC_UNUSED gconstpointer data)
{
    VsmMeasured measured = {.bytes_hashed = 4096};

    f->sealed.seal.b[47] ^= 1;
    g_assert_cmpuint(result_of(f, f->manifest, &measured), ==,
                     VSM_RESULT_MISMATCH);
}

/* A measurer that says "changed" beside an equal root is not believed. */
static void
test_changed_range_is_never_a_match(Sealed *f, G_GNUC_UNUSED gconstpointer data)
{
    VsmFinding finding = {.kind = "ram", .where = (char *)"ram", .bytes = 4096};
    g_autoptr(GPtrArray) changed = g_ptr_array_new();
    VsmMeasured measured = {.changed = changed};
    VsmMeasured counted = {.changed_left_out = 1};

    g_ptr_array_add(changed, &finding);
    g_assert_cmpuint(result_of(f, f->manifest, &measured), ==,
                     VSM_RESULT_MISMATCH);
    g_assert_cmpuint(result_of(f, f->manifest, &counted), ==,
                     VSM_RESULT_MISMATCH);
}

static void test_accepted_form_that_was_not_needed_is_no_excuse(
    Sealed *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GPtrArray) accepted = g_ptr_array_new();
    VsmMeasured measured = {.accepted = accepted};

    g_ptr_array_add(accepted, (gpointer) "fake-device/0");
    g_assert_cmpuint(result_of(f, f->manifest, &measured), ==,
                     VSM_RESULT_MATCH);
    f->sealed.seal.b[0] ^= 1;
    g_assert_cmpuint(result_of(f, f->manifest, &measured), ==,
                     VSM_RESULT_MISMATCH);
}

static void
test_unknown_kind_of_range_is_invalid(Sealed *f,
                                      G_GNUC_UNUSED gconstpointer data)
{
    VsmFinding finding = {
        .kind = "\033[31mram", .where = (char *)"ram", .bytes = 4096};
    g_autoptr(GPtrArray) changed = g_ptr_array_new();
    VsmMeasured measured = {.changed = changed};
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    g_ptr_array_add(changed, &finding);
    g_assert_false(vsm_verdict_build(&f->sealed, f->manifest, &measured,
                                     &verdict, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
}

static void test_garbage_document_is_an_error(Sealed *f,
                                              G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GBytes) garbage = g_bytes_new_static("garbage", 7);
    VsmMeasured measured = {.bytes_hashed = 1};
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(
        vsm_verdict_build(&f->sealed, garbage, &measured, &verdict, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
}

static void test_unavailable_needs_no_document(Sealed *f,
                                               G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GBytes) none = g_bytes_new_static("", 0);
    VsmMeasured measured = {.unavailable = "guest not ready"};

    g_assert_cmpuint(result_of(f, none, &measured), ==, VSM_RESULT_UNAVAILABLE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/host-parts/" path, func)
#define ADD_SEALED(path, func)                                                 \
    g_test_add("/host-parts/" path, Sealed, NULL, sealed_set_up, func,         \
               sealed_tear_down)
    ADD("only-executable-files-are-measured-once",
        test_only_executable_files_are_measured_once);
    ADD("unreadable-map-line-is-an-error",
        test_unreadable_map_line_is_an_error);
    ADD("digest-follows-content-not-name",
        test_digest_follows_content_not_name);
    ADD("replaced-file-keeps-the-digest-it-was-measured-with",
        test_replaced_file_keeps_the_digest_it_was_measured_with);
    ADD("file-that-was-mapped-stays-in-the-digest",
        test_file_that_was_mapped_stays_in_the_digest);
    ADD("file-that-is-mapped-anew-is-measured-anew",
        test_file_that_is_mapped_anew_is_measured_anew);
    ADD("huge-file-is-refused-unread", test_huge_file_is_refused_unread);
    ADD("reading-ends-with-the-request", test_reading_ends_with_the_request);
    ADD("what-is-read-again-is-counted-again",
        test_what_is_read_again_is_counted_again);
    ADD("each-file-of-many-lines-is-listed-once",
        test_each_file_of_many_lines_is_listed_once);
    ADD("gone-process-is-an-error", test_gone_process_is_an_error);
    ADD("config-diff-shows-the-lines", test_config_diff_shows_the_lines);
    ADD("config-diff-is-short", test_config_diff_is_short);
    ADD("budget-lets-a-burst-through-and-then-one-each",
        test_budget_lets_a_burst_through_and_then_one_each);
    ADD("budget-goes-on-after-a-restart", test_budget_goes_on_after_a_restart);
    ADD("budget-gains-nothing-from-a-wrong-clock",
        test_budget_gains_nothing_from_a_wrong_clock);
    ADD("budget-saves-no-more-than-its-burst",
        test_budget_saves_no_more_than_its_burst);
    ADD("flood-of-one-vm-leaves-the-others-a-write-each",
        test_flood_of_one_vm_leaves_the_others_a_write_each);
    ADD("many-idle-vms-keep-half-of-the-burst",
        test_many_idle_vms_keep_half_of_the_burst);
    ADD("refused-vm-comes-before-who-asks-later",
        test_refused_vm_comes_before_who_asks_later);
    ADD_SEALED("equal-documents-match", test_equal_documents_match);
    ADD_SEALED("another-unsealed-digest-is-a-mismatch",
               test_another_unsealed_digest_is_a_mismatch);
    ADD_SEALED("changed-range-is-never-a-match",
               test_changed_range_is_never_a_match);
    ADD_SEALED("accepted-form-that-was-not-needed-is-no-excuse",
               test_accepted_form_that_was_not_needed_is_no_excuse);
    ADD_SEALED("unknown-kind-of-range-is-invalid",
               test_unknown_kind_of_range_is_invalid);
    ADD_SEALED("garbage-document-is-an-error",
               test_garbage_document_is_an_error);
    ADD_SEALED("unavailable-needs-no-document",
               test_unavailable_needs_no_document);
    return g_test_run();
}
