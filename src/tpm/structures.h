/*
 * TPM structures without a TPM: decode, check, compute.
 *
 * Pure and offline: no connection, no global state, any thread.  The attester
 * uses it on what its TPM answered, verification on what a report holds.  TPM
 * structures travel as GBytes in the TPM's own marshalling; nothing of
 * tss2-* shows in this header.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/digest.h>
#include "tpm/pcrs.h"

G_BEGIN_DECLS

/* --- Names and public areas ------------------------------------------- */

typedef enum {
    VSM_TPM_KEY_OTHER = 0,
    VSM_TPM_KEY_AK, /* restricted ECDSA: signs TPM structures only */
    VSM_TPM_KEY_RK, /* unrestricted ECDSA: signs reports */
} VsmTpmKeyKind;

/**
 * VsmTpmKey: an ECDSA key's public area
 * @kind: by its attributes, compared exactly (security: a key that could also
 *        decrypt, or was imported, is OTHER)
 * @bytes: of one coordinate and of the scheme's hash: 32 (P-256, SHA-256) or
 *         48 (P-384, SHA-384)
 * @x, @y: big-endian, padded with leading zeros to @bytes
 * @name: TPMI_ALG_HASH and digest, computed here
 */
typedef struct {
    VsmTpmKeyKind kind;
    guint32 attributes; /* TPMA_OBJECT */
    guint bytes;
    guint8 x[48], y[48];
    GBytes *name;
} VsmTpmKey;

/**
 * vsm_tpm_key_decode:
 * @public_area: TPMT_PUBLIC
 * @ret: (out) (transfer full): vsm_tpm_key_free()
 *
 * Errors: VSM_ERROR_FORMAT when it is not exactly one ECC public area on
 * P-256 or P-384 with the scheme ECDSA and that curve's hash, or none.
 */
bool vsm_tpm_key_decode(GBytes *public_area, VsmTpmKey **ret, GError **error);
void vsm_tpm_key_free(VsmTpmKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmTpmKey, vsm_tpm_key_free)

/**
 * vsm_tpm_key_from_point:
 * @bytes: 32 or 48
 * @x, @y: @bytes each
 *
 * The TPMT_PUBLIC under which an operator's key is loaded for PolicySigned
 * (nameAlg SHA-256, ECDSA with the curve's hash, userWithAuth, sign): its Name
 * is part of the boot-policy index's policy.
 *
 * Returns: (transfer full)
 */
GBytes *vsm_tpm_key_from_point(guint bytes, const guint8 *x, const guint8 *y);

/**
 * vsm_tpm_public_name:
 * @public_area: any TPMT_PUBLIC, nameAlg SHA-256 or SHA-384
 * @ret: (out) (transfer full): its Name
 *
 * Errors: VSM_ERROR_FORMAT.
 */
bool vsm_tpm_public_name(GBytes *public_area, GBytes **ret, GError **error);

/* --- Endorsement keys -------------------------------------------------  */

/**
 * VsmTpmEk: an endorsement key's public area
 * @hash: nameAlg, VSM_TPM_BANK_* number
 * @aes_bits: of its symmetric key, CFB
 * @modulus: RSA; NULL: an EC key
 * @exponent: RSA
 * @curve_bytes: EC: of a coordinate: 32 (P-256) or 48 (P-384)
 * @x, @y: EC: as they stand there
 * @name: computed here
 */
typedef struct {
    guint16 hash;
    guint aes_bits;
    GBytes *modulus;
    guint32 exponent;
    guint curve_bytes;
    GBytes *x, *y;
    GBytes *name;
} VsmTpmEk;

/**
 * vsm_tpm_ek_decode:
 * @public_area: TPMT_PUBLIC
 * @ret: (out) (transfer full): vsm_tpm_ek_free()
 *
 * Errors: VSM_ERROR_FORMAT when it is not exactly one RSA-2048, P-256 or P-384
 * public area without a scheme; VSM_ERROR_UNTRUSTED when it is none of a
 * restricted decryption key that the TPM made and keeps (TCG EK Credential
 * Profile): another kind of key would open a credential for anybody.
 */
bool vsm_tpm_ek_decode(GBytes *public_area, VsmTpmEk **ret, GError **error);
void vsm_tpm_ek_free(VsmTpmEk *ek);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmTpmEk, vsm_tpm_ek_free)

/* --- Signatures ------------------------------------------------------- */

/**
 * vsm_tpm_signature_raw:
 * @signature: TPMT_SIGNATURE, ECDSA with SHA-256 or SHA-384
 * @bytes: of a coordinate: 32 with SHA-256, 48 with SHA-384
 * @ret: (out) (transfer full): r and s, padded to @bytes each, as JWS has it
 *
 * Errors: VSM_ERROR_FORMAT.
 */
bool vsm_tpm_signature_raw(GBytes *signature,
                           guint bytes,
                           GBytes **ret,
                           GError **error);

/**
 * vsm_tpm_signature_der:
 * @raw: from vsm_tpm_signature_raw()
 *
 * Returns: (transfer full): ECDSA-Sig-Value (RFC 3279), as OpenSSL checks it
 */
GBytes *vsm_tpm_signature_der(GBytes *raw);

/* --- Attestations ----------------------------------------------------- */

typedef enum {
    VSM_TPM_ATTEST_QUOTE = 1,
    VSM_TPM_ATTEST_NV, /* TPM2_NV_Certify */
    VSM_TPM_ATTEST_CERTIFY, /* TPM2_Certify */
} VsmTpmAttestKind;

/**
 * VsmTpmAttest: a TPMS_ATTEST; fields of the other kinds are NULL or zero
 * @bank, @pcrs, @pcr_digest: quote: the one selection and its digest
 * @nv_name, @nv_offset, @nv_contents: NV_Certify
 * @certified_name: Certify: Name of the object
 */
typedef struct {
    VsmTpmAttestKind kind;
    GBytes *qualified_signer, *extra_data;
    guint64 clock_ms, firmware_version;
    guint32 reset_count, restart_count;
    bool clock_safe;

    guint16 bank;
    guint32 pcrs;
    GBytes *pcr_digest;
    GBytes *nv_name, *nv_contents;
    guint16 nv_offset;
    GBytes *certified_name;
} VsmTpmAttest;

/**
 * vsm_tpm_attest_decode:
 * @attest: TPMS_ATTEST; what its signature covers
 * @kind: the only kind accepted
 * @ret: (out) (transfer full): vsm_tpm_attest_free()
 *
 * Does not check the signature.  Errors: VSM_ERROR_FORMAT: bad magic, another
 * kind, trailing bytes, a quote over none or more than one bank.
 */
bool vsm_tpm_attest_decode(GBytes *attest,
                           VsmTpmAttestKind kind,
                           VsmTpmAttest **ret,
                           GError **error);
void vsm_tpm_attest_free(VsmTpmAttest *attest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmTpmAttest, vsm_tpm_attest_free)

/* --- Checks of what was attested -------------------------------------- */

/**
 * vsm_tpm_quote_check:
 * @attest: TPMS_ATTEST of TPM2_Quote
 * @hash: VSM_TPM_BANK_* number of the AK scheme's hash
 * @extra_data: 48 bytes
 * @pcrs: exactly the selection and the values that must have been quoted
 *
 * Not the signature.  Errors: VSM_ERROR_FORMAT, VSM_ERROR_TAMPERED.
 */
bool vsm_tpm_quote_check(GBytes *attest,
                         guint16 hash,
                         const VsmDigest *extra_data,
                         const VsmTpmPcrs *pcrs,
                         GError **error);

/**
 * vsm_tpm_nv_check:
 * @attest: TPMS_ATTEST of TPM2_NV_Certify
 * @nv_name: the pinned Name of the commit index
 * @extra_data: 48 bytes
 * @ret_value: (out): the index's value, offset 0 and exactly 48 bytes
 *
 * Not the signature.  Errors: VSM_ERROR_FORMAT, VSM_ERROR_TAMPERED.
 */
bool vsm_tpm_nv_check(GBytes *attest,
                      GBytes *nv_name,
                      const VsmDigest *extra_data,
                      VsmDigest *ret_value,
                      GError **error);

/* TPM2_Certify of the object called @name.  Not the signature. */
bool vsm_tpm_certify_check(GBytes *attest,
                           GBytes *name,
                           const VsmDigest *extra_data,
                           GError **error);

G_END_DECLS
