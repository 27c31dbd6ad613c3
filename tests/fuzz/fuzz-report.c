/*
 * Fuzz target: every parser that offline verification runs on foreign bytes.
 *
 * The first byte chooses the parser.  Claims are read without a signature in
 * front, so that mutants reach the parser.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/report.h>

#include "report/claims-read.h"
#include "report/json.h"
#include "report/jwk.h"
#include "report/jws.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static void fuzz_trust(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmTrust) trust = vsm_trust_load(text, &error);

    g_assert_true(!trust == !!error);
}

static void fuzz_policy(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmReportPolicy) policy = vsm_report_policy_load(text, &error);

    g_assert_true(!policy == !!error);
}

/* What was read must be usable without further checks. */
static void fuzz_claims(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmClaims) claims = vsm_claims_read(text, &error);

    g_assert_true(!claims == !!error);
    if (claims) {
        g_assert_true(g_utf8_validate(claims->config, -1, NULL));
        g_assert_nonnull(vsm_claims_expected(claims));
        g_assert_cmpuint(vsm_tpm_bank_bytes(claims->pcrs.bank), >, 0);
    }
}

static void fuzz_jws(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *kid = NULL;

    g_assert_true(vsm_jws_kid(text, &kid, &error) == !error);
}

static void fuzz_jwe(const char *text)
{
    static const char key[] =
        "{\"kty\":\"EC\",\"crv\":\"P-256\","
        "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
        "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\","
        "\"d\":\"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE\"}";
    g_autoptr(GError) error = NULL;
    g_autofree char *jws = NULL;

    g_assert_true(vsm_report_open(text, key, &jws, &error) == !error);
}

static void fuzz_recipient(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *thumbprint = NULL;

    g_assert_true(vsm_report_recipient(text, &thumbprint, &error) == !error);
}

/* The quote of a report whose signature is the attacker's own. */
static void fuzz_quote(const char *text)
{
    g_autoptr(GBytes) bytes = vsm_b64url_decode(text, 4096, NULL);
    g_autoptr(GBytes) raw = NULL;
    g_autoptr(VsmTpmAttest) attest = NULL;

    if (bytes) {
        vsm_tpm_signature_raw(bytes, 48, &raw, NULL);
        vsm_tpm_attest_decode(bytes, VSM_TPM_ATTEST_QUOTE, &attest, NULL);
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static void (*const targets[])(const char *text) = {
        fuzz_claims, fuzz_trust,     fuzz_policy, fuzz_jws,
        fuzz_jwe,    fuzz_recipient, fuzz_quote,
    };
    g_autofree char *text = NULL;

    if (size > 0) {
        text = g_strndup((const char *)data + 1, size - 1);
        targets[data[0] % G_N_ELEMENTS(targets)](text);
    }
    return 0;
}
