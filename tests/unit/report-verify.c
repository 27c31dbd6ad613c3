/*
 * Test help: reports of the fixture, and what their verification must say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report-verify.h"

#include <string.h>
#include <vsm/error.h>

#include "report/json.h"

VsmReport *report_verify(Fixture *fixture,
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

void report_trusted(Fixture *fixture,
                    const char *jws,
                    const char *policy,
                    const char *result)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmReport) report = report_verify(fixture, jws, policy, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(report->result, ==, result);
}

void report_refused(Fixture *fixture,
                    const char *jws,
                    const char *policy,
                    VsmError code,
                    const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmReport) report = report_verify(fixture, jws, policy, &error);

    g_assert_null(report);
    g_assert_error(error, VSM_ERROR, (int)code);
    if (text && !strstr(error->message, text)) {
        g_error("'%s' does not say '%s'", error->message, text);
    }
}

/* Claims with one member replaced (NULL: removed), signed by the real RK. */
char *report_changed(Fixture *fixture,
                     const char *part,
                     const char *name,
                     json_t *value)
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

void report_changed_refused(Fixture *fixture,
                            const char *part,
                            const char *name,
                            json_t *value,
                            VsmError code,
                            const char *text)
{
    g_autofree char *jws = report_changed(fixture, part, name, value);

    report_refused(fixture, jws, NULL, code, text);
}
