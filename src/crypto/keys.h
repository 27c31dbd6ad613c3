/*
 * Public EC keys, and the check of ECDSA signatures.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "crypto/hash.h"

typedef enum {
    VSM_CURVE_P256 = 1, /* ES256 with SHA-256 */
    VSM_CURVE_P384 = 2, /* ES384 with SHA-384 */
} VsmCurve;

#define VSM_CURVE_BYTES_MAX 48

gsize vsm_curve_bytes(VsmCurve curve); /* of one coordinate: 32 or 48 */
VsmHashAlg vsm_curve_hash(VsmCurve curve); /* the hash of ES256, ES384 */
const char *vsm_curve_name(VsmCurve curve); /* "P-256", "P-384": JWK's crv */
bool vsm_curve_from_name(const char *name, VsmCurve *ret);

typedef struct _VsmKey VsmKey; /* a public key; immutable, any thread */

/**
 * vsm_key_new:
 * @x, @y: big-endian coordinates; at most vsm_curve_bytes() each, shorter ones
 *         have their leading zeros stripped, as in TPM2B_ECC_PARAMETER
 *
 * FORMAT when the point is not on the curve or is the point at infinity.
 */
VsmKey *vsm_key_new(VsmCurve curve,
                    const guint8 *x,
                    gsize x_bytes,
                    const guint8 *y,
                    gsize y_bytes,
                    GError **error);

/* SubjectPublicKeyInfo in PEM, P-256 or P-384; FORMAT, UNSUPPORTED. */
VsmKey *vsm_key_new_pem(const char *pem, gsize bytes, GError **error);
char *vsm_key_pem(const VsmKey *key, GError **error); /* transfer full */

VsmCurve vsm_key_curve(const VsmKey *key);
const guint8 *vsm_key_x(const VsmKey *key); /* vsm_curve_bytes(), borrowed */
const guint8 *vsm_key_y(const VsmKey *key);
bool vsm_key_equal(const VsmKey *a, const VsmKey *b);
void vsm_key_free(VsmKey *key);

/**
 * vsm_key_verify:
 * @alg: hash over @message
 * @raw: r and s, big-endian, each exactly vsm_curve_bytes() long (the JWS form)
 *
 * true means verified; SIGNATURE when the check ran and failed, CRYPTO when it
 * could not be run.
 */
bool vsm_key_verify(const VsmKey *key,
                    VsmHashAlg alg,
                    const void *message,
                    gsize message_bytes,
                    const guint8 *raw,
                    gsize raw_bytes,
                    GError **error);

/* The same over a digest that was computed elsewhere. */
bool vsm_key_verify_digest(const VsmKey *key,
                           const guint8 *digest,
                           gsize digest_bytes,
                           const guint8 *raw,
                           gsize raw_bytes,
                           GError **error);

/**
 * vsm_ecdsa_raw:
 * @r, @s: big-endian without padding, as in TPMS_SIGNATURE_ECC
 *
 * The JWS form of a TPM's signature; FORMAT when longer than the curve.
 */
GBytes *vsm_ecdsa_raw(VsmCurve curve,
                      const guint8 *r,
                      gsize r_bytes,
                      const guint8 *s,
                      gsize s_bytes,
                      GError **error);
GBytes *vsm_ecdsa_der_to_raw(VsmCurve curve,
                             const guint8 *der,
                             gsize bytes,
                             GError **error);
GBytes *vsm_ecdsa_raw_to_der(VsmCurve curve,
                             const guint8 *raw,
                             gsize bytes,
                             GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmKey, vsm_key_free)
