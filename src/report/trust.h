/*
 * Trust entries: what a verifier knows of a host before any report comes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/report.h>
#include "report/claims.h"

G_BEGIN_DECLS

/**
 * VsmTrustInput: a host's keys and boot state, all borrowed
 * @host_id: `iss` of its reports
 * @attester: "in-process" or "daemon"
 * @ak_public, @rk_public: TPMT_PUBLIC, marshalled; Names and JWKs are computed
 * @pcrs: boot PCRs as they are now; PCR 23 is ignored
 * @boot_policy: "frozen" or "operator"
 */
typedef struct {
    const char *host_id, *attester;
    GBytes *ak_public, *rk_public;
    const VsmClaimsPcrs *pcrs;
    const char *boot_policy;
} VsmTrustInput;

/**
 * vsm_trust_build:
 * @ret_json: (out) (transfer full): a trust file with one entry, as
 *            vsm_host_keys() returns it and vsm_trust_load() reads it
 *
 * In-process keys are not allowed by the entry; `vsmctl keys
 * --allow-in-process` adds that.
 *
 * Errors: VSM_ERROR_FORMAT when a public area is none of ours,
 *         VSM_ERROR_INVALID.
 */
bool vsm_trust_build(const VsmTrustInput *input, char **ret_json,
                     GError **error);

G_END_DECLS
