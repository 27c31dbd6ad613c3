/*
 * Signing with a private key that lies in a file or in a PKCS #11 token.
 *
 * For the operator's side: no key of a host is ever handled here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "crypto/keys.h"

/**
 * vsm_private_sign:
 * @where: path of a PEM file, or a "pkcs11:" URI
 * @ret_der: (out) (transfer full): ECDSA over the curve's hash of @message
 *
 * Errors: INVALID, UNSUPPORTED, CRYPTO.
 */
bool vsm_private_sign(const char *where,
                      GBytes *message,
                      GBytes **ret_der,
                      GError **error);
