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
 * VsmExpectation: what the verifier asked for; all but @recipient and @profile
 * mandatory
 * @nonce: the nonce that was sent, 8 to 64 bytes; NULL with @op "watch"
 * @op: "attest", "verify", "rollback", or "watch" for a report that the watch
 *      of the VM made by itself: fresh by its time alone
 * @snapshot: the snapshot text as it was asked
 * @scope: "full", "runtime" or "stored"
 * @profile: of the scope runtime: "standard" or "strict"; NULL: standard
 * @vm_uuid: of the VM that was asked, 36 characters in lower case
 * @recipient: thumbprint from vsm_report_recipient(); NULL or "": none
 */
typedef struct {
    GBytes *nonce;
    const char *op, *snapshot, *scope, *profile, *vm_uuid, *recipient;
} VsmExpectation;

/**
 * vsm_report_recipient:
 * @jwk: a public key to which a report shall be encrypted
 * @ret_thumbprint: (out) (transfer full): RFC 7638, SHA-256, base64url
 *
 * Checks that an attester would take @jwk: an EC key on P-256 or P-384 without
 * private part, at most 1 KiB.  Errors: FORMAT, LIMIT, INVALID.
 */
bool vsm_report_recipient(const char *jwk,
                          char **ret_thumbprint,
                          GError **error);

/**
 * vsm_trust_load:
 * @json: a trust file, as `vsmctl keys` prints it (docs/formats.md)
 *
 * Every entry is checked: keys of the right kind, Names that are theirs.
 * Errors: FORMAT, LIMIT.  Returns: (transfer full): vsm_trust_free()
 */
VsmTrust *vsm_trust_load(const char *json, GError **error);
void vsm_trust_free(VsmTrust *trust);

/**
 * vsm_report_policy_load:
 * @json: (nullable): a policy file (docs/formats.md); NULL: strict defaults
 *
 * Errors: FORMAT, LIMIT.
 * Returns: (transfer full): vsm_report_policy_free()
 */
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
 * Errors: FORMAT, LIMIT; SIGNATURE: it was altered, or is for another
 * recipient.
 */
bool vsm_report_open(const char *jwe,
                     const char *key_jwk,
                     char **ret_jws,
                     GError **error);

/**
 * VsmReport: what a trusted report says
 * @claims_json: all claims; texts in them may come from a guest: escape
 *               control characters before they reach a terminal
 * @result: "match", "mismatch" or "unavailable"
 * @findings_left_out: entries of any list that did not fit into the report;
 *               above 0, a match must not be taken for one
 */
typedef struct {
    char *claims_json;
    char *result;
    guint64 findings_left_out;
} VsmReport;

void vsm_report_free(VsmReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmReport, vsm_report_free)

/**
 * vsm_report_verify:
 * @jws: compact JWS, at most 1 MiB; a JWE goes through vsm_report_open() first
 * @now: seconds since 1970
 * @ret: (out) (transfer full): vsm_report_free()
 *
 * true only if the report is to be trusted; what it says is in @ret.
 *
 * Errors:
 *   FORMAT, LIMIT  not a report, unknown claims, or claims that contradict
 *                  themselves
 *   UNTRUSTED      no trust entry has its key, or another host's name
 *   SIGNATURE      report or quote are not signed by the host's keys, or the
 *                  quote does not bind this report
 *   STALE          not the answer to @expectation, too old, from the future
 *   POLICY         weaker than @policy or the trust entry allow
 *   INVALID        @expectation lacks something
 *   CRYPTO         a check could not be run
 *
 * Thread safety: any thread; @trust and @policy may be shared.
 */
bool vsm_report_verify(const char *jws,
                       const VsmTrust *trust,
                       const VsmReportPolicy *policy,
                       const VsmExpectation *expectation,
                       gint64 now,
                       VsmReport **ret,
                       GError **error);

#pragma GCC visibility pop
G_END_DECLS
