/*
 * The operator's side: read what a host asks for, and sign it.
 *
 * Needs neither TPM nor store: it runs where the operator's key is, which need
 * not be, and better is not, the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/error.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

/* A request, or a signature; bytes. */
#define VSM_OPERATOR_BYTES_MAX (64u * 1024)

/**
 * vsm_operator_describe:
 * @request: from vsm_host_approve_begin() and its like; untrusted
 * @ret: (out) (transfer full): what it would allow, line by line, each
 *       "LABEL\tVALUE\n", in ASCII; g_free()
 *
 * Everything that is signed for is in it, computed from @request itself.
 * Errors: FORMAT, LIMIT.
 */
bool vsm_operator_describe(GBytes *request, char **ret, GError **error);

/**
 * vsm_operator_to_sign:
 * @ret: (out) (transfer full): the message to sign: ECDSA, with SHA-256 for a
 *       P-256 key and SHA-384 for a P-384 one, as `openssl dgst -sign` does
 *
 * For an approval nonceTPM, a zero expiration and the cpHash of one NV_Write
 * (TPM 2.0 Part 3, TPM2_PolicySigned); else the request itself.
 * Errors: FORMAT, LIMIT.
 */
bool vsm_operator_to_sign(GBytes *request, GBytes **ret, GError **error);

/**
 * vsm_operator_sign:
 * @key: a PEM file with the private key, or a "pkcs11:" URI (RFC 7512); the
 *       latter through OpenSSL's provider or engine for PKCS #11
 * @ret_signature: (out) (transfer full): DER (ECDSA-Sig-Value)
 *
 * Errors: FORMAT, LIMIT; INVALID: no private key on P-256 or P-384 is there;
 * UNSUPPORTED: OpenSSL has neither provider nor engine; CRYPTO.
 */
bool vsm_operator_sign(GBytes *request,
                       const char *key,
                       GBytes **ret_signature,
                       GError **error);

#pragma GCC visibility pop
G_END_DECLS
