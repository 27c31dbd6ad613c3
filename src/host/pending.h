/*
 * The one request that waits for the operator's signature.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "host/internal.h"

/* UNSUPPORTED without an operator's key: nobody could sign. */
bool vsm_pending_operator(VsmHost *host, GError **error);

/* INVALID: more boot states than can be approved at once; returns false. */
bool vsm_pending_too_many(GError **error);

/* All below: called with the mutex held. */

/* BUSY while a request waits that has not lapsed. */
bool vsm_pending_free_slot(VsmHost *host, GError **error);

/* @request: (transfer full); @bytes: as it goes out */
void vsm_pending_set(VsmHost *host, VsmOperatorRequest *request, GBytes *bytes);

/**
 * vsm_pending_answered:
 * @ret_raw: (out) (optional): the signature as r and s
 *
 * Errors: STALE (none waits, or it lapsed), INVALID (another operation),
 * SIGNATURE; a wrong signature leaves the request waiting.
 */
bool vsm_pending_answered(VsmHost *host,
                          VsmOperatorOp op,
                          GBytes *signature,
                          GBytes **ret_raw,
                          GError **error);
void vsm_pending_clear(VsmHost *host); /* harmless without one */

/*
 * At open, and after an approval in doubt: the list of approved states behind
 * the index; empty when no file bears it out.  Errors: STORE (a file cannot be
 * read) and the TPM's; nothing is taken or removed then.
 */
bool vsm_host_approved_load(VsmHost *host, GError **error);

/* Lists are of VsmApproved; FORMAT, LIMIT. */
GBytes *vsm_approved_encode(const GArray *list, GError **error);
GArray *vsm_approved_decode(GBytes *bytes, GError **error);

/* "a(xsuay)": {time, bank, mask, values}. */
void vsm_approved_add(GVariantBuilder *builder, const GArray *list);
GVariant *vsm_approved_values(const VsmTpmPcrs *pcrs);
bool vsm_approved_state(const char *bank,
                        guint32 mask,
                        GVariant *ay,
                        VsmTpmPcrs *ret,
                        GError **error);
