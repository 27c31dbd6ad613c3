/*
 * VsmHost from the inside: what host/ shares.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/host.h>
#include "core/metadata.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "host/budget.h"
#include "host/shares.h"
#include "report/operator.h"
#include "store/catalogue.h"
#include "store/record.h"
#include "tpm/keys.h"
#include "tpm/nv.h"
#include "tpm/policy.h"
#include "tpm/seal.h"

#define VSM_STORE_CATALOGUE "catalogue"
#define VSM_STORE_NEXT "catalogue.next"
#define VSM_STORE_HOST "host"
#define VSM_STORE_LOCK "lock"
#define VSM_STORE_BUDGET "budget"
#define VSM_FILE_METADATA "metadata"
#define VSM_FILE_SIGNATURE "signature"

/* A boot state that the operator approved; @time is a note. */
typedef struct {
    gint64 time;
    VsmTpmPcrs pcrs;
} VsmApproved;

/**
 * VsmPending: what waits for the operator's signature; pending.h
 * @states: approve: of VsmApproved, the list behind the request
 * @config: reseal: the new configuration text
 */
typedef struct {
    VsmOperatorRequest *request;
    GBytes *bytes; /* @request as it went out; NULL: nothing waits */
    gint64 lapses_us; /* monotonic */
    GArray *states;
    char *config;
} VsmPending;

struct _VsmHost {
    GObject parent;

    VsmHostKind kind;
    char **recipients; /* allowed thumbprints; NULL: any */
    VsmDir *store;
    int lock_fd;
    VsmSecret *secret;
    VsmTpm *tpm;
    VsmKey *ak; /* public; checks what the TPM signed before */
    char *id;
    guint32 boot_pcrs;
    bool allow_unmeasured_boot;
    guint64 vm_quota_bytes;
    guint request_ms;

    bool adopting; /* opened to be adopted: @catalogue is not the TPM's */

    GMutex mutex; /* all below; commits go one at a time under it */
    VsmCatalogue *catalogue; /* committed; each entry has its commit value */
    VsmDigest value; /* of the commit index after @catalogue */
    bool in_doubt; /* the files and the index must be read again */
    VsmBudget budget;
    VsmShares *shares;
    GArray *approved; /* of VsmApproved, the latest first */
    bool approval_in_doubt; /* the file and its index must be read again */
    VsmPending pending;
    char *last_error;
};

/* vsm_host_open() on @tpm (transfer full), for tests; NULL: opens one. */
VsmHost *vsm_host_open_with_tpm(const VsmHostOptions *options,
                                VsmTpm *tpm,
                                GError **error);

/*
 * vsm_tpm_boot_check(), with what the operator approved last.  Locks the mutex.
 * Errors: also IN_DOUBT, when an approval's outcome cannot be read yet.
 */
bool vsm_host_boot_check(VsmHost *host,
                         const VsmTpmPcrs *boot,
                         const VsmTpmPcrs *sealed,
                         GError **error);

/* For documents: "frozen" or "operator". */
const char *vsm_host_boot_policy(VsmHost *host);

/* vsm_host_open_to_adopt(), likewise. */
VsmHost *vsm_host_adopt_with_tpm(const VsmHostOptions *options,
                                 VsmTpm *tpm,
                                 GError **error);

/*
 * Reads index and files, and takes the catalogue that the rule names.  Also
 * the way out of doubt.  Called with the mutex held, or before there is any
 * other user.  Errors: REPLAYED, TAMPERED, STORE and the TPM's.
 */
bool vsm_host_recover(VsmHost *host, GError **error);

/* Locks the mutex, settling a doubt first; false: not locked. */
bool vsm_host_lock(VsmHost *host, GError **error);
void vsm_host_unlock(VsmHost *host);

/*
 * The NV budget, kept in the store: a restart gives no new writes.  Called
 * with the mutex held.  @vm: whose write it is; NULL: the operator's, who waits
 * for no VM.
 */
void vsm_host_budget_load(VsmHost *host, guint burst, guint interval_ms);
bool vsm_host_budget_take(VsmHost *host, const char *vm, GError **error);
void vsm_host_budget_give_back(VsmHost *host);

/* Keeps the text of @error for the status; returns false. */
bool vsm_host_note(VsmHost *host, const GError *error);

/*
 * VsmChange: one commit
 * @put: @n_put new entries, ascending, their commit zero bytes
 * @folders: one for each of @put; gets the evidence
 * @evidence: the evidence's file name; NULL: VSM_FILE_SIGNATURE
 * @drop: of VsmEntry by value; NULL: none
 */
typedef struct {
    const VsmEntry *put;
    VsmFolder *const *folders;
    guint n_put;
    const char *evidence;
    const VsmEntry *drop;
    guint n_drop;
} VsmChange;

/*
 * Called with the mutex held; the budget was taken.  IN_DOUBT: unknown; any
 * other error: nothing was committed.
 */
bool vsm_host_commit(VsmHost *host,
                     const VsmChange *change,
                     VsmDigest *ret,
                     GError **error);

/*
 * Metadata of vm/@uuid/@id.  @entry: what the catalogue says of it; NULL:
 * debris, whose metadata nothing proves.  Errors: TAMPERED names the file.
 */
bool vsm_host_metadata(VsmHost *host,
                       const char *uuid,
                       const char *id,
                       const VsmEntry *entry,
                       VsmMetadata **ret,
                       GBytes **ret_bytes,
                       GError **error);

/* MAC under the host secret over a record's id and mark. */
bool vsm_host_mark_mac(VsmHost *host,
                       const VsmMetadata *metadata,
                       VsmDigest *ret,
                       GError **error);
bool vsm_host_mark_known(VsmHost *host, const VsmMetadata *metadata);

/* Locks the mutex, but not while it reads files.  Of VsmRecord, transfer full;
 * at most VSM_DEBRIS_MAX that are not listed. */
GPtrArray *vsm_host_list(VsmHost *host, const char *uuid, GError **error);

/*
 * The listed record that @asked means.  Called with the mutex held.
 * Errors: NOT_FOUND, INVALID (ambiguous), TAMPERED (also when there is none,
 * but one whose metadata was altered: it may be that one).
 */
bool vsm_host_find(VsmHost *host,
                   const char *uuid,
                   const char *asked,
                   VsmRecord **ret,
                   GError **error);
