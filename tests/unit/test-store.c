/*
 * Files and record folders of the store.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "store/record.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define UUID "00112233-4455-6677-8899-aabbccddeeff"
#define ID "000102030405060708090a0b0c0d0e0f"

typedef struct {
    char *path;
    VsmDir *dir;
} Fixture;

static void set_up(Fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->path = g_dir_make_tmp("vsm-store-XXXXXX", &error);
    g_assert_no_error(error);
    f->dir = vsm_dir_open(f->path, false, &error);
    g_assert_no_error(error);
}

static void tear_down(Fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", f->path);

    vsm_dir_free(f->dir);
    g_assert_cmpint(system(command), ==, 0);
    g_free(f->path);
}

static GBytes *text(const char *of)
{
    return g_bytes_new_static(of, strlen(of));
}

static void assert_content(Fixture *f, const char *name, const char *expected)
{
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GBytes) want = text(expected);
    g_autoptr(GError) error = NULL;

    vsm_file_read(f->dir, name, 1000, &bytes, &error);
    g_assert_no_error(error);
    g_assert_true(g_bytes_equal(bytes, want));
}

static void replace(Fixture *f, const char *name, const char *content)
{
    g_autoptr(GBytes) bytes = text(content);
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_file_replace(f->dir, name, bytes, &error));
    g_assert_no_error(error);
}

static void
test_replace_gives_new_content_and_mode(Fixture *f,
                                        G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->path, "file", NULL);
    struct stat st;

    umask(0);
    replace(f, "file", "one");
    replace(f, "file", "two");
    umask(022);
    assert_content(f, "file", "two");
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
}

static void test_failed_replace_keeps_the_old(Fixture *f,
                                              G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GBytes) big = g_bytes_new_take(g_malloc0(100000), 100000);
    g_autoptr(VsmNames) names = NULL;
    g_autoptr(GError) error = NULL;
    struct rlimit old, small = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};

    replace(f, "file", "old");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    setrlimit(RLIMIT_FSIZE, &small);
    g_assert_false(vsm_file_replace(f->dir, "file", big, &error));
    setrlimit(RLIMIT_FSIZE, &old);
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NO_SPACE);
    assert_content(f, "file", "old");
    names = vsm_names_new(f->dir, NULL, NULL);
    g_assert_cmpstr(vsm_names_next(names), ==, "file");
    g_assert_null(vsm_names_next(names));
}

static void
test_left_over_temporary_file_does_no_harm(Fixture *f,
                                           G_GNUC_UNUSED gconstpointer data)
{
    replace(f, ".file.tmp", "half");
    replace(f, "file", "whole");
    assert_content(f, "file", "whole");
}

static void test_links_are_not_followed(Fixture *f,
                                        G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *link = g_build_filename(f->path, "link", NULL);
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) file = NULL;
    g_autoptr(GError) dir = NULL;

    g_assert_cmpint(symlink("/etc/passwd", link), ==, 0);
    g_assert_false(vsm_file_read(f->dir, "link", 100000, &bytes, &file));
    g_assert_error(file, VSM_ERROR, VSM_ERROR_STORE);
    g_unlink(link);
    g_assert_cmpint(symlink("/tmp", link), ==, 0);
    g_assert_null(vsm_dir_open_at(f->dir, "link", true, &dir));
    g_assert_error(dir, VSM_ERROR, VSM_ERROR_STORE);
}

static void test_fifo_is_refused_at_once(Fixture *f,
                                         G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *fifo = g_build_filename(f->path, "fifo", NULL);
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_false(vsm_file_read(f->dir, "fifo", 1000, &bytes, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_STORE);
}

static void
test_longer_file_than_allowed_is_refused(Fixture *f,
                                         G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) error = NULL;

    replace(f, "file", "12345");
    g_assert_false(vsm_file_read(f->dir, "file", 4, &bytes, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_LIMIT);
    g_assert_null(bytes);
}

static void test_absent_file_is_not_found(Fixture *f,
                                          G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(vsm_file_read(f->dir, "file", 4, &bytes, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND);
    g_assert_true(vsm_file_remove(f->dir, "file", NULL));
}

static void
test_directory_that_others_write_is_refused(Fixture *f,
                                            G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *open = g_build_filename(f->path, "open", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_mkdir(open, 0700), ==, 0);
    g_assert_cmpint(g_chmod(open, 0777), ==, 0);
    g_assert_null(vsm_dir_open(open, false, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_STORE);
    g_assert_nonnull(strstr(error->message, "chmod 700"));
}

/* Root writes everywhere, so the numbers are given. */
static void test_what_cannot_be_written_is_named_with_a_remedy(
    Fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const int numbers[] = {EACCES, EPERM, EROFS};
    g_autofree char *place = g_strdup_printf("%s/file: cannot", f->path);
    g_autofree char *remedy =
        g_strdup_printf("must be writable for uid %u;", geteuid());

    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
        g_autoptr(GError) error = NULL;

        vsm_file_error(&error, numbers[i], f->dir, "file", "make it");
        g_assert_error(error, VSM_ERROR, VSM_ERROR_STORE);
        g_assert_nonnull(strstr(error->message, place));
        g_assert_nonnull(strstr(error->message, remedy));
    }
}

static void
test_file_where_a_directory_must_be_is_named(Fixture *f,
                                             G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *place = g_strdup_printf("%s/file: cannot", f->path);
    g_autoptr(GError) error = NULL;

    replace(f, "file", "in the way");
    g_assert_null(vsm_dir_open_at(f->dir, "file", true, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_STORE);
    g_assert_nonnull(strstr(error->message, place));
    g_assert_nonnull(
        strstr(error->message, "stands where a writable directory must be"));
}

static void test_lock_names_its_holder(Fixture *f,
                                       G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *pid = g_strdup_printf("process %d;", getpid());
    g_autoptr(GError) error = NULL;
    int first, second = -1;

    g_assert_true(vsm_dir_lock(f->dir, "lock", &first, &error));
    g_assert_no_error(error);
    g_assert_false(vsm_dir_lock(f->dir, "lock", &second, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, pid));
    close(first);
    g_assert_true(vsm_dir_lock(f->dir, "lock", &second, NULL));
    close(second);
}

static void
test_lock_of_a_killed_process_is_free(Fixture *f,
                                      G_GNUC_UNUSED gconstpointer data)
{
    int fd = -1, status;
    pid_t child = fork();

    if (child == 0) {
        vsm_dir_lock(f->dir, "lock", &fd, NULL);
        raise(SIGKILL);
    }
    waitpid(child, &status, 0);
    g_assert_true(WIFSIGNALED(status));
    g_assert_true(vsm_dir_lock(f->dir, "lock", &fd, NULL));
    close(fd);
}

static void put(VsmFolder *folder,
                VsmPart part,
                guint64 offset,
                const char *content,
                int code)
{
    g_autoptr(GBytes) bytes = text(content);
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_folder_put(folder, part, offset, bytes, &error) == !code);
    if (code) {
        g_assert_error(error, VSM_ERROR, code);
    }
}

static void test_parts_are_only_appended_to(Fixture *f,
                                            G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VsmFolder) folder = vsm_folder_make(f->dir, UUID, ID, NULL);

    put(folder, VSM_PART_LEAVES, 0, "abc", 0);
    put(folder, VSM_PART_LEAVES, 3, "def", 0);
    put(folder, VSM_PART_LEAVES, 0, "xyz", VSM_ERROR_INVALID);
    put(folder, VSM_PART_LEAVES, 7, "xyz", VSM_ERROR_INVALID);
}

static void test_parts_can_be_read_in_pieces(Fixture *f,
                                             G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VsmFolder) made = vsm_folder_make(f->dir, UUID, ID, NULL);
    g_autoptr(VsmFolder) folder = NULL;
    g_autoptr(GBytes) some = NULL;
    g_autoptr(GBytes) none = NULL;
    g_autoptr(GBytes) absent = NULL;
    guint64 length;

    put(made, VSM_PART_MAP, 0, "abcdef", 0);
    g_assert_true(vsm_folder_sync(made, NULL));
    folder = vsm_folder_open(f->dir, UUID, ID, NULL);
    g_assert_true(vsm_folder_length(folder, VSM_PART_MAP, &length, NULL));
    g_assert_cmpuint(length, ==, 6);
    g_assert_true(vsm_folder_get(folder, VSM_PART_MAP, 4, 10, &some, NULL));
    g_assert_cmpmem(g_bytes_get_data(some, NULL), 2, "ef", 2);
    g_assert_true(vsm_folder_get(folder, VSM_PART_MAP, 9, 10, &none, NULL));
    g_assert_cmpuint(g_bytes_get_size(none), ==, 0);
    g_assert_true(vsm_folder_get(folder, VSM_PART_SCOPE, 0, 9, &absent, NULL));
    g_assert_cmpuint(g_bytes_get_size(absent), ==, 0);
}

static void test_record_is_not_made_twice(Fixture *f,
                                          G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VsmFolder) one = vsm_folder_make(f->dir, UUID, ID, NULL);
    g_autoptr(VsmFolder) two = vsm_folder_make(f->dir, UUID, ID, NULL);

    put(one, VSM_PART_MAP, 0, "abc", 0);
    put(two, VSM_PART_MAP, 0, "def", VSM_ERROR_STORE);
}

static void test_dropped_record_is_gone(Fixture *f,
                                        G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VsmFolder) folder = vsm_folder_make(f->dir, UUID, ID, NULL);
    g_autoptr(VsmNames) before = NULL;
    g_autoptr(VsmNames) after = NULL;
    g_autoptr(GError) error = NULL;
    guint64 bytes;

    put(folder, VSM_PART_MAP, 0, "abc", 0);
    before = vsm_store_ids(f->dir, UUID, NULL);
    g_assert_cmpstr(vsm_names_next(before), ==, ID);
    g_assert_null(vsm_names_next(before));
    g_assert_true(vsm_store_usage(f->dir, UUID, &bytes, NULL));
    g_assert_cmpuint(bytes, ==, 3);
    g_assert_true(vsm_folder_drop(f->dir, UUID, ID, &error));
    g_assert_no_error(error);
    after = vsm_store_ids(f->dir, UUID, NULL);
    g_assert_null(vsm_names_next(after));
    g_assert_true(vsm_names_end(after, NULL));
    g_assert_true(vsm_folder_drop(f->dir, UUID, ID, &error));
    g_assert_null(vsm_folder_open(f->dir, UUID, ID, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND);
}

#define ADD(path, func)                                                        \
    g_test_add("/store/" path, Fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("replace-gives-new-content-and-mode",
        test_replace_gives_new_content_and_mode);
    ADD("failed-replace-keeps-the-old", test_failed_replace_keeps_the_old);
    ADD("left-over-temporary-file-does-no-harm",
        test_left_over_temporary_file_does_no_harm);
    ADD("links-are-not-followed", test_links_are_not_followed);
    ADD("fifo-is-refused-at-once", test_fifo_is_refused_at_once);
    ADD("longer-file-than-allowed-is-refused",
        test_longer_file_than_allowed_is_refused);
    ADD("absent-file-is-not-found", test_absent_file_is_not_found);
    ADD("directory-that-others-write-is-refused",
        test_directory_that_others_write_is_refused);
    ADD("what-cannot-be-written-is-named-with-a-remedy",
        test_what_cannot_be_written_is_named_with_a_remedy);
    ADD("file-where-a-directory-must-be-is-named",
        test_file_where_a_directory_must_be_is_named);
    ADD("lock-names-its-holder", test_lock_names_its_holder);
    ADD("lock-of-a-killed-process-is-free",
        test_lock_of_a_killed_process_is_free);
    ADD("parts-are-only-appended-to", test_parts_are_only_appended_to);
    ADD("parts-can-be-read-in-pieces", test_parts_can_be_read_in_pieces);
    ADD("record-is-not-made-twice", test_record_is_not_made_twice);
    ADD("dropped-record-is-gone", test_dropped_record_is_gone);
    return g_test_run();
}
