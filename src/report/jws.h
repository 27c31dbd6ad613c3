/*
 * Compact JWS (RFC 7515) with ES384 or ES256, signed elsewhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

G_BEGIN_DECLS

/* Header `typ` of a report, so that it is not taken for another JWT. */
#define VSM_JWS_TYPE "vsm-report+jwt"

/**
 * VsmJwsSigner:
 * @digest: of the signing input: SHA-384 for ES384 (48 bytes), SHA-256 for
 *          ES256 (32 bytes); borrowed
 * @opaque: as given to vsm_jws_sign()
 *
 * Signs @digest with the report key, for instance by TPM2_Sign.
 *
 * Returns: (transfer full): r and s, big-endian, each padded with leading
 *          zeros to 48 (ES384) or 32 (ES256) bytes; NULL with @error set
 */
typedef GBytes *(*VsmJwsSigner)(GBytes *digest,
                                gpointer opaque,
                                GError **error);

/**
 * vsm_jws_sign:
 * @payload: from vsm_claims_build()
 * @jwk: the report key's public JWK; its curve chooses ES384 or ES256 and its
 *       thumbprint becomes `kid`
 * @ret_jws: (out) (transfer full): g_free()
 *
 * Errors: VSM_ERROR_INVALID, VSM_ERROR_LIMIT, VSM_ERROR_CRYPTO when the signer
 *         returns a signature of another length, and the signer's own.
 */
bool vsm_jws_sign(const char *payload,
                  const char *jwk,
                  VsmJwsSigner signer,
                  gpointer opaque,
                  char **ret_jws,
                  GError **error);

/**
 * vsm_jws_kid:
 * @ret_kid: (out) (transfer full): from the header, *not verified*; only to
 *           look up the key
 *
 * Errors: VSM_ERROR_FORMAT, VSM_ERROR_LIMIT; VSM_ERROR_FORMAT too for any
 * algorithm but ES384 and ES256, `crit`, or a member that reports do not have.
 */
bool vsm_jws_kid(const char *jws, char **ret_kid, GError **error);

/**
 * vsm_jws_verify:
 * @jwk: the trusted report key
 * @ret_payload: (out) (transfer full): g_free(); without NUL bytes
 *
 * true only if the signature is @jwk's, with the algorithm of its curve.
 * Errors: VSM_ERROR_FORMAT, VSM_ERROR_LIMIT, VSM_ERROR_SIGNATURE,
 * VSM_ERROR_CRYPTO.
 */
bool vsm_jws_verify(const char *jws,
                    const char *jwk,
                    char **ret_payload,
                    GError **error);

G_END_DECLS
