/*
 * The commit index: an NV extend index that stands against older stores.
 *
 * SHA-384, 48 bytes; extend with b turns v into SHA-384(v || b), see
 * vsm_tpm_commit_next().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "tpm/context.h"
#include "tpm/sign.h"
#include "tpm/structures.h"

G_BEGIN_DECLS

/**
 * vsm_tpm_nv_read:
 * @ret_value: (out): zero bytes when never written: the value before the first
 *             extend
 * @ret_written: (out) (optional)
 */
bool vsm_tpm_nv_read(VsmTpm *tpm,
                     VsmDigest *ret_value,
                     bool *ret_written,
                     GError **error);

/**
 * vsm_tpm_nv_certify:
 * @ret: (out): NV_Certify by the AK, offset 0, 48 bytes
 *
 * The index must have been written once (VSM_ERROR_TPM otherwise).
 */
bool vsm_tpm_nv_certify(VsmTpm *tpm,
                        const VsmDigest *extra_data,
                        VsmTpmEvidence *ret,
                        GError **error);

/**
 * vsm_tpm_nv_extend:
 * @before: the index's value, proven under the same vsm_tpm_lock() by
 *          vsm_tpm_nv_read() or vsm_tpm_nv_check()
 * @body: SHA-384 of the catalogue's body
 * @ret_after: (out): vsm_tpm_commit_next(@before, @body)
 *
 * true: the index holds @ret_after.  A lost answer is settled by reading the
 * index over a new connection.  Errors: VSM_ERROR_IN_DOUBT when that reading
 * fails too; VSM_ERROR_REPLAYED when the index holds neither value; any other:
 * the index still holds @before.
 */
bool vsm_tpm_nv_extend(VsmTpm *tpm,
                       const VsmDigest *before,
                       const VsmDigest *body,
                       VsmDigest *ret_after,
                       GError **error);

G_END_DECLS
