/*
 * Enrolment, the host's side: say who we are, and answer a verifier.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/internal.h"
#include "report/enroll.h"
#include "tpm/enroll.h"
#include "tpm/sign.h"

/* Quotes that an extend came in between of, before giving up. */
#define QUOTE_TRIES_MAX 8

/* @name: NULL or "": the first kind that the TPM has a certificate of. */
static bool find_ek(VsmHost *host,
                    const char *name,
                    VsmTpmEkKind *ret_kind,
                    GPtrArray **ret,
                    GError **error)
{
    VsmTpmEkKind kind = 0;
    g_autoptr(GError) why = NULL;

    if (name && *name) {
        if (!vsm_tpm_ek_kind_from_name(name, ret_kind)) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "an endorsement key is p-384 or rsa-2048");
            return false;
        }
        return vsm_tpm_ek_certificates(host->tpm, *ret_kind, ret, error);
    }
    for (; kind < VSM_TPM_EK_KINDS; kind++) {
        g_clear_error(&why);
        if (vsm_tpm_ek_certificates(host->tpm, kind, ret, &why)) {
            *ret_kind = kind;
            return true;
        }
        if (!g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
            break;
        }
    }
    if (kind < VSM_TPM_EK_KINDS) {
        g_propagate_error(error, g_steal_pointer(&why));
    } else {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "the TPM holds no certificate of an endorsement key "
                    "(neither P-384 nor RSA-2048): ask its maker for one");
    }
    return false;
}

bool vsm_host_enroll_request(VsmHost *host,
                             const char *ek,
                             char **ret_json,
                             GError **error)
{
    const VsmTpmKeys *keys = vsm_tpm_keys(host->tpm);
    g_autoptr(GPtrArray) certificates = NULL;
    g_autoptr(GBytes) ek_public = NULL;
    VsmTpmEkKind kind;
    VsmEnrollRequest request;

    if (!find_ek(host, ek, &kind, &certificates, error) ||
        !vsm_tpm_ek_public(host->tpm, kind, &ek_public, error)) {
        return false;
    }
    request = (VsmEnrollRequest){
        .host_id = host->id, /* all of it is borrowed */
        .attester = (char *)vsm_host_kind_name(host->kind),
        .boot_policy = (char *)vsm_host_boot_policy(host),
        .ek_public = ek_public,
        .ak_public = keys->ak_public,
        .rk_public = keys->rk_public,
        .ek_certificates = certificates,
        .srk_name = keys->srk_name,
        .commit_index = keys->commit_index_name,
    };
    *ret_json = vsm_enroll_request_write(&request);
    return true;
}

/* --- Respond ---------------------------------------------------------------
 */

/* Which of the TPM's endorsement keys has this Name. */
static bool
ek_named(VsmHost *host, GBytes *name, VsmTpmEkKind *ret, GError **error)
{
    for (VsmTpmEkKind kind = 0; kind < VSM_TPM_EK_KINDS; kind++) {
        g_autoptr(GBytes) public = NULL;
        g_autoptr(GBytes) own = NULL;

        if (!vsm_tpm_ek_public(host->tpm, kind, &public, error) ||
            !vsm_tpm_public_name(public, &own, error)) {
            return false;
        }
        if (g_bytes_equal(own, name)) {
            *ret = kind;
            return true;
        }
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_DENIED,
                "the challenge is for another TPM: no endorsement key of this "
                "one has its Name");
    return false;
}

static bool open_credential(VsmHost *host,
                            const VsmEnrollChallenge *challenge,
                            VsmSecret **ret,
                            GError **error)
{
    VsmTpmEkKind kind;

    if (!g_bytes_equal(challenge->ak_name, vsm_tpm_keys(host->tpm)->ak_name)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_DENIED,
                    "the challenge is for another attestation key than this "
                    "host's: begin with a new request");
        return false;
    }
    return ek_named(host, challenge->ek_name, &kind, error) &&
           vsm_tpm_activate(host->tpm, kind, challenge->credential,
                            challenge->secret, ret, error);
}

/* Quotes the boot PCRs as they are, and checks that they are quoted. */
static bool quote_boot(VsmHost *host,
                       const VsmDigest *extra,
                       VsmTpmPcrs *ret_pcrs,
                       VsmTpmEvidence *ret,
                       GError **error)
{
    guint16 hash = vsm_key_curve(host->ak) == VSM_CURVE_P384
                       ? VSM_TPM_BANK_SHA384
                       : VSM_TPM_BANK_SHA256;
    g_autoptr(GError) why = NULL;

    for (guint i = 0; i < QUOTE_TRIES_MAX; i++) {
        g_auto(VsmTpmEvidence) quote = {NULL};

        g_clear_error(&why);
        if (!vsm_tpm_read_boot(host->tpm, host->boot_pcrs,
                               host->allow_unmeasured_boot, ret_pcrs, error) ||
            !vsm_tpm_quote(host->tpm, ret_pcrs->bank, ret_pcrs->mask, extra,
                           &quote, error)) {
            return false;
        }
        if (vsm_tpm_quote_check(quote.attest, hash, extra, ret_pcrs, &why)) {
            *ret = quote;
            quote = (VsmTpmEvidence){NULL};
            return true;
        }
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                "the boot PCRs change faster than they can be quoted (%s)",
                why->message);
    return false;
}

static bool evidence(VsmHost *host,
                     const VsmDigest *request,
                     const VsmDigest *challenge,
                     VsmTpmEvidence *ret_certify,
                     VsmTpmEvidence *ret_quote,
                     VsmTpmPcrs *ret_pcrs,
                     GError **error)
{
    VsmDigest certify, quote;

    return vsm_enroll_bind(VSM_ENROLL_CERTIFY, request, challenge, &certify,
                           error) &&
           vsm_enroll_bind(VSM_ENROLL_QUOTE, request, challenge, &quote,
                           error) &&
           vsm_tpm_certify_rk(host->tpm, &certify, ret_certify, error) &&
           quote_boot(host, &quote, ret_pcrs, ret_quote, error);
}

bool vsm_host_enroll_respond(VsmHost *host,
                             const char *challenge_text,
                             char **ret_json,
                             GError **error)
{
    g_auto(VsmEnrollChallenge) challenge = {0};
    g_auto(VsmTpmEvidence) certify = {NULL};
    g_auto(VsmTpmEvidence) quote = {NULL};
    g_autoptr(VsmSecret) secret = NULL;
    VsmEnrollResponse response = {0};

    if (!vsm_enroll_challenge_read(challenge_text, &challenge, error) ||
        !vsm_enroll_digest(challenge_text, &response.challenge, error) ||
        !open_credential(host, &challenge, &secret, error) ||
        !vsm_enroll_hmac(secret, &challenge.request, &response.challenge,
                         &response.hmac, error) ||
        !evidence(host, &challenge.request, &response.challenge, &certify,
                  &quote, &response.pcrs, error)) {
        return false;
    }
    response.request = challenge.request;
    response.rk_attest = certify.attest; /* borrowed */
    response.rk_signature = certify.signature;
    response.quote_attest = quote.attest;
    response.quote_signature = quote.signature;
    *ret_json = vsm_enroll_response_write(&response);
    return true;
}
