/*
 * What the verifier's trust entry and policy allow in a report, and what they
 * refuse.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report-verify.h"

#include <string.h>
#include <vsm/error.h>

#define OPEN_POLICY                                                            \
    "{\"version\":1,\"allow_in_process\":true,"                                \
    "\"allow_unmeasured_boot\":true}"

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

    report_changed_refused(fixture, NULL, "attester", json_string("daemon"),
                           VSM_ERROR_POLICY, "trust entry");
    report_changed_refused(fixture, NULL, "boot_policy",
                           json_string("operator"), VSM_ERROR_POLICY,
                           "trust entry");
    report_changed_refused(fixture, NULL, "iss", json_string("another"),
                           VSM_ERROR_UNTRUSTED, "another host");
}

static void test_refuses_a_measurer_other_than_the_attesters(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);

    report_changed_refused(fixture, NULL, "hypervisor_measured_by",
                           json_string("daemon"), VSM_ERROR_POLICY, "measurer");
    report_changed_refused(fixture, NULL, "state_measured_by",
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
        g_autofree char *jws =
            report_changed(fixture, forms[i].part, forms[i].name,
                           json_boolean(forms[i].value));
        g_autofree char *policy =
            g_strdup_printf("{\"version\":1,\"%s\":true}", forms[i].allow);

        report_refused(fixture, jws, NULL, VSM_ERROR_POLICY, forms[i].text);
        report_trusted(fixture, jws, policy, "match");
    }
}

static void test_refuses_boot_pcrs_that_are_all_zero(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = NULL;

    memset(fixture->boot.value, 0, sizeof(fixture->boot.value));
    jws = fixture_report(fixture);
    report_refused(fixture, jws, NULL, VSM_ERROR_POLICY, "not measured");
    report_trusted(fixture, jws, OPEN_POLICY, "match");
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

    report_refused(fixture, jws, "{\"version\":1,\"pcrs\":[0,9]}",
                   VSM_ERROR_POLICY, "does not cover");
    fixture->boot.mask = 0x7f;
    less = fixture_report(fixture);
    report_refused(fixture, less, NULL, VSM_ERROR_POLICY, "does not cover");
    report_trusted(fixture, less, "{\"version\":1,\"pcrs\":[0,6]}", "match");
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
    report_refused(fixture, jws, policy, VSM_ERROR_POLICY, "baseline");
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
    report_refused(fixture, jws, NULL, VSM_ERROR_POLICY, "approves");
    report_trusted(fixture, jws, "{\"version\":1,\"pcrs\":[0,6]}", "match");
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

    report_trusted(fixture, jws, good_hv, "match");
    report_refused(fixture, jws, bad_hv, VSM_ERROR_POLICY, "hypervisor");
    report_refused(fixture, jws, bad_config, VSM_ERROR_POLICY, "configuration");
    report_trusted(fixture, jws, good_base, "match");
    report_refused(fixture, jws, bad_base, VSM_ERROR_POLICY, "baseline");
    report_refused(fixture, jws, "{\"version\":1,\"baseline\":[]}",
                   VSM_ERROR_POLICY, "baseline");
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
    report_trusted(fixture, jws, NULL, "match");

    /* Only an accepted form makes another digest a match. */
    g_ptr_array_add(fixture->verdict.accepted,
                    g_strdup("0000:00:02.0/e1000e/0"));
    memset(fixture->verdict.measured.b, 0x12, 48);
    other = fixture_report(fixture);
    report_trusted(fixture, other, NULL, "match");
    report_refused(fixture, other,
                   "{\"version\":1,\"allow_accepted_forms\":false}",
                   VSM_ERROR_POLICY, "after a load");
}

static void test_refuses_masks_and_forms_that_the_table_lacks(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);

    report_changed_refused(fixture, NULL, "host_clock",
                           one("mc146818rtc/0 v3 +0:4096 host-clock"),
                           VSM_ERROR_POLICY, "table");
    report_changed_refused(fixture, NULL, "unattested",
                           one("cpu/0 v12 +0:4096 external"), VSM_ERROR_POLICY,
                           "table");
    report_changed_refused(fixture, NULL, "accepted", one("cpu/0"),
                           VSM_ERROR_POLICY, "table");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
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
    g_test_add_func("/report/trusts-masks-and-forms-that-the-table-has",
                    test_trusts_masks_and_forms_that_the_table_has);
    g_test_add_func("/report/refuses-masks-and-forms-that-the-table-lacks",
                    test_refuses_masks_and_forms_that_the_table_lacks);
    return g_test_run();
}
