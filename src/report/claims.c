/*
 * The claims of a report, written.
 *
 * claims-read.c holds the table that a verifier checks them against; a change
 * here needs one there, in docs/formats.md and in the known answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/claims.h"

#include <string.h>
#include <vsm/error.h>

#include "base/codec.h"
#include "base/limits.h"
#include "report/json.h"
#include "report/jwk.h"

/* Takes @value; memory is GLib's matter, so a failure is a broken call. */
static void put(json_t *object, const char *name, json_t *value)
{
    int rc = json_object_set_new(object, name, value);

    g_assert(rc == 0);
}

/* A claim that may come from a guest's or a user's bytes. */
static void put_any_text(json_t *object, const char *name, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);

    put(object, name, json_string(valid));
}

static void put_bytes(json_t *object, const char *name, GBytes *bytes)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    g_autofree char *text = vsm_b64url_encode(data, size);

    put(object, name, json_string(text));
}

static void
put_hex(json_t *object, const char *name, const void *data, gsize bytes)
{
    g_autofree char *text = vsm_codec_hex(data, bytes);

    put(object, name, json_string(text));
}

static void
put_digest(json_t *object, const char *name, const VsmDigest *digest)
{
    put_hex(object, name, digest->b, sizeof(digest->b));
}

static void put_hex_bytes(json_t *object, const char *name, GBytes *bytes)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    put_hex(object, name, data, size);
}

/* Masks of this reason hide state, where others hide only a clock. */
static bool is_external(const char *text)
{
    return g_str_has_suffix(text, " external");
}

/*
 * The first VSM_CLAIMS_LIST_MAX entries as @name, the rest as a number.
 * @keep: NULL: all entries; else those for which it answers @want.
 */
static void put_list(json_t *object,
                     const char *name,
                     const GPtrArray *texts,
                     bool (*keep)(const char *text),
                     bool want)
{
    g_autofree char *rest_name = g_strconcat(name, "_left_out", NULL);
    json_t *list = json_array();
    guint left_out = 0;

    for (guint i = 0; texts && i < texts->len; i++) {
        const char *text = g_ptr_array_index(texts, i);
        g_autofree char *valid = g_utf8_make_valid(text, -1);

        if (keep && keep(text) != want) {
            continue;
        }
        if (json_array_size(list) < VSM_CLAIMS_LIST_MAX) {
            json_array_append_new(list, json_string(valid));
        } else {
            left_out++;
        }
    }
    put(object, name, list);
    put(object, rest_name, json_integer(left_out));
}

static bool is_runtime(const VsmClaimsInput *in)
{
    return strcmp(in->scope, "runtime") == 0;
}

/* Addresses of a 64-bit guest are no JSON integers. */
static void put_address(json_t *object, const char *name, guint64 address)
{
    g_autofree char *text =
        g_strdup_printf("0x%016" G_GINT64_MODIFIER "x", address);

    put(object, name, json_string(text));
}

static json_t *runtime_finding(const VsmFinding *finding)
{
    json_t *entry = json_object();

    put_any_text(entry, "class", finding->where);
    put(entry, "kind", json_string(finding->kind));
    put_address(entry, "va", finding->offset);
    put_address(entry, "pa", finding->address);
    put(entry, "bytes", json_integer((json_int_t)finding->bytes));
    if (finding->vcpu > 0) {
        put(entry, "vcpu", json_integer(finding->vcpu - 1));
    }
    if (finding->sealed) {
        put_hex_bytes(entry, "sealed", finding->sealed);
    }
    if (finding->measured) {
        put_hex_bytes(entry, "measured", finding->measured);
    }
    return entry;
}

static json_t *state_finding(const VsmFinding *finding)
{
    json_t *entry = json_object();

    put(entry, "kind", json_string(finding->kind));
    put_any_text(entry, "where", finding->where);
    put(entry, "offset", json_integer((json_int_t)finding->offset));
    put(entry, "bytes", json_integer((json_int_t)finding->bytes));
    return entry;
}

static void put_findings(json_t *object, const VsmClaimsInput *in)
{
    const VsmVerdict *verdict = in->verdict;
    json_t *list = json_array();
    guint n = verdict->findings ? verdict->findings->len : 0;
    guint kept = MIN(n, VSM_FINDINGS_MAX);

    for (guint i = 0; i < kept; i++) {
        const VsmFinding *finding = g_ptr_array_index(verdict->findings, i);

        json_array_append_new(list, is_runtime(in) ? runtime_finding(finding)
                                                   : state_finding(finding));
    }
    put(object, "findings", list);
    put(object, "findings_left_out",
        json_integer((json_int_t)(verdict->findings_left_out + n - kept)));
}

static json_t *pcrs_of(const VsmTpmPcrs *pcrs)
{
    json_t *object = json_object();
    json_t *values = json_object();

    for (guint i = 0; i < VSM_TPM_PCRS; i++) {
        if (pcrs->mask & 1u << i) {
            g_autofree char *number = g_strdup_printf("%u", i);

            put_hex(values, number, pcrs->value[i],
                    vsm_tpm_bank_bytes(pcrs->bank));
        }
    }
    put(object, "bank", json_string(vsm_tpm_bank_name(pcrs->bank)));
    put(object, "values", values);
    return object;
}

static json_t *snapshot_of(const VsmRecord *record)
{
    json_t *object = json_object();

    put(object, "id", json_string(record->id));
    put_any_text(object, "tag", record->tag);
    put(object, "time", json_integer(record->time));
    put_digest(object, "state", &record->state);
    put_digest(object, "stream", &record->stream);
    put_digest(object, "scope", &record->scope);
    put_digest(object, "commit", &record->commit);
    put_hex_bytes(object, "ssk", record->ssk_name);
    return object;
}

static json_t *hypervisor_of(const VsmClaimsInput *in)
{
    json_t *object = json_object();

    put_digest(object, "digest", in->hypervisor);
    put_any_text(object, "version", in->vm->version);
    put(object, "measured", json_boolean(in->hypervisor_measured));
    return object;
}

static json_t *quote_of(const VsmClaimsInput *in)
{
    json_t *object = json_object();

    put_bytes(object, "attest", in->quote_attest);
    put_bytes(object, "signature", in->quote_signature);
    put_bytes(object, "sealed_name", in->record->sealed_name);
    return object;
}

const char *vsm_claims_generation(const char *config)
{
    return g_str_has_prefix(config, "device vmgenid ") ||
                   strstr(config, "\ndevice vmgenid ")
               ? "renewed"
               : "unchanged";
}

/* Who, what was asked, when. */
static void put_request(json_t *claims, const VsmClaimsInput *in)
{
    json_t *vm = json_object();

    put(claims, "eat_profile", json_string(VSM_CLAIMS_PROFILE));
    put_bytes(claims, "eat_nonce", in->nonce);
    put(claims, "iat", json_integer(in->iat));
    put(claims, "iss", json_string(in->host_id));
    put(claims, "op", json_string(in->op));
    put(claims, "asked", json_string(in->asked));
    put(claims, "scope", json_string(in->scope));
    put(claims, "profile", json_string(in->profile));
    if (strcmp(in->op, "watch") == 0) {
        put(claims, "unsolicited", json_true());
    }
    if (strcmp(in->op, "rollback") == 0) {
        put(claims, "generation",
            json_string(vsm_claims_generation(in->vm->config)));
    }
    put(claims, "recipient", json_string(in->recipient));
    put(vm, "uuid", json_string(in->vm->uuid));
    put_any_text(vm, "name", in->vm->name);
    put(claims, "vm", vm);
}

static const char *result_name(guint8 result)
{
    switch (result) {
    case VSM_RESULT_MATCH:
        return "match";
    case VSM_RESULT_MISMATCH:
        return "mismatch";
    case VSM_RESULT_UNAVAILABLE:
        return "unavailable";
    default:
        return NULL;
    }
}

static void put_covers(json_t *claims, const VsmClaimsInput *in)
{
    static const char *const state[] = {"ram", "vcpus", "devices"};
    static const char *const runtime[] = {"kernel", "registers", "firmware"};
    const char *const *covered = is_runtime(in) ? runtime : state;
    json_t *covers = json_array();

    for (guint i = 0; i < G_N_ELEMENTS(state); i++) {
        json_array_append_new(covers, json_string(covered[i]));
    }
    put(claims, "covers", covers);
}

/* What was not compared at all, or only by its place. */
static void put_unattested(json_t *claims, const VsmClaimsInput *in)
{
    if (is_runtime(in)) {
        put_list(claims, "unattested", in->verdict->unattested, NULL, true);
    } else {
        put_list(claims, "unattested", in->verdict->host_clock, is_external,
                 true);
    }
}

static void put_result(json_t *claims, const VsmClaimsInput *in)
{
    const VsmVerdict *verdict = in->verdict;

    put_covers(claims, in);
    put(claims, "result", json_string(result_name(verdict->result)));
    if (verdict->result == VSM_RESULT_UNAVAILABLE) {
        put_any_text(claims, "reason", verdict->reason);
    }
    put_digest(claims, "measured", &verdict->measured);
    put(claims, "unsealed", json_boolean(verdict->unsealed));
    put_findings(claims, in);
    put_list(claims, "accepted", verdict->accepted, NULL, true);
    put_list(claims, "host_clock", verdict->host_clock, is_external, false);
    put_list(claims, "tolerated", verdict->tolerated, NULL, true);
    put_unattested(claims, in);
    put(claims, "changed_pages",
        json_integer(in->measured ? (json_int_t)in->measured->changed_pages
                                  : 0));
    put(claims, "bytes_hashed",
        json_integer(in->measured ? (json_int_t)in->measured->bytes_hashed
                                  : 0));
    put(claims, "pause_ms",
        json_integer(in->measured ? in->measured->pause_ms : 0));
}

static void put_platform(json_t *claims, const VsmClaimsInput *in)
{
    put(claims, "snapshot", snapshot_of(in->record));
    put_digest(claims, "metadata_sha384", &in->record->metadata);
    put(claims, "hypervisor", hypervisor_of(in));
    put(claims, "config", json_string(in->vm->config));
    put(claims, "pcrs", pcrs_of(in->pcrs));
    put(claims, "attester", json_string(in->attester));
    put(claims, "hypervisor_measured_by",
        json_string(in->hypervisor_measured_by));
    put(claims, "state_measured_by", json_string(in->state_measured_by));
    put(claims, "boot_policy", json_string(in->boot_policy));
    put(claims, "unmeasured_boot", json_boolean(in->unmeasured_boot));
    put(claims, "require_sealed", json_boolean(in->vm->require_sealed));
    put(claims, "quote", quote_of(in));
    if (in->reseal_request) {
        json_t *resealed = json_object();

        put_bytes(resealed, "request", in->reseal_request);
        put_bytes(resealed, "signature", in->reseal_signature);
        put(claims, "resealed", resealed);
    }
}

static bool invalid(GError **error, const char *what)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "a report cannot be made: %s", what);
    return false;
}

/* Texts that a verifier compares or recomputes must go through unchanged. */
static bool check_texts(const VsmClaimsInput *in, GError **error)
{
    const char *const texts[] = {
        in->op,         in->asked,
        in->scope,      in->profile,
        in->recipient,  in->host_id,
        in->attester,   in->hypervisor_measured_by,
        in->vm->uuid,   in->state_measured_by,
        in->record->id, in->boot_policy,
    };

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (!texts[i] || !g_utf8_validate(texts[i], -1, NULL)) {
            return invalid(error, "a text of the request is not UTF-8");
        }
    }
    if (!in->vm->config || !g_utf8_validate(in->vm->config, -1, NULL)) {
        return invalid(error, "the VM's configuration text is not UTF-8");
    }
    return true;
}

static bool check(const VsmClaimsInput *in, GError **error)
{
    const VsmVerdict *verdict = in->verdict;
    gsize nonce = g_bytes_get_size(in->nonce);

    if (!check_texts(in, error)) {
        return false;
    }
    if (nonce < VSM_NONCE_BYTES_MIN || nonce > VSM_NONCE_BYTES_MAX) {
        return invalid(error, "the nonce has not 8 to 64 bytes");
    }
    if (!result_name(verdict->result)) {
        return invalid(error, "the verdict has no result");
    }
    if (verdict->result == VSM_RESULT_MATCH &&
        ((verdict->findings && verdict->findings->len > 0) ||
         verdict->findings_left_out > 0)) {
        return invalid(error, "the verdict is match, and has findings");
    }
    if (vsm_tpm_bank_bytes(in->pcrs->bank) == 0 ||
        !(in->pcrs->mask & 1u << VSM_TPM_PCR_VM) ||
        in->pcrs->mask >> VSM_TPM_PCRS) {
        return invalid(error, "PCR 23 is not among the quoted ones");
    }
    return true;
}

bool vsm_claims_build(const VsmClaimsInput *input,
                      char **ret_json,
                      GError **error)
{
    json_auto_t *claims = json_object();
    g_autofree char *text = NULL;

    if (!check(input, error)) {
        return false;
    }
    put_request(claims, input);
    put_result(claims, input);
    put_platform(claims, input);
    text = vsm_json_dump(claims);
    if (strlen(text) >= VSM_REPORT_BYTES_MAX / 2) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "the claims need %" G_GSIZE_FORMAT
                    " bytes and do not fit into a report",
                    strlen(text));
        return false;
    }
    *ret_json = g_steal_pointer(&text);
    return true;
}
