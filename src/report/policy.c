/*
 * A verifier's policy, read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/policy.h"

#include <string.h>

#include "base/codec.h"
#include "base/limits.h"
#include "base/text.h"
#include "crypto/keys.h"
#include "report/json.h"
#include "tpm/structures.h"

#define POLICY_VERSION 1

static const VsmJsonMember policy_table[] = {
    {"version", VSM_JSON_COUNT, false},
    {"max_age_s", VSM_JSON_COUNT, true},
    {"max_ahead_s", VSM_JSON_COUNT, true},
    {"allow_in_process", VSM_JSON_BOOL, true},
    {"allow_unmeasured_boot", VSM_JSON_BOOL, true},
    {"allow_unmeasured_hypervisor", VSM_JSON_BOOL, true},
    {"allow_require_sealed_off", VSM_JSON_BOOL, true},
    {"allow_not_unsealed", VSM_JSON_BOOL, true},
    {"allow_accepted_forms", VSM_JSON_BOOL, true},
    {"allow_resealed", VSM_JSON_BOOL, true},
    {"allow_unattested", VSM_JSON_BOOL, true},
    {"scope", VSM_JSON_TEXT, true},
    {"profile", VSM_JSON_TEXT, true},
    {"pcrs", VSM_JSON_LIST, true},
    {"hypervisors", VSM_JSON_LIST, true},
    {"configs", VSM_JSON_LIST, true},
    {"baseline", VSM_JSON_LIST, true},
    {"operators", VSM_JSON_LIST, true},
};

const char *vsm_policy_member(guint i)
{
    return i < G_N_ELEMENTS(policy_table) ? policy_table[i].name : NULL;
}

static const VsmJsonMember baseline_table[] = {
    {"vm", VSM_JSON_TEXT, false},
    {"id", VSM_JSON_TEXT, false},
    {"state", VSM_JSON_DIGEST, false},
};

static void baseline_free(VsmBaseline *baseline)
{
    g_free(baseline->vm);
    g_free(baseline->id);
    g_free(baseline);
}

static bool bad(GError **error, const char *what)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, "the policy file: %s",
                what);
    return false;
}

/* Also bounds the seconds, so that arithmetic on times cannot overflow. */
static bool
read_seconds(const json_t *json, const char *name, guint64 *ret, GError **error)
{
    if (!json_object_get(json, name)) {
        return true;
    }
    *ret = vsm_json_count(json, name);
    return *ret <= G_MAXUINT32 ||
           bad(error, "a time is longer than 2^32 seconds");
}

static bool read_pcrs(const json_t *json, guint32 *ret, GError **error)
{
    const json_t *list = json_object_get(json, "pcrs");
    size_t i;
    json_t *value;

    if (!list) {
        return true;
    }
    *ret = 0;
    json_array_foreach(list, i, value)
    {
        json_int_t number = json_integer_value(value);

        if (!json_is_integer(value) || number < 0 || number >= VSM_TPM_PCR_VM) {
            return bad(error, "pcrs is a list of numbers from 0 to 22");
        }
        *ret |= 1u << number;
    }
    return *ret != 0 || bad(error, "pcrs is empty: no boot would be bound");
}

/* An empty list is kept: it allows nothing, as it says. */
static bool
read_digests(const json_t *json, const char *name, GArray **ret, GError **error)
{
    const json_t *list = json_object_get(json, name);
    size_t i;
    json_t *value;

    if (!list) {
        return true;
    }
    *ret = g_array_new(FALSE, FALSE, sizeof(VsmDigest));
    json_array_foreach(list, i, value)
    {
        VsmDigest digest;

        if (!json_is_string(value) ||
            !vsm_codec_parse_hex(json_string_value(value), digest.b,
                                 sizeof(digest.b))) {
            return bad(error, "hypervisors and configs are lists of SHA-384 "
                              "digests in lower-case hex");
        }
        g_array_append_val(*ret, digest);
    }
    return true;
}

static bool read_baseline(const json_t *json, GPtrArray **ret, GError **error)
{
    const json_t *list = json_object_get(json, "baseline");
    size_t i;
    json_t *value;

    if (!list) {
        return true;
    }
    *ret = g_ptr_array_new_with_free_func((GDestroyNotify)baseline_free);
    json_array_foreach(list, i, value)
    {
        VsmBaseline *entry;

        if (!vsm_json_check(value, baseline_table, G_N_ELEMENTS(baseline_table),
                            "a baseline of the policy file", error)) {
            return false;
        }
        if (!vsm_text_is_uuid(vsm_json_text(value, "vm")) ||
            !vsm_text_is_id(vsm_json_text(value, "id"))) {
            return bad(error, "a baseline's vm is no UUID, or its id not 32 "
                              "hex digits, in lower case");
        }
        entry = g_new0(VsmBaseline, 1);
        entry->vm = g_strdup(vsm_json_text(value, "vm"));
        entry->id = g_strdup(vsm_json_text(value, "id"));
        vsm_json_digest(value, "state", &entry->state);
        g_ptr_array_add(*ret, entry);
    }
    return true;
}

static bool read_operators(const json_t *json, GPtrArray **ret, GError **error)
{
    const json_t *list = json_object_get(json, "operators");
    size_t i;
    json_t *value;

    if (!list) {
        return true;
    }
    *ret = g_ptr_array_new_with_free_func((GDestroyNotify)vsm_key_free);
    json_array_foreach(list, i, value)
    {
        const char *pem = json_string_value(value);
        VsmKey *key = pem ? vsm_key_new_pem(pem, strlen(pem), NULL) : NULL;

        if (!key) {
            return bad(error, "operators is a list of public EC keys (P-256, "
                              "P-384), each a text in PEM form");
        }
        g_ptr_array_add(*ret, key);
    }
    return true;
}

/* A word that is not known would otherwise refuse, or allow, too much. */
static bool
read_scope(const json_t *json, VsmReportPolicy *policy, GError **error)
{
    static const char *const scopes[] = {"full", "runtime", "stored", NULL};
    static const char *const profiles[] = {"standard", "strict", NULL};

    policy->scope = g_strdup(json_string_value(json_object_get(json, "scope")));
    policy->profile =
        g_strdup(json_string_value(json_object_get(json, "profile")));
    if (policy->scope && !g_strv_contains(scopes, policy->scope)) {
        return bad(error, "scope is full, runtime or stored");
    }
    return !policy->profile || g_strv_contains(profiles, policy->profile) ||
           bad(error, "profile is standard or strict");
}

static void read_switches(const json_t *json, VsmReportPolicy *policy)
{
    policy->allow_in_process = vsm_json_bool(json, "allow_in_process");
    policy->allow_unmeasured_boot =
        vsm_json_bool(json, "allow_unmeasured_boot");
    policy->allow_unmeasured_hypervisor =
        vsm_json_bool(json, "allow_unmeasured_hypervisor");
    policy->allow_require_sealed_off =
        vsm_json_bool(json, "allow_require_sealed_off");
    policy->allow_not_unsealed = vsm_json_bool(json, "allow_not_unsealed");
    policy->allow_unattested = vsm_json_bool(json, "allow_unattested");
    /* Allowed unless refused: an operator, or VSM's own table, bounds them. */
    policy->allow_resealed =
        !json_is_false(json_object_get(json, "allow_resealed"));
    policy->allow_accepted_forms =
        !json_is_false(json_object_get(json, "allow_accepted_forms"));
}

VsmReportPolicy *vsm_report_policy_load(const char *json, GError **error)
{
    g_autoptr(VsmReportPolicy) policy = g_new0(VsmReportPolicy, 1);
    json_auto_t *file =
        vsm_json_load(json ? json : "{\"version\":1}", VSM_TRUST_BYTES_MAX,
                      "the policy file", error);

    policy->max_age_s = VSM_POLICY_MAX_AGE_S;
    policy->max_ahead_s = VSM_POLICY_MAX_AHEAD_S;
    policy->pcrs = 0xff;
    if (!file || !vsm_json_check(file, policy_table, G_N_ELEMENTS(policy_table),
                                 "the policy file", error)) {
        return NULL;
    }
    if (vsm_json_count(file, "version") != POLICY_VERSION) {
        bad(error, "its version is not 1; a newer vsmctl may know it");
        return NULL;
    }
    read_switches(file, policy);
    if (!read_seconds(file, "max_age_s", &policy->max_age_s, error) ||
        !read_seconds(file, "max_ahead_s", &policy->max_ahead_s, error) ||
        !read_scope(file, policy, error) ||
        !read_pcrs(file, &policy->pcrs, error) ||
        !read_digests(file, "hypervisors", &policy->hypervisors, error) ||
        !read_digests(file, "configs", &policy->configs, error) ||
        !read_baseline(file, &policy->baseline, error) ||
        !read_operators(file, &policy->operators, error)) {
        return NULL;
    }
    return g_steal_pointer(&policy);
}

void vsm_report_policy_free(VsmReportPolicy *policy)
{
    if (!policy) {
        return;
    }
    g_free(policy->scope);
    g_free(policy->profile);
    g_clear_pointer(&policy->hypervisors, g_array_unref);
    g_clear_pointer(&policy->configs, g_array_unref);
    g_clear_pointer(&policy->baseline, g_ptr_array_unref);
    g_clear_pointer(&policy->operators, g_ptr_array_unref);
    g_free(policy);
}
