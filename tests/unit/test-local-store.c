/*
 * The store under the attester: overwriting, removing, debris, and every file
 * of it altered, missing or old.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"
#include "host/hostfile.h"
#include "host/secret.h"
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#define CC_NV_EXTEND 0x136 /* TPM2_CC, Part 2 of the TPM 2.0 library */
#define CC_NV_READ 0x14e
#define RC_FAILURE 0x101

static void assert_match(Store *store, const char *snapshot)
{
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, snapshot), ==,
                     VSM_RESULT_MATCH);
}

/* The store cannot be opened; the message says @says. */
static void assert_closed(Store *store, int code, const char *says)
{
    g_autoptr(GError) error = NULL;

    store_close(store);
    g_assert_false(store_open(store, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, says));
}

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
    assert_match(store, "one");
    g_free(store_refused(store, VSM_PURPOSE_FULL, old, VSM_ERROR_NOT_FOUND));
    g_assert_true(vsm_attester_forget(store->attester, old, NULL, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(store_count(store, false), ==, 0);
    store_reopen(store);
    assert_match(store, "one");
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

/* Whoever writes the store makes folders that look like unfinished saves. */
static void test_flood_of_forged_debris_is_dropped_and_stops_no_overwrite(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autofree char *flood = g_strdup_printf(
        "cd $S/vm/*/ && for i in $(seq 300); do n=$(printf %%032d $i); "
        "mkdir -m 700 $n; sed s/%s/$n/ %s/metadata > $n/metadata; "
        "chmod 600 $n/metadata; done",
        id, id);

    store_shell(store, flood);
    /* None has this host's MAC of its mark: nothing is swept for them. */
    g_assert_cmpuint(store_count(store, false), ==, 0);
    g_assert_cmpuint(store_count(store, true), ==, 1);
    g_free(store_save(store, "one", true));
    g_assert_cmpuint(store_count(store, true), ==, 1);
    store_reopen(store);
    store_shell(store, "test $(ls $S/vm/*/ | wc -l) = 2");
    g_assert_cmpuint(store_count(store, true), ==, 1);
    assert_match(store, "one");
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
    assert_match(store, "one");
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
    assert_match(store, asked);
    store_reopen(store);
    assert_match(store, asked);
    g_assert_cmpuint(store_count(store, true), ==, 1);
    g_free(store_save(store, "one", true));
    assert_match(store, "one");
}

static void test_older_copy_of_the_store_is_replayed(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    store_close(store);
    store_shell(store, "cp -a $S $S.old");
    store_reopen(store);
    g_free(store_save(store, "two", false));
    store_close(store);
    store_shell(store, "mv $S $S.new && mv $S.old $S");
    assert_closed(store, VSM_ERROR_REPLAYED, "older copy");
    store_shell(store, "rm -r $S && mv $S.new $S");
    store_reopen(store);
    assert_match(store, "two");
}

/* The catalogue before a removal, brought back while the host runs. */
static void test_old_catalogue_under_a_running_host_has_no_effect(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autoptr(GError) error = NULL;

    store_shell(store, "cp $S/catalogue $S/old");
    g_assert_true(vsm_attester_remove(store->attester, id, NULL, &error));
    store_shell(store, "mv $S/old $S/catalogue");
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_NOT_FOUND));
    g_free(store_save(store, "two", false));
    store_reopen(store);
    assert_match(store, "two");
}

static void test_damaged_catalogue_is_tampered(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    store_shell(store, "cp $S/catalogue $S.good; : > $S/catalogue");
    assert_closed(store, VSM_ERROR_TAMPERED, "catalogue");
    store_shell(store, "rm $S/catalogue");
    assert_closed(store, VSM_ERROR_TAMPERED, "catalogue");
    store_shell(store, "cp $S.good $S/catalogue");
    store_reopen(store);
    assert_match(store, "one");
}

/* Content and index agree, but another key signed: not this host's store. */
static void test_catalogue_without_the_keys_word_is_tampered(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *path = g_build_filename(store->state, "catalogue", NULL);
    g_autofree char *data = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GBytes) forged = NULL;
    g_auto(VsmSigned) file = {NULL};
    gsize size;

    g_free(store_save(store, "one", false));
    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    bytes = g_bytes_new(data, size);
    g_assert_true(vsm_signed_decode(bytes, "catalogue", &file, NULL));
    g_bytes_unref(file.signature);
    file.signature = g_bytes_new_static("none", 4);
    forged = vsm_signed_encode(&file, NULL);
    g_assert_true(g_file_set_contents(path, g_bytes_get_data(forged, NULL),
                                      g_bytes_get_size(forged), NULL));
    assert_closed(store, VSM_ERROR_TAMPERED, "attestation key");
}

/* A shell line with $F as @file. */
static void on_file(Store *store, const char *file, const char *line)
{
    g_autofree char *command = g_strdup_printf("F='%s'\n%s", file, line);

    store_shell(store, command);
}

/* Each file of a record: a flipped byte, cut, longer, gone. */
static void test_each_altered_file_is_tampered_and_named(gconstpointer data)
{
    const char *name = data;
    static const char *const attacks[] = {
        "printf '\\377\\376\\375' | dd of=$F bs=1 seek=11 conv=notrunc "
        "status=none",
        "truncate -s -1 $F",
        "printf x >> $F",
        ": > $F",
        "rm $F",
    };
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autofree char *other = store_save(store, "two", false);
    g_autofree char *asked = g_strdup_printf("id:%s", id);
    g_autofree char *file =
        g_build_filename(store->state, "vm", FAKE_UUID, id, name, NULL);
    g_autoptr(GError) error = NULL;

    on_file(store, file, "cp $F $S.good");
    for (guint i = 0; i < G_N_ELEMENTS(attacks); i++) {
        g_autofree char *why = NULL;

        on_file(store, file, attacks[i]);
        store_reopen(store);
        why = store_refused(store, VSM_PURPOSE_LOAD, asked, VSM_ERROR_TAMPERED);
        g_assert_nonnull(strstr(why, name));
        assert_match(store, other);
        g_assert_cmpuint(store_count(store, true), ==, 2);
        on_file(store, file, "cp $S.good $F");
    }
    assert_match(store, "one");
    on_file(store, file, attacks[0]);
    g_assert_true(vsm_attester_remove(store->attester, id, NULL, &error));
    g_assert_no_error(error);
    g_assert_true(vsm_attester_forget(store->attester, id, NULL, &error));
}

static void test_damaged_metadata_is_listed_as_such(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autoptr(GPtrArray) records = NULL;
    g_autofree char *two = NULL;
    const VsmRecord *record;

    store_shell(store, "for f in $S/vm/*/*/metadata; do printf x >> $f; done");
    g_assert_true(vsm_attester_list(store->attester, &records, NULL, NULL));
    g_assert_cmpuint(records->len, ==, 1);
    record = records->pdata[0];
    g_assert_cmpstr(record->id, ==, id);
    g_assert_true(record->listed);
    g_assert_false(record->has_mark);
    g_assert_nonnull(strstr(record->damaged, "metadata"));
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_TAMPERED));
    g_free(store_refused(store, VSM_PURPOSE_FULL, id, VSM_ERROR_TAMPERED));
    two = store_save(store, "two", false);
    /* The altered one may have been called so. */
    g_free(store_refused(store, VSM_PURPOSE_FULL, "two", VSM_ERROR_TAMPERED));
    assert_match(store, two);
}

/*
 * An old snapshot whose metadata was altered during an overwrite is not
 * dropped; restored, it must not be taken for the new one.
 */
static void test_snapshot_hidden_from_an_overwrite_does_not_come_back(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *old = store_save(store, "one", false);
    g_autofree char *new = NULL;

    store_shell(store, "for f in $S/vm/*/*/metadata; do cp $f $f.kept; "
                       "printf x >> $f; done");
    new = store_save(store, "one", true);
    store_shell(store, "for f in $S/vm/*/*/metadata.kept; do "
                       "mv $f ${f%.kept}; done");
    /* The catalogue knows whose tag it was: the old one went with it. */
    g_free(store_refused(store, VSM_PURPOSE_FULL, old, VSM_ERROR_NOT_FOUND));
    assert_match(store, "tag:one");
    assert_match(store, new);
}

/* Another snapshot's whole folder under this one's id. */
static void test_swapped_records_are_tampered(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *one = store_save(store, "one", false);
    g_autofree char *two = store_save(store, "two", false);
    g_autofree char *line = NULL;

    line = g_strdup_printf("cd $S/vm/*/ && mv %s x && mv %s %s && mv x %s", one,
                           two, one, two);
    store_shell(store, line);
    g_free(store_refused(store, VSM_PURPOSE_FULL, one, VSM_ERROR_TAMPERED));
    g_free(store_refused(store, VSM_PURPOSE_FULL, two, VSM_ERROR_TAMPERED));
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

static void test_secret_inside_the_store_is_refused(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *inside = g_build_filename(store->state, "secret", NULL);
    g_autofree char *deep = g_build_filename(store->state, "a/b", NULL);
    g_autofree char *link = g_build_filename(store->dir, "link/secret", NULL);

    store->options.secret_path = inside;
    assert_closed(store, VSM_ERROR_INVALID, "inside the state directory");
    store_shell(store, "mkdir $S/a; ln -s $S/a $S/../link");
    store->options.secret_path = deep;
    assert_closed(store, VSM_ERROR_INVALID, "inside the state directory");
    store->options.secret_path = link;
    assert_closed(store, VSM_ERROR_INVALID, "inside the state directory");
}

static void test_missing_secret_is_said_and_none_is_made(void)
{
    g_autoptr(Store) store = store_new();

    store_shell(store, "mv $S/../secret $S/../kept");
    assert_closed(store, VSM_ERROR_STORE, "restore it");
    g_assert_false(g_file_test(store->secret, G_FILE_TEST_EXISTS));
    store_shell(store, "mv $S/../kept $S/../secret");
    store_reopen(store);
}

static void test_secret_that_others_read_is_refused(void)
{
    g_autoptr(Store) store = store_new();

    g_chmod(store->secret, 0640);
    assert_closed(store, VSM_ERROR_STORE, "chmod 600");
    g_chmod(store->secret, 0600);
    store_shell(store, "truncate -s 31 $S/../secret");
    assert_closed(store, VSM_ERROR_STORE, "31 bytes");
}

static void test_another_secret_is_refused(void)
{
    g_autoptr(Store) store = store_new();

    store_shell(store, "head -c 32 /dev/urandom > $S/../secret");
    assert_closed(store, VSM_ERROR_TAMPERED, "another host secret");
}

static void test_every_flipped_byte_of_the_host_file_is_refused(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *path = g_build_filename(store->state, "host", NULL);
    g_autoptr(VsmSecret) secret = NULL;
    g_autofree char *data = NULL;
    gsize size;

    secret = vsm_host_secret_load(store->secret, VSM_HOST_IN_PROCESS,
                                  store->host->store, false, NULL);
    g_assert_nonnull(secret);
    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    for (gsize i = 0; i < size; i++) {
        g_autoptr(GBytes) bytes = NULL;
        g_auto(VsmHostFile) file = {NULL};
        g_autoptr(GError) error = NULL;

        data[i] ^= 1;
        bytes = g_bytes_new(data, size);
        g_assert_false(vsm_host_file_decode(bytes, secret, &file, &error));
        g_assert_true(g_error_matches(error, VSM_ERROR, VSM_ERROR_TAMPERED) ||
                      g_error_matches(error, VSM_ERROR, VSM_ERROR_FORMAT));
        data[i] ^= 1;
    }
    data[size / 2] ^= 1;
    g_assert_true(g_file_set_contents(path, data, size, NULL));
    assert_closed(store, VSM_ERROR_TAMPERED, "host file");
}

static void test_store_without_its_host_file_is_not_set_up_anew(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    store_shell(store, "rm $S/host");
    assert_closed(store, VSM_ERROR_TAMPERED, "no host file");
}

static void test_state_directory_that_cannot_be_made_is_said(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *bad = g_build_filename(store->secret, "state", NULL);

    store->options.state_dir = bad;
    assert_closed(store, VSM_ERROR_STORE, bad);
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
    assert_match(store, "one");
}

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
    assert_match(store, "one");
    store_reopen(store);
    assert_match(store, "one");
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
    assert_match(store, asked);
    g_free(store_save(store, "one", true));
    assert_match(store, "one");
}

/* Only the answer is lost: the index is read, and the save succeeds. */
static void test_lost_answer_alone_is_no_doubt(void)
{
    g_autoptr(Store) store = store_new();

    store->tap->lose_code = CC_NV_EXTEND;
    g_free(store_save(store, "one", false));
    assert_match(store, "one");
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
    assert_match(store, asked);
    store_reopen(store);
    assert_match(store, asked);
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
    assert_match(store, asked);

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
    assert_match(store, "one");
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
    assert_match(store, asked);
    g_assert_null(
        fake_save_begin(store->vm, store->attester, "one", true, &beginning));
    g_assert_error(beginning, VSM_ERROR, VSM_ERROR_NO_SPACE);
    store_reopen(store);
    assert_match(store, asked);
    store_shell(store, free_up);
    g_free(store_save(store, "one", true));
    store_close(store);
    store_shell(store, umount);
}

int main(int argc, char **argv)
{
    static const char *const files[] = {"metadata", "signature", "manifest",
                                        "stream",   "map",       "leaves",
                                        "skeleton"};

    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/local-store/" path, func)
    ADD("overwriting-lists-the-new-and-drops-the-old",
        test_overwriting_lists_the_new_and_drops_the_old);
    ADD("flood-of-forged-debris-is-dropped-and-stops-no-overwrite",
        test_flood_of_forged_debris_is_dropped_and_stops_no_overwrite);
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
    ADD("older-copy-of-the-store-is-replayed",
        test_older_copy_of_the_store_is_replayed);
    ADD("old-catalogue-under-a-running-host-has-no-effect",
        test_old_catalogue_under_a_running_host_has_no_effect);
    ADD("damaged-catalogue-is-tampered", test_damaged_catalogue_is_tampered);
    ADD("catalogue-without-the-keys-word-is-tampered",
        test_catalogue_without_the_keys_word_is_tampered);
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_strdup_printf(
            "/local-store/altered-%s-is-tampered-and-named", files[i]);

        g_test_add_data_func(path, files[i],
                             test_each_altered_file_is_tampered_and_named);
    }
    ADD("damaged-metadata-is-listed-as-such",
        test_damaged_metadata_is_listed_as_such);
    ADD("snapshot-hidden-from-an-overwrite-does-not-come-back",
        test_snapshot_hidden_from_an_overwrite_does_not_come_back);
    ADD("swapped-records-are-tampered", test_swapped_records_are_tampered);
    ADD("second-host-on-the-store-is-busy",
        test_second_host_on_the_store_is_busy);
    ADD("secret-inside-the-store-is-refused",
        test_secret_inside_the_store_is_refused);
    ADD("missing-secret-is-said-and-none-is-made",
        test_missing_secret_is_said_and_none_is_made);
    ADD("secret-that-others-read-is-refused",
        test_secret_that_others_read_is_refused);
    ADD("another-secret-is-refused", test_another_secret_is_refused);
    ADD("every-flipped-byte-of-the-host-file-is-refused",
        test_every_flipped_byte_of_the_host_file_is_refused);
    ADD("store-without-its-host-file-is-not-set-up-anew",
        test_store_without_its_host_file_is_not_set_up_anew);
    ADD("state-directory-that-cannot-be-made-is-said",
        test_state_directory_that_cannot_be_made_is_said);
    ADD("other-vms-go-on-while-a-record-is-deleted",
        test_other_vms_go_on_while_a_record_is_deleted);
    ADD("two-stores-share-a-tpm", test_two_stores_share_a_tpm);
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
