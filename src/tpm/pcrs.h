/*
 * PCR values and what is computed from them: policy digests, PCR 23.
 *
 * Pure, as structures.h is.
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

/* PCR 0 to 7 are the firmware's (TCG PC Client Platform Firmware Profile). */
#define VSM_TPM_FIRMWARE_MASK 0xffu

/* Those PCRs of @mask whose value is not zero, as a mask. */
guint32 vsm_tpm_pcrs_with_value(const VsmTpmPcrs *pcrs, guint32 mask);

/*
 * Whether no PCR of the firmware that @mask selects has a value.  Others count
 * for nothing: IMA extends PCR 10 of a bank that the firmware leaves alone, and
 * PCR 17 to 22 are all ones where nothing was launched.
 */
bool vsm_tpm_pcrs_zero(const VsmTpmPcrs *pcrs);

/**
 * vsm_tpm_pcrs_differ:
 *
 * Returns: (transfer full): such as "PCR 4, 7 (sha384)"; NULL: bank, mask and
 * all values are equal
 */
char *vsm_tpm_pcrs_differ(const VsmTpmPcrs *a, const VsmTpmPcrs *b);

/**
 * vsm_tpm_pcrs_changes:
 *
 * The same with the values: "PCR 4 (sha384): was 0011..., is 8899...", the
 * first bytes of each; NULL when all is equal.
 */
char *vsm_tpm_pcrs_changes(const VsmTpmPcrs *was, const VsmTpmPcrs *is);

/* How many PCRs differ; all 24 when bank or mask do. */
guint vsm_tpm_pcrs_distance(const VsmTpmPcrs *a, const VsmTpmPcrs *b);

/**
 * vsm_tpm_pcrs_digest:
 * @hash: VSM_TPM_BANK_* as hash: SHA-256 in policies; in a quote the hash of
 *        the AK's scheme
 * @ret: (out): 32 or 48 bytes
 */
void vsm_tpm_pcrs_digest(const VsmTpmPcrs *pcrs, guint16 hash, guint8 *ret);

/* What PCR_Extend is given for @digest: @ret holds 48 or 32 bytes. */
void vsm_tpm_pcr_event(guint16 bank, const VsmDigest *digest, guint8 *ret);

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

/* Boot states that may be approved at once: TPM2_PolicyOR takes eight. */
#define VSM_TPM_STATES_MAX 8

/**
 * vsm_tpm_policy_states:
 * @n: 0 to VSM_TPM_STATES_MAX
 *
 * The digest that the boot-policy index must hold so that exactly these states
 * are approved: PolicyPCR of the only one, or PolicyOR of their PolicyPCRs.
 * Without a state: SHA-256("VSM-NO-BOOT-STATE-1"), which no policy session has.
 */
void vsm_tpm_policy_states(const VsmTpmPcrs *states,
                           guint n,
                           VsmTpmPolicy *ret);

/**
 * vsm_tpm_approval_hash:
 * @index_name: Name of the boot-policy index as it is now
 * @contents: what NV_Write shall write, at offset 0
 *
 * cpHash (SHA-256) of that NV_Write: TPM 2.0 Part 1, "cpHash".
 */
void vsm_tpm_approval_hash(GBytes *index_name,
                           GBytes *contents,
                           guint8 ret[VSM_TPM_POLICY_BYTES]);

/**
 * vsm_tpm_approval_ref:
 *
 * policyRef of the approvals of one host: SHA-256 over "VSM-APPROVAL-1" and
 * @host_id, each with its length (u16) before it.  It is in the policy of the
 * host's index, and in what the operator signs, so that an approval of one host
 * is none for another of the same operator.
 */
GBytes *vsm_tpm_approval_ref(const char *host_id);

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
