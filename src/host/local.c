/*
 * VsmAttester on a VsmHost, for one VM: the object, and what needs no
 * transaction.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/local.h"
#include "base/text.h"
#include "report/jwk.h"

bool vsm_local_trust_tpm_alone;

static void attester_init(VsmAttesterInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(VsmLocal,
                              vsm_local,
                              G_TYPE_OBJECT,
                              G_IMPLEMENT_INTERFACE(VSM_TYPE_ATTESTER,
                                                    attester_init))

bool vsm_local_cancelled(GCancellable *cancel, GError **error)
{
    if (cancel && g_cancellable_is_cancelled(cancel)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CANCELLED, "cancelled");
        return true;
    }
    return false;
}

VsmTpmRequest vsm_local_request(VsmLocal *self, GCancellable *cancel)
{
    guint ms = self->host->request_ms;

    return (VsmTpmRequest){
        .deadline_us = g_get_monotonic_time() + ms * G_TIME_SPAN_MILLISECOND,
        .ms = ms,
        /*
         * A daemon's TPM is for many VMs: one that hangs up must not cost the
         * others the connection, again and again.
         */
        .cancel = self->host->kind == VSM_HOST_DAEMON ? NULL : cancel,
    };
}

void vsm_local_request_clear(G_GNUC_UNUSED VsmTpmRequest *request)
{
    vsm_tpm_request_set(NULL);
}

bool vsm_local_expect(VsmLocal *self, VsmLocalState state, GError **error)
{
    static const char *const names[] = {
        [VSM_LOCAL_IDLE] = "nothing",
        [VSM_LOCAL_SEAL] = "a save",
        [VSM_LOCAL_SEALED] = "a finished save",
        [VSM_LOCAL_CHECK] = "a check",
    };

    if (self->state == state) {
        return true;
    }
    g_set_error(error, VSM_ERROR,
                state == VSM_LOCAL_IDLE ? VSM_ERROR_BUSY : VSM_ERROR_INVALID,
                "VM %s: %s is under way, this call needs %s", self->uuid,
                names[self->state], names[state]);
    return false;
}

static void clear_vm(VsmLocalVm *vm)
{
    g_clear_pointer(&vm->name, g_free);
    g_clear_pointer(&vm->version, g_free);
    g_clear_pointer(&vm->config, g_free);
}

bool vsm_local_set_vm(VsmLocal *self, const VsmVm *vm, GError **error)
{
    if (strcmp(vm->uuid, self->uuid)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "VM %s: this attester serves VM %s only", vm->uuid,
                    self->uuid);
        return false;
    }
    clear_vm(&self->vm);
    self->vm.name = g_strdup(vm->name ? vm->name : "");
    self->vm.version = g_strdup(vm->version ? vm->version : "");
    self->vm.config = g_strdup(vm->config);
    self->vm.require_sealed = vm->require_sealed;
    return true;
}

void vsm_local_end(VsmLocal *self)
{
    /*
     * A finished one stays: entries on the disks may bear its mark, and only
     * its record tells the hypervisor which to delete.
     */
    bool unfinished = self->state == VSM_LOCAL_SEAL;
    g_autofree char *id = g_strdup(self->seal.id);

    if (self->seal.token) {
        g_mutex_lock(&self->host->mutex);
        vsm_host_budget_give_back(self->host);
        g_mutex_unlock(&self->host->mutex);
    }
    vsm_local_seal_clear(&self->seal);
    vsm_local_check_clear(&self->check);
    self->state = VSM_LOCAL_IDLE;
    if (unfinished) {
        g_autoptr(GError) why = NULL;

        if (!vsm_folder_drop(self->host->store, self->uuid, id, &why)) {
            g_mutex_lock(&self->host->mutex);
            vsm_host_note(self->host, why); /* dropped at the next open */
            g_mutex_unlock(&self->host->mutex);
        }
    }
}

bool vsm_local_same_hypervisor(VsmLocal *self,
                               const VsmDigest *was,
                               const char *what,
                               const char *remedy,
                               GError **error)
{
    const char *added;

    if (!vsm_hypervisor_refresh(self->hypervisor, error)) {
        return false;
    }
    if (vsm_digest_equal(vsm_hypervisor_digest(self->hypervisor), was)) {
        return true;
    }
    added = vsm_hypervisor_added(self->hypervisor);
    g_set_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR,
                "%s: the hypervisor has executable files mapped that it had "
                "not before%s%s%s; %s",
                what, *added ? " (loaded since the start: " : "", added,
                *added ? ")" : "", remedy);
    return false;
}

const char *vsm_local_measured_by(const VsmLocal *self)
{
    return self->host->kind == VSM_HOST_DAEMON ? "daemon" : "self";
}

static void do_abort(VsmAttester *attester)
{
    vsm_local_end(VSM_LOCAL(attester));
}

static bool fill_keys(VsmLocal *self, VsmStatus *status, GError **error)
{
    const VsmTpmKeys *keys = vsm_tpm_keys(self->host->tpm);
    g_autoptr(VsmTpmKey) point = NULL;
    g_autoptr(VsmKey) rk = NULL;

    if (!vsm_tpm_key_decode(keys->rk_public, &point, error)) {
        return false;
    }
    rk = vsm_key_new(point->bytes == 48 ? VSM_CURVE_P384 : VSM_CURVE_P256,
                     point->x, point->bytes, point->y, point->bytes, error);
    if (!rk) {
        return false;
    }
    status->ak_jwk = vsm_jwk_from_key(self->host->ak);
    status->rk_jwk = vsm_jwk_from_key(rk);
    status->boot_policy = g_strdup(keys->boot_index ? "operator" : "frozen");
    return true;
}

static bool fill_boot(VsmLocal *self, VsmStatus *status, GError **error)
{
    VsmHost *host = self->host;
    VsmTpmPcrs boot;

    if (!vsm_tpm_read_boot(host->tpm, host->boot_pcrs, true, &boot, error)) {
        return false;
    }
    status->boot_pcrs = host->boot_pcrs;
    status->pcr_bank = g_strdup(vsm_tpm_bank_name(boot.bank));
    status->boot_measured = !vsm_tpm_pcrs_zero(&boot);
    status->boot_approved =
        (status->boot_measured || host->allow_unmeasured_boot) &&
        vsm_host_boot_check(host, &boot, NULL, NULL);
    return true;
}

static bool do_status(VsmAttester *attester,
                      const VsmVm *vm,
                      VsmStatus **ret,
                      GCancellable *cancel,
                      GError **error)
{
    VsmLocal *self = VSM_LOCAL(attester);
    g_auto(VsmTpmRequest) bounds = vsm_local_request(self, cancel);
    g_autoptr(VsmStatus) status = g_new0(VsmStatus, 1);
    VsmHost *host = self->host;

    vsm_tpm_request_set(&bounds);
    if (vsm_local_cancelled(cancel, error) ||
        !vsm_hypervisor_refresh(self->hypervisor, error) ||
        !vsm_tpm_describe(host->tpm, &status->tpm, error) ||
        !fill_keys(self, status, error) || !fill_boot(self, status, error) ||
        (vm->config &&
         !vsm_sha384(vm->config, strlen(vm->config), &status->config, error))) {
        return false;
    }
    status->kind = g_strdup(vsm_host_kind_name(host->kind));
    status->measured_by = g_strdup(vsm_local_measured_by(self));
    status->hypervisor_measured = true;
    status->hypervisor = *vsm_hypervisor_digest(self->hypervisor);
    g_mutex_lock(&host->mutex);
    status->commit = host->value;
    status->last_error = g_strdup(host->last_error);
    g_mutex_unlock(&host->mutex);
    *ret = g_steal_pointer(&status);
    return true;
}

static bool do_list(VsmAttester *attester,
                    GPtrArray **ret,
                    GCancellable *cancel,
                    GError **error)
{
    VsmLocal *self = VSM_LOCAL(attester);
    g_auto(VsmTpmRequest) bounds = vsm_local_request(self, cancel);
    GPtrArray *records;

    vsm_tpm_request_set(&bounds);
    records = vsm_local_cancelled(cancel, error)
                  ? NULL
                  : vsm_host_list(self->host, self->uuid, error);
    if (!records) {
        return false;
    }
    *ret = records;
    return true;
}

/* Called with the host's mutex held. */
static bool remove_locked(VsmLocal *self, const char *id, GError **error)
{
    const VsmEntry *entry =
        vsm_catalogue_find(self->host->catalogue, self->uuid, id);
    VsmEntry drop;
    VsmChange change = {.drop = &drop, .n_drop = 1};
    VsmDigest after;

    if (!entry) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "no sealed snapshot with the id %s of VM %s", id,
                    self->uuid);
        return false;
    }
    drop = *entry;
    return vsm_host_budget_take(self->host, self->uuid, error) &&
           vsm_host_commit(self->host, &change, &after, error);
}

static bool do_remove(VsmAttester *attester,
                      const char *id,
                      GCancellable *cancel,
                      GError **error)
{
    VsmLocal *self = VSM_LOCAL(attester);
    bool ok;

    if (vsm_local_cancelled(cancel, error) ||
        !vsm_local_expect(self, VSM_LOCAL_IDLE, error) ||
        !vsm_host_lock(self->host, error)) {
        return false;
    }
    ok = remove_locked(self, id, error);
    vsm_host_unlock(self->host);
    return ok;
}

static bool do_forget(VsmAttester *attester,
                      const char *id,
                      GCancellable *cancel,
                      GError **error)
{
    VsmLocal *self = VSM_LOCAL(attester);
    bool used;

    if (vsm_local_cancelled(cancel, error) ||
        !vsm_host_lock(self->host, error)) {
        return false;
    }
    used = vsm_catalogue_find(self->host->catalogue, self->uuid, id) ||
           !g_strcmp0(id, self->seal.id);
    vsm_host_unlock(self->host);
    if (used) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "snapshot %s is listed, or is being saved; remove it "
                    "first",
                    id);
        return false;
    }
    /* Only this attester could list it now: others need not wait. */
    return vsm_folder_drop(self->host->store, self->uuid, id, error);
}

static bool do_put(VsmAttester *attester,
                   VsmPart part,
                   guint64 offset,
                   GBytes *bytes,
                   GCancellable *cancel,
                   GError **error)
{
    VsmLocal *self = VSM_LOCAL(attester);

    if (vsm_local_cancelled(cancel, error)) {
        return false;
    }
    if (self->state == VSM_LOCAL_CHECK) {
        return vsm_local_check_put(self, part, offset, bytes, error);
    }
    return vsm_local_expect(self, VSM_LOCAL_SEAL, error) &&
           vsm_local_seal_put(self, part, offset, bytes, error);
}

static void attester_init(VsmAttesterInterface *iface)
{
    iface->status = do_status;
    iface->list = do_list;
    iface->seal_begin = vsm_local_seal_begin;
    iface->put = do_put;
    iface->seal_finish = vsm_local_seal_finish;
    iface->commit = vsm_local_commit;
    iface->check_begin = vsm_local_check_begin;
    iface->get = vsm_local_get;
    iface->check_finish = vsm_local_check_finish;
    iface->abort = do_abort;
    iface->remove = do_remove;
    iface->forget = do_forget;
}

static void vsm_local_init(G_GNUC_UNUSED VsmLocal *self)
{
}

static void vsm_local_finalize(GObject *object)
{
    VsmLocal *self = VSM_LOCAL(object);

    vsm_local_end(self);
    clear_vm(&self->vm);
    vsm_hypervisor_free(self->hypervisor);
    g_mutex_lock(&self->host->mutex);
    vsm_shares_leave(self->host->shares, self->uuid);
    g_mutex_unlock(&self->host->mutex);
    g_free(self->uuid);
    g_object_unref(self->host);
    G_OBJECT_CLASS(vsm_local_parent_class)->finalize(object);
}

static void vsm_local_class_init(VsmLocalClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = vsm_local_finalize;
}

VsmAttester *vsm_local_attester_new(VsmHost *host,
                                    const char *uuid,
                                    VsmHypervisor *hypervisor)
{
    VsmLocal *self;

    g_return_val_if_fail(
        VSM_IS_HOST(host) && vsm_text_is_uuid(uuid) && hypervisor, NULL);
    self = g_object_new(VSM_TYPE_LOCAL, NULL);
    self->host = g_object_ref(host);
    self->uuid = g_strdup(uuid);
    self->hypervisor = hypervisor;
    g_mutex_lock(&host->mutex);
    vsm_shares_join(host->shares, uuid);
    g_mutex_unlock(&host->mutex);
    return VSM_ATTESTER(self);
}
