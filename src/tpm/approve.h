/*
 * The boot-policy index: which boot states the operator approved.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "tpm/context.h"
#include "tpm/structures.h"

G_BEGIN_DECLS

/**
 * vsm_tpm_approved_set:
 * @states: what is believed to be approved, at most VSM_TPM_STATES_MAX; copied
 *
 * The index holds a digest only: this is the list behind it, from the store.
 * A list that the index does not bear out approves nothing.
 */
void vsm_tpm_approved_set(VsmTpm *tpm, const VsmTpmPcrs *states, guint n);

/* Whether the list has exactly this state. */
bool vsm_tpm_approved_has(VsmTpm *tpm, const VsmTpmPcrs *boot);

/* What differs from the approved state next to @boot; NULL: none is known. */
char *vsm_tpm_approved_nearest(VsmTpm *tpm, const VsmTpmPcrs *boot);

/**
 * vsm_tpm_boot_index_read:
 * @ret: (out) (nullable) (transfer full): its 34 bytes; NULL: never written
 */
bool vsm_tpm_boot_index_read(VsmTpm *tpm, GBytes **ret, GError **error);

/**
 * vsm_tpm_approve_begin:
 * @ret_nonce: (out) (transfer full): nonceTPM of a fresh policy session
 * @ret_index_name: (out) (transfer full): Name of the index as it is now
 *
 * The session stays in the TPM until finish or abort.  UNSUPPORTED without an
 * operator's key.
 */
bool vsm_tpm_approve_begin(VsmTpm *tpm,
                           GBytes **ret_nonce,
                           GBytes **ret_index_name,
                           GError **error);

/**
 * vsm_tpm_approve_finish:
 * @contents: what to write, from vsm_tpm_policy_to_index()
 * @raw: r and s by the operator's key over nonceTPM, a zero expiration (u32),
 *       vsm_tpm_approval_hash() and vsm_tpm_approval_ref()
 *
 * PolicySigned, NV_Write.  The session is used up whatever comes of it.
 * Errors: SIGNATURE: not the operator's over exactly this; STALE: the session
 * is gone (the connection was lost); IN_DOUBT: the index cannot be read.
 */
bool vsm_tpm_approve_finish(VsmTpm *tpm,
                            GBytes *contents,
                            GBytes *raw,
                            GError **error);
void vsm_tpm_approve_abort(VsmTpm *tpm); /* harmless without one */

G_END_DECLS
