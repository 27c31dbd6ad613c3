/*
 * Boot states and the operator: approve, keep, revoke.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "approval-fixture.h"

#include <string.h>

#include "base/codec.h"

static void test_update_is_named_and_approved_without_sealing_again(void)
{
    static const char *const curves[] = {"prime256v1", "secp384r1"};

    for (guint i = 0; i < G_N_ELEMENTS(curves); i++) {
        g_autoptr(Store) store = approved_store(curves[i]);

        store_assert_usable(store);
        tap_extend_pcr(store->tap, 4);
        store_assert_unusable(store, "PCR 4 (sha384): was ");
        store_approve(store, 0);
        store_assert_usable(store);
        store_reopen(store);
        store_assert_usable(store);
        g_assert_cmpuint(approved_states(store, NULL), ==, 1);
    }
}

static void test_nothing_is_sealed_before_the_first_approval(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GError) error = NULL;

    g_assert_false(
        fake_save(store->vm, store->attester, "one", false, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BOOT);
    g_assert_nonnull(strstr(error->message, "no approved state is known"));
}

static void test_approval_is_dead_when_the_next_one_comes(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");

    tap_extend_pcr(store->tap, 4);
    store_approve(store, 0);
    store_reboot(store, 0);
    store_assert_unusable(store, "PCR 4");
    store_reboot(store, 1);
    store_assert_usable(store);
}

static void test_kept_states_are_approved_beside_the_new_one(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");

    tap_extend_pcr(store->tap, 4);
    store_approve(store, 1);
    tap_extend_pcr(store->tap, 4);
    store_approve(store, 1);
    g_assert_cmpuint(approved_states(store, NULL), ==, 2);
    store_assert_usable(store);
    store_reboot(store, 1); /* the one before */
    store_assert_usable(store);
    store_reboot(store, 0); /* and the one before that: not kept */
    store_assert_unusable(store, "PCR 4");
}

static void test_eight_states_at_most(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < 8; i++) {
        store_approve(store, 7);
        tap_extend_pcr(store->tap, 4);
    }
    g_assert_cmpuint(approved_states(store, NULL), ==, 8);
    g_assert_false(
        vsm_host_approve_begin(store->host, NULL, 8, &request, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    store_reboot(store, 0);
    g_free(store_save(store, "one", false));
    store_assert_usable(store);
}

static void revoke_state(Store *store, guint number)
{
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GError) error = NULL;

    vsm_host_revoke_begin(store->host, number, &request, &error);
    g_assert_no_error(error);
    signature = store_sign(store, request, "operator");
    vsm_host_approve_finish(store->host, signature, &error);
    g_assert_no_error(error);
}

static void test_revoked_state_is_refused(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GError) error = NULL;

    tap_extend_pcr(store->tap, 4);
    store_approve(store, 1);
    g_assert_false(vsm_host_revoke_begin(store->host, 3, &request, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND);
    revoke_state(store, 1); /* the current one */
    store_assert_unusable(store, "PCR 4");
    store_reboot(store, 0);
    store_assert_usable(store);
    revoke_state(store, G_MAXUINT32);
    g_assert_cmpuint(approved_states(store, NULL), ==, 0);
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT));
    store_approve(store, 0);
    store_assert_usable(store);
}

static void test_frozen_host_says_why_it_refuses(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(
        vsm_host_approve_begin(store->host, NULL, 0, &request, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED);
    g_assert_nonnull(strstr(error->message, "frozen"));
    g_assert_cmpuint(approved_states(store, NULL), ==, 0);
}

static void test_one_request_waits_at_a_time(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = approval_begin(store, 0);
    g_autoptr(GBytes) second = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(
        vsm_host_approve_begin(store->host, NULL, 0, &second, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    vsm_host_operator_abort(store->host);
    second = approval_begin(store, 0);
    g_assert_false(g_bytes_equal(request, second));
}

/* VMs are served while an operator thinks: the TPM has three sessions. */
static void test_snapshots_are_served_while_a_request_waits(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");
    g_autoptr(GBytes) request = approval_begin(store, 0);
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GError) error = NULL;

    store_assert_usable(store);
    g_free(store_save(store, "two", false));
    signature = store_sign(store, request, "operator");
    vsm_host_approve_finish(store->host, signature, &error);
    g_assert_no_error(error);
}

static void test_request_is_lost_with_the_connection(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = approval_begin(store, 0);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");

    swtpm_kill(store->swtpm);
    swtpm_start(store->swtpm);
    approved_states(store, NULL); /* connects anew */
    approval_refused(store, signature, VSM_ERROR_STALE);
}

/* As an operator without vsmctl does it. */
static void test_openssl_alone_can_sign(void)
{
    g_autoptr(Store) store = store_new_operator("secp384r1");
    g_autoptr(GBytes) request = approval_begin(store, 0);
    g_autoptr(GBytes) message = NULL;
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(store->dir, "message", NULL);
    g_autofree char *signed_path = g_build_filename(store->dir, "sig", NULL);
    char *data;
    gsize bytes;

    g_assert_true(vsm_operator_to_sign(request, &message, &error));
    g_assert_true(g_file_set_contents(path, g_bytes_get_data(message, NULL),
                                      g_bytes_get_size(message), NULL));
    store_shell(store, "cd ${S%/state}; openssl dgst -sha384 -sign "
                       "operator.key -out sig message");
    g_assert_true(g_file_get_contents(signed_path, &data, &bytes, NULL));
    signature = g_bytes_new_take(data, bytes);
    vsm_host_approve_finish(store->host, signature, &error);
    g_assert_no_error(error);
}

static void test_description_says_all_that_is_signed_for(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = approval_begin(store, 0);
    g_autofree char *text = NULL;
    g_autofree char *pcr = vsm_codec_hex(
        g_array_index(store->host->pending.request->states, VsmTpmPcrs, 0)
            .value[4],
        48);

    g_assert_true(vsm_operator_describe(request, &text, NULL));
    g_assert_nonnull(strstr(text, "operation\tapprove\n"));
    g_assert_nonnull(strstr(text, store->host->id));
    g_assert_nonnull(strstr(text, pcr));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/host-policy/" path, test_##name)
    ADD("update-is-named-and-approved-without-sealing-again",
        update_is_named_and_approved_without_sealing_again);
    ADD("nothing-is-sealed-before-the-first-approval",
        nothing_is_sealed_before_the_first_approval);
    ADD("approval-is-dead-when-the-next-one-comes",
        approval_is_dead_when_the_next_one_comes);
    ADD("kept-states-are-approved-beside-the-new-one",
        kept_states_are_approved_beside_the_new_one);
    ADD("eight-states-at-most", eight_states_at_most);
    ADD("revoked-state-is-refused", revoked_state_is_refused);
    ADD("frozen-host-says-why-it-refuses", frozen_host_says_why_it_refuses);
    ADD("one-request-waits-at-a-time", one_request_waits_at_a_time);
    ADD("snapshots-are-served-while-a-request-waits",
        snapshots_are_served_while_a_request_waits);
    ADD("request-is-lost-with-the-connection",
        request_is_lost_with_the_connection);
    ADD("openssl-alone-can-sign", openssl_alone_can_sign);
    ADD("description-says-all-that-is-signed-for",
        description_says_all_that_is_signed_for);
    return g_test_run();
}
