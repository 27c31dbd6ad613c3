/*
 * Claims and offline verification: what is trusted, and each refusal with its
 * error code.
 *
 * Keys are software keys here; the functional tests do the same with a TPM,
 * and with tpm2_checkquote.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report-fixture.h"

#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "report/json.h"
#include "report/jwk.h"
#include "report/operator.h"
#include "report/trust.h"

#define OPEN_POLICY                                                            \
    "{\"version\":1,\"allow_in_process\":true,"                                \
    "\"allow_unmeasured_boot\":true}"

static VsmReport *verify(Fixture *fixture,
                         const char *jws,
                         const char *policy_json,
                         GError **error)
{
    g_autoptr(VsmTrust) trust = fixture_trust(fixture);
    g_autoptr(VsmReportPolicy) policy =
        vsm_report_policy_load(policy_json, error);
    VsmReport *report = NULL;

    g_assert_nonnull(policy);
    if (!vsm_report_verify(jws, trust, policy, &fixture->expected,
                           FIXTURE_NOW + 5, &report, error)) {
        g_assert_null(report);
    }
    return report;
}

static void trusted(Fixture *fixture,
                    const char *jws,
                    const char *policy,
                    const char *result)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmReport) report = verify(fixture, jws, policy, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(report->result, ==, result);
}

static void refused(Fixture *fixture,
                    const char *jws,
                    const char *policy,
                    VsmError code,
                    const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmReport) report = verify(fixture, jws, policy, &error);

    g_assert_null(report);
    g_assert_error(error, VSM_ERROR, (int)code);
    if (text && !strstr(error->message, text)) {
        g_error("'%s' does not say '%s'", error->message, text);
    }
}

/* Claims with one member replaced (NULL: removed), signed by the real RK. */
static char *
changed(Fixture *fixture, const char *part, const char *name, json_t *value)
{
    g_autofree char *sound = NULL, *text = NULL;
    json_auto_t *claims = NULL;
    json_t *object;

    fixture_pcr23(fixture);
    fixture_quote(fixture);
    sound = fixture_claims(fixture);
    claims = json_loads(sound, 0, NULL);
    object = part ? json_object_get(claims, part) : claims;
    if (value) {
        json_object_set_new(object, name, value);
    } else {
        g_assert_cmpint(json_object_del(object, name), ==, 0);
    }
    text = vsm_json_dump(claims);
    return fixture_jws(fixture, text);
}

static void changed_is_refused(Fixture *fixture,
                               const char *part,
                               const char *name,
                               json_t *value,
                               VsmError code,
                               const char *text)
{
    g_autofree char *jws = changed(fixture, part, name, value);

    refused(fixture, jws, NULL, code, text);
}

/* --- What is trusted ---------------------------------------------------- */

static void test_match_is_trusted(void)
{
    const guint sizes[] = {48, 32};

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(Fixture) fixture = fixture_new(sizes[i]);
        g_autofree char *jws = fixture_report(fixture);

        trusted(fixture, jws, NULL, "match");
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
    trusted(fixture, jws, NULL, "mismatch");
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
    trusted(fixture, jws, NULL, "unavailable");
}

static void test_stored_scope_compares_the_stream(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = NULL, *wrong = NULL;

    fixture->claims.op = fixture->expected.op = "verify";
    fixture->claims.scope = fixture->expected.scope = "stored";
    fixture->verdict.measured = fixture->record.stream;
    jws = fixture_report(fixture);
    trusted(fixture, jws, NULL, "match");

    fixture->verdict.measured = fixture->record.state;
    wrong = fixture_report(fixture);
    refused(fixture, wrong, NULL, VSM_ERROR_FORMAT, "not what was sealed");
}

static void test_left_out_is_told(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws =
        changed(fixture, NULL, "host_clock_left_out", json_integer(1));
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmReport) report = verify(fixture, jws, NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(report->findings_left_out, ==, 1);
}

/* --- Signatures --------------------------------------------------------- */

/* Every bit of a part, or every tenth of the long payload. */
static void flip_part(Fixture *fixture, const char *jws, guint part, guint step)
{
    g_auto(GStrv) parts = g_strsplit(jws, ".", 3);
    g_autoptr(GBytes) bytes =
        vsm_b64url_decode(parts[part], VSM_REPORT_BYTES_MAX, NULL);
    g_autoptr(VsmTrust) trust = fixture_trust(fixture);
    g_autoptr(VsmReportPolicy) policy = vsm_report_policy_load(NULL, NULL);
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    for (gsize bit = 0; bit < size * 8; bit += step) {
        g_autofree guint8 *copy = g_memdup2(data, size);
        g_autofree char *old = parts[part], *bad = NULL;
        g_autoptr(GError) error = NULL;
        VsmReport *report = NULL;

        copy[bit / 8] ^= 1u << bit % 8;
        parts[part] = vsm_b64url_encode(copy, size);
        bad = g_strjoinv(".", parts);
        g_assert_false(vsm_report_verify(bad, trust, policy, &fixture->expected,
                                         FIXTURE_NOW, &report, &error));
        g_assert_null(report);
        if (part == 0) {
            /* Header: unreadable, or another kid, or altered. */
            g_assert_true(
                g_error_matches(error, VSM_ERROR, VSM_ERROR_FORMAT) ||
                g_error_matches(error, VSM_ERROR, VSM_ERROR_UNTRUSTED) ||
                g_error_matches(error, VSM_ERROR, VSM_ERROR_SIGNATURE));
        } else {
            g_assert_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE);
        }
        g_free(parts[part]);
        parts[part] = g_steal_pointer(&old);
    }
}

static void test_refuses_every_flipped_bit(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);

    trusted(fixture, jws, NULL, "match");
    flip_part(fixture, jws, 0, 1);
    flip_part(fixture, jws, 1, 61);
    flip_part(fixture, jws, 2, 1);
}

/* ES256 leaves four unused bits in the last character. */
static void test_refuses_another_text_of_the_same_signature(void)
{
    g_autoptr(Fixture) fixture = fixture_new(32);
    g_autofree char *jws = fixture_report(fixture);
    static const char map[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
                              "uvwxyz0123456789-_";
    char *last = jws + strlen(jws) - 1;

    trusted(fixture, jws, NULL, "match");
    *last = map[(strchr(map, *last) - map) ^ 1];
    refused(fixture, jws, NULL, VSM_ERROR_FORMAT, "part 3");
}

static char *with_header(const char *jws, const char *header)
{
    g_auto(GStrv) parts = g_strsplit(jws, ".", 3);

    g_free(parts[0]);
    parts[0] = vsm_b64url_encode(header, strlen(header));
    return g_strjoinv(".", parts);
}

static void test_refuses_other_algorithms(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    g_autoptr(VsmKey) key = vsm_jwk_to_key(fixture->rk_jwk, NULL);
    g_autofree char *kid = vsm_jwk_thumbprint(key);
    const char *const algs[] = {"none",  "HS256", "HS384", "RS256",
                                "ES512", "es384", ""};

    for (guint i = 0; i < G_N_ELEMENTS(algs); i++) {
        g_autofree char *header =
            g_strdup_printf("{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"%s\"}",
                            algs[i], kid, VSM_JWS_TYPE);
        g_autofree char *bad = with_header(jws, header);
        char *dot = strrchr(bad, '.');

        refused(fixture, bad, NULL, VSM_ERROR_FORMAT, "another algorithm");
        dot[1] = '\0'; /* as alg none has it */
        refused(fixture, bad, NULL, VSM_ERROR_FORMAT, NULL);
    }
}

static void test_refuses_algorithm_of_another_curve(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    g_autoptr(VsmKey) key = vsm_jwk_to_key(fixture->rk_jwk, NULL);
    g_autofree char *kid = vsm_jwk_thumbprint(key);
    g_autofree char *header = g_strdup_printf(
        "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"%s\"}", kid, VSM_JWS_TYPE);
    g_autofree char *bad = with_header(jws, header);

    refused(fixture, bad, NULL, VSM_ERROR_SIGNATURE, "algorithm");
}

static void test_refuses_header_members_that_reports_lack(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    const char *const headers[] = {
        "{\"alg\":\"ES384\",\"kid\":\"x\",\"typ\":\"JWT\"}",
        "{\"alg\":\"ES384\",\"kid\":\"x\"}",
        "{\"alg\":\"ES384\",\"kid\":\"x\",\"typ\":\"vsm-report+jwt\","
        "\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"ES384\",\"alg\":\"none\",\"kid\":\"x\","
        "\"typ\":\"vsm-report+jwt\"}",
        "{\"alg\":\"ES384\",\"kid\":\"x\",\"typ\":\"vsm-report+jwt\","
        "\"jwk\":{}}",
        "[]",
        "",
    };

    for (guint i = 0; i < G_N_ELEMENTS(headers); i++) {
        g_autofree char *bad = with_header(jws, headers[i]);

        refused(fixture, bad, NULL, VSM_ERROR_FORMAT, NULL);
    }
}

static void test_refuses_unknown_key(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autoptr(Fixture) other = fixture_new(48);
    g_autofree char *jws = fixture_report(other);

    refused(fixture, jws, NULL, VSM_ERROR_UNTRUSTED, "vsmctl keys");
}

/* The key is named right, and another one signed. */
static void test_refuses_signature_of_another_key(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *json = NULL, *jws = NULL;

    fixture_quote(fixture);
    json = fixture_claims(fixture);
    vsm_jws_sign(json, fixture->rk_jwk, fixture_sign, fixture->ak, &jws, NULL);
    refused(fixture, jws, NULL, VSM_ERROR_SIGNATURE, "altered");
}

static void test_refuses_what_is_no_jws(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    g_autofree char *four = g_strconcat(jws, ".AAAA", NULL);
    g_autofree char *blank = g_strconcat(jws, "\n", NULL);
    g_autofree char *padded = g_strconcat(jws, "==", NULL);
    g_autofree char *huge = g_strnfill(VSM_REPORT_BYTES_MAX + 1, 'A');

    refused(fixture, "", NULL, VSM_ERROR_FORMAT, "three parts");
    refused(fixture, "a.b", NULL, VSM_ERROR_FORMAT, "three parts");
    refused(fixture, "..", NULL, VSM_ERROR_FORMAT, NULL);
    refused(fixture, four, NULL, VSM_ERROR_FORMAT, "JWE");
    refused(fixture, blank, NULL, VSM_ERROR_FORMAT, "part 3");
    refused(fixture, padded, NULL, VSM_ERROR_FORMAT, "part 3");
    refused(fixture, huge, NULL, VSM_ERROR_LIMIT, NULL);
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
    refused(fixture, jws, NULL, VSM_ERROR_STALE, "nonce");
    fixture->expected.nonce = prefix;
    refused(fixture, jws, NULL, VSM_ERROR_STALE, "nonce");
    fixture->expected.nonce = longer;
    refused(fixture, jws, NULL, VSM_ERROR_STALE, "nonce");
}

static void test_refuses_the_answer_to_another_request(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    const VsmExpectation sound = fixture->expected;

    fixture->expected.op = "rollback";
    refused(fixture, jws, NULL, VSM_ERROR_STALE, "operation");
    fixture->expected = sound;
    fixture->expected.snapshot = "clean";
    refused(fixture, jws, NULL, VSM_ERROR_STALE, "snapshot");
    fixture->expected = sound;
    fixture->expected.scope = "stored";
    refused(fixture, jws, NULL, VSM_ERROR_STALE, "scope");
    fixture->expected = sound;
    fixture->expected.vm_uuid = "8d2b4d7e-5a59-4b39-a4bc-a4ad1e5ac21d";
    refused(fixture, jws, NULL, VSM_ERROR_STALE, "VM");
    fixture->expected = sound;
    fixture->expected.recipient = "4wBRt5KMYYbMkSjTjKgHBjsd9rTgxXEi6lS";
    refused(fixture, jws, NULL, VSM_ERROR_STALE, "recipient");
    fixture->expected = sound;
    trusted(fixture, jws, NULL, "match");
}

static void test_refuses_to_verify_without_a_request(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    const VsmExpectation sound = fixture->expected;

    fixture->expected.nonce = NULL;
    refused(fixture, jws, NULL, VSM_ERROR_INVALID, "what was asked");
    fixture->expected = sound;
    fixture->expected.vm_uuid = NULL;
    refused(fixture, jws, NULL, VSM_ERROR_INVALID, "what was asked");
    fixture->expected = sound;
    fixture->expected.scope = NULL;
    refused(fixture, jws, NULL, VSM_ERROR_INVALID, "what was asked");
}

static void test_refuses_stale_and_future_reports(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *old = NULL, *future = NULL, *just = NULL;

    fixture->claims.iat = FIXTURE_NOW + 5 - 300;
    just = fixture_report(fixture);
    trusted(fixture, just, NULL, "match");
    fixture->claims.iat = FIXTURE_NOW + 5 - 301;
    old = fixture_report(fixture);
    refused(fixture, old, NULL, VSM_ERROR_STALE, "301 s old");
    trusted(fixture, old, "{\"version\":1,\"max_age_s\":301}", "match");
    fixture->claims.iat = FIXTURE_NOW + 5 + 61;
    future = fixture_report(fixture);
    refused(fixture, future, NULL, VSM_ERROR_STALE, "clocks");
    fixture->claims.iat = G_MAXINT64;
    g_free(future);
    future = fixture_report(fixture);
    refused(fixture, future, NULL, VSM_ERROR_STALE, "clocks");
}

/* --- Quote -------------------------------------------------------------- */

/* The report key could sign a false TPMS_ATTEST: it must not count. */
static void test_refuses_a_quote_by_the_report_key(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *json = NULL, *jws = NULL;

    fixture_quote(fixture);
    g_bytes_unref(fixture->claims.quote_signature);
    fixture->claims.quote_signature =
        fixture_tpm_sign(fixture->rk, 48, fixture->claims.quote_attest);
    json = fixture_claims(fixture);
    jws = fixture_jws(fixture, json);
    refused(fixture, jws, NULL, VSM_ERROR_SIGNATURE, "attestation key");
}

static void requoted_is_refused(Fixture *fixture,
                                const VsmDigest *extra,
                                const VsmTpmPcrs *pcrs,
                                VsmError code,
                                const char *text)
{
    g_autofree char *json = NULL, *jws = NULL;

    g_clear_pointer(&fixture->claims.quote_attest, g_bytes_unref);
    g_clear_pointer(&fixture->claims.quote_signature, g_bytes_unref);
    fixture->claims.quote_attest = fixture_attest(48, extra, pcrs);
    fixture->claims.quote_signature =
        fixture_tpm_sign(fixture->ak, 48, fixture->claims.quote_attest);
    json = fixture_claims(fixture);
    jws = fixture_jws(fixture, json);
    refused(fixture, jws, NULL, code, text);
}

static void real_extra(Fixture *fixture, VsmDigest *ret)
{
    g_autoptr(VsmTpmAttest) attest = NULL;

    fixture_pcr23(fixture);
    fixture_quote(fixture);
    g_assert_true(vsm_tpm_attest_decode(fixture->claims.quote_attest,
                                        VSM_TPM_ATTEST_QUOTE, &attest, NULL));
    memcpy(ret->b, g_bytes_get_data(attest->extra_data, NULL), 48);
}

static void test_refuses_quoted_pcrs_other_than_claimed(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    VsmTpmPcrs quoted;
    VsmDigest extra;

    real_extra(fixture, &extra);
    quoted = fixture->pcrs;
    quoted.value[4][0] ^= 1;
    requoted_is_refused(fixture, &extra, &quoted, VSM_ERROR_SIGNATURE,
                        "does not belong");
    /* A quote over fewer PCRs than claimed. */
    quoted = fixture->pcrs;
    quoted.mask &= ~(1u << 3);
    requoted_is_refused(fixture, &extra, &quoted, VSM_ERROR_SIGNATURE, NULL);
    /* The same values out of another bank's selection. */
    quoted = fixture->pcrs;
    quoted.bank = VSM_TPM_BANK_SHA256;
    requoted_is_refused(fixture, &extra, &quoted, VSM_ERROR_SIGNATURE, NULL);
}

static void test_refuses_extra_data_of_another_request(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    VsmDigest extra;

    real_extra(fixture, &extra);
    extra.b[47] ^= 0x80;
    requoted_is_refused(fixture, &extra, &fixture->pcrs, VSM_ERROR_SIGNATURE,
                        "does not belong");
}

/* Each field of the request is bound by the quote, not only by RK. */
static void test_quote_binds_each_field(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = NULL;
    const VsmExpectation sound = fixture->expected;
    g_autoptr(GBytes) name = g_bytes_new_static("\0\x0b"
                                                "1234567890",
                                                12);
    g_autofree char *name_text =
        vsm_b64url_encode(g_bytes_get_data(name, NULL), 12);

    fixture->expected.op = "rollback";
    changed_is_refused(fixture, NULL, "op", json_string("rollback"),
                       VSM_ERROR_SIGNATURE, "does not belong");
    fixture->expected = sound;
    fixture->expected.snapshot = "tag:other";
    changed_is_refused(fixture, NULL, "asked", json_string("tag:other"),
                       VSM_ERROR_SIGNATURE, "does not belong");
    fixture->expected = sound;
    fixture->expected.vm_uuid = "00000000-5a59-4b39-a4bc-a4ad1e5ac21c";
    changed_is_refused(fixture, "vm", "uuid",
                       json_string(fixture->expected.vm_uuid),
                       VSM_ERROR_SIGNATURE, "does not belong");
    fixture->expected = sound;
    fixture->expected.recipient = "abc";
    changed_is_refused(fixture, NULL, "recipient", json_string("abc"),
                       VSM_ERROR_SIGNATURE, "does not belong");
    fixture->expected = sound;
    changed_is_refused(fixture, "quote", "sealed_name", json_string(name_text),
                       VSM_ERROR_SIGNATURE, "does not belong");
    jws = changed(fixture, NULL, "eat_nonce", json_string("AAAAAAAAAAAAAAAA"));
    fixture->expected.nonce =
        g_bytes_new_static("\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    refused(fixture, jws, NULL, VSM_ERROR_SIGNATURE, "does not belong");
    g_bytes_unref(fixture->expected.nonce);
}

static void test_refuses_claimed_hypervisor_that_pcr23_lacks(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *digest = g_strnfill(96, 'a');

    changed_is_refused(fixture, "hypervisor", "digest", json_string(digest),
                       VSM_ERROR_SIGNATURE, "PCR 23");
    changed_is_refused(fixture, NULL, "config",
                       json_string("machine: pc-q35-10.0\nram: 1\n"),
                       VSM_ERROR_SIGNATURE, "PCR 23");
}

static void test_refuses_quote_without_pcr23(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *json = NULL, *text = NULL, *jws = NULL;
    json_auto_t *claims = NULL;
    VsmTpmPcrs quoted;
    VsmDigest extra;

    real_extra(fixture, &extra);
    quoted = fixture->boot;
    g_bytes_unref(fixture->claims.quote_attest);
    g_bytes_unref(fixture->claims.quote_signature);
    fixture->claims.quote_attest = fixture_attest(48, &extra, &quoted);
    fixture->claims.quote_signature =
        fixture_tpm_sign(fixture->ak, 48, fixture->claims.quote_attest);
    json = fixture_claims(fixture);
    claims = json_loads(json, 0, NULL);
    json_object_del(json_object_get(json_object_get(claims, "pcrs"), "values"),
                    "23");
    text = vsm_json_dump(claims);
    jws = fixture_jws(fixture, text);
    refused(fixture, jws, NULL, VSM_ERROR_POLICY, "PCR 23");
}

static void test_refuses_a_damaged_quote(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);

    changed_is_refused(fixture, "quote", "attest", json_string("AAAA"),
                       VSM_ERROR_SIGNATURE, NULL);
    changed_is_refused(fixture, "quote", "signature", json_string("AAAA"),
                       VSM_ERROR_FORMAT, "signature");
    changed_is_refused(fixture, "quote", "signature", json_string(""),
                       VSM_ERROR_FORMAT, "signature");
}

/* --- Policy and trust --------------------------------------------------- */

static void test_in_process_needs_the_entry_or_the_policy(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    g_autofree char *json = fixture_trust_json(fixture);
    g_autoptr(VsmTrust) trust = vsm_trust_load(json, NULL);
    g_autoptr(VsmReportPolicy) strict = vsm_report_policy_load(NULL, NULL);
    g_autoptr(VsmReportPolicy) open = vsm_report_policy_load(OPEN_POLICY, NULL);
    g_autoptr(VsmReport) report = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(trust);
    g_assert_false(vsm_report_verify(jws, trust, strict, &fixture->expected,
                                     FIXTURE_NOW, &report, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_POLICY);
    g_clear_error(&error);
    g_assert_true(vsm_report_verify(jws, trust, open, &fixture->expected,
                                    FIXTURE_NOW, &report, &error));
    g_assert_no_error(error);
}

static void test_refuses_an_attester_other_than_enrolled(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);

    changed_is_refused(fixture, NULL, "attester", json_string("daemon"),
                       VSM_ERROR_POLICY, "trust entry");
    changed_is_refused(fixture, NULL, "boot_policy", json_string("operator"),
                       VSM_ERROR_POLICY, "trust entry");
    changed_is_refused(fixture, NULL, "iss", json_string("another"),
                       VSM_ERROR_UNTRUSTED, "another host");
}

static void test_refuses_a_measurer_other_than_the_attesters(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);

    changed_is_refused(fixture, NULL, "hypervisor_measured_by",
                       json_string("daemon"), VSM_ERROR_POLICY, "measurer");
    changed_is_refused(fixture, NULL, "state_measured_by",
                       json_string("daemon"), VSM_ERROR_POLICY, "measurer");
}

static void test_refuses_each_weaker_form(void)
{
    static const struct {
        const char *part, *name, *allow, *text;
        bool value;
    } forms[] = {
        {NULL, "unmeasured_boot", "allow_unmeasured_boot", "boot", true},
        {NULL, "require_sealed", "allow_require_sealed_off", "sealed", false},
        {NULL, "unsealed", "allow_not_unsealed", "release", false},
        {"hypervisor", "measured", "allow_unmeasured_hypervisor", "measured",
         false},
    };
    g_autoptr(Fixture) fixture = fixture_new(48);

    for (guint i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autofree char *jws = changed(fixture, forms[i].part, forms[i].name,
                                       json_boolean(forms[i].value));
        g_autofree char *policy =
            g_strdup_printf("{\"version\":1,\"%s\":true}", forms[i].allow);

        refused(fixture, jws, NULL, VSM_ERROR_POLICY, forms[i].text);
        trusted(fixture, jws, policy, "match");
    }
}

static void test_refuses_boot_pcrs_that_are_all_zero(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = NULL;

    memset(fixture->boot.value, 0, sizeof(fixture->boot.value));
    jws = fixture_report(fixture);
    refused(fixture, jws, NULL, VSM_ERROR_POLICY, "not measured");
    trusted(fixture, jws, OPEN_POLICY, "match");
}

static void test_refuses_boot_pcrs_that_are_not_approved(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *json = fixture_trust_json(fixture);
    g_autofree char *allowed = fixture_allow_in_process(json);
    g_autoptr(VsmTrust) trust = vsm_trust_load(allowed, NULL);
    g_autoptr(VsmReportPolicy) policy = vsm_report_policy_load(NULL, NULL);
    g_autofree char *jws = NULL;
    g_autoptr(GError) error = NULL;
    VsmReport *report = NULL;

    fixture->boot.value[7][47] ^= 1;
    jws = fixture_report(fixture);
    g_assert_false(vsm_report_verify(jws, trust, policy, &fixture->expected,
                                     FIXTURE_NOW, &report, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_POLICY);
    g_assert_nonnull(strstr(error->message, "approves"));
}

static void test_refuses_a_selection_without_the_policys_pcrs(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    g_autofree char *less = NULL;

    refused(fixture, jws, "{\"version\":1,\"pcrs\":[0,9]}", VSM_ERROR_POLICY,
            "does not cover");
    fixture->boot.mask = 0x7f;
    less = fixture_report(fixture);
    refused(fixture, less, NULL, VSM_ERROR_POLICY, "does not cover");
    trusted(fixture, less, "{\"version\":1,\"pcrs\":[0,6]}", "match");
}

static void baseline_is_refused(const char *vm, const char *id, guint8 state)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    g_autofree char *policy = NULL, *hex = NULL;
    VsmDigest digest;

    memset(digest.b, state, sizeof(digest.b));
    hex = vsm_digest_hex(&digest);
    policy = g_strdup_printf("{\"version\":1,\"baseline\":[{\"vm\":\"%s\","
                             "\"id\":\"%s\",\"state\":\"%s\"}]}",
                             vm, id, hex);
    refused(fixture, jws, policy, VSM_ERROR_POLICY, "baseline");
}

static void test_baseline_names_vm_snapshot_and_state(void)
{
    baseline_is_refused("00000000-5a59-4b39-a4bc-a4ad1e5ac21c", FIXTURE_ID,
                        0x11);
    baseline_is_refused(FIXTURE_UUID, "ffffffffffffffffffffffffffffffff", 0x11);
    baseline_is_refused(FIXTURE_UUID, FIXTURE_ID, 0x12);
}

/* An entry that approves less than the policy asks for approves nothing. */
static void test_refuses_approval_of_fewer_pcrs_than_the_policys(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);

    fixture->boot.mask = 0x7f; /* goes into the trust entry */
    refused(fixture, jws, NULL, VSM_ERROR_POLICY, "approves");
    trusted(fixture, jws, "{\"version\":1,\"pcrs\":[0,6]}", "match");
}

static void test_policy_lists_hold(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    g_autofree char *hypervisor = vsm_digest_hex(&fixture->hypervisor);
    g_autofree char *state = vsm_digest_hex(&fixture->record.state);
    g_autofree char *good_hv =
        g_strdup_printf("{\"version\":1,\"hypervisors\":[\"%s\"]}", hypervisor);
    g_autofree char *bad_hv =
        g_strdup_printf("{\"version\":1,\"hypervisors\":[\"%s\"]}", state);
    g_autofree char *bad_config =
        g_strdup_printf("{\"version\":1,\"configs\":[\"%s\"]}", state);
    g_autofree char *good_base = g_strdup_printf(
        "{\"version\":1,\"baseline\":[{\"vm\":\"%s\",\"id\":\"%s\","
        "\"state\":\"%s\"}]}",
        FIXTURE_UUID, FIXTURE_ID, state);
    g_autofree char *bad_base = g_strdup_printf(
        "{\"version\":1,\"baseline\":[{\"vm\":\"%s\",\"id\":\"%s\","
        "\"state\":\"%s\"}]}",
        FIXTURE_UUID, FIXTURE_ID, hypervisor);

    trusted(fixture, jws, good_hv, "match");
    refused(fixture, jws, bad_hv, VSM_ERROR_POLICY, "hypervisor");
    refused(fixture, jws, bad_config, VSM_ERROR_POLICY, "configuration");
    trusted(fixture, jws, good_base, "match");
    refused(fixture, jws, bad_base, VSM_ERROR_POLICY, "baseline");
    refused(fixture, jws, "{\"version\":1,\"baseline\":[]}", VSM_ERROR_POLICY,
            "baseline");
}

/* --- A resealed snapshot ------------------------------------------------ */

static EVP_PKEY *operator_new(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-384");

    g_assert_nonnull(key);
    return key;
}

/* A policy with that operator alone. */
static char *policy_of(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data, *text, *copy;
    long bytes;
    json_t *policy;

    g_assert_cmpint(PEM_write_bio_PUBKEY(bio, key), ==, 1);
    bytes = BIO_get_mem_data(bio, &data);
    text = g_strndup(data, bytes);
    policy = json_pack("{s:i, s:[s]}", "version", 1, "operators", text);
    copy = vsm_json_dump(policy);
    json_decref(policy);
    g_free(text);
    BIO_free(bio);
    return copy;
}

static VsmOperatorRequest *reseal_of(Fixture *fixture)
{
    VsmOperatorRequest *request =
        vsm_operator_request_new(VSM_OPERATOR_RESEAL, fixture->claims.host_id);
    VsmOperatorSnapshot one = {.id = FIXTURE_ID};

    request->vm = g_strdup(FIXTURE_UUID);
    g_array_append_val(request->snapshots, one);
    request->hypervisor = fixture->hypervisor;
    g_assert_true(vsm_sha384(fixture->vm.config, strlen(fixture->vm.config),
                             &request->config, NULL));
    return request;
}

/* The report of the snapshot as @request (consumed) had it resealed. */
static char *
resealed_report(Fixture *fixture, VsmOperatorRequest *request, EVP_PKEY *key)
{
    g_autoptr(VsmOperatorRequest) own = request;
    g_autoptr(GBytes) bytes = vsm_operator_request_encode(own, NULL);
    g_autoptr(GBytes) signature = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    guint8 der[VSM_SIGNATURE_DER_BYTES_MAX];
    size_t size = sizeof(der);
    gsize bytes_size;
    const guint8 *data = g_bytes_get_data(bytes, &bytes_size);
    char *jws;

    g_assert_cmpint(EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, key), ==,
                    1);
    g_assert_cmpint(EVP_DigestSign(ctx, der, &size, data, bytes_size), ==, 1);
    EVP_MD_CTX_free(ctx);
    signature = g_bytes_new(der, size);
    fixture->claims.reseal_request = bytes;
    fixture->claims.reseal_signature = signature;
    jws = fixture_report(fixture);
    fixture->claims.reseal_request = fixture->claims.reseal_signature = NULL;
    return jws;
}

static void test_reseal_is_by_an_operator_of_the_policy(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    EVP_PKEY *key = operator_new(), *other = operator_new();
    g_autofree char *jws = resealed_report(fixture, reseal_of(fixture), key);
    g_autofree char *plain = fixture_report(fixture);
    g_autofree char *right = policy_of(key), *wrong = policy_of(other);

    trusted(fixture, jws, NULL, "match");
    trusted(fixture, jws, right, "match");
    refused(fixture, jws, wrong, VSM_ERROR_SIGNATURE, "operators");
    refused(fixture, jws, "{\"version\":1,\"operators\":[]}",
            VSM_ERROR_SIGNATURE, "operators");
    trusted(fixture, plain, wrong, "match"); /* nothing was resealed */
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void test_reseal_of_something_else_is_refused(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    EVP_PKEY *key = operator_new();
    g_autofree char *policy = policy_of(key);

    for (guint i = 0; i < 5; i++) {
        VsmOperatorRequest *request = reseal_of(fixture);
        g_autofree char *jws = NULL;

        if (i == 0) {
            request->host[0] ^= 1;
        } else if (i == 1) {
            request->vm[0] ^= 1;
        } else if (i == 2) {
            g_array_index(request->snapshots, VsmOperatorSnapshot, 0).id[0] =
                'f';
        } else if (i == 3) {
            request->hypervisor.b[0] ^= 1;
        } else {
            request->config.b[0] ^= 1;
        }
        jws = resealed_report(fixture, request, key);
        refused(fixture, jws, policy, VSM_ERROR_POLICY, "another host, VM");
    }
    EVP_PKEY_free(key);
}

static void test_policy_with_no_key_for_an_operator_is_refused(void)
{
    static const char *const bad[] = {"{\"version\":1,\"operators\":[7]}",
                                      "{\"version\":1,\"operators\":[\"me\"]}",
                                      "{\"version\":1,\"operators\":\"me\"}"};

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(vsm_report_policy_load(bad[i], &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    }
}

static json_t *one(const char *text)
{
    json_t *list = json_array();

    json_array_append_new(list, json_string(text));
    return list;
}

static void test_trusts_masks_and_forms_that_the_table_has(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = NULL, *other = NULL;

    g_ptr_array_add(fixture->verdict.host_clock,
                    g_strdup("mc146818rtc/0 v3 +0:1 host-clock"));
    g_ptr_array_add(fixture->verdict.host_clock,
                    g_strdup("tpm-emulator/0 v0 +900:2000 external"));
    jws = fixture_report(fixture);
    trusted(fixture, jws, NULL, "match");

    /* Only an accepted form makes another digest a match. */
    g_ptr_array_add(fixture->verdict.accepted,
                    g_strdup("0000:00:02.0/e1000e/0"));
    memset(fixture->verdict.measured.b, 0x12, 48);
    other = fixture_report(fixture);
    trusted(fixture, other, NULL, "match");
    refused(fixture, other, "{\"version\":1,\"allow_accepted_forms\":false}",
            VSM_ERROR_POLICY, "after a load");
}

static void test_refuses_masks_and_forms_that_the_table_lacks(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);

    changed_is_refused(fixture, NULL, "host_clock",
                       one("mc146818rtc/0 v3 +0:4096 host-clock"),
                       VSM_ERROR_POLICY, "table");
    changed_is_refused(fixture, NULL, "unattested",
                       one("cpu/0 v12 +0:4096 external"), VSM_ERROR_POLICY,
                       "table");
    changed_is_refused(fixture, NULL, "accepted", one("cpu/0"),
                       VSM_ERROR_POLICY, "table");
}

/* --- Claims ------------------------------------------------------------- */

static void test_refuses_claims_that_contradict_themselves(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *zeros = g_strnfill(96, '0');

    changed_is_refused(fixture, NULL, "measured", json_string(zeros),
                       VSM_ERROR_FORMAT, "not what was sealed");
    changed_is_refused(fixture, NULL, "findings_left_out", json_integer(1),
                       VSM_ERROR_FORMAT, "lists findings");
    changed_is_refused(fixture, NULL, "result", json_string("unavailable"),
                       VSM_ERROR_FORMAT, "reason");
    changed_is_refused(fixture, NULL, "result", json_string("fine"),
                       VSM_ERROR_FORMAT, "unknown result");
    fixture->expected.scope = "stored";
    changed_is_refused(fixture, NULL, "scope", json_string("stored"),
                       VSM_ERROR_FORMAT, "not what was sealed");
    fixture->expected.scope = "runtime";
    changed_is_refused(fixture, NULL, "scope", json_string("runtime"),
                       VSM_ERROR_FORMAT, "covers");
}

static void test_refuses_claims_it_does_not_know(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    json_t *covers =
        json_pack("[s, s, s, s]", "ram", "vcpus", "devices", "disks");

    changed_is_refused(fixture, NULL, "extra", json_true(), VSM_ERROR_FORMAT,
                       "unknown member 'extra'");
    changed_is_refused(fixture, "vm", "extra", json_true(), VSM_ERROR_FORMAT,
                       "'vm'");
    changed_is_refused(fixture, NULL, "covers", covers, VSM_ERROR_FORMAT,
                       "covers");
    changed_is_refused(fixture, NULL, "eat_profile", json_string("urn:other"),
                       VSM_ERROR_FORMAT, "profile");
    changed_is_refused(fixture, NULL, "iat", json_string("now"),
                       VSM_ERROR_FORMAT, "'iat'");
    changed_is_refused(fixture, NULL, "iat", json_integer(-1), VSM_ERROR_FORMAT,
                       "'iat'");
    changed_is_refused(fixture, NULL, "iat", json_real(1e300), VSM_ERROR_FORMAT,
                       "'iat'");
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
        changed_is_refused(fixture, NULL, name, NULL, VSM_ERROR_FORMAT, name);
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
    refused(fixture, jws, NULL, VSM_ERROR_FORMAT, "duplicate");
    for (guint i = 0; i <= VSM_CLAIMS_LIST_MAX; i++) {
        json_array_append_new(list, json_string("a/0+0:1 host-clock"));
    }
    changed_is_refused(fixture, NULL, "host_clock", list, VSM_ERROR_LIMIT,
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
    g_test_add_func("/report/refuses-every-flipped-bit",
                    test_refuses_every_flipped_bit);
    g_test_add_func("/report/refuses-another-text-of-the-same-signature",
                    test_refuses_another_text_of_the_same_signature);
    g_test_add_func("/report/refuses-other-algorithms",
                    test_refuses_other_algorithms);
    g_test_add_func("/report/refuses-algorithm-of-another-curve",
                    test_refuses_algorithm_of_another_curve);
    g_test_add_func("/report/refuses-header-members-that-reports-lack",
                    test_refuses_header_members_that_reports_lack);
    g_test_add_func("/report/refuses-unknown-key", test_refuses_unknown_key);
    g_test_add_func("/report/refuses-signature-of-another-key",
                    test_refuses_signature_of_another_key);
    g_test_add_func("/report/refuses-what-is-no-jws",
                    test_refuses_what_is_no_jws);
    g_test_add_func("/report/refuses-another-nonce",
                    test_refuses_another_nonce);
    g_test_add_func("/report/refuses-the-answer-to-another-request",
                    test_refuses_the_answer_to_another_request);
    g_test_add_func("/report/refuses-to-verify-without-a-request",
                    test_refuses_to_verify_without_a_request);
    g_test_add_func("/report/refuses-stale-and-future-reports",
                    test_refuses_stale_and_future_reports);
    g_test_add_func("/report/refuses-a-quote-by-the-report-key",
                    test_refuses_a_quote_by_the_report_key);
    g_test_add_func("/report/refuses-quoted-pcrs-other-than-claimed",
                    test_refuses_quoted_pcrs_other_than_claimed);
    g_test_add_func("/report/refuses-extra-data-of-another-request",
                    test_refuses_extra_data_of_another_request);
    g_test_add_func("/report/quote-binds-each-field",
                    test_quote_binds_each_field);
    g_test_add_func("/report/refuses-claimed-hypervisor-that-pcr23-lacks",
                    test_refuses_claimed_hypervisor_that_pcr23_lacks);
    g_test_add_func("/report/refuses-quote-without-pcr23",
                    test_refuses_quote_without_pcr23);
    g_test_add_func("/report/refuses-a-damaged-quote",
                    test_refuses_a_damaged_quote);
    g_test_add_func("/report/in-process-needs-the-entry-or-the-policy",
                    test_in_process_needs_the_entry_or_the_policy);
    g_test_add_func("/report/refuses-an-attester-other-than-enrolled",
                    test_refuses_an_attester_other_than_enrolled);
    g_test_add_func("/report/refuses-a-measurer-other-than-the-attesters",
                    test_refuses_a_measurer_other_than_the_attesters);
    g_test_add_func("/report/refuses-each-weaker-form",
                    test_refuses_each_weaker_form);
    g_test_add_func("/report/refuses-boot-pcrs-that-are-all-zero",
                    test_refuses_boot_pcrs_that_are_all_zero);
    g_test_add_func("/report/refuses-boot-pcrs-that-are-not-approved",
                    test_refuses_boot_pcrs_that_are_not_approved);
    g_test_add_func("/report/refuses-a-selection-without-the-policys-pcrs",
                    test_refuses_a_selection_without_the_policys_pcrs);
    g_test_add_func("/report/baseline-names-vm-snapshot-and-state",
                    test_baseline_names_vm_snapshot_and_state);
    g_test_add_func("/report/refuses-approval-of-fewer-pcrs-than-the-policys",
                    test_refuses_approval_of_fewer_pcrs_than_the_policys);
    g_test_add_func("/report/policy-lists-hold", test_policy_lists_hold);
    g_test_add_func("/report/reseal-is-by-an-operator-of-the-policy",
                    test_reseal_is_by_an_operator_of_the_policy);
    g_test_add_func("/report/reseal-of-something-else-is-refused",
                    test_reseal_of_something_else_is_refused);
    g_test_add_func("/report/policy-with-no-key-for-an-operator-is-refused",
                    test_policy_with_no_key_for_an_operator_is_refused);
    g_test_add_func("/report/trusts-masks-and-forms-that-the-table-has",
                    test_trusts_masks_and_forms_that_the_table_has);
    g_test_add_func("/report/refuses-masks-and-forms-that-the-table-lacks",
                    test_refuses_masks_and_forms_that_the_table_lacks);
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
