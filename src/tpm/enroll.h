/*
 * Host side of enrolment: the endorsement key, and what only its TPM can do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "crypto/secret.h"
#include "tpm/context.h"
#include "tpm/structures.h"

G_BEGIN_DECLS

/* Handles of the TCG EK Credential Profile. */
typedef enum {
    VSM_TPM_EK_P384, /* 0x81010016, certificate 0x1c00016 */
    VSM_TPM_EK_RSA2048, /* 0x81010001, certificate 0x1c00002 */
    VSM_TPM_EK_KINDS,
} VsmTpmEkKind;

const char *vsm_tpm_ek_kind_name(VsmTpmEkKind kind); /* "p-384", "rsa-2048" */
/* false: no such name. */
bool vsm_tpm_ek_kind_from_name(const char *name, VsmTpmEkKind *ret);

/**
 * vsm_tpm_ek_certificates:
 * @ret: (out) (transfer full): of GBytes, DER: the EK's own, then those that
 *       the TPM holds of its maker's authorities (0x1c00100 and up)
 *
 * Nothing of it is checked: that is the verifier's.
 *
 * Errors beside the usual: VSM_ERROR_NOT_FOUND when the TPM has none for this
 * kind of key, VSM_ERROR_FORMAT.
 */
bool vsm_tpm_ek_certificates(VsmTpm *tpm,
                             VsmTpmEkKind kind,
                             GPtrArray **ret,
                             GError **error);

/**
 * vsm_tpm_ek_public:
 * @ret: (out) (transfer full): TPMT_PUBLIC
 *
 * From the persistent key; where there is none, the key is made from TCG's
 * template (the same key each time) and flushed again.
 *
 * Errors beside the usual: VSM_ERROR_UNSUPPORTED when the endorsement
 * hierarchy has a password.
 */
bool vsm_tpm_ek_public(VsmTpm *tpm,
                       VsmTpmEkKind kind,
                       GBytes **ret,
                       GError **error);

/**
 * vsm_tpm_activate:
 * @blob: TPM2B_ID_OBJECT, with its size in front
 * @secret: TPM2B_ENCRYPTED_SECRET, with its size
 * @ret: (out) (transfer full): the credential
 *
 * TPM2_ActivateCredential for the AK: works only if both were made for this
 * EK and the AK in use.  The answer is encrypted on the bus.
 *
 * Errors beside the usual: VSM_ERROR_FORMAT, VSM_ERROR_TAMPERED when it was
 * made for other keys, or altered.
 */
bool vsm_tpm_activate(VsmTpm *tpm,
                      VsmTpmEkKind kind,
                      GBytes *blob,
                      GBytes *secret,
                      VsmSecret **ret,
                      GError **error);

G_END_DECLS
