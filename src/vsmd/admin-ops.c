/*
 * What root asks the daemon: status, VMs, keys, metrics, enrolment, policy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include "vsmd/admin-policy.h"
#include "vsmd/admin.h"

static GVariant *text_answer(char *text)
{
    GVariant *answer = g_variant_new("(s)", text);

    g_free(text);
    return answer;
}

static GVariant *nothing(void)
{
    return g_variant_new("()");
}

static void add(GVariantBuilder *dict, const char *key, GVariant *value)
{
    g_variant_builder_add(dict, "{sv}", key, value);
}

/* A VM chooses the path of its executable, and names in errors. */
static void add_text(GVariantBuilder *dict, const char *key, const char *text)
{
    if (text) {
        add(dict, key, g_variant_new_take_string(g_utf8_make_valid(text, -1)));
    }
}

/* --- Status ------------------------------------------------------------ */

static GVariant *daemon_dict(VsmServer *server, const VsmHostStatus *host)
{
    GVariantBuilder dict;
    g_autofree char *commit = vsm_digest_hex(&host->commit);

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    add_text(&dict, "version", VSM_VERSION);
    add_text(&dict, "attester", vsm_host_kind_name(host->kind));
    add_text(&dict, "host-id", host->id);
    add(&dict, "started", g_variant_new_int64(server->started));
    add_text(&dict, "listen", server->options->listen);
    add_text(&dict, "state-dir", server->options->state_dir);
    add_text(&dict, "tcti", server->options->tcti);
    add_text(&dict, "tpm", host->tpm);
    add_text(&dict, "tpm-error", host->tpm_error);
    add_text(&dict, "pcr-bank", host->pcr_bank);
    add(&dict, "boot-pcrs", g_variant_new_uint32(host->boot_pcrs));
    add_text(&dict, "boot-policy", host->boot_policy);
    add(&dict, "boot-approved", g_variant_new_boolean(host->boot_approved));
    add(&dict, "boot-measured", g_variant_new_boolean(host->boot_measured));
    add_text(&dict, "commit", commit);
    add(&dict, "nv-left", g_variant_new_uint32(host->nv_left));
    add(&dict, "nv-burst", g_variant_new_uint32(host->nv_burst));
    add(&dict, "nv-interval-ms", g_variant_new_uint32(host->nv_interval_ms));
    add(&dict, "tpm-commands", g_variant_new_uint64(host->tpm_commands));
    add(&dict, "waiting",
        g_variant_new_uint32(vsm_turns_waiting(server->turns)));
    g_mutex_lock(&server->mutex);
    add(&dict, "connections", g_variant_new_uint32(server->connections));
    g_mutex_unlock(&server->mutex);
    add_text(&dict, "last-error", host->last_error);
    return g_variant_builder_end(&dict);
}

static const VsmHostVm *stored_vm(const VsmHostStatus *host, const char *uuid)
{
    for (guint i = 0; i < host->vms->len; i++) {
        const VsmHostVm *vm = host->vms->pdata[i];

        if (strcmp(vm->uuid, uuid) == 0) {
            return vm;
        }
    }
    return NULL;
}

static const VsmRegistered *registered_vm(GPtrArray *list, const char *uuid)
{
    for (guint i = 0; i < list->len; i++) {
        const VsmRegistered *entry = list->pdata[i];

        if (strcmp(entry->uuid, uuid) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void add_registration(GVariantBuilder *dict, const VsmRegistered *entry)
{
    if (entry && entry->domain) {
        add_text(dict, "domain", entry->domain);
    } else if (entry) {
        add(dict, "pid", g_variant_new_int32(entry->pid)); /* 0: ended */
    }
}

/* Called with the mutex held. */
static void add_state(GVariantBuilder *dict, const VsmVmState *vm)
{
    if (!vm) {
        return;
    }
    add(dict, "connected", g_variant_new_boolean(vm->current != NULL));
    add_text(dict, "hypervisor", vm->hypervisor);
    add(dict, "requests", g_variant_new_uint64(vm->requests));
    add(dict, "refused", g_variant_new_uint64(vm->refused));
    add(dict, "waited-us", g_variant_new_int64(vm->waited_us));
    add(dict, "longest-wait-us", g_variant_new_int64(vm->longest_wait_us));
    add_text(dict, "last-error", vm->last_error);
}

static GVariant *vm_dict(VsmServer *server,
                         const char *uuid,
                         const VsmRegistered *entry,
                         const VsmHostVm *stored)
{
    GVariantBuilder dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    add_text(&dict, "uuid", uuid);
    add_registration(&dict, entry);
    if (stored) {
        add(&dict, "snapshots", g_variant_new_uint32(stored->listed));
        add(&dict, "debris", g_variant_new_uint32(stored->unlisted));
    }
    g_mutex_lock(&server->mutex);
    add_state(&dict, g_hash_table_lookup(server->vms, uuid));
    g_mutex_unlock(&server->mutex);
    return g_variant_builder_end(&dict);
}

static int compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every VM that is registered, connected once, or has records; each once. */
static GPtrArray *
all_uuids(VsmServer *server, GPtrArray *list, const VsmHostStatus *host)
{
    g_autoptr(GHashTable) set =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GPtrArray *uuids = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iter;
    gpointer uuid;

    for (guint i = 0; i < list->len; i++) {
        const VsmRegistered *entry = list->pdata[i];

        g_hash_table_add(set, g_strdup(entry->uuid));
    }
    for (guint i = 0; i < host->vms->len; i++) {
        const VsmHostVm *vm = host->vms->pdata[i];

        g_hash_table_add(set, g_strdup(vm->uuid));
    }
    g_mutex_lock(&server->mutex);
    g_hash_table_iter_init(&iter, server->vms);
    while (g_hash_table_iter_next(&iter, &uuid, NULL)) {
        g_hash_table_add(set, g_strdup(uuid));
    }
    g_mutex_unlock(&server->mutex);
    g_hash_table_iter_init(&iter, set);
    while (g_hash_table_iter_next(&iter, &uuid, NULL)) {
        g_ptr_array_add(uuids, g_strdup(uuid));
    }
    g_ptr_array_sort(uuids, compare_texts);
    return uuids;
}

static GVariant *vm_dicts(VsmServer *server, const VsmHostStatus *host)
{
    g_autoptr(GPtrArray) list = vsm_registry_list(server->registry);
    g_autoptr(GPtrArray) uuids = all_uuids(server, list, host);
    GVariantBuilder array;

    g_variant_builder_init(&array, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < uuids->len; i++) {
        const char *uuid = uuids->pdata[i];

        g_variant_builder_add_value(&array, vm_dict(server, uuid,
                                                    registered_vm(list, uuid),
                                                    stored_vm(host, uuid)));
    }
    return g_variant_builder_end(&array);
}

static bool
do_status(VsmServer *server, GVariant *request, GVariant **ret, GError **error)
{
    g_autoptr(VsmHostStatus) host = NULL;

    (void)request;
    if (!vsm_host_status(server->host, &host, error)) {
        return false;
    }
    *ret = g_variant_new("(@a{sv}@aa{sv})", daemon_dict(server, host),
                         vm_dicts(server, host));
    return true;
}

/* --- VMs ---------------------------------------------------------------- */

static bool
do_vm_list(VsmServer *server, GVariant *request, GVariant **ret, GError **error)
{
    g_autoptr(GPtrArray) list = vsm_registry_list(server->registry);
    GVariantBuilder array;

    (void)request;
    (void)error;
    g_variant_builder_init(&array, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < list->len; i++) {
        const VsmRegistered *entry = list->pdata[i];

        g_variant_builder_add_value(&array,
                                    vm_dict(server, entry->uuid, entry, NULL));
    }
    *ret = g_variant_new("(@aa{sv})", g_variant_builder_end(&array));
    return true;
}

static bool do_vm_register(VsmServer *server,
                           GVariant *request,
                           GVariant **ret,
                           GError **error)
{
    const char *uuid, *domain;
    guint32 pid;

    g_variant_get(request, "(&su&s)", &uuid, &pid, &domain);
    if ((pid != 0) == (*domain != 0) || pid > G_MAXINT32) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "give the number of a process, or the name of a libvirt "
                    "domain");
        return false;
    }
    if (!(pid ? vsm_registry_add_process(server->registry, uuid, pid, error)
              : vsm_registry_add_domain(server->registry, uuid, domain,
                                        error))) {
        return false;
    }
    *ret = nothing();
    return true;
}

static bool do_vm_unregister(VsmServer *server,
                             GVariant *request,
                             GVariant **ret,
                             GError **error)
{
    const char *uuid;
    bool ok, ended;

    g_variant_get(request, "(&s)", &uuid);
    g_mutex_lock(&server->mutex);
    ok = vsm_registry_remove(server->registry, uuid, error);
    ended = !ok || vsm_server_end_vm(server, uuid);
    g_mutex_unlock(&server->mutex);
    if (!ended) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "VM %s is not registered any more; its connection ends "
                    "with the request that is still under way",
                    uuid);
    }
    *ret = ok && ended ? nothing() : NULL;
    return ok && ended;
}

/* --- Keys, metrics ------------------------------------------------------ */

static bool
do_keys(VsmServer *server, GVariant *request, GVariant **ret, GError **error)
{
    char *text = NULL;

    (void)request;
    if (!vsm_host_keys(server->host, &text, error)) {
        return false;
    }
    *ret = text_answer(text);
    return true;
}

static bool
do_metrics(VsmServer *server, GVariant *request, GVariant **ret, GError **error)
{
    (void)request;
    (void)error;
    *ret = text_answer(vsm_metrics_text(server->metrics, server->host,
                                        vsm_turns_waiting(server->turns)));
    return true;
}

/* --- Enrolment ---------------------------------------------------------- */

static bool do_enroll_request(VsmServer *server,
                              GVariant *request,
                              GVariant **ret,
                              GError **error)
{
    const char *ek;
    char *text = NULL;

    g_variant_get(request, "(&s)", &ek);
    if (!vsm_host_enroll_request(server->host, ek, &text, error)) {
        return false;
    }
    *ret = text_answer(text);
    return true;
}

static bool do_enroll_respond(VsmServer *server,
                              GVariant *request,
                              GVariant **ret,
                              GError **error)
{
    const char *challenge;
    char *text = NULL;

    g_variant_get(request, "(&s)", &challenge);
    if (!vsm_host_enroll_respond(server->host, challenge, &text, error)) {
        return false;
    }
    *ret = text_answer(text);
    return true;
}

static bool do_evidence(VsmServer *server,
                        GVariant *request,
                        GVariant **ret,
                        GError **error)
{
    const char *uuid, *snapshot;
    char *text = NULL;

    g_variant_get(request, "(&s&s)", &uuid, &snapshot);
    if (!vsm_host_snapshot_evidence(server->host, uuid, snapshot, &text,
                                    error)) {
        return false;
    }
    *ret = text_answer(text);
    return true;
}

/* --- The table ---------------------------------------------------------- */

static const VsmAdminRow rows[] = {
    {VSM_ADMIN_STATUS, "status", "()", true, do_status},
    {VSM_ADMIN_VM_REGISTER, "vm-register", "(sus)", false, do_vm_register},
    {VSM_ADMIN_VM_UNREGISTER, "vm-unregister", "(s)", false, do_vm_unregister},
    {VSM_ADMIN_VM_LIST, "vm-list", "()", false, do_vm_list},
    {VSM_ADMIN_KEYS, "keys", "()", true, do_keys},
    {VSM_ADMIN_METRICS, "metrics", "()", false, do_metrics},
    {VSM_ADMIN_ENROLL_REQUEST, "enroll-request", "(s)", true,
     do_enroll_request},
    {VSM_ADMIN_ENROLL_RESPOND, "enroll-respond", "(s)", true,
     do_enroll_respond},
    {VSM_ADMIN_EVIDENCE, "evidence", "(ss)", false, do_evidence},
    {VSM_ADMIN_POLICY_SHOW, "policy-show", "()", true, vsm_admin_policy_show},
    {VSM_ADMIN_POLICY_APPROVE, "policy-approve", "(a(suay)u)", true,
     vsm_admin_policy_approve},
    {VSM_ADMIN_POLICY_REVOKE, "policy-revoke", "(u)", true,
     vsm_admin_policy_revoke},
    {VSM_ADMIN_POLICY_FINISH, "policy-finish", "(ay)", true,
     vsm_admin_policy_finish},
    {VSM_ADMIN_RESEAL, "reseal", "(sasays)", true, vsm_admin_reseal},
    {VSM_ADMIN_RESEAL_FINISH, "reseal-finish", "(ay)", true,
     vsm_admin_reseal_finish},
    {VSM_ADMIN_OPERATOR_ABORT, "operator-abort", "()", true,
     vsm_admin_operator_abort},
};

const VsmAdminRow *vsm_admin_row(guint16 op)
{
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].op == op) {
            return &rows[i];
        }
    }
    return NULL;
}
