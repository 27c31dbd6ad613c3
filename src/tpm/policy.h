/*
 * Boot PCRs, PCR 23 and the policy session.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "tpm/context.h"
#include "tpm/structures.h"

G_BEGIN_DECLS

/**
 * vsm_tpm_read_pcrs:
 * @bank: VSM_TPM_BANK_*
 * @mask: bit n: PCR n
 * @ret: (out): one consistent reading: no extend came in between
 *
 * Errors: VSM_ERROR_UNSUPPORTED when the TPM does not have the bank.
 */
bool vsm_tpm_read_pcrs(
    VsmTpm *tpm, guint16 bank, guint32 mask, VsmTpmPcrs *ret, GError **error);

/**
 * vsm_tpm_read_boot:
 * @mask: boot PCRs; never PCR 16 or 23, which anyone can reset
 * @allow_zero: accept PCRs that are all zero (tests): a bank that the firmware
 *              does not extend says nothing about the boot
 *
 * Chooses the SHA-384 bank, or SHA-256 where the TPM has no SHA-384.
 * Errors: VSM_ERROR_BOOT when all are zero; VSM_ERROR_INVALID for @mask.
 */
bool vsm_tpm_read_boot(VsmTpm *tpm,
                       guint32 mask,
                       bool allow_zero,
                       VsmTpmPcrs *ret,
                       GError **error);

/**
 * vsm_tpm_boot_mask:
 * @ret_mask: (out): PCR 0 to 7, which the firmware extends, and those of 8, 9
 *            (GRUB: its commands, and the files that it read) and 11 (a unified
 *            kernel image) that have a value
 *
 * The PCRs that stand for this boot where nobody names others; the same for
 * each boot of the same kind.  With an operator, a boot that leaves one of
 * them out differs in the mask, which no approved state then fits; frozen, a
 * snapshot is compared by the mask that it was sealed with.  See the Linux TPM
 * PCR registry of the UAPI group.
 */
bool vsm_tpm_boot_mask(VsmTpm *tpm, guint32 *ret_mask, GError **error);

/**
 * VsmTpmBinding: what a sealed digest is bound to
 * @boot: boot PCRs as they are now, from vsm_tpm_read_boot()
 * @hypervisor, @config: digests that go to PCR 23
 */
typedef struct {
    VsmTpmPcrs boot;
    VsmDigest hypervisor, config;
} VsmTpmBinding;

/**
 * vsm_tpm_boot_check:
 * @boot: from vsm_tpm_read_boot()
 * @sealed: boot PCRs in the snapshot's metadata; NULL at a seal
 *
 * "Is this boot approved?", before the VM is paused.  Frozen: @boot equals
 * @sealed.  Operator: the index holds PolicyPCR(@boot).
 * Errors: VSM_ERROR_BOOT, naming the PCRs that differ and the remedy.
 */
bool vsm_tpm_boot_check(VsmTpm *tpm,
                        const VsmTpmPcrs *boot,
                        const VsmTpmPcrs *sealed,
                        GError **error);

G_END_DECLS
