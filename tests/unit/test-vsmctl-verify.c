/*
 * vsmctl verify: results by exit code, and what is no answer to the request.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report-fixture.h"
#include "vsmctl-run.h"

#include <jansson.h>
#include <string.h>

#include "report/jwe.h"
#include "report/jwk.h"

typedef struct {
    Fixture *fixture;
    char *trust, *request, *report;
} Offline;

static void offline_clear(Offline *offline)
{
    fixture_free(offline->fixture);
    g_free(offline->trust);
    g_free(offline->request);
    g_free(offline->report);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Offline, offline_clear)

static Offline offline_new(void)
{
    Offline offline = {.fixture = fixture_new(48)};
    g_autofree char *plain = fixture_trust_json(offline.fixture);
    g_autofree char *trust = fixture_allow_in_process(plain);

    offline.fixture->claims.iat = g_get_real_time() / G_USEC_PER_SEC;
    offline.trust = write_file("trust.json", trust);
    offline.request =
        write_file("request.json",
                   "{\"version\": 1, \"nonce\": \"AAECAwQFBgcICQoLDA0ODw\", "
                   "\"op\": \"attest\", \"snapshot\": \"tag:clean\", "
                   "\"scope\": \"full\", \"vm\": \"" FIXTURE_UUID "\"}");
    return offline;
}

static void offline_report(Offline *offline)
{
    g_autofree char *jws = fixture_report(offline->fixture);

    g_free(offline->report);
    offline->report = write_file("report.jws", jws);
}

static Run verify(const Offline *offline)
{
    return vsmctl("verify", "--trust", offline->trust, "--request",
                  offline->request, offline->report, NULL);
}

static void test_verify_tells_results_by_exit_code(void)
{
    static const struct {
        guint8 result;
        int code;
    } cases[] = {
        {VSM_RESULT_MATCH, 0},
        {VSM_RESULT_MISMATCH, 1},
        {VSM_RESULT_UNAVAILABLE, 4},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Offline) offline = offline_new();
        VsmVerdict *sealed = &offline.fixture->verdict;

        sealed->result = cases[i].result;
        sealed->reason = cases[i].result == VSM_RESULT_UNAVAILABLE
                             ? (char *)"not\033ready"
                             : NULL;
        offline_report(&offline);
        {
            g_auto(Run) run = verify(&offline);

            g_assert_cmpint(run.code, ==, cases[i].code);
            says(run.out, "disks not covered");
            g_assert_null(strchr(run.out, '\033'));
        }
    }
}

static void test_verify_with_left_out_entries_is_2(void)
{
    g_auto(Offline) offline = offline_new();
    GPtrArray *list = offline.fixture->verdict.host_clock;

    for (guint i = 0; i <= VSM_CLAIMS_LIST_MAX; i++) {
        g_ptr_array_add(list, g_strdup("mc146818rtc/0 v3 +0:1 host-clock"));
    }
    offline_report(&offline);
    {
        g_auto(Run) run = verify(&offline);

        g_assert_cmpint(run.code, ==, 2);
        says(run.out, "not complete");
    }
}

static void test_verify_without_a_request_is_2(void)
{
    g_auto(Offline) offline = offline_new();

    offline_report(&offline);
    {
        g_auto(Run) none =
            vsmctl("verify", "--trust", offline.trust, offline.report, NULL);
        g_auto(Run) some =
            vsmctl("verify", "--trust", offline.trust, "--nonce",
                   "AAECAwQFBgcICQoLDA0ODw", "--vm", FIXTURE_UUID, "--snapshot",
                   "tag:clean", "--op", "attest", offline.report, NULL);
        g_auto(Run) all = vsmctl("verify", "--trust", offline.trust, "--nonce",
                                 "AAECAwQFBgcICQoLDA0ODw", "--vm", FIXTURE_UUID,
                                 "--snapshot", "tag:clean", "--op", "attest",
                                 "--scope", "full", offline.report, NULL);
        g_auto(Run) other =
            vsmctl("verify", "--trust", offline.trust, "--nonce",
                   "AAECAwQFBgcICQoLDA0ODw", "--vm", FIXTURE_UUID, "--snapshot",
                   "tag:other", "--op", "attest", "--scope", "full",
                   offline.report, NULL);

        g_assert_cmpint(none.code, ==, 2);
        g_assert_cmpint(some.code, ==, 2);
        g_assert_cmpint(all.code, ==, 0);
        g_assert_cmpint(other.code, ==, 2);
    }
}

static void test_verify_of_untrusted_reports_is_2(void)
{
    g_auto(Offline) offline = offline_new();
    g_autoptr(Fixture) stranger = fixture_new(48);
    g_autofree char *plain = fixture_trust_json(offline.fixture);
    g_autofree char *strict = write_file("strict.json", plain);
    g_autofree char *foreign = NULL, *foreign_path = NULL, *damaged = NULL;
    g_autofree char *empty = write_file("empty.json", "{}");

    offline_report(&offline);
    stranger->claims.iat = offline.fixture->claims.iat;
    foreign = fixture_report(stranger);
    foreign_path = write_file("foreign.jws", foreign);
    foreign[strlen(foreign) / 2] ^= 1;
    damaged = write_file("damaged.jws", foreign);
    {
        g_auto(Run) in_process =
            vsmctl("verify", "--trust", strict, "--request", offline.request,
                   offline.report, NULL);
        g_auto(Run) key =
            vsmctl("verify", "--trust", offline.trust, "--request",
                   offline.request, foreign_path, NULL);
        g_auto(Run) bad = vsmctl("verify", "--trust", offline.trust,
                                 "--request", offline.request, damaged, NULL);
        g_auto(Run) trust = vsmctl("verify", "--trust", empty, "--request",
                                   offline.request, offline.report, NULL);
        g_auto(Run) missing =
            vsmctl("verify", "--trust", offline.trust, "--request",
                   offline.request, "/nonexistent", NULL);
        g_auto(Run) json =
            vsmctl("verify", "--trust", strict, "--request", offline.request,
                   offline.report, "--json", NULL);
        json_auto_t *object = json_loads(json.out, 0, NULL);

        g_assert_cmpint(in_process.code, ==, 2);
        says(in_process.err, "--allow-in-process");
        g_assert_cmpint(key.code, ==, 2);
        says(key.err, "trust entry");
        g_assert_cmpint(bad.code, ==, 2);
        g_assert_cmpint(trust.code, ==, 2);
        g_assert_cmpint(missing.code, ==, 3);
        g_assert_cmpint(json.code, ==, 2);
        g_assert_cmpstr(json_string_value(json_object_get(object, "error")), ==,
                        "policy");
    }
}

static void test_verify_prints_json(void)
{
    g_auto(Offline) offline = offline_new();

    offline_report(&offline);
    {
        g_auto(Run) run =
            vsmctl("verify", "--trust", offline.trust, "--request",
                   offline.request, "--json", offline.report, NULL);
        json_auto_t *object = json_loads(run.out, 0, NULL);

        g_assert_cmpint(run.code, ==, 0);
        g_assert_true(json_is_true(json_object_get(object, "trusted")));
        g_assert_cmpstr(json_string_value(json_object_get(object, "result")),
                        ==, "match");
        g_assert_cmpstr(json_string_value(json_object_get(
                            json_object_get(object, "claims"), "iss")),
                        ==, offline.fixture->claims.host_id);
    }
}

#define P256_X "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
#define P256_Y "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
#define P256_D "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"
#define PUBLIC                                                                 \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y   \
    "\"}"
#define PRIVATE                                                                \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y   \
    "\",\"d\":\"" P256_D "\"}"

static void test_verify_opens_its_own_reports_only(void)
{
    g_auto(Offline) offline = offline_new();
    g_autofree char *key = write_file("key.jwk", PRIVATE);
    g_autofree char *public = write_file("public.jwk", PUBLIC);
    g_autofree char *thumbprint = NULL, *jws = NULL, *jwe = NULL;
    g_autofree char *request = in_scratch("secret.json"), *path = NULL;
    g_autofree char *text = NULL;
    json_auto_t *object = NULL;
    g_auto(Run) made =
        vsmctl("request", "--vm=" FIXTURE_UUID, "--snapshot=tag:clean",
               "--recipient", public, "--out", request, NULL);
    g_auto(Run) private = vsmctl("request", "--vm=" FIXTURE_UUID,
                                 "--snapshot=a", "--recipient", key, NULL);

    g_assert_cmpint(made.code, ==, 0);
    /* A private key must never get into a request. */
    g_assert_cmpint(private.code, ==, 2);
    g_assert_cmpstr(private.out, ==, "");
    says(private.err, "private");

    g_assert_true(g_file_get_contents(request, &text, NULL, NULL));
    object = json_loads(text, 0, NULL);
    g_bytes_unref(offline.fixture->claims.nonce);
    offline.fixture->claims.nonce = vsm_b64url_decode(
        json_string_value(json_object_get(object, "nonce")), 64, NULL);
    g_assert_true(vsm_report_recipient(PUBLIC, &thumbprint, NULL));
    offline.fixture->claims.recipient = thumbprint;
    jws = fixture_report(offline.fixture);
    g_assert_true(vsm_jwe_encrypt(jws, PUBLIC, &jwe, NULL));
    path = write_file("report.jwe", jwe);
    {
        g_auto(Run) opened =
            vsmctl("verify", "--trust", offline.trust, "--request", request,
                   "--key", key, path, NULL);
        g_auto(Run) closed = vsmctl("verify", "--trust", offline.trust,
                                    "--request", request, path, NULL);

        g_assert_cmpstr(opened.err, ==, "");
        g_assert_cmpint(opened.code, ==, 0);
        g_assert_cmpint(closed.code, ==, 2);
        says(closed.err, "JWE");
    }
    {
        /* A request without a recipient has no encrypted answer. */
        g_auto(Run) unasked =
            vsmctl("verify", "--trust", offline.trust, "--request",
                   offline.request, "--key", key, path, NULL);

        g_assert_cmpint(unasked.code, ==, 2);
    }
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    scratch_begin();
    g_test_add_func("/vsmctl/verify-tells-results-by-exit-code",
                    test_verify_tells_results_by_exit_code);
    g_test_add_func("/vsmctl/verify-with-left-out-entries-is-2",
                    test_verify_with_left_out_entries_is_2);
    g_test_add_func("/vsmctl/verify-without-a-request-is-2",
                    test_verify_without_a_request_is_2);
    g_test_add_func("/vsmctl/verify-of-untrusted-reports-is-2",
                    test_verify_of_untrusted_reports_is_2);
    g_test_add_func("/vsmctl/verify-prints-json", test_verify_prints_json);
    g_test_add_func("/vsmctl/verify-opens-its-own-reports-only",
                    test_verify_opens_its_own_reports_only);
    rc = g_test_run();
    scratch_end();
    return rc;
}
