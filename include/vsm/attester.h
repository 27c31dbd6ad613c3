/*
 * VsmAttester: the border between the process that measures a VM and the one
 * that owns TPM, store and keys.
 *
 * One VM, one attester object, one transaction at a time.  A hypervisor uses
 * snapshot.h, which drives this interface, and calls only status, list,
 * remove and forget here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <gio/gio.h>
#include <glib-object.h>
#include <stdbool.h>
#include <vsm/digest.h>
#include <vsm/error.h>
#include <vsm/state.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

#define VSM_TYPE_ATTESTER (vsm_attester_get_type())
G_DECLARE_INTERFACE(VsmAttester, vsm_attester, VSM, ATTESTER, GObject)

/**
 * VsmVm: stated at every begin, never cached
 * @uuid: 36 characters, lower case
 * @name: free text, at most 255 bytes; a claim
 * @version: the hypervisor's version text; a claim, not measured
 * @config: canonical configuration text; NULL: offline, nothing is unsealed
 * @require_sealed: whether the hypervisor refuses unsealed snapshots; a claim
 */
typedef struct {
    const char *uuid, *name, *version, *config;
    bool require_sealed;
} VsmVm;

/**
 * VsmSealRequest:
 * @tag: 1 to 255 bytes UTF-8, no control characters, not 32 hex digits
 * @replace: whether a listed snapshot of the same tag is dropped by the commit
 * @expect_bytes: upper bound of all parts of the record, for space and quota;
 *                not 0
 */
typedef struct {
    VsmVm vm;
    const char *tag;
    bool replace;
    guint64 expect_bytes;
} VsmSealRequest;

typedef struct {
    char *device; /* guest-visible: frontend's QOM path or qdev id; owned */
    guint64 bytes; /* virtual size */
    bool vmstate; /* holds the stream */
} VsmDisk;

typedef enum {
    VSM_CONTAINER_INTERNAL = 1, /* a qcow2 internal snapshot */
} VsmContainerKind;

/**
 * VsmContainer: where a snapshot's bytes live, and the mark by which its
 * entries are found on the disks
 */
typedef struct {
    guint8 kind; /* VsmContainerKind */
    char *tag; /* owned */
    guint32 date_sec, date_nsec;
    guint64 vm_clock_nsec, icount;
    guint64 vmstate_bytes;
    GPtrArray *disks; /* of VsmDisk, owned */
} VsmContainer;

typedef enum {
    VSM_PURPOSE_LOAD = 1, /* loadvm, rollback */
    VSM_PURPOSE_FULL = 2, /* attest all state */
    VSM_PURPOSE_RUNTIME = 3, /* attest the runtime scope */
    VSM_PURPOSE_STORED = 4, /* verify the stored bytes */
    VSM_PURPOSE_WATCH = 5, /* runtime scope, reported without being asked */
} VsmPurpose;

/**
 * VsmCheckRequest:
 * @snapshot: "tag:NAME", "id:HEX" or a bare word (tag first, then id)
 * @nonce: 8 to 64 bytes; NULL: no quote and no report; WATCH: random bytes of
 *         the measurer's own, which the report's op keeps from being an answer
 * @recipient: a public EC JWK for which the report is encrypted; NULL: none
 * @profile: RUNTIME and WATCH: "standard" or "strict"; else NULL
 */
typedef struct {
    VsmVm vm;
    VsmPurpose purpose;
    const char *snapshot;
    GBytes *nonce;
    const char *recipient, *profile;
} VsmCheckRequest;

typedef enum {
    VSM_PART_MANIFEST = 1,
    VSM_PART_STREAM = 2,
    VSM_PART_MAP = 3,
    VSM_PART_LEAVES = 4,
    VSM_PART_SCOPE = 5,
    VSM_PART_SKELETON = 6,
} VsmPart;

/**
 * VsmMeasured: what the measurer states beside the measured document
 * @accepted: of char*: sections (idstr/instance) whose form after the load is
 *            accepted; counts only where libvsm's table names them
 * @changed: of VsmFinding: changed RAM ranges, or damaged stored bytes, or
 *           what differs inside a page of the runtime scope; at most
 *           VSM_FINDINGS_MAX
 * @changed_left_out: ranges that are not in @changed
 * @changed_pages: all changed pages of RAM
 * @unavailable: why nothing was measured; NULL otherwise
 */
typedef struct {
    GPtrArray *accepted, *changed;
    guint64 changed_left_out, changed_pages, bytes_hashed;
    guint pause_ms;
    const char *unavailable;
} VsmMeasured;

/**
 * VsmRecord: a snapshot's metadata, decoded
 *
 * With @damaged set only @id, @vm_uuid, @commit and @listed are known: all
 * other members are NULL or zero, and @has_mark is false.
 */
typedef struct {
    char *id; /* 32 hex digits */
    char *tag;
    char *vm_uuid, *vm_name;
    gint64 time; /* seconds since 1970, the attester's clock */
    VsmDigest state, stream, scope; /* scope: zero bytes when absent */
    char *scope_reason; /* why there is no scope; else NULL */
    VsmDigest metadata; /* SHA-384 of the metadata as stored */
    VsmDigest hypervisor; /* digest of the hypervisor's files at the seal */
    char *config; /* configuration text at the seal */
    GBytes *ssk_name, *sealed_name; /* TPM2B contents: alg and digest */
    char *pcr_bank; /* "sha384" or "sha256" */
    guint32 boot_pcrs; /* bit mask */
    VsmDigest commit; /* NV value of its commit; zero bytes when unlisted */
    VsmContainer container;
    bool has_mark; /* container is known: metadata was written */
    bool listed; /* by the committed catalogue; else debris */
    char *damaged; /* why the metadata cannot be believed; NULL: it can */
} VsmRecord;

typedef enum {
    VSM_RESULT_MATCH = 1,
    VSM_RESULT_MISMATCH = 2,
    VSM_RESULT_UNAVAILABLE = 3,
} VsmResult;

typedef struct {
    guint8 result; /* VsmResult */
    char *reason; /* of UNAVAILABLE; else NULL */
    GPtrArray *findings; /* of VsmFinding, at most VSM_FINDINGS_MAX */
    guint64 findings_left_out;
    GPtrArray *host_clock; /* of char*: masked fields that differ */
    GPtrArray *accepted; /* of char*: accepted forms that were needed */
    /* of char*, runtime scope: changes that its profile bears, what it leaves
     * unattested; NULL in the other scopes */
    GPtrArray *tolerated, *unattested;
    VsmDigest measured;
    bool unsealed; /* the TPM released the sealed digest */
    char *report; /* JWS or JWE; NULL without a nonce */
    /* Runtime scope, from vsm_scope_judge() alone: over addresses and bytes of
     * all pages whose bytes differ; else zero. */
    VsmDigest pages;
} VsmVerdict;

typedef struct {
    char *kind; /* "in-process" or "daemon" */
    char *measured_by; /* who measured the hypervisor's files */
    char *tpm; /* manufacturer, model text and firmware */
    char *pcr_bank;
    char *boot_policy; /* "frozen" or "operator" */
    char *ak_jwk, *rk_jwk;
    char *last_error; /* NULL: none */
    guint32 boot_pcrs;
    bool boot_approved, boot_measured, hypervisor_measured;
    VsmDigest hypervisor, config, commit;
} VsmStatus;

/**
 * VsmAttesterInterface:
 *
 * All functions: block, at most for the request's deadline; any one thread at
 * a time; inputs borrowed; outputs transfer full and untouched on failure; the
 * GCancellable ends the wait.  Errors of all beside the named ones: DENIED,
 * CONNECTION, PROTOCOL, TIMEOUT, TPM, TPM_ABSENT, STORE, CANCELLED, BUSY.
 */
struct _VsmAttesterInterface {
    GTypeInterface parent;

    bool (*status)(VsmAttester *self,
                   const VsmVm *vm,
                   VsmStatus **ret,
                   GCancellable *cancel,
                   GError **error);
    /* This VM's VsmRecords: listed, and debris that has a mark. */
    bool (*list)(VsmAttester *self,
                 GPtrArray **ret,
                 GCancellable *cancel,
                 GError **error);
    /* BOOT, NO_SPACE, LIMIT, INVALID; makes the folder and the SSK. */
    bool (*seal_begin)(VsmAttester *self,
                       const VsmSealRequest *request,
                       char **ret_id,
                       GCancellable *cancel,
                       GError **error);
    /*
     * Appends only, at most 1,048,560 bytes; in a seal to the record, in a
     * check to the measured document.
     */
    bool (*put)(VsmAttester *self,
                VsmPart part,
                guint64 offset,
                GBytes *bytes,
                GCancellable *cancel,
                GError **error);
    /* Decodes manifest and stream, checks sizes, seals, makes durable. */
    bool (*seal_finish)(VsmAttester *self,
                        const VsmContainer *container,
                        const char *scope_reason,
                        GCancellable *cancel,
                        GError **error);
    /* IN_DOUBT: the outcome is not known, touch nothing.  HYPERVISOR. */
    bool (*commit)(VsmAttester *self,
                   VsmRecord **ret,
                   GCancellable *cancel,
                   GError **error);
    /* NOT_FOUND, BOOT, HYPERVISOR, CONFIG, TAMPERED, REPLAYED, LIMIT. */
    bool (*check_begin)(VsmAttester *self,
                        const VsmCheckRequest *request,
                        VsmRecord **ret,
                        GCancellable *cancel,
                        GError **error);
    /* Manifest, stream and scope are verified; the other parts are not. */
    bool (*get)(VsmAttester *self,
                VsmPart part,
                guint64 offset,
                gsize bytes,
                GBytes **ret,
                GCancellable *cancel,
                GError **error);
    /* Compares, and reports when the check had a nonce.  HYPERVISOR. */
    bool (*check_finish)(VsmAttester *self,
                         const VsmMeasured *measured,
                         VsmVerdict **ret,
                         GCancellable *cancel,
                         GError **error);
    /* Ends the transaction; harmless without one. */
    void (*abort)(VsmAttester *self);
    /* Commits a catalogue without it; IN_DOUBT. */
    bool (*remove)(VsmAttester *self,
                   const char *id,
                   GCancellable *cancel,
                   GError **error);
    /* Drops a debris folder; BUSY if listed. */
    bool (*forget)(VsmAttester *self,
                   const char *id,
                   GCancellable *cancel,
                   GError **error);
};

bool vsm_attester_status(VsmAttester *self,
                         const VsmVm *vm,
                         VsmStatus **ret,
                         GCancellable *cancel,
                         GError **error);
bool vsm_attester_list(VsmAttester *self,
                       GPtrArray **ret,
                       GCancellable *cancel,
                       GError **error);
bool vsm_attester_remove(VsmAttester *self,
                         const char *id,
                         GCancellable *cancel,
                         GError **error);
bool vsm_attester_forget(VsmAttester *self,
                         const char *id,
                         GCancellable *cancel,
                         GError **error);

void vsm_disk_free(VsmDisk *disk);
void vsm_container_clear(VsmContainer *container);
void vsm_record_free(VsmRecord *record);
void vsm_verdict_free(VsmVerdict *verdict);
void vsm_status_free(VsmStatus *status);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmDisk, vsm_disk_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmRecord, vsm_record_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmVerdict, vsm_verdict_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmStatus, vsm_status_free)

#pragma GCC visibility pop
G_END_DECLS
