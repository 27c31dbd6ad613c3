/*
 * Boot states and the operator: approve, keep, revoke, and what is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/codec.h"
#include "host/pending.h"
#include "tpm/approve.h"

static GBytes *begin(Store *store, guint keep)
{
    g_autoptr(GError) error = NULL;
    GBytes *request = NULL;

    vsm_host_approve_begin(store->host, NULL, keep, &request, &error);
    g_assert_no_error(error);
    return request;
}

static void assert_finish_refused(Store *store, GBytes *signature, int code)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(vsm_host_approve_finish(store->host, signature, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_test_message("%s", error->message);
}

static guint approved_states(Store *store, bool *ret_current)
{
    g_autoptr(GVariant) state = NULL;
    g_autoptr(GVariant) list = NULL;
    g_autoptr(GError) error = NULL;
    gboolean current;

    vsm_host_boot_state(store->host, &state, &error);
    g_assert_no_error(error);
    g_variant_get_child(state, 1, "b", &current);
    list = g_variant_get_child_value(state, 2);
    if (ret_current) {
        *ret_current = current;
    }
    return g_variant_n_children(list);
}

static void assert_usable(Store *store)
{
    bool current;

    approved_states(store, &current);
    g_assert_true(current);
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
                     VSM_RESULT_MATCH);
}

/* Refused by software, which says what, and by the TPM itself. */
static void assert_unusable(Store *store, const char *word)
{
    g_autofree char *text =
        store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT);

    g_assert_nonnull(strstr(text, word));
    g_assert_nonnull(strstr(text, "vsmctl policy approve --current"));
    vsm_local_trust_tpm_alone = true;
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT));
    vsm_local_trust_tpm_alone = false;
}

static Store *approved_store(const char *curve)
{
    Store *store = store_new_operator(curve);

    store_approve(store, 0);
    g_free(store_save(store, "one", false));
    return store;
}

static void test_update_is_named_and_approved_without_sealing_again(void)
{
    static const char *const curves[] = {"prime256v1", "secp384r1"};

    for (guint i = 0; i < G_N_ELEMENTS(curves); i++) {
        g_autoptr(Store) store = approved_store(curves[i]);

        assert_usable(store);
        tap_extend_pcr(store->tap, 4);
        assert_unusable(store, "PCR 4 (sha384): was ");
        store_approve(store, 0);
        assert_usable(store);
        store_reopen(store);
        assert_usable(store);
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

/* The host before its update: a software TPM's PCRs come back by a restart. */
static void reboot(Store *store, guint extends_of_pcr_4)
{
    store_close(store);
    swtpm_kill(store->swtpm);
    swtpm_start(store->swtpm);
    store_reopen(store);
    for (guint8 pcr = 0; pcr < 8; pcr++) {
        tap_extend_pcr(store->tap, pcr);
    }
    for (guint i = 0; i < extends_of_pcr_4; i++) {
        tap_extend_pcr(store->tap, 4);
    }
}

static void test_approval_is_dead_when_the_next_one_comes(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");

    tap_extend_pcr(store->tap, 4);
    store_approve(store, 0);
    reboot(store, 0);
    assert_unusable(store, "PCR 4");
    reboot(store, 1);
    assert_usable(store);
}

static void test_kept_states_are_approved_beside_the_new_one(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");

    tap_extend_pcr(store->tap, 4);
    store_approve(store, 1);
    tap_extend_pcr(store->tap, 4);
    store_approve(store, 1);
    g_assert_cmpuint(approved_states(store, NULL), ==, 2);
    assert_usable(store);
    reboot(store, 1); /* the one before */
    assert_usable(store);
    reboot(store, 0); /* and the one before that: not kept */
    assert_unusable(store, "PCR 4");
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
    reboot(store, 0);
    g_free(store_save(store, "one", false));
    assert_usable(store);
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
    assert_unusable(store, "PCR 4");
    reboot(store, 0);
    assert_usable(store);
    revoke_state(store, G_MAXUINT32);
    g_assert_cmpuint(approved_states(store, NULL), ==, 0);
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT));
    store_approve(store, 0);
    assert_usable(store);
}

static void test_signature_serves_once(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = begin(store, 0);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");
    g_autoptr(GBytes) again = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_host_approve_finish(store->host, signature, &error));
    assert_finish_refused(store, signature, VSM_ERROR_STALE);
    /* The same wish gets another nonce of the TPM. */
    again = begin(store, 0);
    assert_finish_refused(store, signature, VSM_ERROR_SIGNATURE);
}

/* Whoever skips the host's own check meets the TPM's. */
static void test_tpm_refuses_a_replayed_approval(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = begin(store, 0);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");
    g_autoptr(VsmOperatorRequest) decoded =
        vsm_operator_request_decode(request, NULL);
    g_autoptr(GBytes) contents = vsm_operator_contents(decoded);
    g_autoptr(GBytes) raw =
        vsm_ecdsa_der_to_raw(VSM_CURVE_P256, g_bytes_get_data(signature, NULL),
                             g_bytes_get_size(signature), NULL);
    VsmTpm *tpm = store->host->tpm;

    for (guint i = 0; i < 2; i++) {
        g_autoptr(GBytes) nonce = NULL;
        g_autoptr(GBytes) name = NULL;
        g_autoptr(GError) error = NULL;
        bool ok = vsm_tpm_approve_finish(tpm, contents, raw, &error);

        if (i == 0) {
            g_assert_no_error(error);
        } else {
            g_assert_false(ok);
            g_assert_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE);
            g_assert_nonnull(strstr(error->message, "TPM refuses"));
        }
        g_assert_true(vsm_tpm_approve_begin(tpm, &nonce, &name, NULL));
    }
}

/* Signed for one state, used to write another. */
static void test_tpm_refuses_another_value_than_was_signed(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = begin(store, 0);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");
    g_autoptr(GBytes) raw =
        vsm_ecdsa_der_to_raw(VSM_CURVE_P256, g_bytes_get_data(signature, NULL),
                             g_bytes_get_size(signature), NULL);
    static const VsmTpmPolicy zero; /* what a fresh session has */
    g_autoptr(GBytes) contents = vsm_tpm_policy_to_index(&zero);
    g_autoptr(GError) error = NULL;

    g_assert_false(
        vsm_tpm_approve_finish(store->host->tpm, contents, raw, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE);
}

static void test_no_list_of_states_gives_a_policy_of_zero(void)
{
    static const VsmTpmPolicy zero;
    VsmTpmPcrs states[VSM_TPM_STATES_MAX] = {{0}};

    for (guint n = 0; n <= VSM_TPM_STATES_MAX; n++) {
        VsmTpmPolicy policy;

        for (guint i = 0; i < n; i++) {
            states[i].bank = VSM_TPM_BANK_SHA384;
            states[i].mask = 0xff;
            states[i].value[0][0] = i;
        }
        vsm_tpm_policy_states(states, n, &policy);
        g_assert_true(memcmp(&policy, &zero, sizeof(zero)) != 0);
    }
}

static void test_another_key_is_refused(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = begin(store, 0);
    g_autoptr(GBytes) wrong = NULL;
    g_autoptr(GBytes) other_curve = NULL;
    g_autoptr(GBytes) right = store_sign(store, request, "operator");
    g_autoptr(GError) error = NULL;

    store_make_operator(store, "prime256v1", "other");
    store_make_operator(store, "secp384r1", "big");
    wrong = store_sign(store, request, "other");
    other_curve = store_sign(store, request, "big");
    assert_finish_refused(store, wrong, VSM_ERROR_SIGNATURE);
    assert_finish_refused(store, other_curve, VSM_ERROR_SIGNATURE);
    /* A slip costs nothing: the request goes on waiting. */
    vsm_host_approve_finish(store->host, right, &error);
    g_assert_no_error(error);
}

static void test_approval_of_another_host_is_refused(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(Store) other = store_new_operator("prime256v1");
    g_autofree char *line = g_strdup_printf(
        "cp %s/operator.key %s/operator.key", store->dir, other->dir);
    g_autoptr(GBytes) request = begin(other, 0);
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GBytes) own = begin(store, 0);

    store_shell(store, line);
    signature = store_sign(other, request, "operator");
    assert_finish_refused(store, signature, VSM_ERROR_SIGNATURE);
}

/* The operator's signature on @lie, which then names another host; @ret_raw: as
 * the TPM takes it. */
static GBytes *
sign_for_another_host(Store *store, VsmOperatorRequest *lie, GBytes **ret_raw)
{
    g_autoptr(GBytes) bytes = NULL;
    GBytes *signature;

    g_free(lie->host);
    lie->host = g_strdup("00112233445566778899aabbccddeeff");
    bytes = vsm_operator_request_encode(lie, NULL);
    signature = store_sign(store, bytes, "operator");
    *ret_raw =
        vsm_ecdsa_der_to_raw(VSM_CURVE_P256, g_bytes_get_data(signature, NULL),
                             g_bytes_get_size(signature), NULL);
    return signature;
}

/*
 * A host that was taken over has its own TPM's nonce signed as if it were that
 * of another host, which the operator sees named.
 */
static void test_approval_that_names_another_host_is_refused_by_the_tpm(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = begin(store, 0);
    g_autoptr(VsmOperatorRequest) lie =
        vsm_operator_request_decode(request, NULL);
    g_autoptr(GBytes) contents = vsm_operator_contents(lie);
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GBytes) raw = NULL;
    g_autoptr(GError) error = NULL;
    bool current;

    signature = sign_for_another_host(store, lie, &raw);
    assert_finish_refused(store, signature, VSM_ERROR_SIGNATURE);
    g_assert_false(
        vsm_tpm_approve_finish(store->host->tpm, contents, raw, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE);
    g_assert_nonnull(strstr(error->message, "TPM refuses"));
    approved_states(store, &current);
    g_assert_false(current);
}

/* The PolicyRef of another host is not what the index's policy wants. */
static void test_index_takes_the_approvals_of_its_host_alone(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = begin(store, 0);
    g_autoptr(VsmOperatorRequest) lie =
        vsm_operator_request_decode(request, NULL);
    g_autoptr(GBytes) contents = vsm_operator_contents(lie);
    VsmTpm *tpm = store->host->tpm;
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GBytes) raw = NULL;
    g_autoptr(GError) error = NULL;
    bool current;

    signature = sign_for_another_host(store, lie, &raw);
    g_bytes_unref(tpm->approval_ref); /* a host that lies to its TPM, too */
    tpm->approval_ref = vsm_tpm_approval_ref(lie->host);
    g_assert_false(vsm_tpm_approve_finish(tpm, contents, raw, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TPM);
    g_bytes_unref(tpm->approval_ref);
    tpm->approval_ref = vsm_tpm_approval_ref(store->host->id);
    approved_states(store, &current);
    g_assert_false(current);
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
    g_autoptr(GBytes) request = begin(store, 0);
    g_autoptr(GBytes) second = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(
        vsm_host_approve_begin(store->host, NULL, 0, &second, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    vsm_host_operator_abort(store->host);
    second = begin(store, 0);
    g_assert_false(g_bytes_equal(request, second));
}

/* VMs are served while an operator thinks: the TPM has three sessions. */
static void test_snapshots_are_served_while_a_request_waits(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");
    g_autoptr(GBytes) request = begin(store, 0);
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GError) error = NULL;

    assert_usable(store);
    g_free(store_save(store, "two", false));
    signature = store_sign(store, request, "operator");
    vsm_host_approve_finish(store->host, signature, &error);
    g_assert_no_error(error);
}

static void test_request_is_lost_with_the_connection(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = begin(store, 0);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");

    swtpm_kill(store->swtpm);
    swtpm_start(store->swtpm);
    approved_states(store, NULL); /* connects anew */
    assert_finish_refused(store, signature, VSM_ERROR_STALE);
}

static void test_lost_answer_of_an_approval_is_settled(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = begin(store, 0);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");
    g_autoptr(GError) error = NULL;

    store->tap->lose_code = TPM2_CC_NV_Write;
    vsm_host_approve_finish(store->host, signature, &error);
    g_assert_no_error(error);
    g_free(store_save(store, "one", false));
    assert_usable(store);
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
    g_autoptr(GBytes) request = begin(store, 1);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");

    store->tap->lose_code = TPM2_CC_NV_Write;
    store->tap->hook = no_reading;
    assert_finish_refused(store, signature, VSM_ERROR_IN_DOUBT);
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
    second = begin(store, 1);
    store->tap->hook = no_writing;
    bad = store_sign(store, second, "operator");
    g_clear_error(&error);
    g_assert_false(vsm_host_approve_finish(store->host, bad, &error));
    store->tap->hook = NULL;
    g_assert_cmpuint(approved_states(store, NULL), ==, 2);
    assert_usable(store);
    store_reopen(store);
    g_assert_cmpuint(approved_states(store, NULL), ==, 2);
    assert_usable(store);
}

static void test_approval_in_doubt_is_settled_by_the_next_user(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");

    tap_extend_pcr(store->tap, 4);
    leave_in_doubt(store);
    store->tap->hook = NULL;
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
                     VSM_RESULT_MATCH);
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
    assert_usable(store);
    store_shell(store, "test ! -e $S/approved.next");
    store_reopen(store);
    assert_usable(store);
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
    assert_usable(store);
    store_shell(store, "test ! -e $S/approved.next");
}

static void test_list_that_the_index_does_not_bear_out_approves_nothing(void)
{
    g_autoptr(Store) store = approved_store("prime256v1");

    tap_extend_pcr(store->tap, 4);
    store_shell(store, "cp $S/approved $S/old");
    store_approve(store, 1);
    assert_usable(store);
    store_close(store);
    store_shell(store, "mv $S/old $S/approved");
    store_reopen(store);
    g_assert_cmpuint(approved_states(store, NULL), ==, 0);
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT));
}

/* As an operator without vsmctl does it. */
static void test_openssl_alone_can_sign(void)
{
    g_autoptr(Store) store = store_new_operator("secp384r1");
    g_autoptr(GBytes) request = begin(store, 0);
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
    g_autoptr(GBytes) request = begin(store, 0);
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

/* --- kill -9 at every step -------------------------------------------- */

static guint steps, deadly;
static int told;

static void step(const char *what, G_GNUC_UNUSED const char *path)
{
    if (steps++ == deadly) {
        raise(SIGKILL);
    }
    if (write(told, what, strlen(what) + 1) < 0) {
        raise(SIGKILL);
    }
}

static bool approve_killed_at(Store *store, guint n, bool *ret_killed)
{
    char text[4096] = "";
    gsize got = 0;
    ssize_t more;
    int ends[2], status;
    pid_t child;

    g_assert_cmpint(pipe(ends), ==, 0);
    store_close(store);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        told = ends[1];
        if (!store_open(store, NULL)) {
            _exit(1);
        }
        steps = 0;
        deadly = n;
        vsm_files_step = step;
        store_approve(store, 0);
        _exit(0);
    }
    close(ends[1]);
    while ((more = read(ends[0], text + got, sizeof(text) - got)) > 0) {
        got += more;
    }
    close(ends[0]);
    waitpid(child, &status, 0);
    *ret_killed = WIFSIGNALED(status);
    g_assert_true(*ret_killed || WEXITSTATUS(status) == 0);
    return memmem(text, got, "approve", 8) != NULL;
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
        written = approve_killed_at(store, n, &killed);
        store_reopen(store);
        if (written) {
            assert_usable(store);
        } else {
            assert_unusable(store, "PCR 4");
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
    ADD("signature-serves-once", signature_serves_once);
    ADD("tpm-refuses-a-replayed-approval", tpm_refuses_a_replayed_approval);
    ADD("tpm-refuses-another-value-than-was-signed",
        tpm_refuses_another_value_than_was_signed);
    ADD("no-list-of-states-gives-a-policy-of-zero",
        no_list_of_states_gives_a_policy_of_zero);
    ADD("another-key-is-refused", another_key_is_refused);
    ADD("approval-of-another-host-is-refused",
        approval_of_another_host_is_refused);
    ADD("approval-that-names-another-host-is-refused-by-the-tpm",
        approval_that_names_another_host_is_refused_by_the_tpm);
    ADD("index-takes-the-approvals-of-its-host-alone",
        index_takes_the_approvals_of_its_host_alone);
    ADD("frozen-host-says-why-it-refuses", frozen_host_says_why_it_refuses);
    ADD("one-request-waits-at-a-time", one_request_waits_at_a_time);
    ADD("snapshots-are-served-while-a-request-waits",
        snapshots_are_served_while_a_request_waits);
    ADD("request-is-lost-with-the-connection",
        request_is_lost_with_the_connection);
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
    ADD("openssl-alone-can-sign", openssl_alone_can_sign);
    ADD("description-says-all-that-is-signed-for",
        description_says_all_that_is_signed_for);
    ADD("killed-approval-leaves-the-old-or-the-new",
        killed_approval_leaves_the_old_or_the_new);
    return g_test_run();
}
