/*
 * Offline verification of a report: every check, one path to true.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/enroll.h>

#include "crypto/hash.h"
#include "report/binding.h"
#include "report/claims-read.h"
#include "report/json.h"
#include "report/jws.h"
#include "report/verify-policy.h"

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
        !check_quote(claims, entry, error) || !check_named(claims, error) ||
        !vsm_verify_policy(claims, entry, policy, error)) {
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

    if (!claims || !vsm_verify_boot(claims, entry, policy, error)) {
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
    boot = vsm_verify_boot_pcrs(claims);
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
