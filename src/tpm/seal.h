/*
 * Seal a digest under a snapshot's own key, and unseal it under policy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "tpm/policy.h"
#include "tpm/sign.h"

G_BEGIN_DECLS

/**
 * VsmTpmObject: an object outside the TPM, as metadata keeps it
 * @public_area: TPMT_PUBLIC
 * @private_area: contents of the TPM2B_PRIVATE
 * @name: TPMI_ALG_HASH and digest
 */
typedef struct {
    GBytes *public_area, *private_area, *name;
} VsmTpmObject;

void vsm_tpm_object_clear(VsmTpmObject *object);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VsmTpmObject, vsm_tpm_object_clear)

/**
 * vsm_tpm_ssk_create:
 * @ret: (out): a new Snapshot Seal Key under the SRK; not loaded
 */
bool vsm_tpm_ssk_create(VsmTpm *tpm, VsmTpmObject *ret, GError **error);

/**
 * vsm_tpm_seal:
 * @ssk: from vsm_tpm_ssk_create()
 * @binding: what must hold when @digest is to be released
 * @digest: goes to the TPM encrypted
 * @ret: (out): the sealed object; its Name commits to policy and digest
 *
 * PCR 23 is not touched: the policy is computed.
 */
bool vsm_tpm_seal(VsmTpm *tpm,
                  const VsmTpmObject *ssk,
                  const VsmTpmBinding *binding,
                  const VsmDigest *digest,
                  VsmTpmObject *ret,
                  GError **error);

/**
 * vsm_tpm_unseal:
 * @binding: as it is now
 * @extra_data: for a quote by the AK over boot PCRs and PCR 23; NULL: no quote
 * @ret_digest: (out)
 * @ret_quote: (out): the quote, with its PCR digest and extraData checked;
 *             NULL if and only if @extra_data is
 *
 * Extends PCR 23 with hypervisor and configuration, runs the policy, unseals,
 * quotes, and resets PCR 23, also on failure.  Others who extend PCRs
 * meanwhile cost a new try, at most 8.
 *
 * Errors: VSM_ERROR_BOOT when the boot part of the policy fails,
 *         VSM_ERROR_CONFIG when the TPM refuses although the boot part holds
 *         (hypervisor or configuration are not what was sealed),
 *         VSM_ERROR_TAMPERED when the objects do not load under this TPM's
 *         SRK or do not have the given Names,
 *         VSM_ERROR_BUSY when PCR 23 does not stay still.
 */
bool vsm_tpm_unseal(VsmTpm *tpm,
                    const VsmTpmObject *ssk,
                    const VsmTpmObject *sealed,
                    const VsmTpmBinding *binding,
                    const VsmDigest *extra_data,
                    VsmDigest *ret_digest,
                    VsmTpmEvidence *ret_quote,
                    GError **error);

G_END_DECLS
