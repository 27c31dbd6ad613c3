/*
 * Sealed and measured documents in, verdict out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/attester.h>

/**
 * VsmSealedState: what is known of the snapshot, all of it authentic
 * @manifest, @document, @runtime: as sealed; borrowed
 * @no_runtime: why there is no @runtime; NULL otherwise
 * @profile: of the runtime scope; else ""
 * @seal: what the TPM released; offline: of the metadata
 */
typedef struct {
    VsmPurpose purpose;
    GBytes *manifest, *document, *runtime;
    const char *no_runtime, *profile;
    VsmDigest state, stream, scope, seal;
    bool unsealed;
} VsmSealedState;

/**
 * vsm_verdict_build:
 * @document: measured, of the kind that @sealed's purpose compares; untrusted
 * @measured: untrusted
 *
 * Match only if the seal digest over the measured document and the two other
 * digests is the unsealed one, or every difference is a listed accepted form.
 * The runtime scope is judged by the rules of vsm_scope_judge().
 * Errors: FORMAT, LIMIT, INVALID, POLICY (masks that the table does not have).
 */
bool vsm_verdict_build(const VsmSealedState *sealed,
                       GBytes *document,
                       const VsmMeasured *measured,
                       VsmVerdict **ret,
                       GError **error);
