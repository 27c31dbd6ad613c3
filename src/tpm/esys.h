/*
 * Inside src/tpm: the connection's insides, handles and sessions that flush
 * themselves, errors decoded once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <tss2/tss2_esys.h>
#include "crypto/secret.h"
#include "tpm/context.h"
#include "tpm/keys.h"
#include "tpm/link.h"
#include "tpm/sign.h"

/* Objects that stay open for the life of a connection. */
typedef enum {
    VSM_TPM_SRK,
    VSM_TPM_AK,
    VSM_TPM_RK,
    VSM_TPM_COMMIT_INDEX,
    VSM_TPM_BOOT_INDEX,
    VSM_TPM_FIXED,
} VsmTpmFixed;

/**
 * VsmTpmHandle: a transient object or a session; flushes itself
 *
 * A handle of an earlier connection is not flushed: it is gone, or
 * flush_leftovers() takes it.
 */
typedef struct {
    VsmTpm *tpm;
    ESYS_TR tr;
    guint generation;
    bool encrypts; /* a session that was salted */
} VsmTpmHandle;

#define VSM_TPM_NO_HANDLE ((VsmTpmHandle){NULL, ESYS_TR_NONE, 0, false})

struct VsmTpm {
    GRecMutex mutex;
    guint depth; /* of vsm_tpm_lock(), under @mutex, as all below */
    char *text;
    VsmTpmTransport transport;
    bool own_transport;
    guint command_ms;

    VsmTpmLink *link;
    ESYS_CONTEXT *esys; /* NULL: not connected */
    bool broken; /* an answer was lost: connect anew before the next use */
    guint generation; /* of the connection */
    guint64 past_commands; /* over earlier connections */
    char *description;

    VsmTpmKeys *keys; /* NULL before set-up or use */
    ESYS_TR fixed[VSM_TPM_FIXED];
    VsmSecret *auth[VSM_TPM_FIXED]; /* auth values; NULL: empty */
    VsmSecret *snapshot_auth; /* of SSK and sealed digest */

    GBytes *approval_ref; /* of this host; with @auth */

    /* What the operator approved, as far as is known; see approve.h. */
    VsmTpmPcrs *approved;
    guint n_approved;
    VsmTpmHandle approval; /* the policy session of an approval under way */

    /* Between NV_Certify and NV_Extend under one lock: saves a session. */
    VsmTpmHandle commit_session;
};

/* vsm_tpm_open() over another transport, for tests. */
VsmTpm *vsm_tpm_open_over(const char *tcti,
                          const VsmTpmTransport *transport,
                          guint command_ms,
                          GError **error);

/* --- Enter and leave -------------------------------------------------- */

typedef VsmTpm VsmTpmEntered;

/* Locks, connects where needed.  Returns: @tpm; NULL with @error set. */
VsmTpmEntered *vsm_tpm_enter(VsmTpm *tpm, GError **error);
void vsm_tpm_leave(VsmTpmEntered *tpm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmTpmEntered, vsm_tpm_leave)

/* As vsm_tpm_enter(); VSM_ERROR_INVALID before set-up or use of the keys. */
VsmTpmEntered *vsm_tpm_enter_keys(VsmTpm *tpm, GError **error);

/* --- Answers ---------------------------------------------------------- */

/**
 * vsm_tpm_ok:
 * @what: what was done, such as "load the snapshot's key"
 *
 * Returns: whether @rc is success; else @error is set, and a connection that
 * lost an answer is given up.
 */
bool vsm_tpm_ok(VsmTpm *tpm, TSS2_RC rc, const char *what, GError **error);

/* The TPM's own response code, without the layer; 0 for any other layer. */
guint32 vsm_tpm_code(TSS2_RC rc);

/* Whether the TPM answered @code, of whatever parameter or session. */
bool vsm_tpm_is(TSS2_RC rc, guint32 code);

/* --- Handles and sessions --------------------------------------------- */

VsmTpmHandle vsm_tpm_handle(VsmTpm *tpm, ESYS_TR tr);
void vsm_tpm_handle_clear(VsmTpmHandle *handle); /* flushes, harmless twice */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VsmTpmHandle, vsm_tpm_handle_clear)

/**
 * vsm_tpm_session_hmac:
 *
 * A session that proves auth values.  They are 32 random bytes, so its key
 * needs no salt; with @encrypts it is salted with the SRK and can encrypt the
 * first parameter of a command or an answer.
 */
bool vsm_tpm_session_hmac(VsmTpm *tpm,
                          bool encrypts,
                          VsmTpmHandle *ret,
                          GError **error);

/* A fresh policy session; it does not encrypt. */
bool vsm_tpm_session_policy(VsmTpm *tpm, VsmTpmHandle *ret, GError **error);

/* What the session does in the next command. */
typedef enum {
    VSM_TPM_PLAIN = 0,
    VSM_TPM_IN = 1, /* encrypt the command's first parameter */
    VSM_TPM_OUT = 2, /* and the answer's */
    VSM_TPM_LAST = 4, /* the TPM flushes the session on success */
} VsmTpmUse;

/**
 * vsm_tpm_use:
 *
 * To be called before *every* command: after a refusal ESYS leaves a session
 * without its encryption, and the next secret would go out in clear.
 *
 * Returns: the session, for the command's argument
 */
ESYS_TR vsm_tpm_use(VsmTpmHandle *session, VsmTpmUse use);

/* After the last command succeeded: there is nothing left to flush. */
void vsm_tpm_used_up(VsmTpmHandle *session);

/* --- Conversions ------------------------------------------------------ */

GBytes *vsm_tpm_public_to_bytes(const TPM2B_PUBLIC *public_area);
bool vsm_tpm_public_from_bytes(GBytes *bytes, TPM2B_PUBLIC *ret);
TPM2B_AUTH vsm_tpm_auth(const VsmSecret *secret); /* wipe after use */
TPM2B_DATA vsm_tpm_data(const VsmDigest *digest);
TPML_PCR_SELECTION vsm_tpm_selection(guint16 bank, guint32 mask);
/* Takes what an attestation command returned; frees both. */
bool vsm_tpm_evidence(TPM2B_ATTEST *attest,
                      TPMT_SIGNATURE *signature,
                      VsmTpmEvidence *ret,
                      GError **error);

/* keys.c: opens and proves the fixed objects on a new connection. */
bool vsm_tpm_keys_bind(VsmTpm *tpm, GError **error);
VsmTpmKeys *vsm_tpm_keys_copy(const VsmTpmKeys *keys);
bool vsm_tpm_keys_derive(VsmTpm *tpm,
                         const VsmSecret *secret,
                         const char *host_id,
                         GError **error);
bool vsm_tpm_set_auth(VsmTpm *tpm,
                      ESYS_TR tr,
                      const VsmSecret *secret,
                      GError **error);
/* A persistent object or an index; NOT_FOUND when the handle is free. */
bool vsm_tpm_open_handle(VsmTpm *tpm,
                         guint32 handle,
                         const char *what,
                         ESYS_TR *ret_tr,
                         GBytes **ret_name,
                         GError **error);

/* sign.c: a quote with a session that is already there. */
bool vsm_tpm_quote_with(VsmTpm *tpm,
                        ESYS_TR session,
                        guint16 bank,
                        guint32 mask,
                        const VsmDigest *extra_data,
                        VsmTpmEvidence *ret,
                        GError **error);
