/*
 * Offline verification of a report: every check, one path to true.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/enroll.h>

#include "core/masks.h"
#include "crypto/hash.h"
#include "report/binding.h"
#include "report/claims-read.h"
#include "report/json.h"
#include "report/jws.h"
#include "report/policy.h"
#include "report/trust.h"

static bool refuse(GError **error, VsmError code, const char *what)
{
    g_set_error_literal(error, VSM_ERROR, code, what);
    return false;
}

static bool same_bytes(GBytes *a, GBytes *b)
{
    gsize size = g_bytes_get_size(a);

    return size == g_bytes_get_size(b) &&
           vsm_equal(g_bytes_get_data(a, NULL), g_bytes_get_data(b, NULL),
                     size);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/*
 * An unsolicited report has a nonce of the attester's own, which nobody may
 * take for an answer to theirs: its op, which the quote binds, is "watch".
 */
static bool is_watch(const VsmExpectation *expected)
{
    return strcmp(expected->op, "watch") == 0;
}

/* What was asked by who names none: the weaker is never the default. */
static const char *asked_profile(const VsmExpectation *expected)
{
    if (strcmp(expected->scope, "runtime") != 0) {
        return "";
    }
    return expected->profile ? expected->profile : "standard";
}

/* The report must answer this request, and no other. */
static bool check_request(const VsmClaims *claims,
                          const VsmExpectation *expected,
                          GError **error)
{
    const struct {
        const char *name, *said, *asked;
    } texts[] = {
        {"operation", claims->op, expected->op},
        {"snapshot", claims->asked, expected->snapshot},
        {"scope", claims->scope, expected->scope},
        {"VM", claims->vm_uuid, expected->vm_uuid},
        {"profile", claims->profile, asked_profile(expected)},
        {"recipient", claims->recipient, or_empty(expected->recipient)},
    };

    if (!is_watch(expected) && !same_bytes(claims->nonce, expected->nonce)) {
        return refuse(error, VSM_ERROR_STALE,
                      "the report has another nonce: it is old, or answers "
                      "another request");
    }
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (strcmp(texts[i].said, texts[i].asked) != 0) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_STALE,
                        "the report answers another request: its %s is '%s', "
                        "'%s' was asked for",
                        texts[i].name, texts[i].said, texts[i].asked);
            return false;
        }
    }
    return true;
}

static bool check_time(const VsmClaims *claims,
                       const VsmReportPolicy *policy,
                       gint64 now,
                       GError **error)
{
    /* Neither is negative, so the difference cannot overflow. */
    gint64 age = now - claims->iat;

    if (age > (gint64)policy->max_age_s) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STALE,
                    "the report is %" G_GINT64_FORMAT
                    " s old, the policy allows %" G_GUINT64_FORMAT " s",
                    age, policy->max_age_s);
        return false;
    }
    if (-age > (gint64)policy->max_ahead_s) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STALE,
                    "the report was made %" G_GINT64_FORMAT
                    " s in the future: compare the clocks of host and "
                    "verifier",
                    -age);
        return false;
    }
    return true;
}

static VsmHashAlg hash_of(const VsmTpmKey *key)
{
    return key->bytes == 48 ? VSM_HASH_SHA384 : VSM_HASH_SHA256;
}

/* The attestation key alone may sign quotes: the report key signs anything. */
static bool check_quote_signature(const VsmClaims *claims,
                                  const VsmTrustEntry *entry,
                                  GError **error)
{
    g_autoptr(GBytes) raw = NULL;
    g_autoptr(GError) why = NULL;
    gsize size;
    const guint8 *attest = g_bytes_get_data(claims->quote_attest, &size);

    if (!vsm_tpm_signature_raw(claims->quote_signature, entry->ak->bytes, &raw,
                               error)) {
        g_prefix_error(error, "the quote's signature: ");
        return false;
    }
    if (vsm_key_verify(entry->ak_key, hash_of(entry->ak), attest, size,
                       g_bytes_get_data(raw, NULL), g_bytes_get_size(raw),
                       &why)) {
        return true;
    }
    if (g_error_matches(why, VSM_ERROR, VSM_ERROR_SIGNATURE)) {
        return refuse(error, VSM_ERROR_SIGNATURE,
                      "the quote is not signed by this host's attestation "
                      "key");
    }
    g_propagate_error(error, g_steal_pointer(&why));
    return false;
}

/* What must have been quoted: claimed values, PCR 23 recomputed. */
static bool
expected_pcrs(const VsmClaims *claims, VsmTpmPcrs *ret, GError **error)
{
    VsmDigest config;

    if (!vsm_sha384(claims->config, strlen(claims->config), &config, error)) {
        return false;
    }
    *ret = claims->pcrs;
    vsm_tpm_pcr_vm(ret, &claims->hypervisor, &config);
    if (!(claims->pcrs.mask & 1u << VSM_TPM_PCR_VM)) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the quote does not cover PCR 23, so it binds neither "
                      "hypervisor nor configuration");
    }
    if (memcmp(ret->value[VSM_TPM_PCR_VM], claims->pcrs.value[VSM_TPM_PCR_VM],
               vsm_tpm_bank_bytes(ret->bank)) != 0) {
        return refuse(error, VSM_ERROR_SIGNATURE,
                      "PCR 23 does not hold the claimed hypervisor and "
                      "configuration");
    }
    return true;
}

static bool
check_quote(const VsmClaims *claims, const VsmTrustEntry *entry, GError **error)
{
    VsmRequestText request = {
        .op = claims->op,
        .asked = claims->asked,
        .scope = claims->scope,
        .profile = claims->profile,
        .recipient = claims->recipient,
        .vm_uuid = claims->vm_uuid,
    };
    guint16 hash =
        entry->ak->bytes == 48 ? VSM_TPM_BANK_SHA384 : VSM_TPM_BANK_SHA256;
    g_autoptr(GError) why = NULL;
    VsmDigest extra;
    VsmTpmPcrs pcrs;

    if (!check_quote_signature(claims, entry, error) ||
        !vsm_binding_quote(claims->nonce, entry->rk->name, claims->sealed_name,
                           &request, &extra, error) ||
        !expected_pcrs(claims, &pcrs, error)) {
        return false;
    }
    if (!vsm_tpm_quote_check(claims->quote_attest, hash, &extra, &pcrs, &why)) {
        bool differs = g_error_matches(why, VSM_ERROR, VSM_ERROR_TAMPERED);

        g_set_error(
            error, VSM_ERROR, differs ? VSM_ERROR_SIGNATURE : VSM_ERROR_FORMAT,
            "the quote does not belong to this report: %s", why->message);
        return false;
    }
    return true;
}

static bool
approves(const VsmTpmPcrs *set, const VsmTpmPcrs *quoted, guint32 needed)
{
    gsize bytes = vsm_tpm_bank_bytes(quoted->bank);

    if (set->bank != quoted->bank || needed & ~set->mask ||
        set->mask & ~quoted->mask) {
        return false;
    }
    for (guint i = 0; i < VSM_TPM_PCRS; i++) {
        if (set->mask & 1u << i &&
            memcmp(set->value[i], quoted->value[i], bytes) != 0) {
            return false;
        }
    }
    return true;
}

/* PCR 23 stands for the VM. */
static VsmTpmPcrs boot_of(const VsmClaims *claims)
{
    VsmTpmPcrs boot = claims->pcrs;

    boot.mask &= ~(1u << VSM_TPM_PCR_VM);
    return boot;
}

static bool check_boot_covered(const VsmClaims *claims,
                               const VsmReportPolicy *policy,
                               GError **error)
{
    VsmTpmPcrs boot = boot_of(claims);

    if (policy->pcrs & ~claims->pcrs.mask) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the quote does not cover all PCRs that the policy "
                      "names");
    }
    if (!policy->allow_unmeasured_boot &&
        (claims->unmeasured_boot || vsm_tpm_pcrs_zero(&boot))) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the host's boot was not measured (its PCRs are all "
                      "zero, or may be); the policy could allow it with "
                      "allow_unmeasured_boot");
    }
    return true;
}

static bool check_boot_approved(const VsmClaims *claims,
                                const VsmTrustEntry *entry,
                                const VsmReportPolicy *policy,
                                GError **error)
{
    VsmTpmPcrs boot = boot_of(claims);

    for (guint i = 0; i < entry->approved->len; i++) {
        if (approves(&g_array_index(entry->approved, VsmTpmPcrs, i), &boot,
                     policy->pcrs)) {
            return true;
        }
    }
    return refuse(error, VSM_ERROR_POLICY,
                  "the host's boot PCRs are none that its trust entry "
                  "approves: after an intended update, approve them with "
                  "'vsmctl trust update --pcrs', or enrol the host again");
}

static bool check_attester(const VsmClaims *claims,
                           const VsmTrustEntry *entry,
                           const VsmReportPolicy *policy,
                           GError **error)
{
    if (strcmp(claims->host_id, entry->host_id) != 0) {
        return refuse(error, VSM_ERROR_UNTRUSTED,
                      "the report names another host than the trust entry of "
                      "its key");
    }
    if ((strcmp(claims->attester, "in-process") == 0) != entry->in_process ||
        strcmp(claims->boot_policy, entry->boot_policy) != 0) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the report's attester or boot policy is not the one "
                      "of the trust entry");
    }
    /* Who looked follows from the kind; nobody but QEMU sees the state. */
    if (strcmp(claims->hypervisor_measured_by,
               entry->in_process ? "self" : "daemon") != 0 ||
        strcmp(claims->state_measured_by, "self") != 0) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the report names another measurer of hypervisor or "
                      "state than this kind of attester has");
    }
    if (entry->in_process && !entry->allow_in_process &&
        !policy->allow_in_process) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the report comes from an attester inside the "
                      "hypervisor's process, which an escaped guest "
                      "controls; for tests and single VMs, make the trust "
                      "entry with 'vsmctl keys --allow-in-process'");
    }
    return true;
}

static bool has_digest(const GArray *list, const VsmDigest *digest)
{
    for (guint i = 0; i < list->len; i++) {
        if (vsm_digest_equal(&g_array_index(list, VsmDigest, i), digest)) {
            return true;
        }
    }
    return false;
}

static bool has_baseline(const GPtrArray *list, const VsmClaims *claims)
{
    for (guint i = 0; i < list->len; i++) {
        const VsmBaseline *entry = g_ptr_array_index(list, i);

        if (strcmp(entry->vm, claims->vm_uuid) == 0 &&
            strcmp(entry->id, claims->snapshot_id) == 0 &&
            vsm_digest_equal(&entry->state, &claims->state)) {
            return true;
        }
    }
    return false;
}

static bool check_lists(const VsmClaims *claims,
                        const VsmReportPolicy *policy,
                        GError **error)
{
    VsmDigest config;

    if (policy->hypervisors &&
        !has_digest(policy->hypervisors, &claims->hypervisor)) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the policy does not name this hypervisor");
    }
    if (!vsm_sha384(claims->config, strlen(claims->config), &config, error)) {
        return false;
    }
    if (policy->configs && !has_digest(policy->configs, &config)) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the policy does not name this VM configuration");
    }
    if (policy->baseline && !has_baseline(policy->baseline, claims)) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the policy's baseline does not name this snapshot of "
                      "this VM with this state");
    }
    return true;
}

/* No silent downgrade: each weaker form needs the policy's word. */
static bool check_strength(const VsmClaims *claims,
                           const VsmReportPolicy *policy,
                           GError **error)
{
    if (!claims->hypervisor_measured && !policy->allow_unmeasured_hypervisor) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the hypervisor was not measured, only stated");
    }
    if (!claims->require_sealed && !policy->allow_require_sealed_off) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the VM accepts snapshots that are not sealed "
                      "(require-sealed=off)");
    }
    if (!claims->unsealed && !policy->allow_not_unsealed) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the TPM did not release the snapshot's digest");
    }
    if (json_object_get(claims->json, "resealed") && !policy->allow_resealed) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the operator bound the snapshot to another hypervisor "
                      "or configuration after it was saved, which the policy "
                      "refuses");
    }
    if (policy->scope && strcmp(policy->scope, claims->scope) != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_POLICY,
                    "the policy takes reports of scope '%s' only, this one is "
                    "of scope '%s'",
                    policy->scope, claims->scope);
        return false;
    }
    if (json_array_size(claims->accepted) > 0 &&
        !policy->allow_accepted_forms) {
        return refuse(error, VSM_ERROR_POLICY,
                      "sections match only in the form right after a load, "
                      "which the policy refuses");
    }
    return true;
}

/* The runtime scope has weaker forms of its own. */
static bool check_runtime(const VsmClaims *claims,
                          const VsmReportPolicy *policy,
                          GError **error)
{
    if (strcmp(claims->scope, "runtime") != 0) {
        return true;
    }
    if (policy->profile && strcmp(policy->profile, "strict") == 0 &&
        strcmp(claims->profile, "strict") != 0) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the policy takes the profile strict only");
    }
    if (json_array_size(claims->unattested) > 0 && !policy->allow_unattested) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the report leaves code unattested (see its "
                      "'unattested'); the policy could allow it with "
                      "allow_unattested, or ask for the profile strict");
    }
    return true;
}

static bool all_named(const json_t *list,
                      bool (*named)(const char *text),
                      const char *what,
                      GError **error)
{
    size_t i;
    json_t *value;

    json_array_foreach(list, i, value)
    {
        if (!named(json_string_value(value))) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_POLICY,
                        "the report %s that VSM's own table does not name: "
                        "'%s'",
                        what, json_string_value(value));
            return false;
        }
    }
    return true;
}

/* A bare word is the tag or the id of the snapshot. */
static bool check_named(const VsmClaims *claims, GError **error)
{
    const char *asked = claims->asked;
    bool by_tag = !g_str_has_prefix(asked, "id:");
    bool by_id = !g_str_has_prefix(asked, "tag:");

    if (by_tag != by_id) {
        asked = strchr(asked, ':') + 1;
    }
    if ((by_tag && !strcmp(asked, claims->snapshot_tag)) ||
        (by_id && !strcmp(asked, claims->snapshot_id))) {
        return true;
    }
    return refuse(error, VSM_ERROR_FORMAT,
                  "the report speaks of another snapshot than the one that it "
                  "was asked for");
}

static bool check_masked(const VsmClaims *claims, GError **error)
{
    return all_named(claims->accepted, vsm_masks_names_accepted,
                     "accepts a form of a section", error) &&
           all_named(claims->host_clock, vsm_masks_names_field,
                     "leaves out bytes", error) &&
           (strcmp(claims->scope, "runtime") == 0 ||
            all_named(claims->unattested, vsm_masks_names_field,
                      "leaves out state", error));
}

static VsmReport *report_of(const VsmClaims *claims)
{
    VsmReport *report = g_new0(VsmReport, 1);

    report->claims_json = vsm_json_dump(claims->json);
    report->result = g_strdup(vsm_json_text(claims->json, "result"));
    report->findings_left_out = claims->left_out;
    return report;
}

static bool check_expectation(const VsmExpectation *expected, GError **error)
{
    if (!expected || !expected->op || !expected->snapshot || !expected->scope ||
        !expected->vm_uuid || (!expected->nonce && !is_watch(expected))) {
        return refuse(error, VSM_ERROR_INVALID,
                      "verification needs to know what was asked: nonce, "
                      "operation, snapshot, scope and VM");
    }
    return true;
}

/*
 * Everything but the approval of the boot PCRs.  @ret_entry: of the host that
 * signed.
 */
static VsmClaims *check_all_but_boot(const char *jws,
                                     const VsmTrust *trust,
                                     const VsmReportPolicy *policy,
                                     const VsmExpectation *expectation,
                                     gint64 now,
                                     const VsmTrustEntry **ret_entry,
                                     GError **error)
{
    g_autofree char *kid = NULL, *payload = NULL;
    g_autoptr(VsmClaims) claims = NULL;
    const VsmTrustEntry *entry;

    if (!check_expectation(expectation, error) ||
        !vsm_jws_kid(jws, &kid, error)) {
        return NULL;
    }
    entry = vsm_trust_find(trust, kid);
    if (!entry) {
        refuse(error, VSM_ERROR_UNTRUSTED,
               "no trust entry has the key that this report names; "
               "'vsmctl keys' on its host prints one");
        return NULL;
    }
    if (!vsm_jws_verify(jws, entry->rk_jwk, &payload, error)) {
        return NULL;
    }
    claims = vsm_claims_read(payload, error);
    if (!claims || !check_request(claims, expectation, error) ||
        !check_time(claims, policy, MAX(now, 0), error) ||
        !check_quote(claims, entry, error) ||
        !check_boot_covered(claims, policy, error) ||
        !check_attester(claims, entry, policy, error) ||
        !check_strength(claims, policy, error) ||
        !check_runtime(claims, policy, error) || !check_named(claims, error) ||
        !check_masked(claims, error) || !check_lists(claims, policy, error)) {
        return NULL;
    }
    *ret_entry = entry;
    return g_steal_pointer(&claims);
}

bool vsm_report_verify(const char *jws,
                       const VsmTrust *trust,
                       const VsmReportPolicy *policy,
                       const VsmExpectation *expectation,
                       gint64 now,
                       VsmReport **ret,
                       GError **error)
{
    const VsmTrustEntry *entry = NULL;
    g_autoptr(VsmClaims) claims =
        check_all_but_boot(jws, trust, policy, expectation, now, &entry, error);

    if (!claims || !check_boot_approved(claims, entry, policy, error)) {
        return false;
    }
    *ret = report_of(claims);
    return true; /* the only path that returns true */
}

bool vsm_report_boot_pcrs(const char *jws,
                          const VsmTrust *trust,
                          const VsmReportPolicy *policy,
                          const VsmExpectation *expectation,
                          gint64 now,
                          char **ret_host_id,
                          char **ret_pcrs,
                          GError **error)
{
    const VsmTrustEntry *entry = NULL;
    g_autoptr(VsmClaims) claims =
        check_all_but_boot(jws, trust, policy, expectation, now, &entry, error);
    json_auto_t *pcrs = NULL;
    VsmTpmPcrs boot;

    if (!claims) {
        return false;
    }
    boot = boot_of(claims);
    pcrs = vsm_pcrs_write(&boot);
    *ret_host_id = g_strdup(entry->host_id);
    *ret_pcrs = vsm_json_dump(pcrs);
    return true;
}

void vsm_report_free(VsmReport *report)
{
    if (report) {
        g_free(report->claims_json);
        g_free(report->result);
        g_free(report);
    }
}
