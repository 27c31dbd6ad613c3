/*
 * Trust entries and policies: what is refused, and that what a host writes is
 * what a verifier reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report-fixture.h"

#include <jansson.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "report/json.h"
#include "report/jwk.h"
#include "report/policy.h"
#include "report/trust.h"

static json_t *entry_of(json_t *file)
{
    return json_array_get(json_object_get(file, "hosts"), 0);
}

static void trust_refused(json_t *file, VsmError code, const char *what)
{
    g_autofree char *text = vsm_json_dump(file);
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmTrust) trust = vsm_trust_load(text, &error);

    g_assert_null(trust);
    g_assert_error(error, VSM_ERROR, (int)code);
    if (!strstr(error->message, what)) {
        g_error("'%s' does not say '%s'", error->message, what);
    }
}

/* A sound file with one member of its entry replaced; NULL: removed. */
static void entry_refused(Fixture *fixture,
                          const char *name,
                          json_t *value,
                          const char *what)
{
    g_autofree char *text = fixture_trust_json(fixture);
    json_auto_t *file = json_loads(text, 0, NULL);

    if (value) {
        json_object_set_new(entry_of(file), name, value);
    } else {
        json_object_del(entry_of(file), name);
    }
    trust_refused(file, VSM_ERROR_FORMAT, what);
}

static json_t *b64url(GBytes *bytes)
{
    g_autofree char *text = vsm_b64url_encode(g_bytes_get_data(bytes, NULL),
                                              g_bytes_get_size(bytes));

    return json_string(text);
}

static void test_a_hosts_entry_is_read_back(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *text = fixture_trust_json(fixture);
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmTrust) trust = vsm_trust_load(text, &error);
    g_autoptr(VsmKey) key = vsm_jwk_to_key(fixture->rk_jwk, NULL);
    g_autofree char *kid = vsm_jwk_thumbprint(key);
    const VsmTrustEntry *entry;

    g_assert_no_error(error);
    entry = vsm_trust_find(trust, kid);
    g_assert_nonnull(entry);
    g_assert_null(vsm_trust_find(trust, "another"));
    g_assert_cmpstr(entry->host_id, ==, fixture->claims.host_id);
    g_assert_cmpstr(entry->rk_jwk, ==, fixture->rk_jwk);
    g_assert_true(entry->in_process);
    g_assert_false(entry->allow_in_process);
    g_assert_true(g_bytes_equal(entry->rk->name, fixture->rk_key->name));
    g_assert_cmpuint(entry->approved->len, ==, 1);
    g_assert_cmpmem(g_array_index(entry->approved, VsmTpmPcrs, 0).value[7], 48,
                    fixture->boot.value[7], 48);
}

/* A key that may do more than it should could sign a false quote. */
static void test_refuses_keys_of_the_wrong_kind(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    const guint32 ak = fixture->ak_key->attributes;
    const guint32 bad[] = {
        ak & ~TPMA_OBJECT_RESTRICTED,   ak | TPMA_OBJECT_DECRYPT,
        ak & ~TPMA_OBJECT_FIXEDTPM,     ak & ~TPMA_OBJECT_FIXEDPARENT,
        ak & ~TPMA_OBJECT_SIGN_ENCRYPT, ak & ~TPMA_OBJECT_SENSITIVEDATAORIGIN,
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GBytes) area = fixture_public(fixture->ak, 48, bad[i]);

        entry_refused(fixture, "ak_public", b64url(area), "attributes");
    }
    entry_refused(fixture, "ak_public", b64url(fixture->rk_public),
                  "attestation key");
    entry_refused(fixture, "rk_public", b64url(fixture->ak_public),
                  "report key");
    entry_refused(fixture, "ak_public", json_string("AAAA"), "attestation key");
}

static void test_refuses_names_and_jwks_of_other_keys(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autoptr(Fixture) other = fixture_new(48);
    g_autofree char *zeros = g_strnfill(68, '0');
    json_t *private = json_loads(other->rk_jwk, 0, NULL);

    json_object_set_new(private, "d", json_string("AAAA"));
    entry_refused(fixture, "ak_name", json_string(zeros), "Name");
    entry_refused(fixture, "rk_name", json_string(zeros), "Name");
    entry_refused(fixture, "rk_jwk", json_loads(other->rk_jwk, 0, NULL),
                  "another key");
    entry_refused(fixture, "rk_jwk", private, "private");
    entry_refused(fixture, "rk_jwk", json_object(), "JWK");
}

/* One key in both roles: then the report key signs quotes. */
static void test_refuses_one_key_in_both_roles(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autoptr(GBytes) area = fixture_public(
        fixture->rk, 48, fixture->rk_key->attributes | TPMA_OBJECT_RESTRICTED);
    g_autoptr(VsmTpmKey) key = NULL;
    g_autofree char *text = fixture_trust_json(fixture), *name = NULL;
    json_auto_t *file = json_loads(text, 0, NULL);
    GString *hex = g_string_new(NULL);
    gsize size;
    const guint8 *bytes;

    g_assert_true(vsm_tpm_key_decode(area, &key, NULL));
    bytes = g_bytes_get_data(key->name, &size);
    for (gsize i = 0; i < size; i++) {
        g_string_append_printf(hex, "%02x", bytes[i]);
    }
    name = g_string_free(hex, FALSE);
    json_object_set_new(entry_of(file), "ak_public", b64url(area));
    json_object_set_new(entry_of(file), "ak_name", json_string(name));
    trust_refused(file, VSM_ERROR_FORMAT, "the same");
}

static void test_refuses_malformed_entries(void)
{
    static const char *const members[] = {
        "host_id", "attester",      "ak_public",   "ak_name", "rk_public",
        "rk_name", "approved_pcrs", "boot_policy", "rk_jwk",
    };
    g_autoptr(Fixture) fixture = fixture_new(48);

    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        entry_refused(fixture, members[i], NULL, members[i]);
    }
    entry_refused(fixture, "trusted", json_true(), "unknown member");
    entry_refused(fixture, "attester", json_string("me"), "attester");
    entry_refused(fixture, "boot_policy", json_string("any"), "boot_policy");
    entry_refused(fixture, "allow_in_process", json_string("yes"),
                  "allow_in_process");
    entry_refused(fixture, "approved_pcrs", json_array(), "approved_pcrs");
    entry_refused(
        fixture, "approved_pcrs",
        json_pack("[{s:s, s:{s:s}}]", "bank", "sha384", "values", "0", "00"),
        "PCR values");
    entry_refused(fixture, "approved_pcrs",
                  json_pack("[{s:s, s:{}}]", "bank", "sha384", "values"),
                  "no PCR value");
    entry_refused(fixture, "approved_pcrs",
                  json_pack("[{s:s, s:{}}]", "bank", "sha1", "values"),
                  "no PCR value");
}

/* "00", "+1" and " 1" must not be second names of a PCR. */
static void test_refuses_other_spellings_of_a_pcr(void)
{
    static const char *const names[] = {"00", "+1", " 1", "24",
                                        "-1", "",   "1x", "0x1"};
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *value = g_strnfill(96, 'a');

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        entry_refused(fixture, "approved_pcrs",
                      json_pack("[{s:s, s:{s:s}}]", "bank", "sha384", "values",
                                names[i], value),
                      "PCR values");
    }
}

static void test_refuses_malformed_trust_files(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *text = fixture_trust_json(fixture);
    json_auto_t *version = json_loads(text, 0, NULL);
    json_auto_t *twice = json_loads(text, 0, NULL);
    json_auto_t *more = json_loads(text, 0, NULL);
    g_autofree char *huge = g_strnfill(VSM_TRUST_BYTES_MAX + 1, ' ');
    g_autoptr(GError) error = NULL;

    json_object_set_new(version, "version", json_integer(2));
    trust_refused(version, VSM_ERROR_FORMAT, "version");
    json_array_append(json_object_get(twice, "hosts"), entry_of(twice));
    trust_refused(twice, VSM_ERROR_FORMAT, "same report key");
    json_object_set_new(more, "comment", json_string("x"));
    trust_refused(more, VSM_ERROR_FORMAT, "unknown member");
    g_assert_null(vsm_trust_load(huge, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_LIMIT);
    g_clear_error(&error);
    g_assert_null(
        vsm_trust_load("{\"hosts\":[],\"version\":1,\"version\":1}", &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
}

static void test_trusts_any_of_several_approved_boot_states(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture), *text = NULL;
    g_autofree char *json = NULL, *plain = NULL;
    g_autoptr(VsmReportPolicy) policy = vsm_report_policy_load(NULL, NULL);
    g_autoptr(VsmTrust) trust = NULL;
    g_autoptr(VsmReport) report = NULL;
    g_autoptr(GError) error = NULL;
    json_auto_t *file = NULL;
    json_t *sets, *old;

    plain = fixture_trust_json(fixture);
    json = fixture_allow_in_process(plain);
    file = json_loads(json, 0, NULL);
    sets = json_object_get(entry_of(file), "approved_pcrs");
    old = json_deep_copy(json_array_get(sets, 0));
    text = g_strnfill(96, 'a');
    json_object_set_new(json_object_get(old, "values"), "4", json_string(text));
    json_array_insert_new(sets, 0, old);
    g_free(text);
    text = vsm_json_dump(file);
    trust = vsm_trust_load(text, &error);
    g_assert_no_error(error);
    g_assert_true(vsm_report_verify(jws, trust, policy, &fixture->expected,
                                    FIXTURE_NOW, &report, &error));
    g_assert_no_error(error);
}

static char *fixture_text(const char *name)
{
    g_autofree char *path =
        g_test_build_filename(G_TEST_DIST, "..", "fixtures", name, NULL);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return g_strchomp(text);
}

/* Made once with an swtpm: reports and entries of version 1 stay readable. */
static void test_known_report_of_version_1_is_trusted(void)
{
    g_autofree char *jws = fixture_text("report-v1.jws");
    g_autofree char *trust_text = fixture_text("trust-v1.json");
    g_autoptr(GBytes) nonce =
        g_bytes_new_static("0123456789abcdef0123456789abcdef", 32);
    const VsmExpectation expected = {
        .nonce = nonce,
        .op = "attest",
        .snapshot = "one",
        .scope = "full",
        .vm_uuid = "00112233-4455-6677-8899-aabbccddeeff",
    };
    g_autoptr(VsmReportPolicy) policy = vsm_report_policy_load(NULL, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmTrust) trust = vsm_trust_load(trust_text, &error);
    g_autoptr(VsmReport) report = NULL;

    g_assert_no_error(error);
    vsm_report_verify(jws, trust, policy, &expected, 1795532226, &report,
                      &error);
    g_assert_no_error(error);
    g_assert_cmpstr(report->result, ==, "match");
}

static void test_known_policy_of_version_1_is_read(void)
{
    g_autofree char *text = fixture_text("policy-v1.json");
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmReportPolicy) policy = vsm_report_policy_load(text, &error);

    g_assert_no_error(error);
    g_assert_true(policy->allow_in_process);
    g_assert_cmpuint(policy->pcrs, ==, 0x3);
    g_assert_cmpuint(policy->hypervisors->len, ==, 1);
    g_assert_cmpuint(policy->baseline->len, ==, 1);
}

/* --- Policy --------------------------------------------------------------- */

static void test_default_policy_is_strict(void)
{
    g_autoptr(VsmReportPolicy) policy = vsm_report_policy_load(NULL, NULL);

    g_assert_false(policy->allow_in_process);
    g_assert_false(policy->allow_unmeasured_boot);
    g_assert_false(policy->allow_unmeasured_hypervisor);
    g_assert_false(policy->allow_require_sealed_off);
    g_assert_false(policy->allow_not_unsealed);
    g_assert_cmpuint(policy->pcrs, ==, 0xff);
    g_assert_cmpuint(policy->max_age_s, ==, 300);
}

static void test_refuses_malformed_policies(void)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"version\":2}",
        "{\"version\":1,\"allow_everything\":true}",
        "{\"version\":1,\"allow_in_process\":1}",
        "{\"version\":1,\"allow_in_process\":true,\"allow_in_process\":true}",
        "{\"version\":1,\"max_age_s\":-1}",
        "{\"version\":1,\"max_age_s\":99999999999}",
        "{\"version\":1,\"max_ahead_s\":\"60\"}",
        "{\"version\":1,\"pcrs\":[]}",
        "{\"version\":1,\"pcrs\":[23]}",
        "{\"version\":1,\"pcrs\":[-1]}",
        "{\"version\":1,\"pcrs\":[\"0\"]}",
        "{\"version\":1,\"pcrs\":7}",
        "{\"version\":1,\"hypervisors\":[\"aa\"]}",
        "{\"version\":1,\"configs\":[1]}",
        "{\"version\":1,\"baseline\":[{}]}",
        "{\"version\":1} x",
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(vsm_report_policy_load(bad[i], &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    }
}

static void test_refuses_baselines_that_could_never_match(void)
{
    g_autofree char *state = g_strnfill(96, 'a');
    const struct {
        const char *vm, *id;
    } bad[] = {
        {"8D2B4D7E-5A59-4B39-A4BC-A4AD1E5AC21C", FIXTURE_ID},
        {FIXTURE_UUID, "clean"},
        {"vm1", FIXTURE_ID},
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *text =
            g_strdup_printf("{\"version\":1,\"baseline\":[{\"vm\":\"%s\","
                            "\"id\":\"%s\",\"state\":\"%s\"}]}",
                            bad[i].vm, bad[i].id, state);
        g_autoptr(GError) error = NULL;

        g_assert_null(vsm_report_policy_load(text, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trust/a-hosts-entry-is-read-back",
                    test_a_hosts_entry_is_read_back);
    g_test_add_func("/trust/refuses-keys-of-the-wrong-kind",
                    test_refuses_keys_of_the_wrong_kind);
    g_test_add_func("/trust/refuses-names-and-jwks-of-other-keys",
                    test_refuses_names_and_jwks_of_other_keys);
    g_test_add_func("/trust/refuses-one-key-in-both-roles",
                    test_refuses_one_key_in_both_roles);
    g_test_add_func("/trust/refuses-malformed-entries",
                    test_refuses_malformed_entries);
    g_test_add_func("/trust/refuses-other-spellings-of-a-pcr",
                    test_refuses_other_spellings_of_a_pcr);
    g_test_add_func("/trust/refuses-malformed-trust-files",
                    test_refuses_malformed_trust_files);
    g_test_add_func("/trust/trusts-any-of-several-approved-boot-states",
                    test_trusts_any_of_several_approved_boot_states);
    g_test_add_func("/trust/known-report-of-version-1-is-trusted",
                    test_known_report_of_version_1_is_trusted);
    g_test_add_func("/trust/known-policy-of-version-1-is-read",
                    test_known_policy_of_version_1_is_read);
    g_test_add_func("/trust/default-policy-is-strict",
                    test_default_policy_is_strict);
    g_test_add_func("/trust/refuses-malformed-policies",
                    test_refuses_malformed_policies);
    g_test_add_func("/trust/refuses-baselines-that-could-never-match",
                    test_refuses_baselines_that_could_never_match);
    return g_test_run();
}
