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
 * @commit_index: (nullable): Name of the commit index, for evidence
 * @ek_public: (nullable): TPMT_PUBLIC; set by an enrolment
 * @enrolled: seconds since 1970; 0: no enrolment
 * @allow_in_process: what the verifier decided
 */
typedef struct {
    const char *host_id, *attester;
    GBytes *ak_public, *rk_public;
    const VsmTpmPcrs *pcrs;
    const char *boot_policy;
    GBytes *commit_index, *ek_public;
    gint64 enrolled;
    bool allow_in_process;
} VsmTrustInput;

/**
 * vsm_trust_build:
 * @ret_json: (out) (transfer full): a trust file with one entry, as
 *            vsm_host_keys() returns it and vsm_trust_load() reads it
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
 * @commit_index: Name of the commit index; NULL: not known
 */
typedef struct {
    char *host_id, *kid, *rk_jwk, *boot_policy;
    bool in_process, allow_in_process;
    VsmTpmKey *ak, *rk;
    VsmKey *ak_key;
    GArray *approved;
    GBytes *commit_index;
} VsmTrustEntry;

/* By the report key's thumbprint; borrowed; NULL when there is none. */
const VsmTrustEntry *vsm_trust_find(const VsmTrust *trust, const char *kid);

/* By the host's own name; borrowed; NULL: none, or more than one. */
const VsmTrustEntry *vsm_trust_find_host(const VsmTrust *trust,
                                         const char *host_id);

G_END_DECLS
