/*
 * The hypervisor's digest: which mapped files are in it, when they are read,
 * and how much of that there may be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "host/hypervisor.h"
#include "host/mappings.h"

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

/* A file that this process can map as it maps libraries. */
typedef struct {
    char *dir, *path;
    gpointer at; /* NULL: not mapped */
} Library;

static void write_library(const Library *library, char fill)
{
    g_autofree char *content = g_strnfill(4096, fill);

    g_assert_true(g_file_set_contents(library->path, content, 4096, NULL));
}

static Library *library_new(void)
{
    Library *library = g_new0(Library, 1);

    library->dir = g_dir_make_tmp("vsm-exe-XXXXXX", NULL);
    library->path = g_build_filename(library->dir, "lib", NULL);
    write_library(library, 'a');
    return library;
}

static void library_map(Library *library)
{
    int fd = open(library->path, O_RDONLY | O_CLOEXEC);

    library->at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    g_assert_true(library->at != MAP_FAILED);
    close(fd);
}

static void library_unmap(Library *library)
{
    munmap(library->at, 4096);
    library->at = NULL;
}

static void library_free(Library *library)
{
    if (library->at) {
        library_unmap(library);
    }
    g_unlink(library->path);
    g_rmdir(library->dir);
    g_free(library->path);
    g_free(library->dir);
    g_free(library);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Library, library_free)

static VsmHypervisor *measure_self(void)
{
    int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(GError) error = NULL;
    VsmHypervisor *hypervisor = vsm_hypervisor_measure(proc, &error);

    close(proc);
    g_assert_no_error(error);
    return hypervisor;
}

static bool refresh(VsmHypervisor *hypervisor)
{
    g_autoptr(GError) error = NULL;
    bool ok = vsm_hypervisor_refresh(hypervisor, &error);

    g_assert_no_error(error);
    return ok;
}

static bool has_digest(VsmHypervisor *hypervisor, const VsmDigest *digest)
{
    return vsm_digest_equal(vsm_hypervisor_digest(hypervisor), digest);
}

static VsmHypervisor *measure_with(Library *library)
{
    VsmHypervisor *hypervisor;

    library_map(library);
    hypervisor = measure_self();
    library_unmap(library);
    return hypervisor;
}

static void test_digest_follows_content_not_name(void)
{
    g_autoptr(Library) one = library_new();
    g_autoptr(Library) two = library_new();
    g_autoptr(VsmHypervisor) before = measure_self();
    g_autoptr(VsmHypervisor) again = measure_self();
    g_autoptr(VsmHypervisor) with_one = measure_with(one);
    g_autoptr(VsmHypervisor) with_two = measure_with(two);

    g_assert_true(has_digest(before, vsm_hypervisor_digest(again)));
    g_assert_false(has_digest(before, vsm_hypervisor_digest(with_one)));
    g_assert_true(has_digest(with_two, vsm_hypervisor_digest(with_one)));
}

/* A library update under a running VM: measured before, so it still counts. */
static void test_replaced_file_keeps_the_digest_it_was_measured_with(void)
{
    g_autoptr(Library) library = library_new();
    g_autoptr(VsmHypervisor) hypervisor = NULL;
    VsmDigest before;

    library_map(library);
    hypervisor = measure_self();
    before = *vsm_hypervisor_digest(hypervisor);
    g_unlink(library->path);
    write_library(library, 'b');
    g_assert_true(refresh(hypervisor));
    g_assert_true(has_digest(hypervisor, &before));
}

/* What was mapped once may have left its mark on the process. */
static void test_file_that_was_mapped_stays_in_the_digest(void)
{
    g_autoptr(Library) library = library_new();
    g_autoptr(VsmHypervisor) hypervisor = measure_self();
    VsmDigest before = *vsm_hypervisor_digest(hypervisor), with;

    library_map(library);
    g_assert_true(refresh(hypervisor));
    with = *vsm_hypervisor_digest(hypervisor);
    g_assert_false(vsm_digest_equal(&before, &with));
    for (guint i = 0; i < 2000; i++) { /* takes no place each time */
        library_unmap(library);
        if (i % 500 == 0) {
            g_assert_true(refresh(hypervisor));
            g_assert_true(has_digest(hypervisor, &with));
        }
        library_map(library);
    }
    g_assert_true(refresh(hypervisor));
    g_assert_true(has_digest(hypervisor, &with));
}

/* Its inode may be another file by now. */
static void test_file_that_is_mapped_anew_is_measured_anew(void)
{
    g_autoptr(Library) library = library_new();
    g_autoptr(VsmHypervisor) hypervisor = measure_with(library);
    VsmDigest before = *vsm_hypervisor_digest(hypervisor);
    int fd;

    g_assert_true(refresh(hypervisor));
    fd = open(library->path, O_WRONLY | O_CLOEXEC); /* the same inode */
    g_assert_cmpint(pwrite(fd, "b", 1, 0), ==, 1);
    close(fd);
    library_map(library);
    g_assert_true(refresh(hypervisor));
    g_assert_false(has_digest(hypervisor, &before));
}

static void test_huge_file_is_refused_unread(void)
{
    g_autoptr(Library) library = library_new();
    g_autoptr(VsmHypervisor) hypervisor = measure_self();
    int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(GError) at_first = NULL;
    g_autoptr(GError) later = NULL;

    g_assert_cmpint(truncate(library->path, 1ll << 40), ==, 0);
    library_map(library);
    g_assert_null(vsm_hypervisor_measure(proc, &at_first));
    g_assert_error(at_first, VSM_ERROR, VSM_ERROR_LIMIT);
    g_assert_nonnull(strstr(at_first->message, "1024 MiB"));
    g_assert_false(vsm_hypervisor_refresh(hypervisor, &later));
    g_assert_error(later, VSM_ERROR, VSM_ERROR_LIMIT);
    library_unmap(library);
    g_assert_true(refresh(hypervisor)); /* it was never measured */
    close(proc);
}

static void test_reading_ends_with_the_request(void)
{
    g_autoptr(Library) library = library_new();
    g_autoptr(VsmHypervisor) hypervisor = measure_self();
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    g_autoptr(GError) late = NULL;
    g_autoptr(GError) cancelled = NULL;
    VsmDigest before = *vsm_hypervisor_digest(hypervisor);

    library_map(library);
    g_assert_false(vsm_hypervisor_refresh_within(hypervisor, 1, NULL, &late));
    g_assert_error(late, VSM_ERROR, VSM_ERROR_TIMEOUT);
    g_cancellable_cancel(cancel);
    g_assert_false(
        vsm_hypervisor_refresh_within(hypervisor, 0, cancel, &cancelled));
    g_assert_error(cancelled, VSM_ERROR, VSM_ERROR_CANCELLED);
    /* only the owner looks from now on */
    g_assert_true(refresh(hypervisor));
    g_assert_true(has_digest(hypervisor, &before));
}

/* Files of equal content take one place in the set, but are read each time. */
static void test_what_is_read_again_is_counted_again(void)
{
    g_autoptr(Library) one = library_new();
    g_autoptr(Library) two = library_new();
    g_autoptr(VsmHypervisor) hypervisor = measure_self();
    guint64 before = vsm_hypervisor_cost(hypervisor), idle;

    g_assert_true(refresh(hypervisor));
    idle = vsm_hypervisor_cost(hypervisor) - before;
    g_assert_cmpuint(idle, >, 0); /* the list itself */
    g_assert_cmpuint(idle, <, before);
    g_assert_cmpint(truncate(one->path, 8 << 20), ==, 0);
    g_assert_cmpint(truncate(two->path, 8 << 20), ==, 0);
    for (guint i = 0; i < 6; i++) {
        Library *library = i % 2 ? two : one;

        library_map(library);
        before = vsm_hypervisor_cost(hypervisor);
        g_assert_true(refresh(hypervisor));
        g_assert_cmpuint(vsm_hypervisor_cost(hypervisor) - before, >=, 8 << 20);
        library_unmap(library);
    }
}

static void test_gone_process_is_an_error(void)
{
    int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(GError) error = NULL;

    g_assert_null(vsm_hypervisor_measure(dir, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR);
    close(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/host-parts/" path, func)
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
    return g_test_run();
}
