/*
 * How much one VM, or whoever writes the store, can leave there: what others
 * have of it, and that the store opens.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "base/limits.h"
#include "host/debris.h"

#define OTHER_UUID "ffffffff-4455-6677-8899-aabbccddeeff"
#define MANY 66000 /* folders; a limit of 65536 kept the store closed once */

static char *folder_path(Store *store, const char *id)
{
    return g_build_filename(store->state, "vm", FAKE_UUID, id, NULL);
}

/* Under the name @number; @genuine: with the host's MAC of its mark. */
static void
write_record(Store *store, VsmMetadata *metadata, guint number, bool genuine)
{
    g_autoptr(GBytes) bytes = NULL;
    g_autofree char *path = NULL;
    g_autofree char *file = NULL;

    g_free(metadata->id);
    metadata->id = g_strdup_printf("%032x", number);
    if (genuine) {
        g_assert_true(vsm_host_mark_mac(store->host, metadata,
                                        &metadata->mark_mac, NULL));
    }
    bytes = vsm_metadata_encode(metadata, NULL);
    path = folder_path(store, metadata->id);
    file = g_build_filename(path, "metadata", NULL);
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, g_bytes_get_data(bytes, NULL),
                                      g_bytes_get_size(bytes), NULL));
}

/* @n more like @id, as of saves that were finished and not committed. */
static void copy_record(Store *store, const char *id, guint n, bool genuine)
{
    g_autoptr(VsmMetadata) metadata = NULL;
    g_autoptr(GError) error = NULL;

    vsm_host_metadata(store->host, FAKE_UUID, id, NULL, &metadata, NULL,
                      &error);
    g_assert_no_error(error);
    for (guint i = 0; i < n; i++) {
        write_record(store, metadata, i, genuine);
    }
}

/* A save that is ended after its seal. */
static void save_and_abort(Store *store, const char *tag)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmSealing) sealing =
        fake_save_begin(store->vm, store->attester, tag, false, &error);
    VsmContainer container;

    g_assert_no_error(error);
    g_assert_true(fake_save_stream(store->vm, sealing, &error));
    container = fake_container(store->vm, tag, 77);
    g_assert_true(vsm_sealing_finish(sealing, &container, &error));
    vsm_container_clear(&container);
}

static void assert_save_refused(Store *store, int code, const char *says)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(
        fake_save_begin(store->vm, store->attester, "new", false, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, says));
}

static void assert_other_vm_saves(Store *store)
{
    g_autoptr(VsmAttester) other = NULL;
    g_autoptr(GError) error = NULL;

    other = store_local(store, OTHER_UUID, &error);
    g_assert_no_error(error);
    store->vm->uuid = OTHER_UUID;
    fake_save(store->vm, other, "one", true, NULL, &error);
    g_assert_no_error(error);
    store->vm->uuid = FAKE_UUID;
}

static void test_vm_that_sweeps_nothing_saves_no_more_and_others_do(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(GError) error = NULL;
    const VsmRecord *last;

    copy_record(store, id, VSM_DEBRIS_MAX - 1, true);
    save_and_abort(store, "two");
    assert_save_refused(store, VSM_ERROR_LIMIT, "attach these disks");
    assert_other_vm_saves(store);
    store_reopen(store);
    assert_save_refused(store, VSM_ERROR_LIMIT, "attach these disks");
    store_assert_match(store, "one");
    g_assert_cmpuint(store_count(store, false), ==, VSM_DEBRIS_MAX);
    g_assert_true(vsm_attester_list(store->attester, &records, NULL, &error));
    last = records->pdata[records->len - 1];
    g_assert_true(vsm_attester_forget(store->attester, last->id, NULL, &error));
    g_free(store_save(store, "new", false));
}

/* Listed ones of the longest tags, as if they had been committed. */
static void list_many(Store *store, guint n)
{
    VsmEntry entry = {.uuid = FAKE_UUID};

    memset(entry.tag, 'a', VSM_TAG_BYTES_MAX);
    memset(&entry.commit, 1, sizeof(entry.commit));
    for (guint i = 0; i < n; i++) {
        g_snprintf(entry.id, sizeof(entry.id), "%032x", i);
        vsm_catalogue_put(store->host->catalogue, &entry);
    }
}

static void test_vm_with_all_its_snapshots_saves_no_more_and_others_do(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = NULL;
    g_autoptr(GError) error = NULL;

    list_many(store, VSM_LISTED_MAX - 1);
    id = store_save(store, "one", false);
    assert_save_refused(store, VSM_ERROR_LIMIT, "delete some");
    assert_other_vm_saves(store);
    store_reopen(store);
    assert_save_refused(store, VSM_ERROR_LIMIT, "delete some");
    g_assert_cmpuint(store_count(store, true), ==, VSM_LISTED_MAX);
    g_free(store_save(store, "one", true));
    g_assert_cmpuint(store_count(store, true), ==, VSM_LISTED_MAX);
    g_assert_true(vsm_attester_remove(
        store->attester, "00000000000000000000000000000007", NULL, &error));
    g_free(store_save(store, "new", false));
}

static void make_folders(Store *store, guint n)
{
    g_autofree char *vm = folder_path(store, NULL);

    g_assert_cmpint(chdir(vm), ==, 0);
    for (guint i = 0; i < n; i++) {
        char name[VSM_ID_DIGITS + 1];

        g_snprintf(name, sizeof(name), "%032x", i);
        g_assert_cmpint(g_mkdir(name, 0700), ==, 0);
    }
    g_assert_cmpint(chdir("/"), ==, 0);
}

static void assert_told(Store *store, guint listed, guint unlisted)
{
    g_autoptr(VsmHostStatus) status = NULL;
    g_autoptr(GError) error = NULL;
    const VsmHostVm *vm;

    vsm_host_status(store->host, &status, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(status->vms->len, ==, 1);
    vm = status->vms->pdata[0];
    g_assert_cmpuint(vm->listed, ==, listed);
    g_assert_cmpuint(vm->unlisted, ==, unlisted);
}

static void test_store_with_any_number_of_folders_is_told_of_and_opens(void)
{
    g_autoptr(Store) store = store_new();
    gint64 sweep_us = vsm_debris_sweep_us;

    g_free(store_save(store, "one", false));
    make_folders(store, MANY);
    assert_told(store, 1, MANY);
    vsm_debris_sweep_us = 1000;
    store_reopen(store);
    assert_save_refused(store, VSM_ERROR_BUSY, "are being dropped");
    vsm_debris_sweep_us = sweep_us;
    store_assert_match(store, "one");
    assert_other_vm_saves(store);
}

/* Whoever writes the store makes folders that look like unfinished saves. */
static void test_flood_of_forged_debris_is_dropped_and_stops_no_overwrite(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);

    copy_record(store, id, VSM_DEBRIS_MAX + 10, false);
    /* None has this host's MAC of its mark: nothing is swept for them. */
    g_assert_cmpuint(store_count(store, false), ==, 0);
    g_assert_cmpuint(store_count(store, true), ==, 1);
    assert_told(store, 1, VSM_DEBRIS_MAX + 10);
    g_free(store_save(store, "one", true));
    assert_told(store, 1, 1);
    copy_record(store, id, 10, false);
    store_reopen(store);
    assert_told(store, 1, 1);
    store_assert_match(store, "one");
}

static void test_folder_that_cannot_be_dropped_is_noted_and_the_host_opens(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmHostStatus) status = NULL;
    g_autofree char *path =
        folder_path(store, "00000000000000000000000000000000/x");

    g_free(store_save(store, "one", false));
    g_assert_cmpint(g_mkdir_with_parents(path, 0700), ==, 0);
    store_reopen(store);
    g_assert_true(vsm_host_status(store->host, &status, NULL));
    g_assert_nonnull(strstr(status->last_error, path));
    store_assert_match(store, "one");
    g_free(store_save(store, "one", true));
}

int main(int argc, char **argv)
{
    /* On a disk so many folders take minutes. */
    if (access("/dev/shm", W_OK) == 0) {
        g_setenv("TMPDIR", "/dev/shm", true);
    }
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/local-debris/" path, func)
    ADD("vm-that-sweeps-nothing-saves-no-more-and-others-do",
        test_vm_that_sweeps_nothing_saves_no_more_and_others_do);
    ADD("vm-with-all-its-snapshots-saves-no-more-and-others-do",
        test_vm_with_all_its_snapshots_saves_no_more_and_others_do);
    ADD("store-with-any-number-of-folders-is-told-of-and-opens",
        test_store_with_any_number_of_folders_is_told_of_and_opens);
    ADD("flood-of-forged-debris-is-dropped-and-stops-no-overwrite",
        test_flood_of_forged_debris_is_dropped_and_stops_no_overwrite);
    ADD("folder-that-cannot-be-dropped-is-noted-and-the-host-opens",
        test_folder_that_cannot_be_dropped_is_noted_and_the_host_opens);
    return g_test_run();
}
