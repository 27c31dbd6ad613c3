/*
 * Trust entries: what a verifier knows of a host before any report comes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/report.h>

#include "crypto/keys.h"
#include "tpm/structures.h"

G_BEGIN_DECLS

/* Sets of boot PCRs that one entry approves: old and new while updating. */
#define VSM_TRUST_PCR_SETS_MAX 64

/**
 * VsmTrustInput: a host's keys and boot state, all borrowed
 * @host_id: `iss` of its reports
 * @attester: "in-process" or "daemon"
 * @ak_public, @rk_public: TPMT_PUBLIC, marshalled; Names and JWKs are computed
 * @pcrs: boot PCRs as they are now, approved by the entry
 * @boot_policy: "frozen" or "operator"
 */
typedef struct {
    const char *host_id, *attester;
    GBytes *ak_public, *rk_public;
    const VsmTpmPcrs *pcrs;
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
bool vsm_trust_build(const VsmTrustInput *input,
                     char **ret_json,
                     GError **error);

/**
 * VsmTrustEntry: one host, checked
 * @kid: thumbprint of @rk_jwk
 * @in_process: kind of its attester; @allow_in_process: whether that will do
 * @ak, @rk: public areas of the right kind; Names recomputed
 * @ak_key: the AK for vsm_key_verify()
 * @approved: of VsmTpmPcrs: boot states, any of which will do
 */
typedef struct {
    char *host_id, *kid, *rk_jwk, *boot_policy;
    bool in_process, allow_in_process;
    VsmTpmKey *ak, *rk;
    VsmKey *ak_key;
    GArray *approved;
} VsmTrustEntry;

/* By the report key's thumbprint; borrowed; NULL when there is none. */
const VsmTrustEntry *vsm_trust_find(const VsmTrust *trust, const char *kid);

G_END_DECLS
