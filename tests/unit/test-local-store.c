/*
 * The store under the attester: overwriting, removing, debris, and who else
 * goes on meanwhile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"

#include <string.h>
#include <unistd.h>

static void test_overwriting_lists_the_new_and_drops_the_old(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *old = store_save(store, "one", false);
    g_autofree char *other = store_save(store, "two", false);
    g_autofree char *new = NULL;
    g_autoptr(GError) error = NULL;

    store->vm->ram[0][0] ^= 1;
    new = store_save(store, "one", true);
    g_assert_cmpstr(new, !=, old);
    g_assert_cmpuint(store_count(store, true), ==, 2);
    g_assert_cmpuint(store_count(store, false), ==, 1);
    store_assert_match(store, "one");
    g_free(store_refused(store, VSM_PURPOSE_FULL, old, VSM_ERROR_NOT_FOUND));
    g_assert_true(vsm_attester_forget(store->attester, old, NULL, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(store_count(store, false), ==, 0);
    store_reopen(store);
    store_assert_match(store, "one");
}

static void test_removed_snapshot_is_debris_until_forgotten(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) again = NULL;

    g_assert_true(vsm_attester_remove(store->attester, id, NULL, &error));
    g_assert_no_error(error);
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_NOT_FOUND));
    g_assert_cmpuint(store_count(store, false), ==, 1);
    store_reopen(store);
    g_assert_cmpuint(store_count(store, false), ==, 1);
    g_assert_false(vsm_attester_remove(store->attester, id, NULL, &again));
    g_assert_error(again, VSM_ERROR, VSM_ERROR_NOT_FOUND);
    g_assert_true(vsm_attester_forget(store->attester, id, NULL, &error));
    g_assert_cmpuint(store_count(store, false), ==, 0);
}

/* Stands before GLib's own for this program: whatever a file held comes by. */
static VsmHost *watched;
static guint read_free, read_locked;

GBytes *g_bytes_new_take(gpointer data, gsize bytes)
{
    if (watched && g_mutex_trylock(&watched->mutex)) {
        g_mutex_unlock(&watched->mutex);
        read_free++;
    } else if (watched) {
        read_locked++;
    }
    return g_bytes_new_with_free_func(data, bytes, g_free, data);
}

/* Others go on while one VM's thousand records are read. */
static void test_list_is_read_without_the_hosts_mutex(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(GError) error = NULL;

    g_free(store_save(store, "one", false));
    g_free(store_save(store, "two", false));
    watched = store->host;
    records = vsm_host_list(store->host, FAKE_UUID, &error);
    watched = NULL;
    g_assert_no_error(error);
    g_assert_cmpuint(records->len, ==, 2);
    g_assert_cmpuint(read_free, >=, 2);
    g_assert_cmpuint(read_locked, ==, 0);
}

static void test_listed_snapshot_is_not_forgotten(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autoptr(GError) error = NULL;

    g_assert_false(vsm_attester_forget(store->attester, id, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    store_assert_match(store, "one");
}

static void test_finished_but_uncommitted_save_is_debris_with_its_mark(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(GError) error = NULL;
    VsmSealing *sealing =
        fake_save_begin(store->vm, store->attester, "one", false, &error);
    VsmContainer container;
    const VsmRecord *record;

    g_assert_true(fake_save_stream(store->vm, sealing, &error));
    container = fake_container(store->vm, "one", 77);
    g_assert_true(vsm_sealing_finish(sealing, &container, &error));
    vsm_container_clear(&container);
    vsm_sealing_free(sealing);
    store_reopen(store);
    g_assert_true(vsm_attester_list(store->attester, &records, NULL, &error));
    g_assert_cmpuint(records->len, ==, 1);
    record = records->pdata[0];
    g_assert_false(record->listed);
    g_assert_true(record->has_mark);
    g_assert_cmpuint(record->container.date_sec, ==, 77);
}

static void test_unfinished_save_leaves_nothing(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;
    VsmSealing *sealing =
        fake_save_begin(store->vm, store->attester, "one", false, &error);

    g_assert_true(fake_save_stream(store->vm, sealing, &error));
    vsm_sealing_free(sealing);
    store_shell(store, "test -z \"$(find $S/vm -type f)\"");
    g_assert_cmpuint(store_count(store, false), ==, 0);
}

static void test_failed_overwrite_keeps_the_old(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *old = store_save(store, "one", false);
    g_autofree char *asked = g_strdup_printf("id:%s", old);
    g_autoptr(GError) error = NULL;

    store_shell(store, "mkdir $S/catalogue.next");
    g_assert_false(
        fake_save(store->vm, store->attester, "one", true, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_STORE);
    store_shell(store, "rmdir $S/catalogue.next");
    store_assert_match(store, asked);
    store_reopen(store);
    store_assert_match(store, asked);
    g_assert_cmpuint(store_count(store, true), ==, 1);
    g_free(store_save(store, "one", true));
    store_assert_match(store, "one");
}

static void test_second_host_on_the_store_is_busy(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *says = g_strdup_printf("process %d", getpid());
    g_autoptr(GError) error = NULL;

    g_assert_null(vsm_host_open(&store->options, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, says));
}

static GMutex *of_host;
static guint looks, free_looks;

static void look(G_GNUC_UNUSED const char *what, G_GNUC_UNUSED const char *path)
{
    looks++;
    if (g_mutex_trylock(of_host)) {
        free_looks++;
        g_mutex_unlock(of_host);
    }
}

/* Deleting a long record takes its time. */
static void test_other_vms_go_on_while_a_record_is_deleted(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_attester_remove(store->attester, id, NULL, &error));
    of_host = &store->host->mutex;
    looks = free_looks = 0;
    vsm_files_step = look;
    vsm_attester_forget(store->attester, id, NULL, &error);
    vsm_files_step = NULL;
    g_assert_no_error(error);
    g_assert_cmpuint(looks, >, 0);
    g_assert_cmpuint(free_looks, ==, looks);
    g_assert_cmpuint(store_count(store, false), ==, 0);
}

static void test_two_stores_share_a_tpm(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *other = g_build_filename(store->dir, "other", NULL);

    g_free(store_save(store, "one", false));
    store->options.state_dir = other;
    store_reopen(store);
    g_assert_cmpuint(store_count(store, true), ==, 0);
    g_free(store_save(store, "one", false));
    store->options.state_dir = store->state;
    store_reopen(store);
    store_assert_match(store, "one");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/local-store/" path, func)
    ADD("overwriting-lists-the-new-and-drops-the-old",
        test_overwriting_lists_the_new_and_drops_the_old);
    ADD("removed-snapshot-is-debris-until-forgotten",
        test_removed_snapshot_is_debris_until_forgotten);
    ADD("listed-snapshot-is-not-forgotten",
        test_listed_snapshot_is_not_forgotten);
    ADD("list-is-read-without-the-hosts-mutex",
        test_list_is_read_without_the_hosts_mutex);
    ADD("finished-but-uncommitted-save-is-debris-with-its-mark",
        test_finished_but_uncommitted_save_is_debris_with_its_mark);
    ADD("unfinished-save-leaves-nothing", test_unfinished_save_leaves_nothing);
    ADD("failed-overwrite-keeps-the-old", test_failed_overwrite_keeps_the_old);
    ADD("second-host-on-the-store-is-busy",
        test_second_host_on_the_store_is_busy);
    ADD("other-vms-go-on-while-a-record-is-deleted",
        test_other_vms_go_on_while_a_record_is_deleted);
    ADD("two-stores-share-a-tpm", test_two_stores_share_a_tpm);
    return g_test_run();
}
