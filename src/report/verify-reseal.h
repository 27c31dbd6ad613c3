/*
 * Whether the operator signed for a resealed snapshot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "report/claims-read.h"
#include "report/policy.h"

/*
 * Without a claim of a reseal, or without operators in the policy: true.  Else
 * the claim must hold a request of this host for this snapshot, hypervisor and
 * configuration, signed by one of them.  Errors: SIGNATURE, POLICY, FORMAT.
 */
bool vsm_verify_reseal(const VsmClaims *claims,
                       const VsmReportPolicy *policy,
                       GError **error);
