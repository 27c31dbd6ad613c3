/*
 * MakeCredential in software (TPM 2.0 Library, Part 1, "Credential
 * Protection").
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "crypto/kdf.h"
#include "crypto/keys.h"

/**
 * VsmEkKey: an endorsement key, as far as it takes to encrypt for it; borrowed
 * @hash: its nameAlg
 * @aes_bytes: of its symmetric key, CFB: 16 or 32
 * @modulus: RSA, big-endian; NULL: an EC key
 * @exponent: RSA
 * @curve: EC
 * @x, @y: EC: exactly as in the key's public area, for KDFe takes @x so
 */
typedef struct {
    VsmHashAlg hash;
    gsize aes_bytes;
    GBytes *modulus;
    guint32 exponent;
    VsmCurve curve;
    GBytes *x, *y;
} VsmEkKey;

/* Bytes of a credential: a TPM takes no more than its nameAlg's digest. */
#define VSM_CREDENTIAL_BYTES 32

/**
 * vsm_make_credential:
 * @ek: whose TPM alone can open it
 * @name: of the object that must be in the same TPM: TPMI_ALG_HASH and digest
 * @credential: VSM_CREDENTIAL_BYTES
 * @ret_blob: (out) (transfer full): what TPM2_ActivateCredential takes as
 *            TPM2B_ID_OBJECT, with its size in front
 * @ret_secret: (out) (transfer full): TPM2B_ENCRYPTED_SECRET, with its size
 *
 * Errors: FORMAT for a key that is none, CRYPTO.
 */
bool vsm_make_credential(const VsmEkKey *ek,
                         GBytes *name,
                         const VsmSecret *credential,
                         GBytes **ret_blob,
                         GBytes **ret_secret,
                         GError **error);
