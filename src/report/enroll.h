/*
 * The documents of an enrolment, as structs; and what both sides compute.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/enroll.h>

#include "crypto/secret.h"
#include "tpm/structures.h"

G_BEGIN_DECLS

#define VSM_ENROLL_NONCE_BYTES 32

/**
 * VsmEnrollRequest: what a host says of itself
 * @host_id: 32 hex digits
 * @attester: "in-process" or "daemon"
 * @boot_policy: "frozen" or "operator"
 * @ek_public, @ak_public, @rk_public: TPMT_PUBLIC
 * @ek_certificates: of GBytes, DER; the EK's own first
 * @srk_name: for people to compare
 * @commit_index: Name of the commit index
 */
typedef struct {
    char *host_id, *attester, *boot_policy;
    GBytes *ek_public, *ak_public, *rk_public;
    GPtrArray *ek_certificates;
    GBytes *srk_name, *commit_index;
} VsmEnrollRequest;

/**
 * VsmEnrollChallenge
 * @request: digest of the request
 * @ek_name, @ak_name: for whom the credential is
 * @credential: TPM2B_ID_OBJECT
 * @secret: TPM2B_ENCRYPTED_SECRET
 * @nonce: VSM_ENROLL_NONCE_BYTES
 */
typedef struct {
    VsmDigest request;
    GBytes *ek_name, *ak_name, *credential, *secret, *nonce;
} VsmEnrollChallenge;

/**
 * VsmEnrollResponse
 * @request, @challenge: digests of the documents that it answers
 * @hmac: HMAC-SHA-384 under the credential
 * @rk_attest, @rk_signature: TPM2_Certify of the RK by the AK
 * @quote_attest, @quote_signature: of @pcrs
 */
typedef struct {
    VsmDigest request, challenge, hmac;
    GBytes *rk_attest, *rk_signature, *quote_attest, *quote_signature;
    VsmTpmPcrs pcrs;
} VsmEnrollResponse;

/**
 * VsmEnrollState: what the verifier keeps
 * @request: the document, as it came
 * @challenge: digest of the challenge
 * @secret: the credential
 * @made: seconds since 1970
 */
typedef struct {
    char *request;
    VsmDigest challenge;
    VsmSecret *secret;
    gint64 made;
    bool allow_in_process;
} VsmEnrollState;

void vsm_enroll_request_clear(VsmEnrollRequest *request);
void vsm_enroll_challenge_clear(VsmEnrollChallenge *challenge);
void vsm_enroll_response_clear(VsmEnrollResponse *response);
void vsm_enroll_state_clear(VsmEnrollState *state);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VsmEnrollRequest, vsm_enroll_request_clear)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VsmEnrollChallenge, vsm_enroll_challenge_clear)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VsmEnrollResponse, vsm_enroll_response_clear)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VsmEnrollState, vsm_enroll_state_clear)

/* One line of JSON each; transfer full. */
char *vsm_enroll_request_write(const VsmEnrollRequest *request);
char *vsm_enroll_challenge_write(const VsmEnrollChallenge *challenge);
char *vsm_enroll_response_write(const VsmEnrollResponse *response);
char *vsm_enroll_state_write(const VsmEnrollState *state); /* wipe it */

/* Into an empty struct, untouched on failure.  Errors: FORMAT, LIMIT. */
bool vsm_enroll_request_read(const char *text,
                             VsmEnrollRequest *ret,
                             GError **error);
bool vsm_enroll_challenge_read(const char *text,
                               VsmEnrollChallenge *ret,
                               GError **error);
bool vsm_enroll_response_read(const char *text,
                              VsmEnrollResponse *ret,
                              GError **error);
bool vsm_enroll_state_read(const char *text,
                           VsmEnrollState *ret,
                           GError **error);

/* SHA-384 of a document, without white space at its end. */
bool vsm_enroll_digest(const char *text, VsmDigest *ret, GError **error);

/* What of an enrolment is bound: each has its own tag. */
#define VSM_ENROLL_CERTIFY "VSM-ENROLL-1" /* extraData of TPM2_Certify */
#define VSM_ENROLL_QUOTE "VSM-ENROLL-QUOTE-1" /* extraData of TPM2_Quote */
#define VSM_ENROLL_HMAC "VSM-ENROLL-HMAC-1" /* what the HMAC is over */

/* SHA-384 of the fields @tag, @request, @challenge. */
bool vsm_enroll_bind(const char *tag,
                     const VsmDigest *request,
                     const VsmDigest *challenge,
                     VsmDigest *ret,
                     GError **error);

/* HMAC-SHA-384 (@secret, vsm_enroll_bind (VSM_ENROLL_HMAC, ...)). */
bool vsm_enroll_hmac(const VsmSecret *secret,
                     const VsmDigest *request,
                     const VsmDigest *challenge,
                     VsmDigest *ret,
                     GError **error);

/* Public area of kind @kind; UNTRUSTED when it is another, @what in front. */
bool vsm_enroll_key(GBytes *area,
                    VsmTpmKeyKind kind,
                    VsmTpmKey **ret,
                    GError **error);

G_END_DECLS
