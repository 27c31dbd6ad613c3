/*
 * Approvals whose outcome is not known, and lists of states that are not those
 * of the TPM: settled as the TPM says, at a kill too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "approval-fixture.h"
#include "kill-steps.h"

#include <glib/gstdio.h>
#include <string.h>

static void test_lost_answer_of_an_approval_is_settled(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = approval_begin(store, 0);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");
    g_autoptr(GError) error = NULL;

    store->tap->lose_code = TPM2_CC_NV_Write;
    vsm_host_approve_finish(store->host, signature, &error);
    g_assert_no_error(error);
    g_free(store_save(store, "one", false));
    store_assert_usable(store);
}

static guint32
no_reading(G_GNUC_UNUSED Tap *tap, guint32 code, G_GNUC_UNUSED gpointer opaque)
{
    return code == TPM2_CC_NV_Read ? TPM2_RC_FAILURE : 0;
}

static guint32
no_writing(G_GNUC_UNUSED Tap *tap, guint32 code, G_GNUC_UNUSED gpointer opaque)
{
    return code == TPM2_CC_NV_Write ? TPM2_RC_FAILURE : 0;
}

/* Written to the TPM, and nobody could see it: a list that nobody has. */
static void leave_in_doubt(Store *store)
{
    g_autoptr(GBytes) request = approval_begin(store, 1);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");

    store->tap->lose_code = TPM2_CC_NV_Write;
    store->tap->hook = no_reading;
    approval_refused(store, signature, VSM_ERROR_IN_DOUBT);
}

static void test_approval_in_doubt_is_settled_before_the_next(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");
    g_autoptr(GBytes) second = NULL;
    g_autoptr(GBytes) bad = NULL;
    g_autoptr(GBytes) none = NULL;
    g_autoptr(GError) error = NULL;
    GVariant *states;

    tap_extend_pcr(store->tap, 4);
    leave_in_doubt(store);
    /* as long as it cannot be read, nothing is begun over it */
    states = g_variant_ref_sink(g_variant_new("a(suay)", NULL));
    g_assert_false(
        vsm_host_approve_begin(store->host, states, 1, &none, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_IN_DOUBT);
    g_variant_unref(states);
    store->tap->hook = NULL;
    /* the next one fails for good, which drops approved.next */
    second = approval_begin(store, 1);
    store->tap->hook = no_writing;
    bad = store_sign(store, second, "operator");
    g_clear_error(&error);
    g_assert_false(vsm_host_approve_finish(store->host, bad, &error));
    store->tap->hook = NULL;
    g_assert_cmpuint(approved_states(store, NULL), ==, 2);
    store_assert_usable(store);
    store_reopen(store);
    g_assert_cmpuint(approved_states(store, NULL), ==, 2);
    store_assert_usable(store);
}

static void test_approval_in_doubt_is_settled_by_the_next_user(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");

    tap_extend_pcr(store->tap, 4);
    leave_in_doubt(store);
    store->tap->hook = NULL;
    store_assert_match(store, "one");
    store_shell(store, "test ! -e $S/approved.next");
}

/* What is shown is what would be decided: the doubt is settled first. */
static void test_status_after_an_approval_in_doubt_says_what_is_true(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");
    g_autoptr(VsmHostStatus) host = NULL;
    g_autoptr(VsmStatus) status = NULL;
    g_autoptr(GError) error = NULL;
    VsmVm vm = {.uuid = FAKE_UUID};

    tap_extend_pcr(store->tap, 4);
    leave_in_doubt(store);
    store->tap->hook = NULL;
    g_assert_true(vsm_host_status(store->host, &host, &error));
    g_assert_true(host->boot_approved);
    tap_extend_pcr(store->tap, 4);
    leave_in_doubt(store);
    store->tap->hook = NULL;
    g_assert_true(
        vsm_attester_status(store->attester, &vm, &status, NULL, &error));
    g_assert_true(status->boot_approved);
}

/* A folder in its place makes the rename fail. */
static void block_rename(const char *what, const char *path)
{
    g_autofree char *aside = g_strconcat(path, ".aside", NULL);

    if (strcmp(what, "rename") == 0 && g_str_has_suffix(path, "/approved")) {
        g_assert_cmpint(rename(path, aside), ==, 0);
        g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    }
}

/* Written to the TPM, and the one file that proves it cannot be read. */
static void test_list_that_cannot_be_read_is_kept(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");
    g_autofree char *text = NULL;

    tap_extend_pcr(store->tap, 4);
    vsm_files_step = block_rename;
    store_approve(store, 0);
    vsm_files_step = NULL;
    store_shell(store, "cd $S; rmdir approved; mv approved.aside approved; "
                       "mv approved.next kept; ln -s kept approved.next");
    text = store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_IN_DOUBT);
    g_assert_nonnull(strstr(text, "approved.next"));
    store_shell(store, "cd $S; test -L approved.next; mv kept approved.next");
    store_assert_usable(store);
    store_shell(store, "test ! -e $S/approved.next");
    store_reopen(store);
    store_assert_usable(store);
}

/* What they are is the operator's to find out. */
static void test_file_that_is_not_borne_out_is_not_dropped(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");

    store_close(store);
    store_shell(store, "echo x > $S/approved; echo y > $S/approved.next");
    store_reopen(store);
    g_assert_cmpuint(approved_states(store, NULL), ==, 0);
    store_shell(store, "test -e $S/approved.next");
    store_approve(store, 0);
    store_assert_usable(store);
    store_shell(store, "test ! -e $S/approved.next");
}

static void test_list_that_the_index_does_not_bear_out_approves_nothing(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");

    tap_extend_pcr(store->tap, 4);
    store_shell(store, "cp $S/approved $S/old");
    store_approve(store, 1);
    store_assert_usable(store);
    store_close(store);
    store_shell(store, "mv $S/old $S/approved");
    store_reopen(store);
    g_assert_cmpuint(approved_states(store, NULL), ==, 0);
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT));
}

/* --- kill -9 at every step -------------------------------------------- */

static bool approve(Store *store, G_GNUC_UNUSED gconstpointer data)
{
    if (!store_open(store, NULL)) {
        return false;
    }
    kill_steps_count();
    store_approve(store, 0);
    return true;
}

static void test_killed_approval_leaves_the_old_or_the_new(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");
    bool killed = true;
    guint n = 0;

    for (; killed; n++) {
        bool written;

        g_assert_cmpuint(n, <, 100);
        tap_extend_pcr(store->tap, 4);
        killed = kill_steps_at(store, approve, NULL, n, "approve", &written);
        store_reopen(store);
        if (written) {
            store_assert_usable(store);
        } else {
            store_assert_unusable(store, "PCR 4");
            store_approve(store, 0);
        }
        g_assert_cmpuint(approved_states(store, NULL), ==, 1);
        store_shell(store, "test ! -e $S/approved.next");
    }
    g_test_message("%u steps", n);
    g_assert_cmpuint(n, >, 5);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/host-policy/" path, test_##name)
    ADD("lost-answer-of-an-approval-is-settled",
        lost_answer_of_an_approval_is_settled);
    ADD("approval-in-doubt-is-settled-before-the-next",
        approval_in_doubt_is_settled_before_the_next);
    ADD("approval-in-doubt-is-settled-by-the-next-user",
        approval_in_doubt_is_settled_by_the_next_user);
    ADD("status-after-an-approval-in-doubt-says-what-is-true",
        status_after_an_approval_in_doubt_says_what_is_true);
    ADD("list-that-cannot-be-read-is-kept", list_that_cannot_be_read_is_kept);
    ADD("file-that-is-not-borne-out-is-not-dropped",
        file_that_is_not_borne_out_is_not_dropped);
    ADD("list-that-the-index-does-not-bear-out-approves-nothing",
        list_that_the_index_does_not_bear_out_approves_nothing);
    ADD("killed-approval-leaves-the-old-or-the-new",
        killed_approval_leaves_the_old_or_the_new);
    return g_test_run();
}
