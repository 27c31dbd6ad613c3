/*
 * What a quote binds: canonical request and extraData.
 *
 * Host and offline verification compute these from the same functions.  Pure.
 * Every field is length-prefixed (u16 big-endian), so no two lists of fields
 * give the same bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/digest.h>

G_BEGIN_DECLS

/**
 * VsmRequestText: the request as both sides know it; borrowed, none is NULL
 * @op: "attest", "verify" or "rollback"
 * @asked: the snapshot text as it was asked
 * @scope: "full", "runtime" or "stored"
 * @profile: "" unless @scope is "runtime"
 * @recipient: the recipient's thumbprint, base64url; "" without one
 * @vm_uuid: 36 characters, lower case
 */
typedef struct {
    const char *op, *asked, *scope, *profile, *recipient, *vm_uuid;
} VsmRequestText;

/**
 * vsm_binding_request:
 *
 * SHA-384 of the fields "VSM-REQUEST-1", op, asked, scope, profile,
 * recipient, VM uuid.  Errors: VSM_ERROR_LIMIT for a field over 65,535 bytes,
 * VSM_ERROR_CRYPTO.
 */
bool vsm_binding_request(const VsmRequestText *request,
                         VsmDigest *ret,
                         GError **error);

/**
 * vsm_binding_quote:
 * @nonce: the verifier's
 * @rk_name: Name of the report key: TPMI_ALG_HASH and digest
 * @sealed_name: Name of the snapshot's sealed object
 * @ret: (out): extraData for TPM2_Quote
 *
 * SHA-384 of the fields "VSM-QUOTE-1", nonce, RK Name, sealed Name,
 * vsm_binding_request(), VM uuid.  Errors: VSM_ERROR_LIMIT, VSM_ERROR_CRYPTO.
 */
bool vsm_binding_quote(GBytes *nonce,
                       GBytes *rk_name,
                       GBytes *sealed_name,
                       const VsmRequestText *request,
                       VsmDigest *ret,
                       GError **error);

/**
 * vsm_binding_seal:
 * @metadata: SHA-384 of the metadata; zero bytes: none was sealed
 * @body: SHA-384 of the catalogue's body
 * @ret: (out): extraData for TPM2_NV_Certify at a commit
 *
 * SHA-384 of the fields "VSM-SEAL-1", @metadata, @body.
 */
bool vsm_binding_seal(const VsmDigest *metadata,
                      const VsmDigest *body,
                      VsmDigest *ret,
                      GError **error);

G_END_DECLS
