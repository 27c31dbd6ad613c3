/*
 * The claims of a report, read: a checked struct instead of JSON.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <jansson.h>
#include <vsm/attester.h>

#include "tpm/structures.h"

G_BEGIN_DECLS

/**
 * VsmClaims: what a report says, well-formed and consistent in itself
 *
 * Texts and lists point into @json.
 */
typedef struct {
    json_t *json;
    GBytes *nonce;
    gint64 iat;
    const char *host_id, *op, *asked, *scope, *profile, *recipient;
    const char *vm_uuid, *snapshot_id, *snapshot_tag, *config;
    const char *attester, *boot_policy;
    const char *hypervisor_measured_by, *state_measured_by;
    const json_t *accepted, *host_clock, *unattested;
    guint8 result; /* VsmResult */
    guint64 left_out; /* of all lists together */
    VsmDigest state, stream, sealed_scope, measured, hypervisor;
    VsmTpmPcrs pcrs;
    bool unsealed, hypervisor_measured, unmeasured_boot, require_sealed;
    GBytes *quote_attest, *quote_signature, *sealed_name;
} VsmClaims;

/**
 * vsm_claims_read:
 * @text: payload of a JWS whose signature was verified
 *
 * Errors: VSM_ERROR_LIMIT; VSM_ERROR_FORMAT, also for an unknown claim and for
 * a result that contradicts its findings or digests.
 *
 * Returns: (transfer full)
 */
VsmClaims *vsm_claims_read(const char *text, GError **error);

/* The digest that was sealed for the claims' scope; borrowed. */
const VsmDigest *vsm_claims_expected(const VsmClaims *claims);

/**
 * vsm_pcrs_read:
 * @object: {"bank": …, "values": {"0": hex, …}}
 * @where: for messages
 *
 * Errors: VSM_ERROR_FORMAT.
 */
bool vsm_pcrs_read(const json_t *object,
                   const char *where,
                   VsmTpmPcrs *ret,
                   GError **error);

/* The way back; transfer full: json_decref(). */
json_t *vsm_pcrs_write(const VsmTpmPcrs *pcrs);

void vsm_claims_free(VsmClaims *claims);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmClaims, vsm_claims_free)

G_END_DECLS
