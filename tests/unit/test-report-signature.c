/*
 * A report's JWS: each altered bit, header and algorithm is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report-verify.h"

#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "report/jwk.h"

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

    report_trusted(fixture, jws, NULL, "match");
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

    report_trusted(fixture, jws, NULL, "match");
    *last = map[(strchr(map, *last) - map) ^ 1];
    report_refused(fixture, jws, NULL, VSM_ERROR_FORMAT, "part 3");
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

        report_refused(fixture, bad, NULL, VSM_ERROR_FORMAT,
                       "another algorithm");
        dot[1] = '\0'; /* as alg none has it */
        report_refused(fixture, bad, NULL, VSM_ERROR_FORMAT, NULL);
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

    report_refused(fixture, bad, NULL, VSM_ERROR_SIGNATURE, "algorithm");
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

        report_refused(fixture, bad, NULL, VSM_ERROR_FORMAT, NULL);
    }
}

static void test_refuses_unknown_key(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autoptr(Fixture) other = fixture_new(48);
    g_autofree char *jws = fixture_report(other);

    report_refused(fixture, jws, NULL, VSM_ERROR_UNTRUSTED, "vsmctl keys");
}

/* The key is named right, and another one signed. */
static void test_refuses_signature_of_another_key(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *json = NULL, *jws = NULL;

    fixture_quote(fixture);
    json = fixture_claims(fixture);
    vsm_jws_sign(json, fixture->rk_jwk, fixture_sign, fixture->ak, &jws, NULL);
    report_refused(fixture, jws, NULL, VSM_ERROR_SIGNATURE, "altered");
}

static void test_refuses_what_is_no_jws(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    g_autofree char *four = g_strconcat(jws, ".AAAA", NULL);
    g_autofree char *blank = g_strconcat(jws, "\n", NULL);
    g_autofree char *padded = g_strconcat(jws, "==", NULL);
    g_autofree char *huge = g_strnfill(VSM_REPORT_BYTES_MAX + 1, 'A');

    report_refused(fixture, "", NULL, VSM_ERROR_FORMAT, "three parts");
    report_refused(fixture, "a.b", NULL, VSM_ERROR_FORMAT, "three parts");
    report_refused(fixture, "..", NULL, VSM_ERROR_FORMAT, NULL);
    report_refused(fixture, four, NULL, VSM_ERROR_FORMAT, "JWE");
    report_refused(fixture, blank, NULL, VSM_ERROR_FORMAT, "part 3");
    report_refused(fixture, padded, NULL, VSM_ERROR_FORMAT, "part 3");
    report_refused(fixture, huge, NULL, VSM_ERROR_LIMIT, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
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
    return g_test_run();
}
