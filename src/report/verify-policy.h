/*
 * Whether a genuine report is as strong as trust entry and policy want it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "report/claims-read.h"
#include "report/policy.h"
#include "report/trust.h"

/* The claimed PCRs of the boot: all but that of the VM. */
VsmTpmPcrs vsm_verify_boot_pcrs(const VsmClaims *claims);

/* Everything but the values of the boot PCRs.  POLICY, UNTRUSTED, CRYPTO. */
bool vsm_verify_policy(const VsmClaims *claims,
                       const VsmTrustEntry *entry,
                       const VsmReportPolicy *policy,
                       GError **error);

/* Whether the trust entry approves them.  POLICY. */
bool vsm_verify_boot(const VsmClaims *claims,
                     const VsmTrustEntry *entry,
                     const VsmReportPolicy *policy,
                     GError **error);
