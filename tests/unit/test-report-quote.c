/*
 * A report's quote: made by the attestation key, for this request, over what is
 * claimed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report-verify.h"

#include <string.h>

#include "report/json.h"
#include "report/jwk.h"

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
    report_refused(fixture, jws, NULL, VSM_ERROR_SIGNATURE, "attestation key");
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
    report_refused(fixture, jws, NULL, code, text);
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

    /* the op: /report-generation/op-is-bound-by-the-quote */
    fixture->expected.snapshot = "tag:other";
    report_changed_refused(fixture, NULL, "asked", json_string("tag:other"),
                           VSM_ERROR_SIGNATURE, "does not belong");
    fixture->expected = sound;
    fixture->expected.vm_uuid = "00000000-5a59-4b39-a4bc-a4ad1e5ac21c";
    report_changed_refused(fixture, "vm", "uuid",
                           json_string(fixture->expected.vm_uuid),
                           VSM_ERROR_SIGNATURE, "does not belong");
    fixture->expected = sound;
    fixture->expected.recipient = "abc";
    report_changed_refused(fixture, NULL, "recipient", json_string("abc"),
                           VSM_ERROR_SIGNATURE, "does not belong");
    fixture->expected = sound;
    report_changed_refused(fixture, "quote", "sealed_name",
                           json_string(name_text), VSM_ERROR_SIGNATURE,
                           "does not belong");
    jws = report_changed(fixture, NULL, "eat_nonce",
                         json_string("AAAAAAAAAAAAAAAA"));
    fixture->expected.nonce =
        g_bytes_new_static("\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    report_refused(fixture, jws, NULL, VSM_ERROR_SIGNATURE, "does not belong");
    g_bytes_unref(fixture->expected.nonce);
}

static void test_refuses_claimed_hypervisor_that_pcr23_lacks(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *digest = g_strnfill(96, 'a');

    report_changed_refused(fixture, "hypervisor", "digest", json_string(digest),
                           VSM_ERROR_SIGNATURE, "PCR 23");
    report_changed_refused(fixture, NULL, "config",
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
    report_refused(fixture, jws, NULL, VSM_ERROR_POLICY, "PCR 23");
}

static void test_refuses_a_damaged_quote(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);

    report_changed_refused(fixture, "quote", "attest", json_string("AAAA"),
                           VSM_ERROR_SIGNATURE, NULL);
    report_changed_refused(fixture, "quote", "signature", json_string("AAAA"),
                           VSM_ERROR_FORMAT, "signature");
    report_changed_refused(fixture, "quote", "signature", json_string(""),
                           VSM_ERROR_FORMAT, "signature");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
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
    return g_test_run();
}
