/*
 * What an operator signs: the request as bytes, and what follows from it.
 *
 * Pure: neither TPM nor store.  The host makes requests and checks answers;
 * whoever has the operator's key reads them elsewhere (include/vsm/operator.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/operator.h>
#include "crypto/keys.h"
#include "tpm/structures.h"

#define VSM_OPERATOR_ID_BYTES 33 /* 32 hex digits and the end */

typedef enum {
    VSM_OPERATOR_APPROVE = 1,
    VSM_OPERATOR_RESEAL,
    VSM_OPERATOR_ADOPT,
} VsmOperatorOp;

/* A snapshot to be resealed: its id, and SHA-384 of its metadata before. */
typedef struct {
    char id[VSM_OPERATOR_ID_BYTES];
    VsmDigest metadata;
} VsmOperatorSnapshot;

/**
 * VsmOperatorRequest: one act that the operator shall authorise
 * @host: id of the host
 * @time: when it was asked, seconds since 1970; a note
 * @nonce, @index_name, @states: approve: from vsm_tpm_approve_begin(); which
 *                               states shall be approved, of VsmTpmPcrs
 * @vm, @snapshots: reseal: of VsmOperatorSnapshot
 * @hypervisor, @config: reseal: digests of what shall hold from now on
 * @value: reseal, adopt: value of the commit index now, so that the signature
 *         is good for one commit
 * @catalogue, @entries: adopt: SHA-384 of the catalogue's body, and how many
 *                       snapshots it lists
 */
typedef struct {
    VsmOperatorOp op;
    char *host;
    gint64 time;
    GBytes *nonce, *index_name;
    GArray *states;
    char *vm;
    GArray *snapshots;
    VsmDigest hypervisor, config, value, catalogue;
    guint32 entries;
} VsmOperatorRequest;

VsmOperatorRequest *vsm_operator_request_new(VsmOperatorOp op,
                                             const char *host);
void vsm_operator_request_free(VsmOperatorRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmOperatorRequest, vsm_operator_request_free)

const char *vsm_operator_op_name(VsmOperatorOp op);

/* Whether it is a reseal of that snapshot of that VM. */
bool vsm_operator_reseals(const VsmOperatorRequest *request,
                          const char *vm,
                          const char *id);

/* INVALID (what decode would refuse), LIMIT. */
GBytes *vsm_operator_request_encode(const VsmOperatorRequest *request,
                                    GError **error);
/* FORMAT, LIMIT. */
VsmOperatorRequest *vsm_operator_request_decode(GBytes *bytes, GError **error);

/* Contents of the boot-policy index that an approve request asks for. */
GBytes *vsm_operator_contents(const VsmOperatorRequest *request);

/**
 * vsm_operator_check:
 * @operator_public: TPMT_PUBLIC of the set-up; NULL: frozen
 * @request: as it was signed
 * @signature: DER
 * @ret_raw: (out) (optional): r and s
 *
 * Errors: UNSUPPORTED (frozen), SIGNATURE.
 */
bool vsm_operator_check(GBytes *operator_public,
                        GBytes *request,
                        GBytes *signature,
                        GBytes **ret_raw,
                        GError **error);

/* The same with the key itself.  Errors: SIGNATURE, FORMAT. */
bool vsm_operator_check_key(const VsmKey *key,
                            GBytes *request,
                            GBytes *signature,
                            GBytes **ret_raw,
                            GError **error);
