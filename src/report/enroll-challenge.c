/*
 * Enrolment, the verifier's first step: from a request to a challenge.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "crypto/x509.h"
#include "report/enroll.h"

/* tcg-kp-EKCertificate (TCG EK Credential Profile, 3.2). */
#define EK_PURPOSE "2.23.133.8.1"

static VsmEkKey key_of(const VsmTpmEk *ek)
{
    return (VsmEkKey){
        .hash =
            ek->hash == VSM_TPM_BANK_SHA384 ? VSM_HASH_SHA384 : VSM_HASH_SHA256,
        .aes_bytes = ek->aes_bits / 8,
        .modulus = ek->modulus,
        .exponent = ek->exponent,
        .curve = ek->curve_bytes == 48 ? VSM_CURVE_P384 : VSM_CURVE_P256,
        .x = ek->x,
        .y = ek->y,
    };
}

/* A key on both sides could sign a quote as a report, or the other way. */
static bool
check_keys(const VsmEnrollRequest *request, VsmTpmKey **ret_ak, GError **error)
{
    g_autoptr(VsmTpmKey) ak = NULL, rk = NULL;

    if (!vsm_enroll_key(request->ak_public, VSM_TPM_KEY_AK, &ak, error) ||
        !vsm_enroll_key(request->rk_public, VSM_TPM_KEY_RK, &rk, error)) {
        return false;
    }
    if (ak->bytes == rk->bytes && memcmp(ak->x, rk->x, ak->bytes) == 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNTRUSTED,
                    "attestation key and report key are the same");
        return false;
    }
    *ret_ak = g_steal_pointer(&ak);
    return true;
}

static bool
check_attester(const VsmEnrollRequest *request, bool allow, GError **error)
{
    if (strcmp(request->attester, "in-process") == 0 && !allow) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_POLICY,
                    "the host's keys are used inside QEMU's process, so a "
                    "guest that escapes holds them; for tests and single VMs "
                    "give --allow-in-process, else enrol the daemon's keys");
        return false;
    }
    return true;
}

static bool make(const VsmTpmEk *ek,
                 const VsmTpmKey *ak,
                 const VsmSecret *secret,
                 const VsmDigest *request,
                 char **ret,
                 GError **error)
{
    VsmEkKey key = key_of(ek);
    g_auto(VsmEnrollChallenge) challenge = {0};
    guint8 nonce[VSM_ENROLL_NONCE_BYTES];

    if (!vsm_random(nonce, sizeof(nonce), error) ||
        !vsm_make_credential(&key, ak->name, secret, &challenge.credential,
                             &challenge.secret, error)) {
        return false;
    }
    challenge.request = *request;
    challenge.nonce = g_bytes_new(nonce, sizeof(nonce));
    challenge.ek_name = g_bytes_ref(ek->name);
    challenge.ak_name = g_bytes_ref(ak->name);
    *ret = vsm_enroll_challenge_write(&challenge);
    return true;
}

/* The EK, if its certificate leads to an authority that is trusted. */
static bool check_ek(const VsmEnrollRequest *request,
                     const char *ek_ca_pem,
                     gint64 now,
                     VsmTpmEk **ret,
                     GError **error)
{
    g_autoptr(VsmTpmEk) ek = NULL;
    VsmEkKey key;

    if (!vsm_tpm_ek_decode(request->ek_public, &ek, error)) {
        return false;
    }
    key = key_of(ek);
    if (!vsm_x509_check(request->ek_certificates, ek_ca_pem, EK_PURPOSE, now,
                        &key, error)) {
        return false;
    }
    *ret = g_steal_pointer(&ek);
    return true;
}

bool vsm_enroll_challenge(const char *request_text,
                          const char *ek_ca_pem,
                          bool allow_in_process,
                          gint64 now,
                          char **ret_challenge,
                          char **ret_state,
                          GError **error)
{
    g_auto(VsmEnrollRequest) request = {NULL};
    g_auto(VsmEnrollState)
        state = {.made = now, .allow_in_process = allow_in_process};
    g_autoptr(VsmTpmEk) ek = NULL;
    g_autoptr(VsmTpmKey) ak = NULL;
    g_autofree char *challenge = NULL;
    VsmDigest digest;

    if (!vsm_enroll_request_read(request_text, &request, error) ||
        !check_attester(&request, allow_in_process, error) ||
        !check_ek(&request, ek_ca_pem, now, &ek, error) ||
        !check_keys(&request, &ak, error) ||
        !vsm_enroll_digest(request_text, &digest, error)) {
        return false;
    }
    state.secret = vsm_secret_new_random(VSM_CREDENTIAL_BYTES, error);
    if (!state.secret ||
        !make(ek, ak, state.secret, &digest, &challenge, error) ||
        !vsm_enroll_digest(challenge, &state.challenge, error)) {
        return false;
    }
    state.request = g_strdup(request_text);
    *ret_state = vsm_enroll_state_write(&state);
    *ret_challenge = g_steal_pointer(&challenge);
    return true;
}
