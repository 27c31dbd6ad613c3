/*
 * Sealing a snapshot while QEMU makes it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "call.h"
#include "channel.h"
#include "disks.h"
#include "events.h"
#include "ram.h"
#include "look.h"
#include "preconditions.h"
#include "save.h"
#include "sections.h"
#include "settle.h"
#include "trace.h"

/*
 * Upper bound of a record beside what grows with RAM: manifest, documents,
 * digests of the skeleton; bytes.
 */
#define RECORD_BYTES (8 * 1024 * 1024)
/* Leaf and, at the very worst, a run of its own in the map; bytes a page.  */
#define RECORD_BYTES_PER_PAGE (48 + 24)

struct VsmSave {
    GPtrArray *disks; /* of the request; a reference */
    BlockDriverState *vmstate_bs; /* borrowed from the request */
    VsmSealing *sealing;
    VsmRam *ram;
    QIOChannel *channel;
    bool in_section;
    VsmLook scope; /* what a running guest will be compared with */
    GError *error; /* of a hook that cannot refuse */
    VsmRecord *record; /* once committed */
    Error *failure; /* why it was refused, for the event */
};

typedef struct BeginCall {
    VsmManager *m;
    VsmSealRequest request;
    GCancellable *cancel;
    VsmSealing *sealing;
} BeginCall;

static bool begin_worker(void *opaque, GError **error)
{
    BeginCall *call = opaque;

    call->sealing = vsm_sealing_begin(call->m->attester, call->m->pool,
                                      &call->request, call->cancel, error);
    return call->sealing != NULL;
}

static bool
ask_attester(VsmManager *m, const SnapshotRequest *request, Error **errp)
{
    BeginCall call = {
        .m = m,
        .request = {.tag = request->name, .replace = request->overwrite},
        .cancel = m->op.cancel,
    };
    g_autoptr(VsmRam) ram = vsm_ram_new(m, errp);
    g_autofree char *config = NULL;

    if (!ram) {
        return false;
    }
    call.request.expect_bytes = RECORD_BYTES + vsm_ram_bytes(ram) /
                                                   VSM_PAGE_BYTES *
                                                   RECORD_BYTES_PER_PAGE;
    config = vsm_describe_vm(m, &call.request.vm);
    if (!vsm_call(m, begin_worker, &call, errp)) {
        return false;
    }
    m->save->sealing = call.sealing;
    return true;
}

static bool free_worker(void *opaque, GError **error)
{
    vsm_sealing_free(opaque);
    return true;
}

static void save_free(VsmManager *m)
{
    VsmSave *save = g_steal_pointer(&m->save);

    if (save->channel) {
        object_unref(OBJECT(save->channel));
    }
    if (save->sealing) {
        vsm_call(m, free_worker, save->sealing, NULL);
    }
    g_clear_pointer(&save->ram, vsm_ram_free);
    g_clear_pointer(&save->disks, g_ptr_array_unref);
    g_clear_pointer(&save->record, vsm_record_free);
    vsm_look_clear(&save->scope);
    g_clear_error(&save->error);
    error_free(save->failure);
    g_free(save);
}

/* Keeps a copy of the reason for the event at the end.  */
static void remember(VsmSave *save, Error **errp, Error *err)
{
    error_free(save->failure);
    save->failure = error_copy(err);
    error_propagate(errp, err);
}

bool vsm_save_begin(VsmManager *m, const SnapshotRequest *request, Error **errp)
{
    Error *err = NULL;

    if (!vsm_op_begin(m, VSM_STATE_SAVE, VSM_OPERATION_SAVE, request->name,
                      NULL, errp)) {
        return false;
    }
    m->save = g_new0(VsmSave, 1);
    m->save->disks = g_ptr_array_ref(request->disks);
    m->save->vmstate_bs = request->vmstate_bs;

    if (!vsm_may_save(m, &err) || !vsm_settle(m, &err) ||
        !ask_attester(m, request, &err)) {
        vsm_op_refused(m, false, err);
        error_propagate(errp, err);
        save_free(m);
        vsm_op_end(m);
        return false;
    }
    trace_vsm_save_begin(vsm_sealing_id(m->save->sealing), request->name);
    return true;
}

QIOChannel *vsm_save_wrap(VsmManager *m, BlockDriverState *bs, Error **errp)
{
    VsmSave *save = m->save;
    g_autoptr(GError) error = NULL;
    const VsmRamBlock *blocks;
    Error *err = NULL;
    guint n;

    m->hold = true;
    save->ram = vsm_ram_new(m, &err);
    if (!save->ram || !vsm_ram_watch(save->ram, false, &err)) {
        remember(save, errp, err);
        return NULL;
    }
    blocks = vsm_ram_blocks(save->ram, &n);
    if (!vsm_sealing_set_ram(save->sealing, blocks, n, &error)) {
        vsm_fail(m, error->code, &err, "%s", error->message);
        remember(save, errp, err);
        return NULL;
    }
    if (!vsm_look(m, NULL, NULL, &save->scope, &err)) {
        remember(save, errp, err);
        return NULL;
    }
    save->channel =
        vsm_save_channel_new(bs, save->ram, vsm_sealing_stream(save->sealing),
                             vsm_hashing_chunks(m));
    return QIO_CHANNEL(object_ref(OBJECT(save->channel)));
}

void vsm_save_section(VsmManager *m,
                      SnapshotSectionPhase phase,
                      const char *idstr,
                      uint32_t instance_id,
                      uint32_t version_id,
                      uint64_t offset)
{
    VsmSave *save = m->save;
    VsmSection section = vsm_section(idstr, instance_id, version_id);

    if (!save->channel || save->error) {
        return;
    }
    if (phase == SNAPSHOT_SECTION_BEGIN) {
        vsm_stream_section_begin(vsm_sealing_stream(save->sealing), &section,
                                 offset, &save->error);
    } else {
        vsm_stream_section_end(vsm_sealing_stream(save->sealing), offset,
                               &save->error);
    }
}

bool vsm_save_untouched(VsmManager *m, const void *host)
{
    return m->save->ram && vsm_ram_untouched(m->save->ram, host);
}

typedef struct FinishCall {
    VsmSealing *sealing;
    const VsmLook *scope;
    VsmContainer container;
    VsmRecord *record;
} FinishCall;

static bool finish_worker(void *opaque, GError **error)
{
    FinishCall *call = opaque;

    return vsm_sealing_set_scope(call->sealing, call->scope->measured,
                                 call->scope->reason, error) &&
           vsm_sealing_finish(call->sealing, &call->container, error);
}

static bool
seal(VsmManager *m, const QEMUSnapshotInfo *sn, uint64_t size, Error **errp)
{
    VsmSave *save = m->save;
    FinishCall call = {.sealing = save->sealing, .scope = &save->scope};
    g_autoptr(GError) error = NULL;
    bool ok;

    if (save->error) {
        vsm_fail(m, save->error->code, errp, "%s", save->error->message);
        return false;
    }
    if (!vsm_save_channel_finish(save->channel, size, &error)) {
        vsm_fail(m, error->code, errp, "%s", error->message);
        return false;
    }
    if (!vsm_ram_unwritten(m, save->ram, "it was saved", errp)) {
        return false;
    }
    if (!vsm_container_init(&call.container, save->disks, save->vmstate_bs, sn,
                            size, errp)) {
        return false;
    }
    ok = vsm_call(m, finish_worker, &call, errp);
    vsm_container_clear(&call.container);
    return ok;
}

bool vsm_save_seal(VsmManager *m,
                   const QEMUSnapshotInfo *sn,
                   uint64_t size,
                   Error **errp)
{
    Error *err = NULL;

    if (!seal(m, sn, size, &err)) {
        remember(m->save, errp, err);
        return false;
    }
    return true;
}

static bool commit_worker(void *opaque, GError **error)
{
    FinishCall *call = opaque;

    return vsm_sealing_commit(call->sealing, &call->record, error);
}

SnapshotCommit vsm_save_commit(VsmManager *m, Error **errp)
{
    FinishCall call = {.sealing = m->save->sealing};
    Error *err = NULL;

    if (vsm_call(m, commit_worker, &call, &err)) {
        m->save->record = call.record;
        return SNAPSHOT_COMMITTED;
    }
    remember(m->save, errp, err);
    if (m->op.code == VSM_ERROR_IN_DOUBT) {
        m->unsettled = true;
        return SNAPSHOT_IN_DOUBT;
    }
    return SNAPSHOT_REFUSED;
}

/* Why QEMU gave up, which no hook was told.  */
static void qemu_failed(VsmManager *m, Error **errp)
{
    const GError *error =
        m->save->channel ? vsm_save_channel_error(m->save->channel) : NULL;

    vsm_fail(m, error ? error->code : VSM_ERROR_STORE, errp, "%s",
             error ? error->message
                   : "QEMU could not make the snapshot; its error says why");
}

void vsm_save_end(VsmManager *m, bool committed)
{
    g_autoptr(VsmRecord) record = g_steal_pointer(&m->save->record);
    Error *failure = g_steal_pointer(&m->save->failure);
    bool in_doubt = m->op.code == VSM_ERROR_IN_DOUBT;
    Error *err = NULL;

    if (!committed && !failure) {
        qemu_failed(m, &failure);
    }
    save_free(m);
    if (committed) {
        vsm_event_sealed(record);
    } else {
        vsm_op_refused(m, false, failure);
    }
    error_free(failure);
    /* Forgets the record that was replaced, or the one that failed.  */
    if (!in_doubt && !vsm_settle(m, &err)) {
        warn_report_err(err);
    }
    m->hold = false;
    vsm_op_end(m);
}
