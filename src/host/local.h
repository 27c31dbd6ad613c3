/*
 * VsmLocal: VsmAttester on a VsmHost, for one VM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "host/hypervisor.h"
#include "host/internal.h"
#include "host/verdict.h"
#include "base/part.h"
#include "tpm/request.h"

#define VSM_TYPE_LOCAL (vsm_local_get_type())
G_DECLARE_FINAL_TYPE(VsmLocal, vsm_local, VSM, LOCAL, GObject)

typedef enum {
    VSM_LOCAL_IDLE,
    VSM_LOCAL_SEAL, /* parts are put; the folder has no metadata */
    VSM_LOCAL_SEALED, /* durable, unlisted */
    VSM_LOCAL_CHECK,
} VsmLocalState;

/* VsmVm, owned. */
typedef struct {
    char *name, *version, *config;
    bool require_sealed;
} VsmLocalVm;

/* A save.  @token: an NV write was taken from the budget and not yet used. */
typedef struct {
    VsmFolder *folder;
    char *id, *tag;
    bool replace, token;
    guint64 expect_bytes, bytes;
    VsmTpmObject ssk;
    GByteArray *documents[VSM_PARTS]; /* MANIFEST, STREAM, SCOPE: as put */
    VsmDigest metadata; /* of the metadata file; SEALED */
    VsmDigest hypervisor; /* sealed */
} VsmLocalSeal;

/* A load, attest or verify. */
typedef struct {
    VsmFolder *folder;
    VsmPurpose purpose;
    VsmRecord *record;
    VsmMetadata *metadata;
    GBytes *documents[VSM_PARTS]; /* MANIFEST, STREAM, SCOPE: authentic */
    VsmDigest seal; /* unsealed */
    bool unsealed;
    GByteArray *measured; /* put by the measurer */
    char *asked, *profile, *recipient, *thumbprint;
    GBytes *nonce;
    VsmTpmPcrs pcrs; /* boot and PCR 23 as quoted */
    bool unmeasured_boot;
    VsmDigest hypervisor; /* digest at the begin */
    VsmTpmEvidence quote;
} VsmLocalCheck;

struct _VsmLocal {
    GObject parent;
    VsmHost *host;
    char *uuid;
    VsmHypervisor *hypervisor;
    VsmLocalState state;
    VsmLocalVm vm;
    VsmLocalSeal seal;
    VsmLocalCheck check;
};

/* Why a test may skip the attester's own comparison of the policy's parts: to
 * see the TPM refuse by itself. */
extern bool vsm_local_trust_tpm_alone;

bool vsm_local_cancelled(GCancellable *cancel, GError **error);

/*
 * A request's deadline, and @cancel, bound the TPM commands of this thread
 * until the end of the block:
 * g_auto(VsmTpmRequest) bounds = vsm_local_request(self, cancel);
 * vsm_tpm_request_set(&bounds);
 */
VsmTpmRequest vsm_local_request(VsmLocal *self, GCancellable *cancel);
void vsm_local_request_clear(VsmTpmRequest *request);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VsmTpmRequest, vsm_local_request_clear)

/* INVALID unless in @state. */
bool vsm_local_expect(VsmLocal *self, VsmLocalState state, GError **error);

/* INVALID when @vm is another VM than this attester's; else takes it over. */
bool vsm_local_set_vm(VsmLocal *self, const VsmVm *vm, GError **error);

/* Ends any transaction; an unfinished folder goes. */
void vsm_local_end(VsmLocal *self);

/* Looks again: HYPERVISOR, with @what and @remedy, unless it is @was. */
bool vsm_local_same_hypervisor(VsmLocal *self,
                               const VsmDigest *was,
                               const char *what,
                               const char *remedy,
                               GError **error);

/* Who looked at the hypervisor's files: "self" or "daemon". */
const char *vsm_local_measured_by(const VsmLocal *self);

/* admit.c */
/* Called in state IDLE.  Takes the NV write of the commit. */
bool vsm_local_admit(VsmLocal *self,
                     const VsmSealRequest *request,
                     GError **error);
/* The boot state, if it is one that a snapshot may be bound to. */
bool vsm_local_read_boot(VsmLocal *self, VsmTpmPcrs *ret, GError **error);

/* seal.c */
bool vsm_local_seal_begin(VsmAttester *attester,
                          const VsmSealRequest *request,
                          char **ret_id,
                          GCancellable *cancel,
                          GError **error);
bool vsm_local_seal_put(VsmLocal *self,
                        VsmPart part,
                        guint64 offset,
                        GBytes *bytes,
                        GError **error);
bool vsm_local_seal_finish(VsmAttester *attester,
                           const VsmContainer *container,
                           const char *scope_reason,
                           GCancellable *cancel,
                           GError **error);
void vsm_local_seal_clear(VsmLocalSeal *seal);

/* seal-commit.c */
bool vsm_local_commit(VsmAttester *attester,
                      VsmRecord **ret,
                      GCancellable *cancel,
                      GError **error);

/* check.c */
bool vsm_local_check_begin(VsmAttester *attester,
                           const VsmCheckRequest *request,
                           VsmRecord **ret,
                           GCancellable *cancel,
                           GError **error);
bool vsm_local_check_put(VsmLocal *self,
                         VsmPart part,
                         guint64 offset,
                         GBytes *bytes,
                         GError **error);
bool vsm_local_get(VsmAttester *attester,
                   VsmPart part,
                   guint64 offset,
                   gsize bytes,
                   GBytes **ret,
                   GCancellable *cancel,
                   GError **error);
bool vsm_local_check_finish(VsmAttester *attester,
                            const VsmMeasured *measured,
                            VsmVerdict **ret,
                            GCancellable *cancel,
                            GError **error);
void vsm_local_check_clear(VsmLocalCheck *check);

/* check-record.c */
/* The check's documents; TAMPERED unless all is as metadata and commit say. */
bool vsm_local_read_record(VsmLocal *self, GError **error);
/* Sets TAMPERED: the check's file @name is not what was sealed, @why. */
bool vsm_local_tampered(VsmLocal *self,
                        const char *name,
                        const char *why,
                        GError **error);

/* report.c: the request's words, and the signed report. */
const char *vsm_local_op(VsmPurpose purpose);
const char *vsm_local_scope(VsmPurpose purpose);
bool vsm_local_report(VsmLocal *self,
                      const VsmMeasured *measured,
                      const VsmVerdict *verdict,
                      char **ret,
                      GError **error);
