/*
 * Inside src/tpm: PCR 23 and the run of a policy session, for seal.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "tpm/esys.h"
#include "tpm/policy.h"

typedef enum {
    VSM_TPM_RUN_DONE,
    VSM_TPM_RUN_AGAIN, /* somebody moved a PCR: restart; no error is set */
    VSM_TPM_RUN_FAILED, /* error is set */
} VsmTpmRun;

/* Resets PCR 23 and extends it with hypervisor and configuration. */
bool vsm_tpm_pcr_vm_set(VsmTpm *tpm,
                        const VsmTpmBinding *binding,
                        GError **error);
bool vsm_tpm_pcr_vm_reset(VsmTpm *tpm, GError **error);

/**
 * vsm_tpm_policy_run:
 * @policy: a policy session, fresh or restarted
 * @session: an HMAC session, not the policy session
 *
 * PolicyPCR(boot), with an operator PolicyAuthorizeNV, PolicyPCR(23),
 * PolicyAuthValue.
 */
VsmTpmRun vsm_tpm_policy_run(VsmTpm *tpm,
                             ESYS_TR policy,
                             VsmTpmHandle *session,
                             const VsmTpmBinding *binding,
                             GError **error);
