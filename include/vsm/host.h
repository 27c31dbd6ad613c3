/*
 * VsmHost: owns the TPM, the store and the host secret.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib-object.h>
#include <vsm/attester.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

#define VSM_TYPE_HOST (vsm_host_get_type())
G_DECLARE_FINAL_TYPE(VsmHost, vsm_host, VSM, HOST, GObject)

/**
 * VsmHostKind: in which process the keys of a store are used
 *
 * A store and a secret are of one kind for ever: keys that a hypervisor's
 * process once could use never become the daemon's, nor the reverse.
 */
typedef enum {
    VSM_HOST_IN_PROCESS = 0,
    VSM_HOST_DAEMON = 1,
} VsmHostKind;

const char *vsm_host_kind_name(VsmHostKind kind); /* as reports say it */

/**
 * VsmHostOptions:
 * @kind: of the caller; a store or secret of the other kind is refused
 * @state_dir: the store; made 0700 when absent
 * @tcti: TCTI configuration, such as "swtpm:path=/run/x" or
 *        "device:/dev/tpmrm0"; device, swtpm, mssim and tabrmd only, for a
 *        TCTI can also name a library or a command to run
 * @secret_path: the host secret, outside @state_dir; made 0600 when absent;
 *               NULL: /etc/vsm/secret
 * @operator_key_path: PEM public key (P-256, P-384) that approves boot states;
 *                     used at set-up only; NULL: boot policy "frozen"
 * @boot_pcrs: bit mask; 0: PCR 0 to 7, and those of 8, 9 and 11 that have a
 *             value when the host is opened
 * @allow_unmeasured_boot: accept a boot of which no selected PCR from 0 to 7
 *                         has a value; a claim
 * @command_ms: deadline of one TPM command; 0: 10,000
 * @request_ms: deadline of the TPM commands of one request, all together;
 *              0: 60,000.  A commit or removal has that of each command alone.
 * @vm_quota_bytes: of all records of one VM; 0: no limit
 * @nv_burst: NV writes (a save or a removal is one) that may come at once;
 *            0: 20
 * @nv_interval_ms: one more each; 0: 10,000.  NV memory wears out.
 * @recipients: thumbprints (RFC 7638, SHA-256) of the keys for which reports
 *              may be encrypted; NULL: any; borrowed while the host is open
 */
typedef struct {
    VsmHostKind kind;
    const char *state_dir, *tcti, *secret_path, *operator_key_path;
    guint32 boot_pcrs;
    bool allow_unmeasured_boot;
    guint command_ms, request_ms;
    guint64 vm_quota_bytes;
    guint nv_burst, nv_interval_ms;
    const char *const *recipients;
} VsmHostOptions;

/**
 * vsm_host_open:
 *
 * Takes the store's lock (BUSY names the holder), connects the TPM, sets up
 * what is absent (SRK, AK, RK, NV index, secret, store), proves the catalogue
 * against the NV index and the AK, and drops records without metadata.
 * Idempotent.  Errors: BUSY, STORE, NO_SPACE, TPM, TPM_ABSENT, TIMEOUT,
 * REPLAYED, TAMPERED, INVALID (a secret inside @state_dir, a bad operator key),
 * DENIED (store or secret of the other kind).
 */
VsmHost *vsm_host_open(const VsmHostOptions *options, GError **error);

/**
 * VsmHostStatus: what one screen says of a host
 * @tpm: manufacturer, model text and firmware; NULL with @tpm_error
 * @tpm_error: why the TPM could not be asked; NULL: it could
 * @nv_left: NV writes that may come at once now
 * @vms: of VsmHostVm
 */
typedef struct {
    char *uuid;
    guint listed, unlisted; /* snapshots; records that no catalogue lists */
} VsmHostVm;

typedef struct {
    VsmHostKind kind;
    char *id, *tpm, *tpm_error, *pcr_bank, *boot_policy, *last_error;
    guint32 boot_pcrs;
    bool boot_approved, boot_measured;
    VsmDigest commit;
    guint nv_left, nv_burst, nv_interval_ms;
    guint64 tpm_commands;
    GPtrArray *vms;
} VsmHostStatus;

/* Errors: STORE.  A TPM that does not answer is part of the status. */
bool vsm_host_status(VsmHost *host, VsmHostStatus **ret, GError **error);
void vsm_host_status_free(VsmHostStatus *status);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmHostStatus, vsm_host_status_free)

/* Cheap numbers for metrics: no TPM, no file is asked. */
void vsm_host_counters(VsmHost *host,
                       guint64 *ret_tpm_commands,
                       guint *ret_nv_left,
                       guint *ret_nv_burst);

/**
 * vsm_host_set_deadline:
 * @deadline_us: monotonic time; 0: none
 *
 * Of what the calling thread asks from now on: TPM commands that would take
 * longer end with TIMEOUT, before their own deadline.
 */
void vsm_host_set_deadline(gint64 deadline_us);

/* A fresh secret file's content for a host of @kind; free with g_bytes. */
GBytes *vsm_host_new_secret(VsmHostKind kind, GError **error);

/* A trust file with this host as its one entry; free with g_free(). */
bool vsm_host_keys(VsmHost *host, char **ret_json, GError **error);

/**
 * vsm_host_enroll_request:
 * @ek: (nullable): "p-384" or "rsa-2048"; NULL or "": the first of them that
 *      the TPM has a certificate of
 * @ret_json: (out) (transfer full): one line; for vsm_enroll_challenge()
 *
 * What this host says of itself: endorsement certificate and key, AK, RK.
 * Nothing of it is secret.  Errors: NOT_FOUND without a certificate, INVALID,
 * UNSUPPORTED when the endorsement hierarchy has a password, and the TPM's.
 */
bool vsm_host_enroll_request(VsmHost *host,
                             const char *ek,
                             char **ret_json,
                             GError **error);

/**
 * vsm_host_enroll_respond:
 * @challenge: from vsm_enroll_challenge(), as it came
 * @ret_json: (out) (transfer full): one line; for vsm_enroll_accept()
 *
 * Opens the challenge's credential in the TPM, certifies the RK by the AK and
 * quotes the boot PCRs, all bound to this challenge.  Errors: FORMAT, LIMIT,
 * DENIED when it is for other keys, TAMPERED when the TPM cannot open it, BOOT,
 * BUSY, and the TPM's.
 */
bool vsm_host_enroll_respond(VsmHost *host,
                             const char *challenge,
                             char **ret_json,
                             GError **error);

/**
 * vsm_host_snapshot_evidence:
 * @vm_uuid: whose snapshot
 * @snapshot: tag:NAME, id:HEX or a bare word
 * @ret_json: (out) (transfer full): for vsm_snapshot_evidence_verify()
 *
 * The metadata of a listed snapshot and what the AK signed when it was
 * committed.  Errors: NOT_FOUND, INVALID, TAMPERED, STORE.
 */
bool vsm_host_snapshot_evidence(VsmHost *host,
                                const char *vm_uuid,
                                const char *snapshot,
                                char **ret_json,
                                GError **error);

/* --- The operator's word (docs/host-updates.md) ----------------------- */

/*
 * Each act begins with a request, opaque bytes that vsmctl or the operator's
 * machine reads and signs (vsm/operator.h), and is done by the finish with that
 * signature: exactly what was asked for, once.  One request waits at a time
 * (BUSY), for 10 minutes (STALE).  Without an operator's key at set-up:
 * UNSUPPORTED.  A wrong signature: SIGNATURE, the request goes on waiting.
 * Any thread.
 */

/**
 * vsm_host_boot_state:
 * @ret: (out) (transfer full): "(sba(xsuay)(suay))": boot policy ("frozen" or
 *       "operator"); whether the current state is approved; approved states,
 *       the latest first: {when, seconds since 1970; PCR bank; bit mask; values
 *       ascending, without gaps}; the current state
 */
bool vsm_host_boot_state(VsmHost *host, GVariant **ret, GError **error);

/**
 * vsm_host_approve_begin:
 * @states: (nullable): "a(suay)": bank, mask, values of each state to approve;
 *          NULL or empty: the current one
 * @keep: how many of the states that are approved now stay so, the latest
 *        first; all others are approved no more
 * @ret_request: (out) (transfer full)
 *
 * At most 8 states in all.  Errors: INVALID, BOOT (a state that was not
 * measured).  The TPM keeps a session open until the finish.
 */
bool vsm_host_approve_begin(VsmHost *host,
                            GVariant *states,
                            guint keep,
                            GBytes **ret_request,
                            GError **error);

/**
 * vsm_host_revoke_begin:
 * @number: of an approved state as vsm_host_boot_state() lists them, from 1;
 *          G_MAXUINT32: all
 */
bool vsm_host_revoke_begin(VsmHost *host,
                           guint number,
                           GBytes **ret_request,
                           GError **error);

/**
 * vsm_host_approve_finish:
 * @signature: DER, over vsm_operator_to_sign() of the request
 *
 * One NV write: all snapshots are usable in the approved states, and in no
 * other; nothing is sealed again.  IN_DOUBT: the TPM's answer was lost.
 */
bool vsm_host_approve_finish(VsmHost *host, GBytes *signature, GError **error);

/**
 * vsm_host_reseal_begin:
 * @uuid: of the VM
 * @snapshots: (nullable): which, as they are asked for; NULL or empty: all
 * @hypervisor: digest of the hypervisor's files from now on
 * @config: canonical configuration text from now on
 *
 * Errors: NOT_FOUND, TAMPERED, BOOT (the boot must be approved), LIMIT.
 */
bool vsm_host_reseal_begin(VsmHost *host,
                           const char *uuid,
                           const char *const *snapshots,
                           const VsmDigest *hypervisor,
                           const char *config,
                           GBytes **ret_request,
                           GError **error);

/**
 * vsm_host_reseal_finish:
 * @ret_n: (out) (optional): how many snapshots
 *
 * Unseals each digest under what held at its seal, seals it under the new
 * hypervisor and configuration, and commits all as one.  STALE: snapshots were
 * made or removed since the begin.  On any error but IN_DOUBT all are as
 * before.
 */
bool vsm_host_reseal_finish(VsmHost *host,
                            GBytes *signature,
                            guint *ret_n,
                            GError **error);

/**
 * vsm_host_open_to_adopt:
 *
 * As vsm_host_open(), for a store that it refuses as REPLAYED or because an NV
 * index was lost (NOT_FOUND): a lost index is defined again, empty.  Until it
 * is adopted nothing but vsm_host_adopt_*() and vsm_host_destroy() may be
 * called.
 */
VsmHost *vsm_host_open_to_adopt(const VsmHostOptions *options, GError **error);

/**
 * vsm_host_adopt_begin:
 * @ret_entries: (out) (transfer full): "a(sssxb)": what would count from now
 * on: VM's uuid, id, tag, seconds since 1970, whether it is damaged
 *
 * Errors: INVALID (nothing to adopt), TAMPERED (not a catalogue of this host).
 */
bool vsm_host_adopt_begin(VsmHost *host,
                          GVariant **ret_entries,
                          GBytes **ret_request,
                          GError **error);

/* Commits the catalogue as it is: every other copy is dead. */
bool vsm_host_adopt_finish(VsmHost *host, GBytes *signature, GError **error);

/**
 * vsm_host_destroy:
 * @id: of this host, said again
 *
 * Frees the NV indices, AK and RK, and removes the store's files.  AK and RK
 * are shared by all stores with the same secret.  All snapshots are lost; the
 * host can only be unreferenced then.  Errors: INVALID for another id.
 */
bool vsm_host_destroy(VsmHost *host, const char *id, GError **error);

/* Drops the request that waits; harmless without one. */
void vsm_host_operator_abort(VsmHost *host);

typedef struct _VsmHypervisor VsmHypervisor;

/**
 * vsm_hypervisor_measure:
 * @proc_fd: a directory descriptor of /proc/self or /proc/PID; borrowed
 *
 * SHA-384 over the sorted set of SHA-384(file) of the executable and of each
 * file that is mapped executable.  Errors: HYPERVISOR when a mapped file was
 * replaced on disk and never measured; LIMIT for more than 1,024 files or
 * 1 GiB.
 *
 * Returns: (transfer full): free with vsm_hypervisor_free()
 */
VsmHypervisor *vsm_hypervisor_measure(int proc_fd, GError **error);
const VsmDigest *vsm_hypervisor_digest(const VsmHypervisor *hypervisor);
void vsm_hypervisor_free(VsmHypervisor *hypervisor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmHypervisor, vsm_hypervisor_free)

/**
 * vsm_local_attester_new:
 * @host: a reference is held
 * @uuid: of the only VM that this attester serves
 * @hypervisor: (transfer full): measured in @uuid's process
 */
VsmAttester *vsm_local_attester_new(VsmHost *host,
                                    const char *uuid,
                                    VsmHypervisor *hypervisor);

#pragma GCC visibility pop
G_END_DECLS
