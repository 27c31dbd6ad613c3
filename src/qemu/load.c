/*
 * Checking a snapshot before, while and after QEMU loads it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/snapshot-disks.h"
#include "io/channel.h"
#include "qapi/error.h"
#include "qemu/timer.h"
#include "answers.h"
#include "channel.h"
#include "check.h"
#include "disks.h"
#include "generation.h"
#include "load.h"
#include "pass.h"
#include "preconditions.h"
#include "sections.h"
#include "trace.h"
#include "watch.h"

struct VsmLoad {
    bool prepared; /* by vsm-rollback, whose job ends it */
    bool begun; /* the prepared load; any other one is not it */
    bool unsealed; /* allowed by require-sealed=off */
    bool changed; /* VM or disks are no longer what they were */
    VsmCheck *check; /* NULL if @unsealed */
    QIOChannel *channel; /* a reference, for its error */
    VsmVerdict *verdict;
    int64_t stopped_ms;
};

static void load_free(VsmManager *m)
{
    VsmLoad *load = g_steal_pointer(&m->load);

    if (load->channel) {
        object_unref(OBJECT(load->channel));
    }
    vsm_glue_check_free(m, load->check);
    g_clear_pointer(&load->verdict, vsm_verdict_free);
    g_free(load);
}

/* Ends a load that is no job's.  */
static void load_done(VsmManager *m, const Error *failure)
{
    bool changed = m->load->changed;

    load_free(m);
    if (failure) {
        vsm_op_refused(m, changed, failure);
    }
    vsm_op_end(m);
}

static bool any_entry(GPtrArray *disks)
{
    for (guint i = 0; i < disks->len; i++) {
        BdrvSnapshotDisk *disk = g_ptr_array_index(disks, i);

        if (disk->sn.id_str[0]) {
            return true;
        }
    }
    return false;
}

static bool entry_of_vmstate(const SnapshotRequest *request,
                             const QEMUSnapshotInfo **ret)
{
    *ret = bdrv_snapshot_disks_entry(request->disks, request->vmstate_bs);
    return *ret != NULL;
}

static bool has_vmstate(const SnapshotRequest *request)
{
    const QEMUSnapshotInfo *entry;

    return entry_of_vmstate(request, &entry) && entry->vm_state_size;
}

/* The attester knows no such snapshot: stock QEMU's, or none at all.  */
static bool
begin_unsealed(VsmManager *m, const SnapshotRequest *request, Error **errp)
{
    if (!any_entry(request->disks)) {
        vsm_fail(m, VSM_ERROR_NOT_FOUND, errp,
                 "Snapshot '%s' does not exist; query-vsm-snapshots lists the "
                 "sealed ones",
                 request->name);
        return false;
    }
    if (!has_vmstate(request)) {
        vsm_fail(m, VSM_ERROR_NOT_SEALED, errp,
                 "Snapshot '%s' has disks alone and no VM state, as qemu-img "
                 "makes it, so no VM can be loaded from it; end the VM and "
                 "revert its disks with qemu-img snapshot -a",
                 request->name);
        return false;
    }
    if (m->require_sealed) {
        vsm_fail(m, VSM_ERROR_NOT_SEALED, errp,
                 "Snapshot '%s' was never sealed by this VM's attester, so it "
                 "is not loaded; take a new one, or start with "
                 "require-sealed=off to load it unchecked",
                 request->name);
        return false;
    }
    m->load->unsealed = true;
    return true;
}

static bool resolve(VsmManager *m,
                    const SnapshotRequest *request,
                    const QEMUSnapshotInfo **ret_entry,
                    Error **errp)
{
    const VsmRecord *record = vsm_check_record(m->load->check);

    if (!vsm_disks_resolve(m, record, request->disks, true, errp)) {
        return false;
    }
    if (!entry_of_vmstate(request, ret_entry) ||
        (*ret_entry)->vm_state_size != record->container.vmstate_bytes) {
        vsm_fail(m, VSM_ERROR_CONFIG, errp,
                 "Snapshot '%s' has its VM state on another disk; name it in "
                 "'vmstate'",
                 record->tag);
        return false;
    }
    return true;
}

static bool
load_begin(VsmManager *m, const SnapshotRequest *request, Error **errp)
{
    VsmLoad *load = m->load;
    const QEMUSnapshotInfo *entry;
    Error *err = NULL;

    load->check = vsm_glue_check_begin(m, VSM_PURPOSE_LOAD, request->name,
                                       (VsmChallenge){0}, &err);
    if (!load->check) {
        if (m->op.code != VSM_ERROR_NOT_FOUND) {
            error_propagate(errp, err);
            return false;
        }
        error_free(err);
        return begin_unsealed(m, request, errp);
    }
    return resolve(m, request, &entry, errp) &&
           vsm_pass(m, load->check, request->vmstate_bs, entry->id_str, errp);
}

bool vsm_load_begin(VsmManager *m, const SnapshotRequest *request, Error **errp)
{
    const QEMUSnapshotInfo *entry;
    Error *err = NULL;

    if (m->load && m->load->prepared && !m->load->begun) {
        m->load->begun = true;
        return vsm_may_load(m, errp) && resolve(m, request, &entry, errp);
    }
    if (!vsm_op_begin(m, VSM_STATE_LOAD, VSM_OPERATION_LOAD, request->name,
                      NULL, errp)) {
        return false;
    }
    m->load = g_new0(VsmLoad, 1);
    if (!vsm_may_load(m, &err) || !load_begin(m, request, &err)) {
        load_done(m, err);
        error_propagate(errp, err);
        return false;
    }
    return true;
}

QIOChannel *vsm_load_wrap(VsmManager *m,
                          BlockDriverState *bs,
                          const QEMUSnapshotInfo *sn,
                          Error **errp)
{
    VsmLoad *load = m->load;

    m->hold = true;
    load->stopped_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    vsm_generation_renew();
    if (load->unsealed) {
        return NULL; /* without an error: QEMU's own channel */
    }
    load->channel = vsm_load_channel_new(
        bs, sn->id_str, vsm_check_record(load->check)->container.vmstate_bytes,
        vsm_check_recheck(load->check));
    return QIO_CHANNEL(object_ref(OBJECT(load->channel)));
}

bool vsm_load_parse(VsmManager *m, Error **errp)
{
    if (m->load || !m->require_sealed) {
        return true;
    }
    error_setg(errp, "VM state that was not checked is not loaded; use "
                     "loadvm, snapshot-load or vsm-rollback, or start with "
                     "require-sealed=off");
    return false;
}

/* What was loaded must be what was sealed, in RAM and in each section.  */
static bool verify_loaded(VsmManager *m, Error **errp)
{
    VsmLoad *load = m->load;
    const VsmRecord *record = vsm_check_record(load->check);
    g_autoptr(VsmRam) ram = vsm_ram_new(m, errp);
    VsmAccepted *accepted;

    if (!ram || !vsm_glue_check_ram(m, load->check, ram, errp) ||
        !vsm_sections_capture(m, load->check, true, errp)) {
        return false;
    }
    vsm_check_set_pause(load->check, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) -
                                         load->stopped_ms);
    load->verdict = vsm_glue_check_finish(m, load->check, errp);
    if (!load->verdict) {
        return false;
    }
    if (load->verdict->result != VSM_RESULT_MATCH) {
        g_autofree char *first = vsm_first_finding(load->verdict);

        vsm_fail(m, VSM_ERROR_TAMPERED, errp,
                 "The VM that was loaded from '%s' is not the sealed one (%s)",
                 record->tag, first);
        return false;
    }
    accepted = vsm_check_take_accepted(load->check);
    g_clear_pointer(&m->accepted, vsm_accepted_free);
    g_free(m->accepted_id);
    m->accepted = accepted;
    m->accepted_id = g_strdup(record->id);
    return true;
}

/*
 * Why QEMU's loader failed, if it was the channel's doing.  @known: the command
 * has an error already.
 */
static void loader_failed(VsmManager *m, int ret, bool known, Error **errp)
{
    const GError *error =
        m->load->channel ? vsm_load_channel_error(m->load->channel) : NULL;

    if (error) {
        vsm_fail(m, error->code, errp, "%s", error->message);
    } else {
        vsm_fail(m, VSM_ERROR_STORE, errp,
                 "QEMU did not load the VM state: %s; %s", strerror(-ret),
                 known ? "the command's own error says why"
                       : "the log says more");
    }
}

void vsm_load_say_changed(Error **err)
{
    Error *whole = NULL;

    error_setg(&whole,
               "%s; VM and disks have changed already, and the VM stays "
               "stopped: load a snapshot that is good, or start the VM again",
               error_get_pretty(*err));
    error_free(*err);
    *err = whole;
}

bool vsm_load_end(VsmManager *m, bool changed, int ret, Error **errp)
{
    Error *err = NULL;

    trace_vsm_load_end(changed, ret);
    m->load->changed = changed;
    if (changed) {
        vsm_watch_loaded(m);
    }
    if (ret < 0) {
        loader_failed(m, ret, !errp, &err);
    } else if (!m->load->unsealed) {
        verify_loaded(m, &err);
    }
    if (err && changed) {
        if (!m->load->prepared) {
            vsm_load_say_changed(&err);
        }
        error_propagate(errp, error_copy(err));
    }
    m->hold = false;
    ret = err ? -1 : 0;
    if (!m->load->prepared) {
        load_done(m, err);
    }
    error_free(err);
    return ret == 0;
}

void vsm_load_prepare(VsmManager *m, VsmCheck *check)
{
    m->load = g_new0(VsmLoad, 1);
    m->load->prepared = true;
    m->load->check = check;
}

VsmVerdict *
vsm_load_take(VsmManager *m, VsmCheck **ret_check, bool *ret_changed)
{
    VsmVerdict *verdict = g_steal_pointer(&m->load->verdict);

    *ret_check = g_steal_pointer(&m->load->check);
    *ret_changed = m->load->changed;
    load_free(m);
    return verdict;
}
