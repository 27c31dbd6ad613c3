/*
 * Reports on the runtime scope: what is trusted, and what is not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "report-verify.h"
#include "report/claims.h"
#include "report/json.h"

#define TEXT_VA 0xffffffff81234567

/* A runtime attestation that matches, with one jump label switched. */
static Fixture *runtime_new(void)
{
    Fixture *fixture = fixture_new(48);

    fixture->claims.scope = fixture->expected.scope = "runtime";
    fixture->claims.profile = fixture->expected.profile = "standard";
    memset(fixture->verdict.measured.b, 0x77, 48);
    fixture->verdict.tolerated = g_ptr_array_new_with_free_func(g_free);
    fixture->verdict.unattested = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(fixture->verdict.tolerated,
                    g_strdup("jump-label 0xffffffff81234567 on"));
    return fixture;
}

static void trusted(Fixture *fixture, const char *policy, const char *result)
{
    g_autofree char *jws = fixture_report(fixture);

    report_trusted(fixture, jws, policy, result);
}

static void
refused(Fixture *fixture, const char *policy, VsmError code, const char *text)
{
    g_autofree char *jws = fixture_report(fixture);

    report_refused(fixture, jws, policy, code, text);
}

static void runtime_free(Fixture *fixture)
{
    g_clear_pointer(&fixture->verdict.tolerated, g_ptr_array_unref);
    g_clear_pointer(&fixture->verdict.unattested, g_ptr_array_unref);
    fixture_free(fixture);
}

static void test_match_with_tolerated_changes_is_trusted(void)
{
    Fixture *fixture = runtime_new();

    trusted(fixture, NULL, "match");
    runtime_free(fixture);
}

static void add_finding(Fixture *fixture)
{
    VsmFinding *finding = g_new0(VsmFinding, 1);

    finding->kind = "text-bytes";
    finding->where = g_strdup("kernel-text");
    finding->offset = TEXT_VA;
    finding->address = 0x1234567;
    finding->bytes = 1;
    finding->vcpu = 2;
    finding->sealed = g_bytes_new_static("\x90", 1);
    finding->measured = g_bytes_new_static("\xcc", 1);
    g_ptr_array_add(fixture->verdict.findings, finding);
    fixture->verdict.result = VSM_RESULT_MISMATCH;
}

/* An address of the kernel's half does not fit a JSON integer. */
static void test_findings_name_address_vcpu_and_bytes(void)
{
    Fixture *fixture = runtime_new();
    g_autofree char *text = NULL;
    json_auto_t *claims = NULL, *expected = NULL;

    add_finding(fixture);
    trusted(fixture, NULL, "mismatch");
    text = fixture_claims(fixture);
    claims = json_loads(text, 0, NULL);
    expected =
        json_pack("[{s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s}]", "class",
                  "kernel-text", "kind", "text-bytes", "va",
                  "0xffffffff81234567", "pa", "0x0000000001234567", "bytes", 1,
                  "vcpu", 1, "sealed", "90", "measured", "cc");
    g_assert_true(json_equal(json_object_get(claims, "findings"), expected));
    runtime_free(fixture);
}

static void test_one_scope_is_not_taken_for_another(void)
{
    Fixture *fixture = runtime_new();
    g_autoptr(Fixture) full = fixture_new(48);

    fixture->expected.scope = "full";
    fixture->expected.profile = NULL;
    refused(fixture, NULL, VSM_ERROR_STALE, "scope");
    full->expected.scope = "runtime";
    refused(full, NULL, VSM_ERROR_STALE, "scope");
    runtime_free(fixture);
}

static void test_policy_names_the_only_scope(void)
{
    Fixture *fixture = runtime_new();
    g_autoptr(Fixture) full = fixture_new(48);

    refused(fixture, "{\"version\":1,\"scope\":\"full\"}", VSM_ERROR_POLICY,
            "of scope 'full' only");
    refused(full, "{\"version\":1,\"scope\":\"runtime\"}", VSM_ERROR_POLICY,
            "of scope 'runtime' only");
    trusted(fixture, "{\"version\":1,\"scope\":\"runtime\"}", "match");
    trusted(full, "{\"version\":1,\"scope\":\"full\"}", "match");
    runtime_free(fixture);
}

static void test_policy_refuses_words_it_does_not_know(void)
{
    static const char *const bad[] = {
        "{\"version\":1,\"scope\":\"all\"}",
        "{\"version\":1,\"profile\":\"dynamic\"}",
        "{\"version\":1,\"allow_unattested\":1}",
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(vsm_report_policy_load(bad[i], &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    }
}

static void test_a_weaker_profile_is_refused(void)
{
    Fixture *fixture = runtime_new();

    refused(fixture, "{\"version\":1,\"profile\":\"strict\"}", VSM_ERROR_POLICY,
            "strict");
    fixture->expected.profile = "strict";
    refused(fixture, NULL, VSM_ERROR_STALE, "profile");
    fixture->claims.profile = "strict";
    trusted(fixture, "{\"version\":1,\"profile\":\"strict\"}", "match");
    fixture->claims.profile = fixture->expected.profile = "dynamic";
    refused(fixture, NULL, VSM_ERROR_FORMAT, "profile");
    runtime_free(fixture);
}

static void test_unattested_code_needs_the_policys_word(void)
{
    Fixture *fixture = runtime_new();

    g_ptr_array_add(fixture->verdict.unattested,
                    g_strdup("jit 0xffffffffc0000000 13 pages"));
    refused(fixture, NULL, VSM_ERROR_POLICY, "allow_unattested");
    trusted(fixture, "{\"version\":1,\"allow_unattested\":true}", "match");
    runtime_free(fixture);
}

static void test_unsolicited_report_answers_no_nonce(void)
{
    Fixture *fixture = runtime_new();

    fixture->claims.op = "watch";
    refused(fixture, NULL, VSM_ERROR_STALE, "operation");
    fixture->expected.op = "watch";
    fixture->expected.nonce = NULL;
    trusted(fixture, NULL, "match");
    fixture->claims.op = "attest";
    refused(fixture, NULL, VSM_ERROR_STALE, "operation");
    runtime_free(fixture);
}

static void claim_is_refused(const char *op,
                             const char *name,
                             json_t *value,
                             const char *text)
{
    Fixture *fixture = runtime_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *sound = NULL, *claims_text = NULL, *jws = NULL;
    json_auto_t *claims = NULL;

    fixture->claims.op = fixture->expected.op = op;
    g_free(fixture_report(fixture));
    sound = fixture_claims(fixture);
    claims = json_loads(sound, 0, NULL);
    json_object_set_new(claims, name, value);
    claims_text = vsm_json_dump(claims);
    jws = fixture_jws(fixture, claims_text);
    g_assert_null(report_verify(fixture, jws, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    g_assert_nonnull(strstr(error->message, text));
    runtime_free(fixture);
}

static void test_refuses_claims_that_contradict_the_scope(void)
{
    claim_is_refused("attest", "unsolicited", json_true(), "unsolicited");
    claim_is_refused("watch", "unsolicited", json_false(), "unsolicited");
    claim_is_refused("attest", "covers",
                     json_pack("[s, s, s]", "ram", "vcpus", "devices"),
                     "covers");
    claim_is_refused("attest", "findings",
                     json_pack("[{s:s, s:s, s:i, s:i}]", "kind", "ram", "where",
                               "pc.ram", "offset", 0, "bytes", 0),
                     "finding");
    claim_is_refused("rollback", "scope", json_string("runtime"), "op");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, test) g_test_add_func("/report-runtime/" name, test)
    ADD("match-with-tolerated-changes-is-trusted",
        test_match_with_tolerated_changes_is_trusted);
    ADD("findings-name-address-vcpu-and-bytes",
        test_findings_name_address_vcpu_and_bytes);
    ADD("one-scope-is-not-taken-for-another",
        test_one_scope_is_not_taken_for_another);
    ADD("policy-names-the-only-scope", test_policy_names_the_only_scope);
    ADD("policy-refuses-words-it-does-not-know",
        test_policy_refuses_words_it_does_not_know);
    ADD("a-weaker-profile-is-refused", test_a_weaker_profile_is_refused);
    ADD("unattested-code-needs-the-policys-word",
        test_unattested_code_needs_the_policys_word);
    ADD("unsolicited-report-answers-no-nonce",
        test_unsolicited_report_answers_no_nonce);
    ADD("refuses-claims-that-contradict-the-scope",
        test_refuses_claims_that_contradict_the_scope);
    return g_test_run();
}
