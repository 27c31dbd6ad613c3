/*
 * Compact JWE (RFC 7516) with ECDH-ES and A256GCM around a report.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

G_BEGIN_DECLS

/**
 * vsm_jwe_encrypt:
 * @jws: the signed report
 * @recipient: a public JWK; checked with vsm_jwk_recipient() again
 * @ret_jwe: (out) (transfer full): g_free()
 *
 * Errors: those of vsm_jwk_recipient(), VSM_ERROR_CRYPTO.
 */
bool vsm_jwe_encrypt(const char *jws,
                     const char *recipient,
                     char **ret_jwe,
                     GError **error);

/* The way back is public: vsm_report_open() in <vsm/report.h>. */

G_END_DECLS
