/*
 * The claims of a report, read and checked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/claims-read.h"

#include <string.h>
#include <vsm/error.h>

#include "base/codec.h"
#include "base/limits.h"
#include "report/claims.h"
#include "report/json.h"

static const VsmJsonMember claims_table[] = {
    {"eat_profile", VSM_JSON_TEXT, false},
    {"eat_nonce", VSM_JSON_B64URL, false},
    {"iat", VSM_JSON_COUNT, false},
    {"iss", VSM_JSON_TEXT, false},
    {"op", VSM_JSON_TEXT, false},
    {"asked", VSM_JSON_TEXT, false},
    {"scope", VSM_JSON_TEXT, false},
    {"profile", VSM_JSON_TEXT, false},
    {"unsolicited", VSM_JSON_BOOL, true},
    {"generation", VSM_JSON_TEXT, true},
    {"recipient", VSM_JSON_TEXT, false},
    {"vm", VSM_JSON_OBJECT, false},
    {"snapshot", VSM_JSON_OBJECT, false},
    {"metadata_sha384", VSM_JSON_DIGEST, false},
    {"covers", VSM_JSON_LIST, false},
    {"result", VSM_JSON_TEXT, false},
    {"reason", VSM_JSON_TEXT, true},
    {"measured", VSM_JSON_DIGEST, false},
    {"unsealed", VSM_JSON_BOOL, false},
    {"findings", VSM_JSON_LIST, false},
    {"findings_left_out", VSM_JSON_COUNT, false},
    {"accepted", VSM_JSON_LIST, false},
    {"accepted_left_out", VSM_JSON_COUNT, false},
    {"host_clock", VSM_JSON_LIST, false},
    {"host_clock_left_out", VSM_JSON_COUNT, false},
    {"tolerated", VSM_JSON_LIST, false},
    {"tolerated_left_out", VSM_JSON_COUNT, false},
    {"unattested", VSM_JSON_LIST, false},
    {"unattested_left_out", VSM_JSON_COUNT, false},
    {"changed_pages", VSM_JSON_COUNT, false},
    {"bytes_hashed", VSM_JSON_COUNT, false},
    {"pause_ms", VSM_JSON_COUNT, false},
    {"hypervisor", VSM_JSON_OBJECT, false},
    {"config", VSM_JSON_TEXT, false},
    {"pcrs", VSM_JSON_OBJECT, false},
    {"attester", VSM_JSON_TEXT, false},
    {"hypervisor_measured_by", VSM_JSON_TEXT, false},
    {"state_measured_by", VSM_JSON_TEXT, false},
    {"boot_policy", VSM_JSON_TEXT, false},
    {"unmeasured_boot", VSM_JSON_BOOL, false},
    {"require_sealed", VSM_JSON_BOOL, false},
    {"quote", VSM_JSON_OBJECT, false},
    {"resealed", VSM_JSON_OBJECT, true},
};

static const VsmJsonMember resealed_table[] = {
    {"request", VSM_JSON_B64URL, false},
    {"signature", VSM_JSON_B64URL, false},
};

static const VsmJsonMember vm_table[] = {
    {"uuid", VSM_JSON_TEXT, false},
    {"name", VSM_JSON_TEXT, false},
};

static const VsmJsonMember snapshot_table[] = {
    {"id", VSM_JSON_TEXT, false},       {"tag", VSM_JSON_TEXT, false},
    {"time", VSM_JSON_COUNT, false},    {"state", VSM_JSON_DIGEST, false},
    {"stream", VSM_JSON_DIGEST, false}, {"scope", VSM_JSON_DIGEST, false},
    {"commit", VSM_JSON_DIGEST, false}, {"ssk", VSM_JSON_TEXT, false},
};

static const VsmJsonMember hypervisor_table[] = {
    {"digest", VSM_JSON_DIGEST, false},
    {"version", VSM_JSON_TEXT, false},
    {"measured", VSM_JSON_BOOL, false},
};

static const VsmJsonMember quote_table[] = {
    {"attest", VSM_JSON_B64URL, false},
    {"signature", VSM_JSON_B64URL, false},
    {"sealed_name", VSM_JSON_B64URL, false},
};

static const VsmJsonMember finding_table[] = {
    {"kind", VSM_JSON_TEXT, false},
    {"where", VSM_JSON_TEXT, false},
    {"offset", VSM_JSON_COUNT, false},
    {"bytes", VSM_JSON_COUNT, false},
};

static const VsmJsonMember runtime_finding_table[] = {
    {"class", VSM_JSON_TEXT, false},  {"kind", VSM_JSON_TEXT, false},
    {"va", VSM_JSON_TEXT, false},     {"pa", VSM_JSON_TEXT, false},
    {"bytes", VSM_JSON_COUNT, false}, {"vcpu", VSM_JSON_COUNT, true},
    {"sealed", VSM_JSON_TEXT, true},  {"measured", VSM_JSON_TEXT, true},
};

static bool is_runtime(const json_t *json)
{
    return strcmp(vsm_json_text(json, "scope"), "runtime") == 0;
}

static bool format_error(GError **error, const char *what)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, "the report %s", what);
    return false;
}

static bool one_of(const char *text, const char *const *words)
{
    return g_strv_contains(words, text);
}

static bool check_parts(const json_t *json, GError **error)
{
    static const struct {
        const char *name, *where;
        const VsmJsonMember *table;
        guint n;
    } parts[] = {
        {"vm", "the report's 'vm'", vm_table, G_N_ELEMENTS(vm_table)},
        {"snapshot", "the report's 'snapshot'", snapshot_table,
         G_N_ELEMENTS(snapshot_table)},
        {"hypervisor", "the report's 'hypervisor'", hypervisor_table,
         G_N_ELEMENTS(hypervisor_table)},
        {"quote", "the report's 'quote'", quote_table,
         G_N_ELEMENTS(quote_table)},
    };
    const json_t *value;

    if (!vsm_json_check(json, claims_table, G_N_ELEMENTS(claims_table),
                        "the report", error)) {
        return false;
    }
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (!vsm_json_check(json_object_get(json, parts[i].name),
                            parts[i].table, parts[i].n, parts[i].where,
                            error)) {
            return false;
        }
    }
    value = json_object_get(json, "resealed");
    return !value ||
           vsm_json_check(value, resealed_table, G_N_ELEMENTS(resealed_table),
                          "the report's 'resealed'", error);
}

static bool check_words(const json_t *json, GError **error)
{
    static const char *const ops[] = {"attest", "verify", "rollback", "watch",
                                      NULL};
    static const char *const scopes[] = {"full", "runtime", "stored", NULL};
    static const char *const attesters[] = {"in-process", "daemon", NULL};
    static const char *const boots[] = {"frozen", "operator", NULL};
    json_auto_t *expected =
        is_runtime(json)
            ? json_pack("[s, s, s]", "kernel", "registers", "firmware")
            : json_pack("[s, s, s]", "ram", "vcpus", "devices");

    if (strcmp(vsm_json_text(json, "eat_profile"), VSM_CLAIMS_PROFILE) != 0) {
        return format_error(error, "is of another profile than "
                                   "'" VSM_CLAIMS_PROFILE "'");
    }
    if (!one_of(vsm_json_text(json, "op"), ops) ||
        !one_of(vsm_json_text(json, "scope"), scopes) ||
        !one_of(vsm_json_text(json, "attester"), attesters) ||
        !one_of(vsm_json_text(json, "boot_policy"), boots)) {
        return format_error(error, "has an unknown word as op, scope, "
                                   "attester or boot_policy");
    }
    if (!json_equal(json_object_get(json, "covers"), expected)) {
        return format_error(error, "covers other things than its scope; a "
                                   "newer vsmctl may know them");
    }
    return true;
}

static bool check_finding(const json_t *finding, bool runtime, GError **error)
{
    return runtime ? vsm_json_check(finding, runtime_finding_table,
                                    G_N_ELEMENTS(runtime_finding_table),
                                    "a finding of the report", error)
                   : vsm_json_check(finding, finding_table,
                                    G_N_ELEMENTS(finding_table),
                                    "a finding of the report", error);
}

/* Adds the list's entries that were left out to @left_out. */
static bool check_list(const json_t *json,
                       const char *name,
                       bool of_texts,
                       guint64 *left_out,
                       GError **error)
{
    g_autofree char *rest = g_strconcat(name, "_left_out", NULL);
    const json_t *list = json_object_get(json, name);
    size_t i;
    json_t *value;

    if (json_array_size(list) > VSM_CLAIMS_LIST_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "'%s' of the report has more than %d entries", name,
                    VSM_CLAIMS_LIST_MAX);
        return false;
    }
    json_array_foreach(list, i, value)
    {
        if (of_texts && !json_is_string(value)) {
            return format_error(error, "has a list with another thing than "
                                       "text in it");
        }
        if (!of_texts && !check_finding(value, is_runtime(json), error)) {
            return false;
        }
    }
    /* Saturates: each addend is at most 2^63 - 1. */
    *left_out = MIN(*left_out + vsm_json_count(json, rest), G_MAXINT64);
    return true;
}

static bool check_lists(VsmClaims *claims, GError **error)
{
    const json_t *json = claims->json;
    guint64 *out = &claims->left_out;

    if (!check_list(json, "findings", false, out, error) ||
        !check_list(json, "accepted", true, out, error) ||
        !check_list(json, "host_clock", true, out, error) ||
        !check_list(json, "tolerated", true, out, error) ||
        !check_list(json, "unattested", true, out, error)) {
        return false;
    }
    if (!is_runtime(json) &&
        json_array_size(json_object_get(json, "tolerated")) > 0) {
        return format_error(error, "tolerates something: only the runtime "
                                   "scope does");
    }
    return true;
}

json_t *vsm_pcrs_write(const VsmTpmPcrs *pcrs)
{
    json_t *values = json_object();

    for (guint i = 0; i < VSM_TPM_PCRS; i++) {
        if (pcrs->mask & 1u << i) {
            g_autofree char *number = g_strdup_printf("%u", i);
            g_autofree char *hex =
                vsm_codec_hex(pcrs->value[i], vsm_tpm_bank_bytes(pcrs->bank));

            json_object_set_new(values, number, json_string(hex));
        }
    }
    return json_pack("{s:s, s:o}", "bank", vsm_tpm_bank_name(pcrs->bank),
                     "values", values);
}

bool vsm_pcrs_read(const json_t *object,
                   const char *where,
                   VsmTpmPcrs *ret,
                   GError **error)
{
    static const VsmJsonMember table[] = {
        {"bank", VSM_JSON_TEXT, false},
        {"values", VSM_JSON_OBJECT, false},
    };
    VsmTpmPcrs pcrs = {0};
    gsize bytes;
    const char *name;
    json_t *value;

    if (!vsm_json_check(object, table, G_N_ELEMENTS(table), where, error)) {
        return false;
    }
    pcrs.bank = vsm_tpm_bank_from_name(vsm_json_text(object, "bank"));
    bytes = vsm_tpm_bank_bytes(pcrs.bank);
    json_object_foreach(json_object_get(object, "values"), name, value)
    {
        g_autofree char *canonical = NULL;
        guint64 number = VSM_TPM_PCRS;

        g_ascii_string_to_unsigned(name, 10, 0, VSM_TPM_PCRS - 1, &number,
                                   NULL);
        canonical = g_strdup_printf("%u", (guint)number);
        if (bytes == 0 || number >= VSM_TPM_PCRS ||
            strcmp(canonical, name) != 0 || !json_is_string(value) ||
            !vsm_codec_parse_hex(json_string_value(value), pcrs.value[number],
                                 bytes)) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                        "%s is not PCR values of bank sha384 or sha256 in "
                        "lower-case hex",
                        where);
            return false;
        }
        pcrs.mask |= 1u << number;
    }
    if (pcrs.mask == 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, "%s holds no PCR value",
                    where);
        return false;
    }
    *ret = pcrs;
    return true;
}

static void fill(VsmClaims *claims)
{
    const json_t *json = claims->json;
    const json_t *snapshot = json_object_get(json, "snapshot");
    const json_t *hypervisor = json_object_get(json, "hypervisor");
    const json_t *quote = json_object_get(json, "quote");

    claims->nonce = vsm_json_bytes(json, "eat_nonce");
    claims->iat = (gint64)vsm_json_count(json, "iat");
    claims->host_id = vsm_json_text(json, "iss");
    claims->op = vsm_json_text(json, "op");
    claims->asked = vsm_json_text(json, "asked");
    claims->scope = vsm_json_text(json, "scope");
    claims->profile = vsm_json_text(json, "profile");
    claims->recipient = vsm_json_text(json, "recipient");
    claims->vm_uuid = vsm_json_text(json_object_get(json, "vm"), "uuid");
    claims->snapshot_id = vsm_json_text(snapshot, "id");
    claims->snapshot_tag = vsm_json_text(snapshot, "tag");
    claims->config = vsm_json_text(json, "config");
    claims->attester = vsm_json_text(json, "attester");
    claims->hypervisor_measured_by =
        vsm_json_text(json, "hypervisor_measured_by");
    claims->state_measured_by = vsm_json_text(json, "state_measured_by");
    claims->boot_policy = vsm_json_text(json, "boot_policy");
    claims->accepted = json_object_get(json, "accepted");
    claims->host_clock = json_object_get(json, "host_clock");
    claims->unattested = json_object_get(json, "unattested");
    claims->unsealed = vsm_json_bool(json, "unsealed");
    claims->unmeasured_boot = vsm_json_bool(json, "unmeasured_boot");
    claims->require_sealed = vsm_json_bool(json, "require_sealed");
    claims->hypervisor_measured = vsm_json_bool(hypervisor, "measured");
    vsm_json_digest(snapshot, "state", &claims->state);
    vsm_json_digest(snapshot, "stream", &claims->stream);
    vsm_json_digest(snapshot, "scope", &claims->sealed_scope);
    vsm_json_digest(json, "measured", &claims->measured);
    vsm_json_digest(hypervisor, "digest", &claims->hypervisor);
    claims->quote_attest = vsm_json_bytes(quote, "attest");
    claims->quote_signature = vsm_json_bytes(quote, "signature");
    claims->sealed_name = vsm_json_bytes(quote, "sealed_name");
}

const VsmDigest *vsm_claims_expected(const VsmClaims *claims)
{
    if (is_runtime(claims->json)) {
        return &claims->sealed_scope;
    }
    return strcmp(claims->scope, "stored") == 0 ? &claims->stream
                                                : &claims->state;
}

/* An attester that is sound cannot have made these. */
static bool check_result(VsmClaims *claims, GError **error)
{
    const json_t *json = claims->json;
    const char *result = vsm_json_text(json, "result");
    bool equal =
        vsm_digest_equal(&claims->measured, vsm_claims_expected(claims));
    bool reason = json_object_get(json, "reason") != NULL;

    if (strcmp(result, "match") == 0) {
        claims->result = VSM_RESULT_MATCH;
        if (json_array_size(json_object_get(json, "findings")) > 0 ||
            vsm_json_count(json, "findings_left_out") > 0) {
            return format_error(error, "says match, and lists findings");
        }
        /* In a running guest more may change than the rules look at. */
        if (!equal && !is_runtime(json) &&
            json_array_size(claims->accepted) == 0) {
            return format_error(error, "says match, but what was measured is "
                                       "not what was sealed");
        }
    } else if (strcmp(result, "mismatch") == 0) {
        claims->result = VSM_RESULT_MISMATCH;
    } else if (strcmp(result, "unavailable") == 0) {
        claims->result = VSM_RESULT_UNAVAILABLE;
    } else {
        return format_error(error, "has an unknown result");
    }
    if (reason != (claims->result == VSM_RESULT_UNAVAILABLE)) {
        return format_error(error, "gives a reason with a result, or none "
                                   "with unavailable");
    }
    return true;
}

/* It follows from the devices, which the TPM bound. */
static bool check_generation(const VsmClaims *claims, GError **error)
{
    bool rollback = strcmp(claims->op, "rollback") == 0;
    const char *said = vsm_json_text(claims->json, "generation");
    const char *config = vsm_json_text(claims->json, "config");

    if (g_strcmp0(said, rollback ? vsm_claims_generation(config) : NULL)) {
        return format_error(error, "has a generation that does not follow "
                                   "from its op and configuration");
    }
    return true;
}

static bool check_scope(const VsmClaims *claims, GError **error)
{
    static const char *const profiles[] = {"standard", "strict", NULL};
    const char *scope = strcmp(claims->op, "verify") == 0 ? "stored" : "full";
    bool watch = strcmp(claims->op, "watch") == 0;

    if (vsm_json_bool(claims->json, "unsolicited") != watch) {
        return format_error(error, "is unsolicited and answers a request, or "
                                   "neither of both");
    }
    if (!check_generation(claims, error)) {
        return false;
    }
    if (is_runtime(claims->json)) {
        return ((watch || strcmp(claims->op, "attest") == 0) &&
                one_of(claims->profile, profiles)) ||
               format_error(error, "is on the runtime scope, without a "
                                   "profile or with an op that has none");
    }
    if (watch || strcmp(claims->scope, scope) != 0 || *claims->profile) {
        return format_error(error, "has a scope or profile that does not "
                                   "belong to its op");
    }
    return true;
}

VsmClaims *vsm_claims_read(const char *text, GError **error)
{
    g_autoptr(VsmClaims) claims = g_new0(VsmClaims, 1);

    claims->json =
        vsm_json_load(text, VSM_REPORT_BYTES_MAX, "the report", error);
    if (!claims->json || !check_parts(claims->json, error) ||
        !check_words(claims->json, error) || !check_lists(claims, error) ||
        !vsm_pcrs_read(json_object_get(claims->json, "pcrs"),
                       "the report's 'pcrs'", &claims->pcrs, error)) {
        return NULL;
    }
    fill(claims);
    if (!check_result(claims, error) || !check_scope(claims, error)) {
        return NULL;
    }
    return g_steal_pointer(&claims);
}

void vsm_claims_free(VsmClaims *claims)
{
    if (!claims) {
        return;
    }
    g_clear_pointer(&claims->nonce, g_bytes_unref);
    g_clear_pointer(&claims->quote_attest, g_bytes_unref);
    g_clear_pointer(&claims->quote_signature, g_bytes_unref);
    g_clear_pointer(&claims->sealed_name, g_bytes_unref);
    json_decref(claims->json);
    g_free(claims);
}
