/*
 * What the AK says at a commit: made, kept beside the record, checked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "host/internal.h"

/*
 * Checks what the AK said at a commit: signature, index, extraData.
 * @metadata: that the commit sealed; zero bytes: none
 * @body: SHA-384 of the catalogue's body
 * @ret_before: value of the index before that commit
 * Errors: TAMPERED, with @what in front.
 */
bool vsm_evidence_check_commit(VsmHost *host,
                               GBytes *attest,
                               GBytes *signature,
                               const VsmDigest *metadata,
                               const VsmDigest *body,
                               const char *what,
                               VsmDigest *ret_before,
                               GError **error);

/* The record's file `signature`: "(ayayay)" of @body and @evidence. */
bool vsm_evidence_write(VsmFolder *folder,
                        const char *name,
                        const VsmDigest *body,
                        const VsmTpmEvidence *evidence,
                        GError **error);
bool vsm_evidence_decode(GBytes *bytes,
                         VsmDigest *ret_body,
                         VsmTpmEvidence *ret,
                         GError **error);

/* The record's file leads to the commit @commit of @metadata. */
bool vsm_evidence_check(VsmHost *host,
                        VsmFolder *folder,
                        const VsmDigest *metadata,
                        const VsmDigest *commit,
                        GError **error);
