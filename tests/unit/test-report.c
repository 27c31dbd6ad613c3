/*
 * Claims, and that they answer the request: what is trusted, and each refusal
 * with its error code.
 *
 * Keys are software keys here; the functional tests do the same with a TPM,
 * and with tpm2_checkquote.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report-verify.h"

#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"

/* --- What is trusted ---------------------------------------------------- */

static void test_match_is_trusted(void)
{
    const guint sizes[] = {48, 32};

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(Fixture) fixture = fixture_new(sizes[i]);
        g_autofree char *jws = fixture_report(fixture);

        report_trusted(fixture, jws, NULL, "match");
    }
}

static void add_finding(Fixture *fixture)
{
    VsmFinding *finding = g_new0(VsmFinding, 1);

    finding->kind = "ram";
    finding->where = g_strdup("pc.ram");
    finding->offset = 8192;
    finding->bytes = 4096;
    g_ptr_array_add(fixture->verdict.findings, finding);
    fixture->verdict.result = VSM_RESULT_MISMATCH;
    memset(fixture->verdict.measured.b, 0x12, 48);
}

static void test_mismatch_is_trusted_as_mismatch(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = NULL;

    add_finding(fixture);
    fixture->verdict.findings_left_out = 7;
    jws = fixture_report(fixture);
    report_trusted(fixture, jws, NULL, "mismatch");
}

static void test_unavailable_is_a_result(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = NULL;

    fixture->verdict.result = VSM_RESULT_UNAVAILABLE;
    fixture->verdict.reason = (char *)"the guest is not ready";
    memset(fixture->verdict.measured.b, 0, 48);
    jws = fixture_report(fixture);
    fixture->verdict.reason = NULL;
    report_trusted(fixture, jws, NULL, "unavailable");
}

static void test_stored_scope_compares_the_stream(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = NULL, *wrong = NULL;

    fixture->claims.op = fixture->expected.op = "verify";
    fixture->claims.scope = fixture->expected.scope = "stored";
    fixture->verdict.measured = fixture->record.stream;
    jws = fixture_report(fixture);
    report_trusted(fixture, jws, NULL, "match");

    fixture->verdict.measured = fixture->record.state;
    wrong = fixture_report(fixture);
    report_refused(fixture, wrong, NULL, VSM_ERROR_FORMAT,
                   "not what was sealed");
}

static void test_left_out_is_told(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws =
        report_changed(fixture, NULL, "host_clock_left_out", json_integer(1));
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmReport) report = report_verify(fixture, jws, NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(report->findings_left_out, ==, 1);
}

/* --- Answer to this request --------------------------------------------- */

static void test_refuses_another_nonce(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    g_autoptr(GBytes) other = g_bytes_new_static("0123456789abcdef", 16);
    g_autoptr(GBytes) prefix =
        g_bytes_new_from_bytes(fixture->claims.nonce, 0, 8);
    g_autoptr(GBytes) longer =
        g_bytes_new_static("\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20", 17);

    fixture->expected.nonce = other;
    report_refused(fixture, jws, NULL, VSM_ERROR_STALE, "nonce");
    fixture->expected.nonce = prefix;
    report_refused(fixture, jws, NULL, VSM_ERROR_STALE, "nonce");
    fixture->expected.nonce = longer;
    report_refused(fixture, jws, NULL, VSM_ERROR_STALE, "nonce");
}

static void test_refuses_the_answer_to_another_request(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    const VsmExpectation sound = fixture->expected;

    fixture->expected.op = "rollback";
    report_refused(fixture, jws, NULL, VSM_ERROR_STALE, "operation");
    fixture->expected = sound;
    fixture->expected.snapshot = "clean";
    report_refused(fixture, jws, NULL, VSM_ERROR_STALE, "snapshot");
    fixture->expected = sound;
    fixture->expected.scope = "stored";
    report_refused(fixture, jws, NULL, VSM_ERROR_STALE, "scope");
    fixture->expected = sound;
    fixture->expected.vm_uuid = "8d2b4d7e-5a59-4b39-a4bc-a4ad1e5ac21d";
    report_refused(fixture, jws, NULL, VSM_ERROR_STALE, "VM");
    fixture->expected = sound;
    fixture->expected.recipient = "4wBRt5KMYYbMkSjTjKgHBjsd9rTgxXEi6lS";
    report_refused(fixture, jws, NULL, VSM_ERROR_STALE, "recipient");
    fixture->expected = sound;
    report_trusted(fixture, jws, NULL, "match");
}

static void test_refuses_to_verify_without_a_request(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    const VsmExpectation sound = fixture->expected;

    fixture->expected.nonce = NULL;
    report_refused(fixture, jws, NULL, VSM_ERROR_INVALID, "what was asked");
    fixture->expected = sound;
    fixture->expected.vm_uuid = NULL;
    report_refused(fixture, jws, NULL, VSM_ERROR_INVALID, "what was asked");
    fixture->expected = sound;
    fixture->expected.scope = NULL;
    report_refused(fixture, jws, NULL, VSM_ERROR_INVALID, "what was asked");
}

static void test_refuses_stale_and_future_reports(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *old = NULL, *future = NULL, *just = NULL;

    fixture->claims.iat = FIXTURE_NOW + 5 - 300;
    just = fixture_report(fixture);
    report_trusted(fixture, just, NULL, "match");
    fixture->claims.iat = FIXTURE_NOW + 5 - 301;
    old = fixture_report(fixture);
    report_refused(fixture, old, NULL, VSM_ERROR_STALE, "301 s old");
    report_trusted(fixture, old, "{\"version\":1,\"max_age_s\":301}", "match");
    fixture->claims.iat = FIXTURE_NOW + 5 + 61;
    future = fixture_report(fixture);
    report_refused(fixture, future, NULL, VSM_ERROR_STALE, "clocks");
    fixture->claims.iat = G_MAXINT64;
    g_free(future);
    future = fixture_report(fixture);
    report_refused(fixture, future, NULL, VSM_ERROR_STALE, "clocks");
}

/* --- Claims ------------------------------------------------------------- */

static void test_refuses_claims_that_contradict_themselves(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *zeros = g_strnfill(96, '0');

    report_changed_refused(fixture, NULL, "measured", json_string(zeros),
                           VSM_ERROR_FORMAT, "not what was sealed");
    report_changed_refused(fixture, NULL, "findings_left_out", json_integer(1),
                           VSM_ERROR_FORMAT, "lists findings");
    report_changed_refused(fixture, NULL, "result", json_string("unavailable"),
                           VSM_ERROR_FORMAT, "reason");
    report_changed_refused(fixture, NULL, "result", json_string("fine"),
                           VSM_ERROR_FORMAT, "unknown result");
    fixture->expected.scope = "stored";
    report_changed_refused(fixture, NULL, "scope", json_string("stored"),
                           VSM_ERROR_FORMAT, "not what was sealed");
    fixture->expected.scope = "runtime";
    report_changed_refused(fixture, NULL, "scope", json_string("runtime"),
                           VSM_ERROR_FORMAT, "covers");
}

static void test_refuses_claims_it_does_not_know(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    json_t *covers =
        json_pack("[s, s, s, s]", "ram", "vcpus", "devices", "disks");

    report_changed_refused(fixture, NULL, "extra", json_true(),
                           VSM_ERROR_FORMAT, "unknown member 'extra'");
    report_changed_refused(fixture, "vm", "extra", json_true(),
                           VSM_ERROR_FORMAT, "'vm'");
    report_changed_refused(fixture, NULL, "covers", covers, VSM_ERROR_FORMAT,
                           "covers");
    report_changed_refused(fixture, NULL, "eat_profile",
                           json_string("urn:other"), VSM_ERROR_FORMAT,
                           "profile");
    report_changed_refused(fixture, NULL, "iat", json_string("now"),
                           VSM_ERROR_FORMAT, "'iat'");
    report_changed_refused(fixture, NULL, "iat", json_integer(-1),
                           VSM_ERROR_FORMAT, "'iat'");
    report_changed_refused(fixture, NULL, "iat", json_real(1e300),
                           VSM_ERROR_FORMAT, "'iat'");
}

static void test_refuses_each_missing_claim(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *sound = NULL;
    json_auto_t *claims = NULL;
    const char *name;
    json_t *value;
    guint n = 0;

    fixture_quote(fixture);
    sound = fixture_claims(fixture);
    claims = json_loads(sound, 0, NULL);
    json_object_foreach(claims, name, value)
    {
        report_changed_refused(fixture, NULL, name, NULL, VSM_ERROR_FORMAT,
                               name);
        n++;
    }
    g_assert_cmpuint(n, ==, 39);
}

static void test_refuses_repeated_claims_and_long_lists(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *json = NULL, *twice = NULL, *jws = NULL;
    json_t *list = json_array();

    fixture_quote(fixture);
    json = fixture_claims(fixture);
    twice = g_strdup_printf("{\"result\":\"match\",%s", json + 1);
    jws = fixture_jws(fixture, twice);
    report_refused(fixture, jws, NULL, VSM_ERROR_FORMAT, "duplicate");
    for (guint i = 0; i <= VSM_CLAIMS_LIST_MAX; i++) {
        json_array_append_new(list, json_string("a/0+0:1 host-clock"));
    }
    report_changed_refused(fixture, NULL, "host_clock", list, VSM_ERROR_LIMIT,
                           "host_clock");
}

static void test_lists_are_cut_and_counted(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *json = NULL;
    json_auto_t *claims = NULL;

    for (guint i = 0; i < VSM_FINDINGS_MAX + 3; i++) {
        add_finding(fixture);
        g_ptr_array_add(fixture->verdict.host_clock, g_strdup("x"));
        g_ptr_array_add(fixture->verdict.host_clock, g_strdup("x external"));
    }
    fixture->verdict.findings_left_out = 10;
    fixture_quote(fixture);
    json = fixture_claims(fixture);
    claims = json_loads(json, 0, NULL);
    g_assert_cmpuint(json_array_size(json_object_get(claims, "findings")), ==,
                     VSM_FINDINGS_MAX);
    g_assert_cmpint(
        json_integer_value(json_object_get(claims, "findings_left_out")), ==,
        13);
    g_assert_cmpint(
        json_integer_value(json_object_get(claims, "host_clock_left_out")), ==,
        3);
    g_assert_cmpint(
        json_integer_value(json_object_get(claims, "unattested_left_out")), ==,
        3);
}

/* The same input gives this text, byte for byte. */
static void test_claims_are_the_known_answer(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *json = NULL, *known = NULL, *path = NULL;
    g_autoptr(GError) error = NULL;

    add_finding(fixture);
    g_ptr_array_add(fixture->verdict.host_clock,
                    g_strdup("mc146818rtc/0 v3 +0:1 host-clock"));
    fixture->vm.name = "na\xffme\x1b[31m";
    /* Signatures differ each time. */
    fixture->claims.quote_attest = g_bytes_new_static("attest", 6);
    fixture->claims.quote_signature = g_bytes_new_static("signature", 9);
    json = fixture_claims(fixture);
    path = g_test_build_filename(G_TEST_DIST, "..", "fixtures",
                                 "claims-v1.json", NULL);
    g_file_get_contents(path, &known, NULL, &error);
    g_assert_no_error(error);
    g_strchomp(known);
    g_assert_cmpstr(json, ==, known);
}

static void test_claims_refuse_unsound_input(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autoptr(GError) error = NULL;
    char *json = NULL;

    fixture_quote(fixture);
    add_finding(fixture);
    fixture->verdict.result = VSM_RESULT_MATCH;
    g_assert_false(vsm_claims_build(&fixture->claims, &json, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);

    fixture->verdict.result = VSM_RESULT_MISMATCH;
    fixture->pcrs.mask &= ~(1u << 23);
    g_assert_false(vsm_claims_build(&fixture->claims, &json, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);

    fixture_pcr23(fixture);
    fixture->vm.config = "machine: \xff";
    g_assert_false(vsm_claims_build(&fixture->claims, &json, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_assert_null(json);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/report/match-is-trusted", test_match_is_trusted);
    g_test_add_func("/report/mismatch-is-trusted-as-mismatch",
                    test_mismatch_is_trusted_as_mismatch);
    g_test_add_func("/report/unavailable-is-a-result",
                    test_unavailable_is_a_result);
    g_test_add_func("/report/stored-scope-compares-the-stream",
                    test_stored_scope_compares_the_stream);
    g_test_add_func("/report/left-out-is-told", test_left_out_is_told);
    g_test_add_func("/report/refuses-another-nonce",
                    test_refuses_another_nonce);
    g_test_add_func("/report/refuses-the-answer-to-another-request",
                    test_refuses_the_answer_to_another_request);
    g_test_add_func("/report/refuses-to-verify-without-a-request",
                    test_refuses_to_verify_without_a_request);
    g_test_add_func("/report/refuses-stale-and-future-reports",
                    test_refuses_stale_and_future_reports);
    g_test_add_func("/report/refuses-claims-that-contradict-themselves",
                    test_refuses_claims_that_contradict_themselves);
    g_test_add_func("/report/refuses-claims-it-does-not-know",
                    test_refuses_claims_it_does_not_know);
    g_test_add_func("/report/refuses-each-missing-claim",
                    test_refuses_each_missing_claim);
    g_test_add_func("/report/refuses-repeated-claims-and-long-lists",
                    test_refuses_repeated_claims_and_long_lists);
    g_test_add_func("/report/lists-are-cut-and-counted",
                    test_lists_are_cut_and_counted);
    g_test_add_func("/report/claims-are-the-known-answer",
                    test_claims_are_the_known_answer);
    g_test_add_func("/report/claims-refuse-unsound-input",
                    test_claims_refuse_unsound_input);
    return g_test_run();
}
