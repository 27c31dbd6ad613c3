/*
 * vsmctl verify: decide whether a report is to be trusted, and what it says.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <vsm/enroll.h>

#include "vsmctl/output.h"
#include "vsmctl/request.h"
#include "vsmctl/vsmctl.h"

static char *trust_path, *policy_path, *key_path;
static char *request_path, *nonce, *vm, *snapshot, *op, *scope, *profile;
static gboolean snapshot_evidence;

static const GOptionEntry options[] = {
    {"trust", 0, 0, G_OPTION_ARG_FILENAME, &trust_path,
     "Trusted hosts, as 'vsmctl enroll accept' writes and 'vsmctl keys' "
     "prints them (needed)",
     "FILE"},
    {"policy", 0, 0, G_OPTION_ARG_FILENAME, &policy_path,
     "What a report may lack (default: nothing)", "FILE"},
    {"key", 0, 0, G_OPTION_ARG_FILENAME, &key_path,
     "The recipient's private key, a JWK, for an encrypted report", "FILE"},
    {"request", 0, 0, G_OPTION_ARG_FILENAME, &request_path,
     "The request that the report answers", "FILE"},
    {"nonce", 0, 0, G_OPTION_ARG_STRING, &nonce,
     "Without --request: the nonce that was sent", "TEXT"},
    {"vm", 0, 0, G_OPTION_ARG_STRING, &vm,
     "Without --request: UUID of the VM that was asked", "UUID"},
    {"snapshot", 0, 0, G_OPTION_ARG_STRING, &snapshot,
     "Without --request: the snapshot as it was asked", "SNAPSHOT"},
    {"op", 0, 0, G_OPTION_ARG_STRING, &op,
     "Without --request: attest, verify, rollback; or watch, for a report "
     "that the VM's watch made by itself, which needs no --nonce",
     "OP"},
    {"scope", 0, 0, G_OPTION_ARG_STRING, &scope,
     "Without --request: full, runtime or stored", "SCOPE"},
    {"snapshot-evidence", 0, 0, G_OPTION_ARG_NONE, &snapshot_evidence,
     "The file is no report, but evidence of a snapshot, as 'vsmctl show "
     "--evidence' prints it; --vm and --snapshot must fit, where given",
     NULL},
    {"profile", 0, 0, G_OPTION_ARG_STRING, &profile,
     "Without --request: of scope runtime, standard (default) or strict",
     "PROFILE"},
    {0},
};

static bool is_watch(const char *operation)
{
    return strcmp(operation, "watch") == 0;
}

static bool watch_scope_fits(GError **error)
{
    if (strcmp(scope, "runtime") == 0 && !nonce) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "the watch has the scope runtime and answers no nonce");
    return false;
}

/* Without all of what was asked no report can be trusted: exit code 2. */
static Request *expected(GError **error)
{
    g_autoptr(Request) request = NULL;

    if (request_path) {
        return request_load(request_path, error);
    }
    if (!vm || !snapshot || !op || !scope || (!nonce && !is_watch(op))) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STALE,
                    "not to be trusted: nobody says what was asked; give "
                    "--request FILE, or --nonce, --vm, --snapshot, --op and "
                    "--scope");
        return NULL;
    }
    request = g_new0(Request, 1);
    request->nonce = g_strdup(nonce);
    request->snapshot = g_strdup(snapshot);
    request->op = g_strdup(op);
    request->scope = g_strdup(scope);
    request->vm = request_uuid(vm, error);
    if (!(is_watch(op) ? watch_scope_fits(error)
                       : request_scope_fits(op, scope, error)) ||
        !request_set_profile(request, profile, error)) {
        return NULL;
    }
    return request->vm ? g_steal_pointer(&request) : NULL;
}

/*
 * The recipient that was asked for: what the request says; without one, the
 * key that opened the report.
 */
static bool recipient_of(const Request *request,
                         const char *key,
                         char **ret,
                         GError **error)
{
    json_auto_t *public = NULL;
    char *text;
    bool ok;

    if (request->recipient) {
        return vsm_report_recipient(request->recipient, ret, error);
    }
    if (request_path || !key) {
        *ret = g_strdup("");
        return true;
    }
    public = json_loads(key, 0, NULL);
    json_object_del(public, "d");
    json_object_del(public, "key_ops");
    text = json_dumps(public, JSON_COMPACT);
    ok = vsm_report_recipient(text ? text : "", ret, error);
    free(text);
    return ok;
}

static char *load_report(const char *path, const char *key, GError **error)
{
    g_autofree char *text = read_text_file(path, INPUT_BYTES_MAX, error);
    char *jws = NULL;

    if (!text || !key) {
        return g_steal_pointer(&text);
    }
    return vsm_report_open(text, key, &jws, error) ? jws : NULL;
}

static VsmReport *check(const char *path, GError **error)
{
    g_autoptr(Request) request = expected(error);
    g_autofree char *trust_text = NULL, *policy_text = NULL, *key = NULL;
    g_autofree char *jws = NULL, *thumbprint = NULL;
    g_autoptr(VsmTrust) trust = NULL;
    g_autoptr(VsmReportPolicy) policy = NULL;
    g_autoptr(GBytes) nonce_bytes = NULL;
    VsmExpectation expectation;
    VsmReport *report = NULL;

    if (!request ||
        (request->nonce &&
         !(nonce_bytes = request_nonce_bytes(request->nonce, error))) ||
        !(trust_text = read_text_file(trust_path, INPUT_BYTES_MAX, error)) ||
        !(trust = vsm_trust_load(trust_text, error)) ||
        (policy_path && !(policy_text = read_text_file(
                              policy_path, INPUT_BYTES_MAX, error))) ||
        !(policy = vsm_report_policy_load(policy_text, error)) ||
        (key_path &&
         !(key = read_text_file(key_path, REQUEST_BYTES_MAX, error))) ||
        !(jws = load_report(path, key, error)) ||
        !recipient_of(request, key, &thumbprint, error)) {
        return NULL;
    }
    expectation = request_expectation(request, nonce_bytes, thumbprint);
    vsm_report_verify(jws, trust, policy, &expectation,
                      g_get_real_time() / G_USEC_PER_SEC, &report, error);
    return report;
}

static int exit_code(const VsmReport *report)
{
    if (strcmp(report->result, "match") == 0) {
        return report->findings_left_out > 0 ? VSMCTL_UNTRUSTED : VSMCTL_MATCH;
    }
    return strcmp(report->result, "unavailable") == 0 ? VSMCTL_UNAVAILABLE
                                                      : VSMCTL_MISMATCH;
}

static void print_where(const json_t *claims)
{
    const json_t *machine = json_object_get(claims, "vm");
    const json_t *sealed = json_object_get(claims, "snapshot");
    g_autofree char *made = vsmctl_time(vsmctl_int(claims, "iat"));
    g_autofree char *time = vsmctl_time(vsmctl_int(sealed, "time"));

    vsmctl_print_member("VM", machine, "uuid");
    vsmctl_print_member("name", machine, "name");
    vsmctl_print_member("snapshot", sealed, "tag");
    vsmctl_print_member("id", sealed, "id");
    vsmctl_print_field("sealed", time);
    vsmctl_print_member("state", sealed, "state");
    vsmctl_print_member("measured", claims, "measured");
    vsmctl_print_member("operation", claims, "op");
    vsmctl_print_member("scope", claims, "scope");
    vsmctl_print_member("profile", claims, "profile");
    vsmctl_print_field("made", made);
    vsmctl_print_member("host", claims, "iss");
    vsmctl_print_member("attester", claims, "attester");
    vsmctl_print_member("state seen by", claims, "state_measured_by");
    vsmctl_print_member("boot policy", claims, "boot_policy");
}

static void print(const VsmReport *report, const json_t *claims)
{
    bool runtime = strcmp(vsmctl_text(claims, "scope"), "runtime") == 0;

    vsmctl_print_field("trusted", exit_code(report) == VSMCTL_UNTRUSTED
                                      ? "NO: its lists are not complete"
                                      : "yes");
    vsmctl_print_field("result", report->result);
    vsmctl_print_member("reason", claims, "reason");
    vsmctl_print_findings(claims, runtime, report->findings_left_out);
    vsmctl_print_list("accepted", claims, "accepted");
    vsmctl_print_masked("not compared", claims, "host_clock");
    vsmctl_print_list("tolerated", claims, "tolerated");
    if (runtime) {
        vsmctl_print_list("not attested", claims, "unattested");
    } else {
        vsmctl_print_masked("not attested", claims, "unattested");
    }
    print_where(claims);
    vsmctl_print_field("covers", vsmctl_covers(runtime));
}

/* --- Evidence of a snapshot -------------------------------------------- */

static bool fits(const json_t *facts, GError **error)
{
    const char *tag = vsmctl_text(facts, "tag"), *id = vsmctl_text(facts, "id");
    const char *uuid = vsmctl_text(json_object_get(facts, "vm"), "uuid");
    g_autofree char *by_tag = g_strconcat("tag:", tag, NULL);
    g_autofree char *by_id = g_strconcat("id:", id, NULL);

    if ((vm && g_ascii_strcasecmp(vm, uuid) != 0) ||
        (snapshot && strcmp(snapshot, tag) != 0 && strcmp(snapshot, id) != 0 &&
         strcmp(snapshot, by_tag) != 0 && strcmp(snapshot, by_id) != 0)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STALE,
                    "the evidence is of another snapshot or VM");
        return false;
    }
    return true;
}

static void print_facts(const json_t *facts)
{
    const json_t *machine = json_object_get(facts, "vm");
    g_autofree char *time = vsmctl_time(vsmctl_int(facts, "time"));

    vsmctl_print_field("trusted", "yes: signed by the host's attestation key");
    vsmctl_print_member("VM", machine, "uuid");
    vsmctl_print_member("name", machine, "name");
    vsmctl_print_member("snapshot", facts, "tag");
    vsmctl_print_member("id", facts, "id");
    vsmctl_print_field("sealed", time);
    vsmctl_print_member("state", facts, "state");
    vsmctl_print_member("metadata", facts, "metadata_sha384");
    vsmctl_print_member("commit", facts, "commit");
    vsmctl_print_member("host", facts, "host_id");
    vsmctl_print_member("attester", facts, "attester");
    vsmctl_print_field("not said", "whether the snapshot is still there, or "
                                   "the newest");
}

static int run_evidence(const char *path, GError **error)
{
    g_autofree char *trust_text = NULL, *text = NULL, *json = NULL;
    g_autoptr(VsmTrust) trust = NULL;
    json_auto_t *facts = NULL;

    if (!(trust_text = read_text_file(trust_path, INPUT_BYTES_MAX, error)) ||
        !(trust = vsm_trust_load(trust_text, error)) ||
        !(text = read_text_file(path, VSM_EVIDENCE_BYTES_MAX, error)) ||
        !vsm_snapshot_evidence_verify(text, trust, &json, error)) {
        return -1;
    }
    facts = json_loads(json, 0, NULL);
    if (!fits(facts, error)) {
        return -1;
    }
    if (vsmctl_options.json) {
        vsmctl_print_json(facts);
    } else {
        print_facts(facts);
    }
    return VSMCTL_MATCH;
}

static int run(char **args, GError **error)
{
    g_autoptr(VsmReport) report = NULL;
    json_auto_t *claims = NULL;

    if (!trust_path) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "--trust FILE is missing: 'vsmctl keys' on the host "
                    "prints it");
        return -1;
    }
    if (snapshot_evidence) {
        return run_evidence(args[0], error);
    }
    report = check(args[0], error);
    if (!report) {
        return -1;
    }
    claims = json_loads(report->claims_json, 0, NULL);
    if (vsmctl_options.json) {
        json_auto_t *object =
            json_pack("{s:b, s:s, s:I, s:O}", "trusted",
                      exit_code(report) != VSMCTL_UNTRUSTED, "result",
                      report->result, "left_out",
                      (json_int_t)report->findings_left_out, "claims", claims);

        vsmctl_print_json(object);
    } else {
        print(report, claims);
    }
    return exit_code(report);
}

const VsmctlCommand vsmctl_verify = {
    .name = "verify",
    .args = "REPORT",
    .summary = "decide whether a report is to be trusted, and what it says",
    .text = "Needs neither TPM nor QEMU. The report must be signed by a "
            "trusted host's report key, answer this request and no other, and "
            "be fresh; its TPM quote must be by that host's attestation key "
            "and bind request, boot state, hypervisor and configuration. Only "
            "then its result counts: exit code 0 for match, 1 for mismatch, 4 "
            "if nothing could be measured, 2 if the report is not to be "
            "trusted.\n\n"
            "Keys of an attester inside QEMU's process are refused unless the "
            "trust entry was made with --allow-in-process, or the policy "
            "allows it: a guest that escapes into QEMU holds them. Disks are "
            "not covered.",
    .options = options,
    .n_args_min = 1,
    .n_args_max = 1,
    .run = run,
};
