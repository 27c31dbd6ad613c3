/*
 * Approvals that no operator gave, or gave for something else: refused by the
 * host, and by the TPM itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "approval-fixture.h"

#include <string.h>

#include "tpm/approve.h"

static void test_signature_serves_once(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = approval_begin(store, 0);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");
    g_autoptr(GBytes) again = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_host_approve_finish(store->host, signature, &error));
    approval_refused(store, signature, VSM_ERROR_STALE);
    /* The same wish gets another nonce of the TPM. */
    again = approval_begin(store, 0);
    approval_refused(store, signature, VSM_ERROR_SIGNATURE);
}

/* Whoever skips the host's own check meets the TPM's. */
static void test_tpm_refuses_a_replayed_approval(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = approval_begin(store, 0);
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
    g_autoptr(GBytes) request = approval_begin(store, 0);
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
    g_autoptr(GBytes) request = approval_begin(store, 0);
    g_autoptr(GBytes) wrong = NULL;
    g_autoptr(GBytes) other_curve = NULL;
    g_autoptr(GBytes) right = store_sign(store, request, "operator");
    g_autoptr(GError) error = NULL;

    store_make_operator(store, "prime256v1", "other");
    store_make_operator(store, "secp384r1", "big");
    wrong = store_sign(store, request, "other");
    other_curve = store_sign(store, request, "big");
    approval_refused(store, wrong, VSM_ERROR_SIGNATURE);
    approval_refused(store, other_curve, VSM_ERROR_SIGNATURE);
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
    g_autoptr(GBytes) request = approval_begin(other, 0);
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GBytes) own = approval_begin(store, 0);

    store_shell(store, line);
    signature = store_sign(other, request, "operator");
    approval_refused(store, signature, VSM_ERROR_SIGNATURE);
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
    g_autoptr(GBytes) request = approval_begin(store, 0);
    g_autoptr(VsmOperatorRequest) lie =
        vsm_operator_request_decode(request, NULL);
    g_autoptr(GBytes) contents = vsm_operator_contents(lie);
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GBytes) raw = NULL;
    g_autoptr(GError) error = NULL;
    bool current;

    signature = sign_for_another_host(store, lie, &raw);
    approval_refused(store, signature, VSM_ERROR_SIGNATURE);
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
    g_autoptr(GBytes) request = approval_begin(store, 0);
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/host-policy/" path, test_##name)
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
    return g_test_run();
}
