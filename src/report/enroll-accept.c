/*
 * Enrolment, the verifier's second step: from a response to a trust entry.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/codec.h"
#include "crypto/hash.h"
#include "crypto/keys.h"
#include "report/enroll.h"
#include "report/json.h"
#include "report/jwk.h"
#include "report/trust.h"

/* Clock steps back that are no reason to refuse; seconds. */
#define CLOCK_SLACK 60

/* Anyone can reset these: they say nothing about the boot. */
#define RESETTABLE_PCRS (1u << 16 | 1u << 23)

static bool refuse(GError **error, VsmError code, const char *what)
{
    g_set_error_literal(error, VSM_ERROR, code, what);
    return false;
}

/* --- Is it an answer to this challenge, in time, by that TPM? --------------
 */

static bool check_time(const VsmEnrollState *state, gint64 now, GError **error)
{
    if (now < state->made - CLOCK_SLACK ||
        now > state->made + VSM_ENROLL_SECONDS) {
        return refuse(error, VSM_ERROR_STALE,
                      "the challenge was not answered within 10 minutes: make "
                      "a new one");
    }
    return true;
}

static bool check_answer(const VsmEnrollState *state,
                         const VsmEnrollResponse *response,
                         GError **error)
{
    VsmDigest request, hmac;

    if (!vsm_enroll_digest(state->request, &request, error)) {
        return false;
    }
    if (!vsm_digest_equal(&request, &response->request) ||
        !vsm_digest_equal(&state->challenge, &response->challenge)) {
        return refuse(error, VSM_ERROR_STALE,
                      "the response answers another challenge");
    }
    if (!vsm_enroll_hmac(state->secret, &request, &state->challenge, &hmac,
                         error)) {
        return false;
    }
    return vsm_digest_equal(&hmac, &response->hmac) ||
           refuse(error, VSM_ERROR_UNTRUSTED,
                  "the response does not come from the TPM whose endorsement "
                  "key was challenged: it has not opened the credential");
}

/* --- What the attestation key says -----------------------------------------
 */

static bool check_signature(const VsmTpmKey *ak,
                            GBytes *attest,
                            GBytes *signature,
                            const char *what,
                            GError **error)
{
    bool p384 = ak->bytes == 48;
    g_autoptr(VsmKey) key =
        vsm_key_new(p384 ? VSM_CURVE_P384 : VSM_CURVE_P256, ak->x, ak->bytes,
                    ak->y, ak->bytes, error);
    g_autoptr(GBytes) raw = NULL;
    g_autoptr(GError) why = NULL;
    gsize size, raw_size;
    gconstpointer data = g_bytes_get_data(attest, &size), raw_data;

    if (!key || !vsm_tpm_signature_raw(signature, ak->bytes, &raw, error)) {
        return false;
    }
    raw_data = g_bytes_get_data(raw, &raw_size);
    if (vsm_key_verify(key, p384 ? VSM_HASH_SHA384 : VSM_HASH_SHA256, data,
                       size, raw_data, raw_size, &why)) {
        return true;
    }
    if (!g_error_matches(why, VSM_ERROR, VSM_ERROR_SIGNATURE)) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE,
                "%s is not signed by the attestation key", what);
    return false;
}

/* What differs was signed for something else: not this enrolment's. */
static bool unbound(GError **error, const char *what, const GError *why)
{
    bool differs = g_error_matches(why, VSM_ERROR, VSM_ERROR_TAMPERED);

    g_set_error(error, VSM_ERROR,
                differs ? VSM_ERROR_SIGNATURE : VSM_ERROR_FORMAT,
                "%s does not belong to this enrolment: %s", what, why->message);
    return false;
}

static bool check_rk(const VsmTpmKey *ak,
                     const VsmTpmKey *rk,
                     const VsmEnrollResponse *response,
                     GError **error)
{
    static const char what[] = "the report key's certification";
    g_autoptr(GError) why = NULL;
    VsmDigest extra;

    if (!check_signature(ak, response->rk_attest, response->rk_signature, what,
                         error) ||
        !vsm_enroll_bind(VSM_ENROLL_CERTIFY, &response->request,
                         &response->challenge, &extra, error)) {
        return false;
    }
    return vsm_tpm_certify_check(response->rk_attest, rk->name, &extra, &why) ||
           unbound(error, what, why);
}

static bool check_quote(const VsmTpmKey *ak,
                        const VsmEnrollResponse *response,
                        GError **error)
{
    static const char what[] = "the quote of the boot PCRs";
    guint16 hash = ak->bytes == 48 ? VSM_TPM_BANK_SHA384 : VSM_TPM_BANK_SHA256;
    g_autoptr(GError) why = NULL;
    VsmDigest extra;

    if (!check_signature(ak, response->quote_attest, response->quote_signature,
                         what, error) ||
        !vsm_enroll_bind(VSM_ENROLL_QUOTE, &response->request,
                         &response->challenge, &extra, error)) {
        return false;
    }
    return vsm_tpm_quote_check(response->quote_attest, hash, &extra,
                               &response->pcrs, &why) ||
           unbound(error, what, why);
}

static bool check_boot(const VsmTpmPcrs *pcrs, bool allow_zero, GError **error)
{
    if (pcrs->mask & RESETTABLE_PCRS) {
        return refuse(error, VSM_ERROR_POLICY,
                      "PCR 16 and 23 cannot stand for the boot: anyone can "
                      "reset them");
    }
    return allow_zero || !vsm_tpm_pcrs_zero(pcrs) ||
           refuse(error, VSM_ERROR_POLICY,
                  "the host's boot was not measured: its PCRs are all zero; "
                  "--allow-unmeasured-boot accepts that, for tests");
}

/* --- The trust entry -------------------------------------------------------
 */

static bool write_trust(const VsmEnrollState *state,
                        const VsmEnrollRequest *request,
                        const VsmEnrollResponse *response,
                        gint64 now,
                        char **ret,
                        GError **error)
{
    VsmTrustInput input = {
        .host_id = request->host_id,
        .attester = request->attester,
        .ak_public = request->ak_public,
        .rk_public = request->rk_public,
        .pcrs = &response->pcrs,
        .boot_policy = request->boot_policy,
        .commit_index = request->commit_index,
        .ek_public = request->ek_public,
        .enrolled = now,
        .allow_in_process = state->allow_in_process &&
                            strcmp(request->attester, "in-process") == 0,
    };

    return vsm_trust_build(&input, ret, error);
}

static char *write_jwks(const VsmTpmKey *rk, GError **error)
{
    bool p384 = rk->bytes == 48;
    g_autoptr(VsmKey) key =
        vsm_key_new(p384 ? VSM_CURVE_P384 : VSM_CURVE_P256, rk->x, rk->bytes,
                    rk->y, rk->bytes, error);
    g_autofree char *jwk = key ? vsm_jwk_from_key(key) : NULL;
    g_autofree char *kid = key ? vsm_jwk_thumbprint(key) : NULL;
    json_auto_t *set = NULL;
    json_t *object;

    if (!key) {
        return NULL;
    }
    object = json_loads(jwk, 0, NULL);
    json_object_set_new(object, "kid", json_string(kid));
    json_object_set_new(object, "use", json_string("sig"));
    json_object_set_new(object, "alg", json_string(p384 ? "ES384" : "ES256"));
    set = json_pack("{s:[o]}", "keys", object);
    return vsm_json_dump(set);
}

bool vsm_enroll_accept(const char *state_text,
                       const char *response_text,
                       bool allow_unmeasured_boot,
                       gint64 now,
                       char **ret_trust,
                       char **ret_jwks,
                       GError **error)
{
    g_auto(VsmEnrollState) state = {NULL};
    g_auto(VsmEnrollResponse) response = {0};
    g_auto(VsmEnrollRequest) request = {NULL};
    g_autoptr(VsmTpmKey) ak = NULL, rk = NULL;
    g_autofree char *trust = NULL, *jwks = NULL;

    if (!vsm_enroll_state_read(state_text, &state, error) ||
        !vsm_enroll_response_read(response_text, &response, error) ||
        !vsm_enroll_request_read(state.request, &request, error) ||
        !check_time(&state, now, error) ||
        !check_answer(&state, &response, error) ||
        !vsm_enroll_key(request.ak_public, VSM_TPM_KEY_AK, &ak, error) ||
        !vsm_enroll_key(request.rk_public, VSM_TPM_KEY_RK, &rk, error) ||
        !check_rk(ak, rk, &response, error) ||
        !check_quote(ak, &response, error) ||
        !check_boot(&response.pcrs, allow_unmeasured_boot, error) ||
        !write_trust(&state, &request, &response, now, &trust, error)) {
        return false;
    }
    jwks = write_jwks(rk, error);
    if (!jwks) {
        return false;
    }
    *ret_trust = g_steal_pointer(&trust);
    *ret_jwks = g_steal_pointer(&jwks);
    return true; /* the only path that returns true */
}
