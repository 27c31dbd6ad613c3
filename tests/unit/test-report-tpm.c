/*
 * Reports of the local attester, signed and quoted by an swtpm, are what
 * offline verification trusts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"
#include "report-fixture.h"

#include <string.h>
#include <vsm/error.h>

static const struct {
    VsmPurpose purpose;
    const char *op, *scope;
} kinds[] = {
    {VSM_PURPOSE_FULL, "attest", "full"},
    {VSM_PURPOSE_STORED, "verify", "stored"},
    {VSM_PURPOSE_LOAD, "rollback", "full"},
};

static GBytes *make_nonce(void)
{
    return g_bytes_new_static("0123456789abcdef0123456789abcdef", 32);
}

static char *ask(Store *store, VsmPurpose purpose, GBytes *nonce)
{
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    fake_check(store->vm, store->attester, purpose, "one", nonce, &verdict,
               &error);
    g_assert_no_error(error);
    return g_strdup(verdict->report);
}

static VsmTrust *trust_in(Store *store)
{
    g_autofree char *plain = NULL, *json = NULL;
    g_autoptr(GError) error = NULL;
    VsmTrust *trust;

    vsm_host_keys(store->host, &plain, &error);
    g_assert_no_error(error);
    json = fixture_allow_in_process(plain);
    trust = vsm_trust_load(json, &error);
    g_assert_no_error(error);
    return trust;
}

static VsmReport *check(const char *jws,
                        const VsmTrust *trust,
                        const char *op,
                        const char *scope,
                        GBytes *nonce,
                        GError **error)
{
    const VsmExpectation expected = {
        .nonce = nonce,
        .op = op,
        .snapshot = "one",
        .scope = scope,
        .vm_uuid = FAKE_UUID,
    };
    g_autoptr(VsmReportPolicy) policy = vsm_report_policy_load(NULL, NULL);
    VsmReport *report = NULL;

    vsm_report_verify(jws, trust, policy, &expected,
                      g_get_real_time() / G_USEC_PER_SEC, &report, error);
    return report;
}

static void test_each_kind_of_report_is_trusted(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmTrust) trust = NULL;
    g_autoptr(GBytes) nonce = make_nonce();

    g_free(store_save(store, "one", false));
    trust = trust_in(store);
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *jws = ask(store, kinds[i].purpose, nonce);
        g_autoptr(GError) error = NULL;
        g_autoptr(VsmReport) report =
            check(jws, trust, kinds[i].op, kinds[i].scope, nonce, &error);

        g_assert_no_error(error);
        g_assert_cmpstr(report->result, ==, "match");
        g_assert_cmpuint(report->findings_left_out, ==, 0);
    }
}

static void test_mismatch_is_trusted_as_mismatch(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmTrust) trust = NULL;
    g_autoptr(GBytes) nonce = make_nonce();
    g_autofree char *jws = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmReport) report = NULL;

    g_free(store_save(store, "one", false));
    trust = trust_in(store);
    store->vm->ram[0][5000] ^= 1;
    jws = ask(store, VSM_PURPOSE_FULL, nonce);
    report = check(jws, trust, "attest", "full", nonce, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(report->result, ==, "mismatch");
}

static void test_a_report_answers_its_own_request_only(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmTrust) trust = NULL;
    g_autoptr(GBytes) nonce = make_nonce();
    g_autoptr(GBytes) other = g_bytes_new_static("0123456789abcdef", 16);
    g_autofree char *jws = NULL;
    g_autoptr(GError) error = NULL;

    g_free(store_save(store, "one", false));
    trust = trust_in(store);
    jws = ask(store, VSM_PURPOSE_LOAD, nonce);
    g_assert_null(check(jws, trust, "attest", "full", nonce, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_STALE);
    g_clear_error(&error);
    g_assert_null(check(jws, trust, "rollback", "full", other, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_STALE);
}

/* The same software, another TPM: none of the first one's business. */
static void test_another_hosts_report_is_not_trusted(void)
{
    g_autoptr(Store) ours = store_new();
    g_autoptr(Store) theirs = store_new();
    g_autoptr(VsmTrust) trust = NULL;
    g_autoptr(GBytes) nonce = make_nonce();
    g_autofree char *jws = NULL;
    g_autoptr(GError) error = NULL;

    g_free(store_save(theirs, "one", false));
    trust = trust_in(ours);
    jws = ask(theirs, VSM_PURPOSE_FULL, nonce);
    g_assert_null(check(jws, trust, "attest", "full", nonce, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_UNTRUSTED);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/report-tpm/each-kind-of-report-is-trusted",
                    test_each_kind_of_report_is_trusted);
    g_test_add_func("/report-tpm/mismatch-is-trusted-as-mismatch",
                    test_mismatch_is_trusted_as_mismatch);
    g_test_add_func("/report-tpm/a-report-answers-its-own-request-only",
                    test_a_report_answers_its_own_request_only);
    g_test_add_func("/report-tpm/another-hosts-report-is-not-trusted",
                    test_another_hosts_report_is_not_trusted);
    return g_test_run();
}
