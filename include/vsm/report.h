/*
 * Offline verification of reports: needs neither TPM nor hypervisor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/digest.h>
#include <vsm/error.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct _VsmTrust VsmTrust;
typedef struct _VsmReportPolicy VsmReportPolicy;

/**
 * VsmExpectation: what the verifier asked for; all but @recipient mandatory
 * @nonce: the nonce that was sent
 * @op: "attest", "verify" or "rollback"
 * @snapshot: the snapshot text as it was asked
 * @scope: "full", "runtime" or "stored"
 * @vm_uuid: of the VM that was asked
 * @recipient: thumbprint (RFC 7638, base64url) of the recipient's key; ""
 */
typedef struct {
    GBytes *nonce;
    const char *op, *snapshot, *scope, *vm_uuid, *recipient;
} VsmExpectation;

/**
 * vsm_trust_load:
 * @json: trust entries as `vsmctl keys` prints them and enrolment accepts them
 *
 * Errors: FORMAT, LIMIT.  Returns: (transfer full)
 */
VsmTrust *vsm_trust_load(const char *json, GError **error);
void vsm_trust_free(VsmTrust *trust);

/* NULL @json: the strict defaults. */
VsmReportPolicy *vsm_report_policy_load(const char *json, GError **error);
void vsm_report_policy_free(VsmReportPolicy *policy);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmTrust, vsm_trust_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmReportPolicy, vsm_report_policy_free)

/**
 * vsm_report_open:
 * @jwe: compact JWE (ECDH-ES, A256GCM)
 * @key_jwk: the recipient's private key as a JWK
 * @ret_jws: (out) (transfer full): the report
 *
 * Errors: FORMAT, LIMIT, CRYPTO.
 */
bool vsm_report_open(const char *jwe, const char *key_jwk, char **ret_jws,
                     GError **error);

typedef struct {
    char *claims_json; /* the claims, verified */
    char *result; /* "match", "mismatch", "unavailable" */
    guint64 findings_left_out;
} VsmReport;

void vsm_report_free(VsmReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmReport, vsm_report_free)

/**
 * vsm_report_verify:
 * @jws: compact JWS, at most VSM_REPORT_BYTES_MAX
 * @now: seconds since 1970
 *
 * true only if the report is to be trusted; what it says is in @ret.
 * Errors: FORMAT, LIMIT, UNTRUSTED, SIGNATURE, STALE, POLICY, CRYPTO.
 */
bool vsm_report_verify(const char *jws, const VsmTrust *trust,
                       const VsmReportPolicy *policy,
                       const VsmExpectation *expectation, gint64 now,
                       VsmReport **ret, GError **error);

#pragma GCC visibility pop
G_END_DECLS
