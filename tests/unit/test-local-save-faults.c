/*
 * Saves that cannot be finished: a commit whose answer is lost, a TPM that
 * refuses it, a disk that is full.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#define CC_NV_EXTEND 0x136 /* TPM2_CC, Part 2 of the TPM 2.0 library */
#define CC_NV_READ 0x14e
#define RC_FAILURE 0x101

/* The commit's answer is lost, and the index cannot be read for a while. */
static guint32
no_reading(G_GNUC_UNUSED Tap *tap, guint32 code, G_GNUC_UNUSED gpointer opaque)
{
    return code == CC_NV_READ ? RC_FAILURE : 0;
}

static void assert_in_doubt(Store *store)
{
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) listing = NULL;

    g_assert_false(
        fake_save(store->vm, store->attester, "one", true, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_IN_DOUBT);
    g_assert_false(
        vsm_attester_list(store->attester, &records, NULL, &listing));
    g_assert_error(listing, VSM_ERROR, VSM_ERROR_IN_DOUBT);
}

static void test_lost_commit_is_in_doubt_then_settled_as_done(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *old = store_save(store, "one", false);

    store->tap->hook = no_reading;
    store->tap->lose_code = CC_NV_EXTEND;
    assert_in_doubt(store);
    store->tap->hook = NULL;
    g_assert_cmpuint(store_count(store, true), ==, 1);
    g_assert_cmpuint(store_count(store, false), ==, 1);
    g_free(store_refused(store, VSM_PURPOSE_FULL, old, VSM_ERROR_NOT_FOUND));
    store_assert_match(store, "one");
    store_reopen(store);
    store_assert_match(store, "one");
}

static guint32
die_at_extend(G_GNUC_UNUSED Tap *tap, guint32 code, gpointer opaque)
{
    if (code == CC_NV_EXTEND) {
        swtpm_kill(opaque);
    }
    return 0;
}

static void test_commit_that_never_came_is_settled_as_not_done(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *old = store_save(store, "one", false);
    g_autofree char *asked = g_strdup_printf("id:%s", old);

    store->tap->hook = die_at_extend;
    store->tap->opaque = store->swtpm;
    assert_in_doubt(store);
    store->tap->hook = NULL;
    swtpm_start(store->swtpm);
    g_assert_cmpuint(store_count(store, true), ==, 1);
    g_assert_cmpuint(store_count(store, false), ==, 1);
    for (guint8 pcr = 0; pcr < 8; pcr++) {
        tap_extend_pcr(store->tap, pcr); /* as the boot before did */
    }
    store_assert_match(store, asked);
    g_free(store_save(store, "one", true));
    store_assert_match(store, "one");
}

/* Only the answer is lost: the index is read, and the save succeeds. */
static void test_lost_answer_alone_is_no_doubt(void)
{
    g_autoptr(Store) store = store_new();

    store->tap->lose_code = CC_NV_EXTEND;
    g_free(store_save(store, "one", false));
    store_assert_match(store, "one");
}

static guint32 refuse_extend(G_GNUC_UNUSED Tap *tap,
                             guint32 code,
                             G_GNUC_UNUSED gpointer opaque)
{
    return code == CC_NV_EXTEND ? RC_FAILURE : 0;
}

static void test_refused_commit_leaves_the_old(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *old = store_save(store, "one", false);
    g_autofree char *asked = g_strdup_printf("id:%s", old);
    g_autoptr(GError) error = NULL;

    store->tap->hook = refuse_extend;
    g_assert_false(
        fake_save(store->vm, store->attester, "one", true, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TPM);
    store->tap->hook = NULL;
    store_assert_match(store, asked);
    store_reopen(store);
    store_assert_match(store, asked);
    g_assert_cmpuint(store_count(store, true), ==, 1);
}

static void limit_files(guint64 bytes)
{
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

/* No room at each stage of an overwrite: refused, and the old one is alive. */
static void test_no_space_at_any_stage_keeps_the_old(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *old = store_save(store, "one", false);
    g_autofree char *asked = g_strdup_printf("id:%s", old);
    g_autoptr(GError) while_streaming = NULL;
    g_autoptr(GError) finishing = NULL;
    g_autoptr(GError) committing = NULL;
    g_autoptr(VsmSealing) sealing = NULL;
    g_autoptr(VsmRecord) record = NULL;
    VsmContainer container;
    bool ok;

    signal(SIGXFSZ, SIG_IGN);
    limit_files(100);
    ok = fake_save(store->vm, store->attester, "one", true, NULL,
                   &while_streaming);
    limit_files(RLIM_INFINITY);
    g_assert_false(ok);
    g_assert_error(while_streaming, VSM_ERROR, VSM_ERROR_NO_SPACE);
    store_assert_match(store, asked);

    sealing = fake_save_begin(store->vm, store->attester, "one", true, NULL);
    g_assert_true(fake_save_stream(store->vm, sealing, NULL));
    container = fake_container(store->vm, "one", 5);
    limit_files(1);
    ok = vsm_sealing_finish(sealing, &container, &finishing);
    limit_files(RLIM_INFINITY);
    g_assert_false(ok);
    g_assert_error(finishing, VSM_ERROR, VSM_ERROR_NO_SPACE);
    g_clear_pointer(&sealing, vsm_sealing_free);
    g_assert_cmpuint(store_count(store, false), ==, 0);

    sealing = fake_save_begin(store->vm, store->attester, "one", true, NULL);
    g_assert_true(fake_save_stream(store->vm, sealing, NULL));
    g_assert_true(vsm_sealing_finish(sealing, &container, NULL));
    limit_files(1);
    ok = vsm_sealing_commit(sealing, &record, &committing);
    limit_files(RLIM_INFINITY);
    g_assert_false(ok);
    g_assert_error(committing, VSM_ERROR, VSM_ERROR_NO_SPACE);
    g_assert_cmpuint(store_count(store, true), ==, 1);
    g_assert_true(vsm_sealing_commit(sealing, &record, NULL)); /* room again */
    store_assert_match(store, "one");
    vsm_container_clear(&container);
}

/* A file system that is really full, where one can be mounted. */
static void test_full_disk_refuses_the_save_and_keeps_the_old(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *disk = g_build_filename(store->dir, "disk", NULL);
    g_autofree char *state = g_build_filename(disk, "state", NULL);
    g_autofree char *umount = g_strdup_printf("umount '%s'", disk);
    g_autofree char *fill = g_strdup_printf(
        "dd if=/dev/zero of='%s/fill' bs=4k status=none 2> /dev/null || true",
        disk);
    g_autofree char *free_up = g_strdup_printf("rm '%s/fill'", disk);
    g_autofree char *old = NULL;
    g_autofree char *asked = NULL;
    g_autoptr(VsmSealing) sealing = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) beginning = NULL;

    store_close(store);
    g_assert_cmpint(g_mkdir(disk, 0700), ==, 0);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=8m") < 0) {
        g_test_skip("nothing can be mounted here");
        return;
    }
    store->options.state_dir = state;
    store_reopen(store);
    old = store_save(store, "one", false);
    asked = g_strdup_printf("id:%s", old);
    sealing = fake_save_begin(store->vm, store->attester, "one", true, NULL);
    g_assert_nonnull(sealing);
    store_shell(store, fill);
    g_assert_false(fake_save_stream(store->vm, sealing, &error) &&
                   vsm_sealing_finish(sealing, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NO_SPACE);
    g_clear_pointer(&sealing, vsm_sealing_free);
    store_assert_match(store, asked);
    g_assert_null(
        fake_save_begin(store->vm, store->attester, "one", true, &beginning));
    g_assert_error(beginning, VSM_ERROR, VSM_ERROR_NO_SPACE);
    store_reopen(store);
    store_assert_match(store, asked);
    store_shell(store, free_up);
    g_free(store_save(store, "one", true));
    store_close(store);
    store_shell(store, umount);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/local-store/" path, func)
    ADD("lost-commit-is-in-doubt-then-settled-as-done",
        test_lost_commit_is_in_doubt_then_settled_as_done);
    ADD("commit-that-never-came-is-settled-as-not-done",
        test_commit_that_never_came_is_settled_as_not_done);
    ADD("lost-answer-alone-is-no-doubt", test_lost_answer_alone_is_no_doubt);
    ADD("refused-commit-leaves-the-old", test_refused_commit_leaves_the_old);
    ADD("no-space-at-any-stage-keeps-the-old",
        test_no_space_at_any_stage_keeps_the_old);
    ADD("full-disk-refuses-the-save-and-keeps-the-old",
        test_full_disk_refuses_the_save_and_keeps_the_old);
    return g_test_run();
}
