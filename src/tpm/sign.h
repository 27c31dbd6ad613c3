/*
 * What AK and RK sign.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "tpm/context.h"
#include "tpm/structures.h"

G_BEGIN_DECLS

/**
 * VsmTpmEvidence: a TPMS_ATTEST and its TPMT_SIGNATURE by the AK
 */
typedef struct {
    GBytes *attest, *signature;
} VsmTpmEvidence;

void vsm_tpm_evidence_clear(VsmTpmEvidence *evidence);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VsmTpmEvidence, vsm_tpm_evidence_clear)

/**
 * vsm_tpm_quote:
 * @bank, @mask: PCRs
 *
 * A quote outside a transaction, such as for enrolment.  In a transaction
 * vsm_tpm_unseal() quotes, because PCR 23 must stand.
 */
bool vsm_tpm_quote(VsmTpm *tpm,
                   guint16 bank,
                   guint32 mask,
                   const VsmDigest *extra_data,
                   VsmTpmEvidence *ret,
                   GError **error);

/**
 * vsm_tpm_certify_rk:
 * @ret: (out): TPM2_Certify of RK by AK
 */
bool vsm_tpm_certify_rk(VsmTpm *tpm,
                        const VsmDigest *extra_data,
                        VsmTpmEvidence *ret,
                        GError **error);

/**
 * vsm_tpm_sign:
 * @digest: 48 bytes (SHA-384) with a P-384 RK, 32 (SHA-256) with a P-256 one
 * @error: VSM_ERROR_INVALID for another length
 *
 * Signs with the RK.  Fits VsmJwsSigner with the VsmTpm as opaque.
 *
 * Returns: (transfer full): r and s, padded to @digest's length each
 */
GBytes *vsm_tpm_sign(GBytes *digest, gpointer tpm, GError **error);

G_END_DECLS
