/*
 * A report on a rollback says whether the guest learns of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <jansson.h>
#include <string.h>
#include <vsm/error.h>

#include "report-fixture.h"
#include "report/claims.h"
#include "report/json.h"

#define WITH_DEVICE                                                            \
    "machine pc-q35-10.0\n"                                                    \
    "device vmgenid bus=none address=\n"
#define WITHOUT_DEVICE                                                         \
    "machine pc-q35-10.0\n"                                                    \
    "device e1000e bus=PCIE serial=vmgenid address=0000:00:02.0\n"

static Fixture *new_of(const char *op, const char *config)
{
    Fixture *fixture = fixture_new(48);

    fixture->claims.op = fixture->expected.op = op;
    fixture->vm.config = config;
    fixture_pcr23(fixture);
    g_free(fixture_report(fixture)); /* puts the quote in */
    return fixture;
}

/*
 * A report that was made for @op says to be one for @claimed, with this claim
 * generation (NULL: none).  @refusal: NULL, it is trusted.
 */
static void check_op(const char *op,
                     const char *claimed,
                     const char *config,
                     json_t *said,
                     VsmError code,
                     const char *refusal)
{
    g_autoptr(Fixture) fixture = new_of(op, config);
    g_autoptr(VsmTrust) trust = fixture_trust(fixture);
    g_autoptr(VsmReportPolicy) policy = NULL;
    g_autoptr(VsmReport) report = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *sound = fixture_claims(fixture);
    g_autofree char *text = NULL, *jws = NULL;
    json_auto_t *claims = json_loads(sound, 0, NULL);

    fixture->expected.op = claimed;
    json_object_set_new(claims, "op", json_string(claimed));
    if (said) {
        json_object_set_new(claims, "generation", said);
    } else {
        json_object_del(claims, "generation");
    }
    text = vsm_json_dump(claims);
    jws = fixture_jws(fixture, text);
    policy = vsm_report_policy_load(NULL, NULL);
    vsm_report_verify(jws, trust, policy, &fixture->expected, FIXTURE_NOW + 5,
                      &report, &error);
    if (refusal) {
        g_assert_error(error, VSM_ERROR, (int)code);
        g_assert_nonnull(strstr(error->message, refusal));
    } else {
        g_assert_no_error(error);
    }
}

static void
check(const char *op, const char *config, json_t *said, const char *refusal)
{
    check_op(op, op, config, said, VSM_ERROR_FORMAT, refusal);
}

static void claimed(const char *op, const char *config, const char *said)
{
    g_autoptr(Fixture) fixture = new_of(op, config);
    g_autofree char *text = fixture_claims(fixture);
    json_auto_t *claims = json_loads(text, 0, NULL);

    g_assert_cmpstr(json_string_value(json_object_get(claims, "generation")),
                    ==, said);
}

static void test_rollback_says_whether_the_guest_learns_of_it(void)
{
    claimed("rollback", WITH_DEVICE, "renewed");
    claimed("rollback", WITHOUT_DEVICE, "unchanged");
    claimed("attest", WITH_DEVICE, NULL);
    check("rollback", WITH_DEVICE, json_string("renewed"), NULL);
    check("rollback", WITHOUT_DEVICE, json_string("unchanged"), NULL);
}

static void test_generation_that_contradicts_the_devices_is_refused(void)
{
    check("rollback", WITHOUT_DEVICE, json_string("renewed"), "generation");
    check("rollback", WITH_DEVICE, json_string("unchanged"), "generation");
    check("rollback", WITH_DEVICE, NULL, "generation");
    check("attest", WITH_DEVICE, json_string("renewed"), "generation");
}

static void test_op_is_bound_by_the_quote(void)
{
    check_op("attest", "rollback", WITH_DEVICE, json_string("renewed"),
             VSM_ERROR_SIGNATURE, "does not belong");
    check_op("rollback", "attest", WITH_DEVICE, NULL, VSM_ERROR_SIGNATURE,
             "does not belong");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/report-generation/"
                    "rollback-says-whether-the-guest-learns-of-it",
                    test_rollback_says_whether_the_guest_learns_of_it);
    g_test_add_func("/report-generation/"
                    "generation-that-contradicts-the-devices-is-refused",
                    test_generation_that_contradicts_the_devices_is_refused);
    g_test_add_func("/report-generation/op-is-bound-by-the-quote",
                    test_op_is_bound_by_the_quote);
    return g_test_run();
}
