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

G_BEGIN_DECLS

/* A recipient's JWK as text; one with P-384 takes about 200 bytes. */
#define VSM_JWK_BYTES_MAX 1024

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
 * vsm_jwk_from_point:
 * @curve: "P-256" or "P-384"
 * @x, @y: big-endian coordinates of exactly 32 or 48 bytes: the TPM drops no
 *         leading zeros that were not dropped before, so pad first
 *
 * Returns: (transfer full): {"crv":…,"kty":"EC","x":…,"y":…}, which is also
 *          the RFC 7638 form; NULL with VSM_ERROR_INVALID
 */
char *vsm_jwk_from_point(const char *curve, GBytes *x, GBytes *y,
                         GError **error);

/**
 * vsm_jwk_thumbprint:
 * @jwk: a public EC key; unknown members do not matter
 *
 * RFC 7638 with SHA-256, base64url.  It is the `kid` of a report.
 *
 * Errors: VSM_ERROR_FORMAT.  Returns: (transfer full): 43 characters
 */
char *vsm_jwk_thumbprint(const char *jwk, GError **error);

/**
 * vsm_jwk_recipient:
 * @jwk: what the verifier sent
 * @ret_thumbprint: (out) (transfer full)
 *
 * Checks that a report may be encrypted for @jwk: at most VSM_JWK_BYTES_MAX
 * bytes of one JSON object without repeated or unknown members, kty EC, P-256
 * or P-384, the point on the curve, no private part.
 *
 * Errors: VSM_ERROR_LIMIT, VSM_ERROR_FORMAT, VSM_ERROR_INVALID.
 */
bool vsm_jwk_recipient(const char *jwk, char **ret_thumbprint, GError **error);

G_END_DECLS
