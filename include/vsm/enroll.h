/*
 * Enrolment, the verifier's side: from a TPM's endorsement certificate to a
 * trust entry.  Needs neither TPM nor hypervisor.
 *
 * Four documents go back and forth as files: request (host), challenge
 * (verifier), response (host), and the trust entry.  docs/enrolment.md.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/report.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

#define VSM_ENROLL_BYTES_MAX (64u * 1024) /* of each document */
#define VSM_ENROLL_SECONDS 600 /* a challenge must be answered within */
#define VSM_EVIDENCE_BYTES_MAX (128u * 1024) /* a snapshot's evidence */

/**
 * vsm_enroll_challenge:
 * @request: from vsm_host_enroll_request(), as it came
 * @ek_ca_pem: certificates of TPM makers' authorities, PEM; each is trusted
 * @allow_in_process: take keys that are used inside QEMU's process, which a
 *                    guest that escapes holds: for tests and single VMs
 * @now: seconds since 1970
 * @ret_challenge: (out) (transfer full): for the host; g_free()
 * @ret_state: (out) (transfer full): stays with the verifier, secret: wipe,
 * then g_free(); on disk 0600, and used once
 *
 * Errors:
 *   FORMAT, LIMIT  not a request
 *   UNTRUSTED      the endorsement certificate leads to no authority of
 *                  @ek_ca_pem, has expired, is none of a TPM's, or is another
 *                  key's; the attestation or report key may do more than VSM's
 *   POLICY         keys used in process without @allow_in_process
 *   INVALID        @ek_ca_pem
 *   UNSUPPORTED, CRYPTO
 */
bool vsm_enroll_challenge(const char *request,
                          const char *ek_ca_pem,
                          bool allow_in_process,
                          gint64 now,
                          char **ret_challenge,
                          char **ret_state,
                          GError **error);

/**
 * vsm_enroll_accept:
 * @state: from vsm_enroll_challenge(); the caller sees to it that it is used
 *         once
 * @response: from vsm_host_enroll_respond(), as it came
 * @allow_unmeasured_boot: accept boot PCRs that are all zero, for tests
 * @ret_trust: (out) (transfer full): a trust file with one entry
 * @ret_jwks: (out) (transfer full): the report key for stock JOSE tools
 *
 * Errors:
 *   FORMAT, LIMIT  not a response, or not a state
 *   STALE          later than VSM_ENROLL_SECONDS, or of another challenge
 *   UNTRUSTED      not by the TPM whose endorsement key was challenged
 *   SIGNATURE      certification or quote are not by the attestation key, or
 *                  do not bind this enrolment
 *   POLICY         boot PCRs that say nothing
 *   CRYPTO
 */
bool vsm_enroll_accept(const char *state,
                       const char *response,
                       bool allow_unmeasured_boot,
                       gint64 now,
                       char **ret_trust,
                       char **ret_jwks,
                       GError **error);

/**
 * vsm_trust_merge:
 * @trust: (nullable): a trust file; NULL: an empty one
 * @entry: a trust file with one entry
 * @replace: let @entry take the place of other keys with the same host id
 * @keep: how many older sets of boot PCRs stay approved when the same keys are
 *        enrolled again
 * @ret: (out) (transfer full)
 *
 * A host names itself: without @replace another TPM cannot take over its name.
 * Errors: FORMAT, LIMIT; POLICY when the host id has other keys.
 */
bool vsm_trust_merge(const char *trust,
                     const char *entry,
                     bool replace,
                     guint keep,
                     char **ret,
                     GError **error);

/**
 * vsm_trust_update_pcrs:
 * @trust: a trust file
 * @host_id: of the entry
 * @pcrs: {"bank": …, "values": {"0": hex, …}}: the boot state that is approved
 *        from now on
 * @keep: how many older sets stay approved
 * @ret: (out) (transfer full): the new trust file
 *
 * Errors: FORMAT, LIMIT, NOT_FOUND, INVALID when the host id is ambiguous.
 */
bool vsm_trust_update_pcrs(const char *trust,
                           const char *host_id,
                           const char *pcrs,
                           guint keep,
                           char **ret,
                           GError **error);

/**
 * vsm_report_boot_pcrs:
 * @ret_host_id: (out) (transfer full)
 * @ret_pcrs: (out) (transfer full): for vsm_trust_update_pcrs()
 *
 * As vsm_report_verify(), but for the approval of the boot PCRs, which this
 * returns: a fresh quote of a known host whose boot state changed.
 */
bool vsm_report_boot_pcrs(const char *jws,
                          const VsmTrust *trust,
                          const VsmReportPolicy *policy,
                          const VsmExpectation *expectation,
                          gint64 now,
                          char **ret_host_id,
                          char **ret_pcrs,
                          GError **error);

/**
 * vsm_snapshot_evidence_verify:
 * @evidence: from vsm_host_snapshot_evidence()
 * @ret_json: (out) (transfer full): what the metadata says; texts in it may
 *            come from a guest's owner: escape them for a terminal
 *
 * true only if the attestation key of a trusted host signed exactly this
 * metadata for a commit of its own commit index.  That the snapshot is still
 * there, and the newest, only the host can say.
 *
 * Errors: FORMAT, LIMIT; UNTRUSTED when no entry has the host, or its entry no
 * commit index; SIGNATURE; CRYPTO.
 */
bool vsm_snapshot_evidence_verify(const char *evidence,
                                  const VsmTrust *trust,
                                  char **ret_json,
                                  GError **error);

#pragma GCC visibility pop
G_END_DECLS
