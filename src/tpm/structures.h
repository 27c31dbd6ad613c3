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

G_BEGIN_DECLS

/* TPM_ALG_ID of the two PCR banks that VSM uses (TCG registry). */
#define VSM_TPM_BANK_SHA256 0x000b
#define VSM_TPM_BANK_SHA384 0x000c

#define VSM_TPM_PCRS 24 /* PCR 0 to 23: PC Client Platform TPM Profile */
#define VSM_TPM_PCR_VM 23 /* resettable by any locality */

#define VSM_TPM_POLICY_BYTES 32 /* policy digests are SHA-256 */

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

/* --- PCRs ------------------------------------------------------------- */

/**
 * VsmTpmPcrs: values of PCRs of one bank
 * @bank: VSM_TPM_BANK_*
 * @mask: bit n: PCR n is meant, @value[n] holds its first bank-size bytes
 */
typedef struct {
    guint16 bank;
    guint32 mask;
    guint8 value[VSM_TPM_PCRS][48];
} VsmTpmPcrs;

gsize vsm_tpm_bank_bytes(guint16 bank); /* 32, 48; 0 for another number */
const char *vsm_tpm_bank_name(guint16 bank); /* "sha256", "sha384", NULL */
guint16 vsm_tpm_bank_from_name(const char *name); /* 0: neither */

/* The values of @mask, ascending, without gaps; transfer full. */
GBytes *vsm_tpm_pcrs_pack(const VsmTpmPcrs *pcrs);
/* The way back.  Errors: VSM_ERROR_FORMAT. */
bool vsm_tpm_pcrs_unpack(guint16 bank,
                         guint32 mask,
                         GBytes *values,
                         VsmTpmPcrs *ret,
                         GError **error);

/* Whether every one of @mask is all zero: the firmware does not extend it. */
bool vsm_tpm_pcrs_zero(const VsmTpmPcrs *pcrs);

/**
 * vsm_tpm_pcrs_differ:
 *
 * Returns: (transfer full): such as "PCR 4, 7 (sha384)"; NULL: bank, mask and
 * all values are equal
 */
char *vsm_tpm_pcrs_differ(const VsmTpmPcrs *a, const VsmTpmPcrs *b);

/**
 * vsm_tpm_pcrs_digest:
 * @hash: VSM_TPM_BANK_* as hash: SHA-256 in policies; in a quote the hash of
 *        the AK's scheme
 * @ret: (out): 32 or 48 bytes
 */
void vsm_tpm_pcrs_digest(const VsmTpmPcrs *pcrs, guint16 hash, guint8 *ret);

/**
 * vsm_tpm_pcr_vm:
 * @hypervisor, @config: digests
 * @ret: (out): PCR 23 after a reset and the two extends, in @pcrs->value[23];
 *       bit 23 of @pcrs->mask is set
 *
 * In a SHA-256 bank SHA-256 of each digest is extended.
 */
void vsm_tpm_pcr_vm(VsmTpmPcrs *pcrs,
                    const VsmDigest *hypervisor,
                    const VsmDigest *config);

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

/* --- Policies (TPM 2.0 Part 3, "Enhanced Authorization") -------------- */

/* A policy digest grows in place; it starts as zero bytes. */
typedef struct {
    guint8 b[VSM_TPM_POLICY_BYTES];
} VsmTpmPolicy;

void vsm_tpm_policy_pcr(VsmTpmPolicy *policy, const VsmTpmPcrs *pcrs);
void vsm_tpm_policy_auth_value(VsmTpmPolicy *policy);
/* Discards what came before: the approved digest stands in its place. */
void vsm_tpm_policy_authorize_nv(VsmTpmPolicy *policy, GBytes *nv_name);
void vsm_tpm_policy_signed(VsmTpmPolicy *policy,
                           GBytes *key_name,
                           GBytes *policy_ref);

/**
 * vsm_tpm_policy_sealed:
 * @boot: boot PCRs; ignored with @boot_index_name
 * @boot_index_name: Name of the boot-policy index, or NULL: frozen
 * @vm: PCR 23 in the same bank
 * @ret: (out): authPolicy of the sealed digest
 *
 * frozen:   PolicyPCR(boot), PolicyPCR(23), PolicyAuthValue
 * operator: PolicyAuthorizeNV(index), PolicyPCR(23), PolicyAuthValue
 */
void vsm_tpm_policy_sealed(const VsmTpmPcrs *boot,
                           GBytes *boot_index_name,
                           const VsmTpmPcrs *vm,
                           VsmTpmPolicy *ret);

/* What an operator approves: PolicyPCR(boot) alone. */
void vsm_tpm_policy_boot(const VsmTpmPcrs *boot, VsmTpmPolicy *ret);

/* Contents of the boot-policy index: TPMI_ALG_HASH and @policy: 34 bytes. */
GBytes *vsm_tpm_policy_to_index(const VsmTpmPolicy *policy);

/**
 * vsm_tpm_commit_next:
 * @before: value of the commit index
 * @body: SHA-384 of the catalogue's body
 * @ret: (out): SHA-384(@before || @body): the value after NV_Extend
 */
void vsm_tpm_commit_next(const VsmDigest *before,
                         const VsmDigest *body,
                         VsmDigest *ret);

G_END_DECLS
