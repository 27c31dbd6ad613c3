/*
 * The snapshot manager: what all files of the glue share
 *
 * Everything here belongs to the main thread, under the BQL, unless a comment
 * says otherwise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_OBJECT_H
#define VSM_OBJECT_H

#include "qemu/coroutine.h"
#include "qemu/notify.h"
#include "qapi/qapi-types-vsm.h"
#include "qom/object.h"
#include <vsm/snapshot.h>

#define TYPE_VSM_MANAGER "vm-snapshot-manager"

OBJECT_DECLARE_SIMPLE_TYPE(VsmManager, VSM_MANAGER)

typedef struct VsmSave VsmSave;
typedef struct VsmLoad VsmLoad;
typedef struct VsmDelete VsmDelete;
typedef struct VsmWatch VsmWatch;

/* The operation under way: there is never more than one.  */
typedef struct VsmOp {
    VsmOperation operation;
    char *asked; /* the snapshot as it was asked for */
    char *job_id; /* NULL outside of vsm-* jobs */
    GCancellable *cancel; /* ends the attester's and the pool's waits */
    int code; /* VsmError of its failure; 0: none yet */
    VsmState resting; /* a job's own state while a load runs in it */
} VsmOp;

struct VsmManager {
    Object parent_obj;

    /* Properties, fixed once complete() has run.  */
    char *attester_address;
    char *tcti;
    char *state_dir;
    char *secret;
    char *operator_key;
    char *pcrs;
    uint32_t boot_pcrs; /* bit mask; 0: libvsm's default */
    VsmMismatchAction on_mismatch;
    bool require_sealed;
    bool allow_unmeasured_boot;
    uint32_t pause_percent; /* of a guest's time for measurements; 0: all */
    uint32_t watch_s; /* interval of the watch; 0: none */
    char *watch_snapshot; /* its baseline */
    uint32_t nv_burst; /* commits at once; 0: libvsm's default */
    uint32_t nv_interval_ms; /* for one more; 0: libvsm's default */
    uint32_t request_ms; /* deadline of a request; 0: libvsm's default */
    uint32_t hash_threads; /* 0: one for each CPU */
    VsmHash hash;
    bool completed;

    char *id;
    char *uuid;
    Notifier machine_done;
    Notifier shutdown;
    VsmPool *pool;
    VsmPagemap *pagemap; /* NULL: untouched RAM is read, too */
    VsmAttester *attester;
    CoMutex attester_lock; /* held around each call into the attester */

    char *boot_files; /* config lines of firmware, kernel, fw_cfg */
    GPtrArray *records; /* of VsmRecord: as last listed; not NULL */
    VsmStatus *status; /* as last asked for; NULL before machine-done */
    char *config; /* text, as stated then; NULL without a machine */

    VsmState state;
    VsmOp op; /* valid unless IDLE */
    bool hold; /* the VM must not start */
    bool unsettled; /* debris may be left on the disks */
    bool quitting; /* QEMU is about to end: nothing is resumed */

    struct {
        int64_t since_ms, left; /* see pauses.c */
    } pauses;

    VsmSave *save;
    VsmLoad *load;
    VsmDelete *delete;

    /* Forms of sections after the last load, valid for that snapshot.  */
    VsmAccepted *accepted;
    char *accepted_id;

    VsmWatch *watch; /* NULL: there is none */
    struct {
        char *id; /* snapshot to roll back to; NULL: nothing to do */
        bool ran; /* the VM shall run again */
        int64_t rollbacks_ms[3]; /* when the last ones were */
        unsigned n_jobs;
    } reaction;

    GQueue answers; /* of VsmAnswer, oldest first */
    VsmRefusal *refusal; /* the last one; NULL: none yet */
};

/* The manager, or NULL: none was created.  */
VsmManager *vsm_manager(void);
VsmManager *vsm_manager_or_error(Error **errp);

/**
 * vsm_op_begin:
 * @asked: copied; NULL allowed
 * @job_id: copied; NULL outside of vsm-* jobs
 *
 * Enters @state.  Refused with the busy operation's name if another one is
 * under way; nothing changes then, and VSM_REFUSED is emitted.
 */
bool vsm_op_begin(VsmManager *m,
                  VsmState state,
                  VsmOperation operation,
                  const char *asked,
                  const char *job_id,
                  Error **errp);

/* Back to IDLE.  */
void vsm_op_end(VsmManager *m);

/*
 * Tells of the failure of the operation under way, which may have changed the
 * VM (@changed), or not.
 */
void vsm_op_refused(VsmManager *m, bool changed, const Error *err);

/**
 * vsm_fail:
 * @code: VsmError
 *
 * error_setg(), and the code is remembered as the operation's.
 */
void vsm_fail(VsmManager *m, int code, Error **errp, const char *fmt, ...)
    G_GNUC_PRINTF(4, 5);

/* Chunks that may be in memory to be hashed: enough for all workers.  */
unsigned vsm_hashing_chunks(VsmManager *m);

/*
 * Fills @vm with the VM's present description, borrowed from @m, but for the
 * configuration text, which is (transfer full) the return value: workers read
 * it while a later one is made.
 */
char *vsm_describe_vm(VsmManager *m, VsmVm *vm);

#endif /* VSM_OBJECT_H */
