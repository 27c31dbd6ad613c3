/*
 * Adopt: an older store, a lost index, by the operator alone.  Destroy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"

#include <string.h>
#include "host/pending.h"

/* Closes, and opens to adopt; the attester stays NULL. */
static bool open_to_adopt(Store *store, GError **error)
{
    VsmTpmTransport transport = tap_transport(store->tap);
    VsmTpm *tpm;

    store_close(store);
    tpm = vsm_tpm_open_over(store->swtpm->tcti, &transport, 10000, error);
    store->host =
        tpm ? vsm_host_adopt_with_tpm(&store->options, tpm, error) : NULL;
    return store->host != NULL;
}

static GBytes *begin(Store *store, guint n)
{
    g_autoptr(GVariant) entries = NULL;
    g_autoptr(GError) error = NULL;
    GBytes *request = NULL;

    vsm_host_adopt_begin(store->host, &entries, &request, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_variant_n_children(entries), ==, n);
    return request;
}

static void adopt(Store *store, guint n)
{
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(open_to_adopt(store, &error));
    request = begin(store, n);
    signature = store_sign(store, request, "operator");
    vsm_host_adopt_finish(store->host, signature, &error);
    g_assert_no_error(error);
}

static void assert_closed(Store *store, int code, const char *word)
{
    g_autoptr(GError) error = NULL;

    store_close(store);
    g_assert_false(store_open(store, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_assert_nonnull(strstr(error->message, word));
    store_close(store);
}

/* "one" in the copy that was kept, "two" since; the later store is lost. */
static Store *older_store(void)
{
    Store *store = store_new_operator("prime256v1");

    store_approve(store, 0);
    g_free(store_save(store, "one", false));
    store_close(store);
    store_shell(store, "cp -a $S $S.kept");
    store_reopen(store);
    g_free(store_save(store, "two", false));
    store_close(store);
    store_shell(store, "mv $S $S.later; mv $S.kept $S");
    return store;
}

static void test_older_store_is_adopted_and_the_later_one_is_dead(void)
{
    g_autoptr(Store) store = older_store();

    assert_closed(store, VSM_ERROR_REPLAYED, "vsmctl adopt");
    adopt(store, 1);
    store_reopen(store);
    store_assert_match(store, "one");
    g_free(store_refused(store, VSM_PURPOSE_FULL, "two", VSM_ERROR_NOT_FOUND));
    g_free(store_save(store, "three", false));
    store_reopen(store);
    store_assert_match(store, "three");
    store_close(store);
    store_shell(store, "mv $S $S.adopted; mv $S.later $S");
    assert_closed(store, VSM_ERROR_REPLAYED, "older copy");
}

static void test_lost_indices_are_defined_again(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autofree char *line = NULL;
    const VsmTpmKeys *keys;

    store_approve(store, 0);
    g_free(store_save(store, "one", false));
    keys = vsm_tpm_keys(store->host->tpm);
    line = g_strdup_printf("tpm2_nvundefine 0x%x; tpm2_nvundefine 0x%x",
                           keys->commit_index, keys->boot_index);
    store_close(store);
    g_free(swtpm_tool(store->swtpm, line));
    assert_closed(store, VSM_ERROR_NOT_FOUND, "index");
    adopt(store, 1);
    store_reopen(store);
    /* Its approvals went with the index; the snapshot did not. */
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT));
    store_approve(store, 0);
    store_assert_match(store, "one");
}

static void test_another_key_adopts_nothing(void)
{
    g_autoptr(Store) store = older_store();
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GError) error = NULL;

    store_make_operator(store, "prime256v1", "other");
    g_assert_true(open_to_adopt(store, NULL));
    request = begin(store, 1);
    signature = store_sign(store, request, "other");
    g_assert_false(vsm_host_adopt_finish(store->host, signature, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE);
    assert_closed(store, VSM_ERROR_REPLAYED, "older copy");
}

static void test_current_store_is_nothing_to_adopt(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GVariant) entries = NULL;
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(
        vsm_host_adopt_begin(store->host, &entries, &request, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_true(open_to_adopt(store, NULL));
    g_assert_false(
        vsm_host_adopt_begin(store->host, &entries, &request, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
}

static void test_changed_catalogue_is_not_adopted(void)
{
    g_autoptr(Store) store = older_store();
    g_autoptr(GVariant) entries = NULL;
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GError) error = NULL;

    /* The tag in the body: decodes, and is not what the AK signed. */
    store_shell(store, "sed -i 's/one/0ne/' $S/catalogue");
    g_assert_true(open_to_adopt(store, NULL));
    g_assert_false(
        vsm_host_adopt_begin(store->host, &entries, &request, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
}

static void test_frozen_store_cannot_be_adopted(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GVariant) entries = NULL;
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(open_to_adopt(store, NULL));
    g_assert_false(
        vsm_host_adopt_begin(store->host, &entries, &request, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED);
    g_assert_nonnull(strstr(error->message, "frozen"));
}

static void test_destroyed_store_leaves_nothing_behind(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autofree char *after = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *id = g_strdup(store->host->id);

    store_approve(store, 0);
    g_free(store_save(store, "one", false));
    g_assert_false(vsm_host_destroy(store->host, host_id, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    store_assert_match(store, "one");
    g_clear_error(&error);
    vsm_host_destroy(store->host, id, &error);
    g_assert_no_error(error);
    store_close(store);
    after = swtpm_tool(store->swtpm, "tpm2_getcap handles-nv-index; "
                                     "tpm2_getcap handles-persistent");
    g_assert_null(strstr(after, "0x183"));
    g_assert_null(strstr(after, "0x81018"));
    store_shell(store, "test -z \"$(find $S -type f ! -name lock)\"");
    store_reopen(store); /* a new one */
    store_approve(store, 0);
    g_free(store_save(store, "one", false));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/host-adopt/" path, test_##name)
    ADD("older-store-is-adopted-and-the-later-one-is-dead",
        older_store_is_adopted_and_the_later_one_is_dead);
    ADD("lost-indices-are-defined-again", lost_indices_are_defined_again);
    ADD("another-key-adopts-nothing", another_key_adopts_nothing);
    ADD("current-store-is-nothing-to-adopt", current_store_is_nothing_to_adopt);
    ADD("changed-catalogue-is-not-adopted", changed_catalogue_is_not_adopted);
    ADD("frozen-store-cannot-be-adopted", frozen_store_cannot_be_adopted);
    ADD("destroyed-store-leaves-nothing-behind",
        destroyed_store_leaves_nothing_behind);
    return g_test_run();
}
