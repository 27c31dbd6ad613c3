/*
 * The store under the attester: every file of it, and the host secret, altered,
 * missing or old.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"

#include <glib/gstdio.h>
#include <string.h>

#include "host/hostfile.h"
#include "host/secret.h"

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
    store_assert_closed(store, VSM_ERROR_REPLAYED, "older copy");
    store_shell(store, "rm -r $S && mv $S.new $S");
    store_reopen(store);
    store_assert_match(store, "two");
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
    store_assert_match(store, "two");
}

static void test_damaged_catalogue_is_tampered(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    store_shell(store, "cp $S/catalogue $S.good; : > $S/catalogue");
    store_assert_closed(store, VSM_ERROR_TAMPERED, "catalogue");
    store_shell(store, "rm $S/catalogue");
    store_assert_closed(store, VSM_ERROR_TAMPERED, "catalogue");
    store_shell(store, "cp $S.good $S/catalogue");
    store_reopen(store);
    store_assert_match(store, "one");
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
    store_assert_closed(store, VSM_ERROR_TAMPERED, "attestation key");
    store_assert_closed(store, VSM_ERROR_TAMPERED,
                        "restore the store's latest copy");
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
        store_assert_match(store, other);
        g_assert_cmpuint(store_count(store, true), ==, 2);
        on_file(store, file, "cp $S.good $F");
    }
    store_assert_match(store, "one");
    on_file(store, file, attacks[0]);
    g_assert_true(vsm_attester_remove(store->attester, id, NULL, &error));
    g_assert_no_error(error);
    g_assert_true(vsm_attester_forget(store->attester, id, NULL, &error));
}

static VsmMetadata *read_metadata(const char *path)
{
    g_autofree char *data = NULL;
    g_autoptr(GBytes) bytes = NULL;
    VsmMetadata *metadata;
    gsize size;

    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    bytes = g_bytes_new(data, size);
    metadata = vsm_metadata_decode(bytes, NULL);
    g_assert_nonnull(metadata);
    return metadata;
}

/* One bit in the middle of @part, which the file at @path holds. */
static void flip_part(const char *path, GBytes *part)
{
    g_autofree char *data = NULL;
    gsize size, bytes;
    const void *wanted = g_bytes_get_data(part, &bytes);
    char *found;

    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    found = memmem(data, size, wanted, bytes);
    g_assert_nonnull(found);
    found[bytes / 2] ^= 1;
    g_assert_true(g_file_set_contents(path, data, size, NULL));
}

/* The TPM's objects lie in the metadata: sealed digest and storage key. */
static void test_each_altered_tpm_object_is_tampered(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autofree char *file =
        g_build_filename(store->state, "vm", FAKE_UUID, id, "metadata", NULL);
    g_autoptr(VsmMetadata) good = read_metadata(file);
    GBytes *parts[] = {
        good->sealed.name, good->sealed.public_area, good->sealed.private_area,
        good->ssk.name,    good->ssk.public_area,    good->ssk.private_area,
    };

    on_file(store, file, "cp $F $S.good");
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *why = NULL;

        flip_part(file, parts[i]);
        store_reopen(store);
        g_free(
            store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_TAMPERED));
        why = store_refused(store, VSM_PURPOSE_LOAD, id, VSM_ERROR_TAMPERED);
        g_assert_nonnull(strstr(why, file));
        g_assert_nonnull(strstr(why, "can only be removed"));
        on_file(store, file, "cp $S.good $F");
    }
    store_reopen(store);
    store_assert_match(store, "one");
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
    store_assert_match(store, two);
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
    store_assert_match(store, "tag:one");
    store_assert_match(store, new);
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

static void test_secret_inside_the_store_is_refused(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *inside = g_build_filename(store->state, "secret", NULL);
    g_autofree char *deep = g_build_filename(store->state, "a/b", NULL);
    g_autofree char *link = g_build_filename(store->dir, "link/secret", NULL);

    store->options.secret_path = inside;
    store_assert_closed(store, VSM_ERROR_INVALID, "inside the state directory");
    store_shell(store, "mkdir $S/a; ln -s $S/a $S/../link");
    store->options.secret_path = deep;
    store_assert_closed(store, VSM_ERROR_INVALID, "inside the state directory");
    store->options.secret_path = link;
    store_assert_closed(store, VSM_ERROR_INVALID, "inside the state directory");
}

static void test_missing_secret_is_said_and_none_is_made(void)
{
    g_autoptr(Store) store = store_new();

    store_shell(store, "mv $S/../secret $S/../kept");
    store_assert_closed(store, VSM_ERROR_STORE, "restore it");
    g_assert_false(g_file_test(store->secret, G_FILE_TEST_EXISTS));
    store_shell(store, "mv $S/../kept $S/../secret");
    store_reopen(store);
}

static void test_secret_that_others_read_is_refused(void)
{
    g_autoptr(Store) store = store_new();

    g_chmod(store->secret, 0640);
    store_assert_closed(store, VSM_ERROR_STORE, "chmod 600");
    g_chmod(store->secret, 0600);
    store_shell(store, "truncate -s 31 $S/../secret");
    store_assert_closed(store, VSM_ERROR_STORE, "31 bytes");
}

static void test_another_secret_is_refused(void)
{
    g_autoptr(Store) store = store_new();

    store_shell(store, "head -c 32 /dev/urandom > $S/../secret");
    store_assert_closed(store, VSM_ERROR_TAMPERED, "another host secret");
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
    store_assert_closed(store, VSM_ERROR_TAMPERED, "host file");
}

static void test_store_without_its_host_file_is_not_set_up_anew(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    store_shell(store, "rm $S/host");
    store_assert_closed(store, VSM_ERROR_TAMPERED, "no host file");
}

static void test_state_directory_that_cannot_be_made_is_said(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *bad = g_build_filename(store->secret, "state", NULL);

    store->options.state_dir = bad;
    store_assert_closed(store, VSM_ERROR_STORE, bad);
    store_assert_closed(store, VSM_ERROR_STORE, "writable directory must be");
}

int main(int argc, char **argv)
{
    static const char *const files[] = {"metadata", "signature", "manifest",
                                        "stream",   "map",       "leaves",
                                        "skeleton"};

    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/local-store/" path, func)
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
    ADD("each-altered-tpm-object-is-tampered",
        test_each_altered_tpm_object_is_tampered);
    ADD("damaged-metadata-is-listed-as-such",
        test_damaged_metadata_is_listed_as_such);
    ADD("snapshot-hidden-from-an-overwrite-does-not-come-back",
        test_snapshot_hidden_from_an_overwrite_does_not_come_back);
    ADD("swapped-records-are-tampered", test_swapped_records_are_tampered);
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
    return g_test_run();
}
