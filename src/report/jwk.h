/*
 * Public EC keys as JWK (RFC 7517, RFC 7518 section 6.2), strictly.
 *
 * P-256 and P-384 only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/limits.h"
#include "crypto/keys.h"

G_BEGIN_DECLS

/* base64url (RFC 4648, section 5) without padding; free with g_free(). */
char *vsm_b64url_encode(gconstpointer bytes, gsize n_bytes);

/**
 * vsm_b64url_decode:
 * @max: most bytes that the result may have
 *
 * Accepts only the one text that vsm_b64url_encode() makes of the result: no
 * padding, no blanks, no stray bits.
 *
 * Errors: VSM_ERROR_FORMAT, VSM_ERROR_LIMIT.  Returns: (transfer full)
 */
GBytes *vsm_b64url_decode(const char *text, gsize max, GError **error);

/**
 * vsm_jwk_from_key:
 *
 * Returns: (transfer full): {"crv":…,"kty":"EC","x":…,"y":…}, which is also
 *          the form that RFC 7638 hashes; g_free()
 */
char *vsm_jwk_from_key(const VsmKey *key);

/**
 * vsm_jwk_to_key:
 * @jwk: a public EC key; members other than kty, crv, x, y, kid, use, alg and
 *       key_ops are refused, above all a private part
 *
 * Errors: VSM_ERROR_LIMIT for more than VSM_JWK_BYTES_MAX bytes,
 *         VSM_ERROR_FORMAT, also when the point is not on the curve.
 * Returns: (transfer full)
 */
VsmKey *vsm_jwk_to_key(const char *jwk, GError **error);

/**
 * vsm_jwk_thumbprint:
 *
 * RFC 7638 with SHA-256, base64url.  It is the `kid` of a report.
 *
 * Returns: (transfer full): 43 characters
 */
char *vsm_jwk_thumbprint(const VsmKey *key);

/**
 * vsm_jwk_recipient:
 * @jwk: what the verifier sent
 * @ret_thumbprint: (out) (transfer full)
 *
 * Checks that a report may be encrypted for @jwk: as vsm_jwk_to_key(), and
 * `use`, `alg` and `key_ops`, where given, allow key agreement.
 *
 * Errors: VSM_ERROR_LIMIT, VSM_ERROR_FORMAT, VSM_ERROR_INVALID.
 */
bool vsm_jwk_recipient(const char *jwk, char **ret_thumbprint, GError **error);

G_END_DECLS
