/*
 * X.509: whether a certificate leads to an authority that is trusted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "crypto/credential.h"

/* Bytes of one certificate in DER; those of TPMs have 800 to 2,000. */
#define VSM_CERTIFICATE_BYTES_MAX 4096
/* A chain below the trusted ones: the key's own and two or three makers'. */
#define VSM_CERTIFICATES_MAX 8
/* A bundle of trusted certificates, PEM. */
#define VSM_CA_BYTES_MAX (1024u * 1024)

/**
 * vsm_x509_check:
 * @chain: of GBytes, DER: the certificate first, then such as lead from it to
 *         a trusted one, in any order; nothing of it is trusted
 * @ca_pem: certificates of which each is trusted, whether it signed itself or
 *          not
 * @purpose: OID that the certificate's extended key usage must have
 * @now: seconds since 1970: for the terms of validity
 * @key: what the certificate's key must be
 *
 * Revocation is not checked: TPM makers publish few lists, and this works
 * offline.
 *
 * Errors: UNTRUSTED with the reason; FORMAT and LIMIT for what cannot be
 * parsed; INVALID for @ca_pem; UNSUPPORTED when OpenSSL does not know the
 * key's kind.
 */
bool vsm_x509_check(const GPtrArray *chain,
                    const char *ca_pem,
                    const char *purpose,
                    gint64 now,
                    const VsmEkKey *key,
                    GError **error);

/* Length of the DER certificate that @data begins with; 0: none does. */
gsize vsm_x509_length(const guint8 *data, gsize bytes);
