/*
 * The seal digest: one value over the three documents of a snapshot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/metadata.h"
#include "crypto/hash.h"

bool vsm_seal_digest(const VsmDigest *state,
                     const VsmDigest *stream,
                     const VsmDigest *scope,
                     VsmDigest *ret,
                     GError **error)
{
    g_autoptr(VsmSha384) hash = vsm_sha384_new(error);

    return hash && vsm_sha384_update(hash, "VSM-SNAP-1", 10, error) &&
           vsm_sha384_update(hash, state->b, VSM_DIGEST_BYTES, error) &&
           vsm_sha384_update(hash, stream->b, VSM_DIGEST_BYTES, error) &&
           vsm_sha384_update(hash, scope->b, VSM_DIGEST_BYTES, error) &&
           vsm_sha384_finish(hash, ret, error);
}
