/*
 * Inside src/tpm: public areas of every object that VSM makes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <tss2/tss2_tpm2_types.h>
#include "tpm/structures.h"

/* TCG's reserved handle for the storage root key. */
#define VSM_TPM_SRK_HANDLE 0x81000001u

/* AK and RK: behind the handles that TCG reserves for endorsement keys. */
#define VSM_TPM_KEY_FIRST 0x81018000u
#define VSM_TPM_KEY_LAST 0x8101ffffu

/* NV indices: in the owner's range, which TCG assigns to nobody. */
#define VSM_TPM_INDEX_FIRST 0x01830000u
#define VSM_TPM_INDEX_LAST 0x0183ffffu

#define VSM_TPM_BOOT_INDEX_BYTES (2 + VSM_TPM_POLICY_BYTES)

/* TCG's P-256 SRK. */
TPM2B_PUBLIC vsm_tpm_template_srk(void);
/* Whether a key at the SRK's handle can be the parent of ours. */
bool vsm_tpm_template_is_srk(const TPMT_PUBLIC *public_area);

/* AK or RK; @bytes 48: P-384 with SHA-384, 32: P-256 with SHA-256. */
TPM2B_PUBLIC vsm_tpm_template_key(VsmTpmKeyKind kind, guint bytes);

/* Snapshot Seal Key: AES-128, or @ecc: P-256 where a TPM has no such parent. */
TPM2B_PUBLIC vsm_tpm_template_ssk(bool ecc);

/* INVALID for an all-zero policy, which any policy session satisfies. */
bool vsm_tpm_template_sealed(const VsmTpmPolicy *policy,
                             TPM2B_PUBLIC *ret,
                             GError **error);

TPM2B_NV_PUBLIC vsm_tpm_template_commit(guint32 handle);

/* @operator_name: Name of the operator's key */
TPM2B_NV_PUBLIC vsm_tpm_template_boot(guint32 handle,
                                      GBytes *operator_name,
                                      GBytes *approval_ref);

/* Name of an index; TPMA_NV_WRITTEN is part of it. */
GBytes *vsm_tpm_index_name(const TPM2B_NV_PUBLIC *index, bool written);
