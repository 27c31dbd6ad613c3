/*
 * Enrolment from one end to the other: what goes well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "enroll-fixture.h"

#include <string.h>
#include <vsm/error.h>
#include "report/json.h"
#include "report/trust.h"

static const char *const kinds[] = {"rsa-2048", "p-384"};

static char *ask(Store *store, GBytes *nonce)
{
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    fake_check(store->vm, store->attester, VSM_PURPOSE_FULL, "one", nonce,
               &verdict, &error);
    g_assert_no_error(error);
    return g_strdup(verdict->report);
}

static VsmExpectation expectation(GBytes *nonce)
{
    return (VsmExpectation){
        .nonce = nonce,
        .op = "attest",
        .snapshot = "one",
        .scope = "full",
        .vm_uuid = FAKE_UUID,
    };
}

static void
check_report(const char *jws, const char *trust_json, GBytes *nonce, int code)
{
    const VsmExpectation expected = expectation(nonce);
    g_autoptr(VsmReportPolicy) policy = vsm_report_policy_load(NULL, NULL);
    g_autoptr(VsmReport) report = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmTrust) trust = vsm_trust_load(trust_json, &error);

    g_assert_no_error(error);
    vsm_report_verify(jws, trust, policy, &expected,
                      g_get_real_time() / G_USEC_PER_SEC, &report, &error);
    if (code) {
        g_assert_error(error, VSM_ERROR, code);
    } else {
        g_assert_no_error(error);
        g_assert_cmpstr(report->result, ==, "match");
    }
}

static void test_verify_trusts_what_enrolment_accepted(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autoptr(Enrolment) e = enrolment_new(kinds[i]);
        g_autoptr(GBytes) nonce = g_bytes_new_static("0123456789abcdef", 16);
        g_autofree char *jws = NULL;

        g_free(store_save(e->store, "one", false));
        enrolment_until_accept(e);
        jws = ask(e->store, nonce);
        check_report(jws, e->trust, nonce, 0);
    }
}

/* What stock JOSE makes of the JWKS. */
static void test_stock_jose_verifies_with_the_jwks(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autoptr(GBytes) nonce = g_bytes_new_static("0123456789abcdef", 16);
    g_autofree char *jws = NULL, *payload = NULL;
    g_autoptr(GBytes) jws_bytes = NULL, jwks_bytes = NULL;
    Swtpm *swtpm = e->store->swtpm;

    g_free(store_save(e->store, "one", false));
    enrolment_until_accept(e);
    jws = ask(e->store, nonce);
    jws_bytes = g_bytes_new(jws, strlen(jws));
    jwks_bytes = g_bytes_new(e->jwks, strlen(e->jwks));
    swtpm_put(swtpm, "report.jws", jws_bytes);
    swtpm_put(swtpm, "keys.jwks", jwks_bytes);
    payload = swtpm_tool(swtpm, "jose jws ver -i report.jws -k keys.jwks -O-");
    g_assert_nonnull(strstr(payload, "\"eat_profile\""));
    jws[strlen(jws) - 2] ^= 1;
    g_clear_pointer(&jws_bytes, g_bytes_unref);
    jws_bytes = g_bytes_new(jws, strlen(jws));
    swtpm_put(swtpm, "report.jws", jws_bytes);
    g_assert_cmpint(
        swtpm_try(swtpm, "jose jws ver -i report.jws -k keys.jwks -O-"), !=, 0);
}

static void test_entry_says_what_was_enrolled(void)
{
    g_autoptr(Enrolment) e = enrolment_new("p-384");
    json_auto_t *file = NULL;
    const json_t *host;
    g_autoptr(VsmTrust) trust = NULL;
    const VsmTrustEntry *entry;
    g_autoptr(GBytes) ek = NULL;
    g_autofree char *digest = NULL;

    enrolment_until_accept(e);
    file = json_loads(e->trust, 0, NULL);
    host = json_array_get(json_object_get(file, "hosts"), 0);
    g_assert_cmpstr(vsm_json_text(host, "attester"), ==, "in-process");
    g_assert_true(vsm_json_bool(host, "allow_in_process"));
    g_assert_cmpint(vsm_json_count(host, "enrolled"), ==, e->now);
    ek = document_bytes(e->request, "ek_public");
    digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA384, ek);
    g_assert_cmpstr(vsm_json_text(host, "ek_sha384"), ==, digest);
    trust = vsm_trust_load(e->trust, NULL);
    entry = vsm_trust_find_host(trust, vsm_json_text(host, "host_id"));
    g_assert_nonnull(entry);
    g_assert_cmpuint(entry->approved->len, ==, 1);
    g_assert_nonnull(entry->commit_index);
}

/* The key that TCG's template gives is the certified one. */
static void test_key_that_is_not_persistent_is_made_from_the_template(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);

    store_close(e->store);
    g_free(swtpm_tool(e->store->swtpm, "tpm2_evictcontrol -C o -c 0x81010001; "
                                       "tpm2_evictcontrol -C o -c 0x81010016"));
    store_reopen(e->store);
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        e->ek = kinds[i];
        enrolment_until_accept(e);
    }
}

/* An intermediate authority in the TPM leads to a root that is trusted. */
static void test_chain_in_the_tpm_leads_to_the_root(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autofree char *line = g_strdup_printf(
        "openssl x509 -in '%s/issuercert.pem' -outform DER -out i.der; "
        "tpm2_nvdefine -C o 0x1c00100 -s $(stat -c %%s i.der) "
        "-a 'ownerwrite|ownerread|authread|no_da' && "
        "tpm2_nvwrite -C o 0x1c00100 -i i.der",
        maker_dir());
    g_autofree char *root =
        g_build_filename(maker_dir(), "swtpm-localca-rootca-cert.pem", NULL);
    g_autoptr(GError) error = NULL;

    g_free(e->ca);
    g_assert_true(g_file_get_contents(root, &e->ca, NULL, NULL));
    enrolment_until_request(e);
    g_assert_false(enrolment_challenge(e, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_UNTRUSTED);
    store_close(e->store);
    g_free(swtpm_tool(e->store->swtpm, line));
    store_reopen(e->store);
    enrolment_until_accept(e);
}

/* --- Trust files ---------------------------------------------------------- */

static guint n_hosts(const char *trust)
{
    json_auto_t *file = json_loads(trust, 0, NULL);

    return json_array_size(json_object_get(file, "hosts"));
}

static guint n_pcrs(const char *trust)
{
    json_auto_t *file = json_loads(trust, 0, NULL);
    const json_t *host = json_array_get(json_object_get(file, "hosts"), 0);

    return json_array_size(json_object_get(host, "approved_pcrs"));
}

static void test_enrolling_again_renews_the_boot_state(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autofree char *first = NULL, *second = NULL, *kept = NULL;
    g_autoptr(GBytes) nonce = g_bytes_new_static("0123456789abcdef", 16);
    g_autofree char *jws = NULL;
    g_autoptr(GError) error = NULL;

    enrolment_until_accept(e);
    vsm_trust_merge(NULL, e->trust, false, 0, &first, &error);
    g_assert_no_error(error);
    tap_extend_pcr(e->store->tap, 4);
    g_free(store_save(e->store, "one", false));
    jws = ask(e->store, nonce);
    check_report(jws, first, nonce, VSM_ERROR_POLICY);
    enrolment_until_accept(e);
    vsm_trust_merge(first, e->trust, false, 0, &second, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(n_hosts(second), ==, 1);
    g_assert_cmpuint(n_pcrs(second), ==, 1);
    check_report(jws, second, nonce, 0);
    vsm_trust_merge(first, e->trust, false, 5, &kept, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(n_pcrs(kept), ==, 2);
}

static void test_name_of_another_host_cannot_be_taken(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autoptr(Enrolment) thief = enrolment_new(NULL);
    json_auto_t *file = NULL;
    g_autofree char *id = NULL, *after = NULL;
    g_autoptr(GError) error = NULL;

    enrolment_until_accept(e);
    file = json_loads(e->trust, 0, NULL);
    id = g_strdup(vsm_json_text(
        json_array_get(json_object_get(file, "hosts"), 0), "host_id"));
    enrolment_until_request(thief);
    document_set(&thief->request, "host_id", json_string(id));
    enrolment_challenge(thief, &error);
    g_assert_no_error(error);
    enrolment_respond(thief, &error);
    g_assert_no_error(error);
    enrolment_accept(thief, &error);
    g_assert_no_error(error);
    g_assert_false(
        vsm_trust_merge(e->trust, thief->trust, false, 0, &after, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_POLICY);
    g_clear_error(&error);
    vsm_trust_merge(e->trust, thief->trust, true, 0, &after, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(n_hosts(after), ==, 1);
}

static void test_boot_state_is_approved_from_a_fresh_report(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autoptr(GBytes) nonce = g_bytes_new_static("0123456789abcdef", 16);
    g_autoptr(GBytes) other = g_bytes_new_static("fedcba9876543210", 16);
    g_autoptr(VsmReportPolicy) policy = vsm_report_policy_load(NULL, NULL);
    g_autoptr(VsmTrust) trust = NULL;
    VsmExpectation expected = expectation(nonce);
    g_autofree char *jws = NULL, *host = NULL, *pcrs = NULL, *after = NULL;
    g_autoptr(GError) error = NULL;

    enrolment_until_accept(e);
    tap_extend_pcr(e->store->tap, 4);
    g_free(store_save(e->store, "one", false));
    jws = ask(e->store, nonce);
    check_report(jws, e->trust, nonce, VSM_ERROR_POLICY);
    trust = vsm_trust_load(e->trust, NULL);
    vsm_report_boot_pcrs(jws, trust, policy, &expected, e->now, &host, &pcrs,
                         &error);
    g_assert_no_error(error);
    vsm_trust_update_pcrs(e->trust, host, pcrs, 0, &after, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(n_pcrs(after), ==, 1);
    check_report(jws, after, nonce, 0);
    /* A report that answers something else says nothing. */
    expected.nonce = other;
    g_assert_false(vsm_report_boot_pcrs(jws, trust, policy, &expected, e->now,
                                        &host, &pcrs, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_STALE);
}

/* {"bank", "values"} of PCR 0 to @n - 1 */
static char *pcr_values(guint n)
{
    GString *text = g_string_new("{\"bank\":\"sha384\",\"values\":{");
    g_autofree char *hex = g_strnfill(96, 'a');

    for (guint i = 0; i < n; i++) {
        g_string_append_printf(text, "%s\"%u\":\"%s\"", i ? "," : "", i, hex);
    }
    g_string_append(text, "}}");
    return g_string_free(text, FALSE);
}

static void test_boot_state_is_approved_from_values(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    json_auto_t *file = NULL;
    const char *id;
    g_autofree char *pcrs = pcr_values(8), *fewer = pcr_values(7);
    g_autofree char *more = pcr_values(10), *after = NULL, *wider = NULL;
    g_autoptr(GError) error = NULL;

    enrolment_until_accept(e);
    file = json_loads(e->trust, 0, NULL);
    id = vsm_json_text(json_array_get(json_object_get(file, "hosts"), 0),
                       "host_id");
    vsm_trust_update_pcrs(e->trust, id, pcrs, 1, &after, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(n_pcrs(after), ==, 2);
    g_assert_false(
        vsm_trust_update_pcrs(e->trust, "nobody", pcrs, 1, &after, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND);
    g_clear_error(&error);
    g_assert_false(
        vsm_trust_update_pcrs(e->trust, id, "{}", 1, &after, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    g_clear_error(&error);
    g_assert_false(
        vsm_trust_update_pcrs(e->trust, id, fewer, 0, &after, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_POLICY);
    g_assert_nonnull(strstr(error->message, "PCRs 0x80"));
    g_clear_error(&error);
    vsm_trust_update_pcrs(e->trust, id, more, 0, &wider, &error);
    g_assert_no_error(error);
    g_assert_false(vsm_trust_update_pcrs(wider, id, pcrs, 1, &after, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_POLICY);
}

/* --- Evidence of a snapshot ----------------------------------------------- */

static void evidence_refused(const char *text, const VsmTrust *trust, int code)
{
    g_autofree char *json = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(vsm_snapshot_evidence_verify(text, trust, &json, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_assert_null(json);
}

static void test_evidence_of_a_snapshot_is_checked_offline(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autofree char *id = store_save(e->store, "one", false);
    g_autofree char *evidence = NULL, *other = NULL, *json = NULL;
    g_autoptr(VsmTrust) trust = NULL;
    g_autoptr(GBytes) swapped = NULL;
    json_auto_t *facts = NULL;
    static const char *const members[] = {"metadata", "catalogue", "attest",
                                          "signature"};
    g_autoptr(GError) error = NULL;

    g_free(store_save(e->store, "two", false));
    enrolment_until_accept(e);
    trust = vsm_trust_load(e->trust, NULL);
    vsm_host_snapshot_evidence(e->store->host, FAKE_UUID, "tag:one", &evidence,
                               &error);
    g_assert_no_error(error);
    vsm_host_snapshot_evidence(e->store->host, FAKE_UUID, "tag:two", &other,
                               &error);
    g_assert_no_error(error);
    vsm_snapshot_evidence_verify(evidence, trust, &json, &error);
    g_assert_no_error(error);
    facts = json_loads(json, 0, NULL);
    g_assert_cmpstr(vsm_json_text(facts, "id"), ==, id);
    g_assert_cmpstr(vsm_json_text(facts, "tag"), ==, "one");
    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        g_autofree char *altered = g_strdup(evidence);

        document_flip(&altered, members[i]);
        evidence_refused(altered, trust, VSM_ERROR_SIGNATURE);
    }
    /* Metadata of one snapshot under the signature of another. */
    swapped = document_bytes(other, "metadata");
    document_set(&evidence, "metadata", json_b64url(swapped));
    evidence_refused(evidence, trust, VSM_ERROR_SIGNATURE);
    document_set(&other, "host_id",
                 json_string("00112233445566778899aabbccddeeff"));
    evidence_refused(other, trust, VSM_ERROR_UNTRUSTED);
    evidence_refused("{}", trust, VSM_ERROR_FORMAT);
    g_assert_false(vsm_host_snapshot_evidence(e->store->host, FAKE_UUID,
                                              "tag:three", &json, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND);
}

/* NV_Certify of another index, or of a part, by the right key. */
static void test_evidence_of_another_index_is_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autofree char *evidence = NULL, *hex = g_strnfill(100, '0');
    json_auto_t *file = NULL;
    g_autofree char *text = NULL;
    g_autoptr(VsmTrust) trust = NULL;
    g_autoptr(GError) error = NULL;

    g_free(store_save(e->store, "one", false));
    enrolment_until_accept(e);
    vsm_host_snapshot_evidence(e->store->host, FAKE_UUID, "tag:one", &evidence,
                               &error);
    g_assert_no_error(error);
    file = json_loads(e->trust, 0, NULL);
    json_object_set_new(json_array_get(json_object_get(file, "hosts"), 0),
                        "commit_index", json_string(hex));
    text = vsm_json_dump(file);
    trust = vsm_trust_load(text, &error);
    g_assert_no_error(error);
    evidence_refused(evidence, trust, VSM_ERROR_SIGNATURE);
}

/* --- Known answers -------------------------------------------------------- */

static char *known(const char *name)
{
    g_autofree char *path =
        g_test_build_filename(G_TEST_DIST, "..", "fixtures", name, NULL);
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

/* Documents of this version stay what they are. */
static void test_documents_of_version_1_are_understood(void)
{
    g_autofree char *request = known("enroll-request-v1.json");
    g_autofree char *challenge = known("enroll-challenge-v1.json");
    g_autofree char *state = known("enroll-state-v1.json");
    g_autofree char *response = known("enroll-response-v1.json");
    g_autofree char *ca = known("enroll-ca-v1.pem");
    g_autofree char *expected = known("enroll-trust-v1.json");
    g_autofree char *made = NULL, *secret = NULL, *trust = NULL, *jwks = NULL;
    json_auto_t *old = json_loads(expected, 0, NULL);
    json_auto_t *file = NULL, *kept = json_loads(state, 0, NULL);
    gint64 when = json_integer_value(json_object_get(
        json_array_get(json_object_get(old, "hosts"), 0), "enrolled"));
    g_autofree char *digest = NULL;
    g_autoptr(GError) error = NULL;

    vsm_enroll_challenge(request, ca, true, when, &made, &secret, &error);
    g_assert_no_error(error);
    vsm_enroll_accept(state, response, true, when, &trust, &jwks, &error);
    g_assert_no_error(error);
    file = json_loads(trust, 0, NULL);
    g_assert_true(json_equal(file, old));
    /* The digests are of the text, without the line end. */
    digest = g_compute_checksum_for_string(G_CHECKSUM_SHA384,
                                           g_strchomp(challenge), -1);
    g_assert_cmpstr(vsm_json_text(kept, "challenge"), ==, digest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/enroll/verify-trusts-what-enrolment-accepted",
                    test_verify_trusts_what_enrolment_accepted);
    g_test_add_func("/enroll/stock-jose-verifies-with-the-jwks",
                    test_stock_jose_verifies_with_the_jwks);
    g_test_add_func("/enroll/entry-says-what-was-enrolled",
                    test_entry_says_what_was_enrolled);
    g_test_add_func("/enroll/key-that-is-not-persistent-is-made-from-the-"
                    "template",
                    test_key_that_is_not_persistent_is_made_from_the_template);
    g_test_add_func("/enroll/chain-in-the-tpm-leads-to-the-root",
                    test_chain_in_the_tpm_leads_to_the_root);
    g_test_add_func("/enroll/enrolling-again-renews-the-boot-state",
                    test_enrolling_again_renews_the_boot_state);
    g_test_add_func("/enroll/name-of-another-host-cannot-be-taken",
                    test_name_of_another_host_cannot_be_taken);
    g_test_add_func("/enroll/boot-state-is-approved-from-a-fresh-report",
                    test_boot_state_is_approved_from_a_fresh_report);
    g_test_add_func("/enroll/boot-state-is-approved-from-values",
                    test_boot_state_is_approved_from_values);
    g_test_add_func("/enroll/evidence-of-a-snapshot-is-checked-offline",
                    test_evidence_of_a_snapshot_is_checked_offline);
    g_test_add_func("/enroll/evidence-of-another-index-is-refused",
                    test_evidence_of_another_index_is_refused);
    g_test_add_func("/enroll/documents-of-version-1-are-understood",
                    test_documents_of_version_1_are_understood);
    return g_test_run();
}
