/*
 * The snapshot manager as a QOM object
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/qdev-core.h"
#include "migration/misc.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/uuid.h"
#include "qemu-version.h"
#include "qom/object_interfaces.h"
#include "system/rtc.h"
#include "system/runstate.h"
#include "system/runstate-action.h"
#include "system/system.h"
#include "answers.h"
#include "attester-open.h"
#include "call.h"
#include "config.h"
#include "events.h"
#include "guard.h"
#include "hmp.h"
#include "object.h"
#include "pauses.h"
#include "properties.h"
#include "settle.h"
#include "status.h"
#include "trace.h"
#include "watch.h"

OBJECT_DEFINE_SIMPLE_TYPE_WITH_INTERFACES(
    VsmManager, vsm_manager, VSM_MANAGER, OBJECT, {TYPE_USER_CREATABLE}, {})

static VsmManager *the_manager;

VsmManager *vsm_manager(void)
{
    return the_manager;
}

VsmManager *vsm_manager_or_error(Error **errp)
{
    if (!the_manager) {
        error_setg(errp, "There is no snapshot manager; start QEMU with "
                         "-object vm-snapshot-manager,id=vsm0,...");
    }
    return the_manager;
}

void vsm_fail(VsmManager *m, int code, Error **errp, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    m->op.code = code;
    error_setg(errp, "%s", text);
}

bool vsm_op_begin(VsmManager *m,
                  VsmState state,
                  VsmOperation operation,
                  const char *asked,
                  const char *job_id,
                  Error **errp)
{
    if (m->state != VSM_STATE_IDLE) {
        g_autofree char *text = g_strdup_printf(
            "The snapshot manager is busy (%s of '%s'); try again when that "
            "has ended",
            VsmOperation_str(m->op.operation), m->op.asked);

        vsm_event_refused(operation, asked, job_id, VSM_ERROR_BUSY, text,
                          false);
        error_setg(errp, "%s", text);
        return false;
    }
    m->state = state;
    m->op = (VsmOp){
        .operation = operation,
        .asked = g_strdup(asked),
        .job_id = g_strdup(job_id),
        .cancel = g_cancellable_new(),
    };
    return true;
}

void vsm_op_end(VsmManager *m)
{
    /* Another baseline by this name, or another VM.  */
    if (m->state != VSM_STATE_ATTEST) {
        vsm_watch_renew(m);
    }
    m->state = VSM_STATE_IDLE;
    g_clear_pointer(&m->op.asked, g_free);
    g_clear_pointer(&m->op.job_id, g_free);
    g_clear_object(&m->op.cancel);
}

void vsm_op_refused(VsmManager *m, bool changed, const Error *err)
{
    vsm_event_refused(m->op.operation, m->op.asked, m->op.job_id, m->op.code,
                      error_get_pretty(err), changed);
}

char *vsm_describe_vm(VsmManager *m, VsmVm *vm)
{
    char *config = vsm_config_text(m->boot_files);

    *vm = (VsmVm){
        .uuid = m->uuid,
        .name = qemu_name ?: "",
        .version = "QEMU " QEMU_FULL_VERSION,
        .config = config,
        .require_sealed = m->require_sealed,
    };
    return config;
}

/* A mismatch that it causes would look like an attack.  */
static void warn_host_clock(void)
{
    if (rtc_clock == QEMU_CLOCK_HOST &&
        object_resolve_path_type("", "mc146818rtc", NULL)) {
        warn_report("vsm: the CMOS clock follows the host's: if the guest "
                    "turns its periodic interrupt on, it goes on while the VM "
                    "is stopped, and an attestation says mismatch; use -rtc "
                    "clock=vm (libvirt: <timer name='rtc' track='guest'/>)");
    }
}

/*
 * The machine is there, the disks are open, no guest instruction has run, and
 * -loadvm comes later: sweep what a crash left behind.
 */
static bool machine_done(VsmManager *m, Error **errp)
{
    ERRP_GUARD();

    m->boot_files = vsm_config_boot_files(errp);
    if (*errp) {
        return false;
    }
    if (!vsm_settle(m, errp) || !vsm_refresh_status(m, errp)) {
        error_prepend(errp, "cannot ask the attester: ");
        return false;
    }
    warn_host_clock();
    if (m->watch_s) {
        vsm_watch_set(m, m->watch_s, m->watch_snapshot);
    }
    return true;
}

static void vsm_machine_done(Notifier *notifier, void *data)
{
    Error *err = NULL;

    if (!machine_done(container_of(notifier, VsmManager, machine_done), &err)) {
        error_reportf_err(err, "vsm: ");
        exit(EXIT_FAILURE);
    }
}

static void vsm_shutdown(Notifier *notifier, void *data)
{
    VsmManager *m = container_of(notifier, VsmManager, shutdown);

    /* Under -no-shutdown the VM is only stopped, and may run again.  */
    m->quitting = shutdown_action != SHUTDOWN_ACTION_PAUSE;
    if (m->quitting) {
        vsm_watch_shutdown(m);
    }
}

static bool check_properties(VsmManager *m, Error **errp)
{
    if (the_manager) {
        error_setg(errp, "There is a snapshot manager already; one is enough");
        return false;
    }
    if (!qemu_uuid_set) {
        error_setg(errp, "Snapshots are sealed under the VM's UUID: start "
                         "QEMU with -uuid");
        return false;
    }
    if (m->require_sealed && (runstate_check(RUN_STATE_INMIGRATE) ||
                              migration_incoming_postcopy_advised())) {
        error_setg(errp, "An incoming migration cannot be checked; drop "
                         "-incoming, or set require-sealed=off");
        return false;
    }
    return vsm_watch_check(m->watch_s, m->watch_snapshot, errp) &&
           vsm_attester_properties(m, errp);
}

unsigned vsm_hashing_chunks(VsmManager *m)
{
    return MAX(8, 2 * vsm_pool_threads(m->pool));
}

static VsmPool *open_pool(VsmManager *m, GError **error)
{
    static const VsmHashBackend backends[VSM_HASH__MAX] = {
        [VSM_HASH_AUTO] = VSM_HASH_BACKEND_AUTO,
        [VSM_HASH_OPENSSL] = VSM_HASH_BACKEND_OPENSSL,
        [VSM_HASH_IPSEC_MB] = VSM_HASH_BACKEND_IPSEC_MB,
    };

    return vsm_pool_new(m->hash_threads, backends[m->hash], error);
}

static void vsm_manager_complete(UserCreatable *uc, Error **errp)
{
    VsmManager *m = VSM_MANAGER(uc);
    GError *error = NULL;

    if (!check_properties(m, errp)) {
        return;
    }
    m->id = g_strdup(object_get_canonical_path_component(OBJECT(m)));
    m->uuid = qemu_uuid_unparse_strdup(&qemu_uuid);
    /* Before attester-open.c's prctl(), after which it cannot be opened.  */
    m->pagemap = vsm_pagemap_new(
        qemu_open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, NULL));
    m->pool = open_pool(m, &error);
    if (m->pool) {
        m->attester = vsm_attester_open(m, &error);
    }
    if (!m->attester) {
        vsm_error_convert(errp, error);
        return;
    }
    trace_vsm_manager_complete(m->id, m->uuid, m->attester_address ?: m->tcti,
                               m->state_dir ?: "");
    /* Added to a machine that is there: a failure must not end the guest.  */
    if (phase_check(PHASE_MACHINE_READY)) {
        if (!machine_done(m, errp)) {
            return;
        }
    } else {
        m->machine_done.notify = vsm_machine_done;
        qemu_add_machine_init_done_notifier(&m->machine_done);
    }
    m->completed = true;
    the_manager = m;
    vsm_guard_register();
    vsm_hmp_register();
    m->shutdown.notify = vsm_shutdown;
    qemu_register_shutdown_notifier(&m->shutdown);
}

/* It guards the VM for as long as QEMU runs.  */
static bool vsm_manager_can_be_deleted(UserCreatable *uc)
{
    return !VSM_MANAGER(uc)->completed;
}

static void vsm_manager_init(Object *obj)
{
    VsmManager *m = VSM_MANAGER(obj);

    m->require_sealed = true;
    m->pause_percent = VSM_PAUSE_PERCENT;
    m->records =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_record_free);
    qemu_co_mutex_init(&m->attester_lock);
    g_queue_init(&m->answers);
}

static void vsm_manager_finalize(Object *obj)
{
    VsmManager *m = VSM_MANAGER(obj);

    if (the_manager == m) {
        the_manager = NULL;
        vsm_guard_unregister();
        if (m->machine_done.notify) {
            qemu_remove_machine_init_done_notifier(&m->machine_done);
        }
    }
    if (m->shutdown.notify) {
        notifier_remove(&m->shutdown);
    }
    vsm_watch_free(m);
    vsm_answers_clear(m);
    qapi_free_VsmRefusal(m->refusal);
    g_clear_pointer(&m->accepted, vsm_accepted_free);
    g_clear_pointer(&m->status, vsm_status_free);
    g_clear_pointer(&m->records, g_ptr_array_unref);
    g_clear_object(&m->attester);
    g_clear_pointer(&m->pool, vsm_pool_free);
    g_clear_pointer(&m->pagemap, vsm_pagemap_free);
    g_free(m->accepted_id);
    g_free(m->attester_address);
    g_free(m->tcti);
    g_free(m->state_dir);
    g_free(m->secret);
    g_free(m->operator_key);
    g_free(m->watch_snapshot);
    g_free(m->reaction.id);
    g_free(m->pcrs);
    g_free(m->id);
    g_free(m->uuid);
    g_free(m->config);
    g_free(m->boot_files);
}

static void vsm_manager_class_init(ObjectClass *oc, void *data)
{
    UserCreatableClass *ucc = USER_CREATABLE_CLASS(oc);

    ucc->complete = vsm_manager_complete;
    ucc->can_be_deleted = vsm_manager_can_be_deleted;
    vsm_properties_add(oc);
}
