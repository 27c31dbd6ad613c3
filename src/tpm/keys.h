/*
 * The host's keys and NV indices: made once, found again, Names pinned.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "crypto/secret.h"
#include "tpm/context.h"
#include "tpm/structures.h"

G_BEGIN_DECLS

#define VSM_TPM_SECRET_BYTES 32 /* host secret */

/**
 * VsmTpmKeys: what the host file remembers, all of it; plain data
 *
 * Handles are TPM handles.  Names are unauthenticated in the TPM's answers, so
 * they are pinned here and every connection is compared with them.
 * @boot_index, @boot_index_name: 0, NULL: boot policy "frozen"
 * @operator_public: TPMT_PUBLIC of the operator's key, or NULL
 * @rk_attest, @rk_signature: TPM2_Certify of RK by AK, made at set-up; its
 *                            extraData is SHA-384 of the field "VSM-SETUP-1"
 */
typedef struct {
    guint32 srk, ak, rk, commit_index, boot_index;
    GBytes *srk_name, *ak_name, *rk_name, *commit_index_name, *boot_index_name;
    GBytes *ak_public, *rk_public; /* TPMT_PUBLIC */
    GBytes *rk_attest, *rk_signature;
    GBytes *operator_public;
} VsmTpmKeys;

void vsm_tpm_keys_free(VsmTpmKeys *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmTpmKeys, vsm_tpm_keys_free)

/**
 * vsm_tpm_keys_setup:
 * @secret: the host secret, VSM_TPM_SECRET_BYTES; every object has its own auth
 * value, derived by KDFa from @secret and a label; borrowed, not kept
 * @host_id: the store's id, written durably before this call: the commit
 *           index is this store's alone.  AK and RK are shared by all stores
 *           with the same @secret.
 * @operator_public: TPMT_PUBLIC from vsm_tpm_key_from_point(), or NULL: frozen
 * @ret: (out) (transfer full): for the host file
 *
 * Finds or makes SRK (persistent 0x81000001), AK, RK, commit index and, with an
 * operator, the boot-policy index (not written: nothing can be sealed before
 * the first approval).  Idempotent: after a crash anywhere in it, a second run
 * finds what the first one made and leaves nothing behind.  A new commit index
 * is *not* extended: vsm_tpm_nv_read() answers "never written" until the host
 * commits its first, empty catalogue.
 *
 * On success the keys are in use as after vsm_tpm_keys_use().
 * Errors beside the usual: VSM_ERROR_UNSUPPORTED when the TPM lacks ECDSA on
 * P-256 or SHA-384, or its owner hierarchy has a password.
 */
bool vsm_tpm_keys_setup(VsmTpm *tpm,
                        const VsmSecret *secret,
                        const char *host_id,
                        GBytes *operator_public,
                        VsmTpmKeys **ret,
                        GError **error);

/**
 * vsm_tpm_keys_use:
 * @keys: from the host file; copied
 *
 * Opens what set-up made, by its pinned Names; every function below needs it.
 * Errors: VSM_ERROR_TAMPERED when a handle holds something else,
 *         VSM_ERROR_NOT_FOUND when it is empty (the TPM was cleared).
 */
bool vsm_tpm_keys_use(VsmTpm *tpm,
                      const VsmSecret *secret,
                      const char *host_id,
                      const VsmTpmKeys *keys,
                      GError **error);

/**
 * vsm_tpm_keys_restore:
 *
 * As vsm_tpm_keys_use(); an NV index that was lost is defined again under its
 * Name, not written.
 */
bool vsm_tpm_keys_restore(VsmTpm *tpm,
                          const VsmSecret *secret,
                          const char *host_id,
                          const VsmTpmKeys *keys,
                          GError **error);

/* Keys in use; borrowed from @tpm, NULL before set-up or use. */
const VsmTpmKeys *vsm_tpm_keys(VsmTpm *tpm);

/**
 * vsm_tpm_keys_destroy:
 *
 * Frees the commit index, the boot-policy index, AK and RK.  The SRK stays: it
 * is everybody's.  All snapshots of the store are lost.
 */
bool vsm_tpm_keys_destroy(VsmTpm *tpm, GError **error);

G_END_DECLS
