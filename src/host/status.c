/*
 * What one screen says of a host: TPM, boot, budget, VMs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/debris.h"
#include "tpm/context.h"
#include "tpm/request.h"

static void free_vm(gpointer data)
{
    VsmHostVm *vm = data;

    g_free(vm->uuid);
    g_free(vm);
}

void vsm_host_status_free(VsmHostStatus *status)
{
    if (!status) {
        return;
    }
    g_free(status->id);
    g_free(status->tpm);
    g_free(status->tpm_error);
    g_free(status->pcr_bank);
    g_free(status->boot_policy);
    g_free(status->last_error);
    g_clear_pointer(&status->vms, g_ptr_array_unref);
    g_free(status);
}

/* Called without the mutex. */
static void fill_tpm(VsmHost *host, VsmHostStatus *status)
{
    g_autoptr(GError) why = NULL;
    VsmTpmPcrs boot;

    status->boot_pcrs = host->boot_pcrs;
    status->tpm_commands = vsm_tpm_commands(host->tpm);
    if (!vsm_tpm_describe(host->tpm, &status->tpm, &why) ||
        !vsm_tpm_read_boot(host->tpm, host->boot_pcrs, true, &boot, &why)) {
        g_clear_pointer(&status->tpm, g_free);
        status->tpm_error = g_strdup(why->message);
        return;
    }
    status->pcr_bank = g_strdup(vsm_tpm_bank_name(boot.bank));
    status->boot_measured = !vsm_tpm_pcrs_zero(&boot);
    status->boot_approved =
        (status->boot_measured || host->allow_unmeasured_boot) &&
        vsm_host_boot_check(host, &boot, NULL, NULL);
}

static int compare_vms(gconstpointer a, gconstpointer b)
{
    return strcmp((*(VsmHostVm *const *)a)->uuid,
                  (*(VsmHostVm *const *)b)->uuid);
}

static guint count_listed(const VsmCatalogue *catalogue, const char *uuid)
{
    g_autoptr(VsmCatalogue) own = vsm_catalogue_of(catalogue, uuid);

    return own->entries->len;
}

/*
 * Called without the mutex: a VM's folder may take its time.  Counts; reads no
 * metadata.  What cannot be counted is noted: the others are told all the same.
 */
static bool fill_vms(VsmHost *host, VsmHostStatus *status, GError **error)
{
    g_autoptr(VsmNames) uuids = vsm_store_uuids(host->store, error);
    g_autoptr(VsmCatalogue) catalogue = NULL;
    const char *uuid;

    if (!uuids) {
        return false;
    }
    g_mutex_lock(&host->mutex);
    catalogue = vsm_catalogue_copy(host->catalogue);
    g_mutex_unlock(&host->mutex);
    status->vms = g_ptr_array_new_with_free_func(free_vm);
    while ((uuid = vsm_names_next(uuids))) {
        g_autoptr(GError) why = NULL;
        VsmHostVm *vm = g_new0(VsmHostVm, 1);

        vm->uuid = g_strdup(uuid);
        vm->listed = count_listed(catalogue, uuid);
        if (!vsm_debris_count(host, uuid, catalogue, &vm->unlisted, &why)) {
            g_mutex_lock(&host->mutex);
            vsm_host_note(host, why);
            g_mutex_unlock(&host->mutex);
        }
        g_ptr_array_add(status->vms, vm);
    }
    g_ptr_array_sort(status->vms, compare_vms);
    return vsm_names_end(uuids, error);
}

bool vsm_host_status(VsmHost *host, VsmHostStatus **ret, GError **error)
{
    g_autoptr(VsmHostStatus) status = g_new0(VsmHostStatus, 1);
    const VsmTpmKeys *keys = vsm_tpm_keys(host->tpm);

    status->kind = host->kind;
    status->id = g_strdup(host->id);
    status->boot_policy = g_strdup(keys->boot_index ? "operator" : "frozen");
    fill_tpm(host, status);
    if (!fill_vms(host, status, error)) {
        return false;
    }
    g_mutex_lock(&host->mutex);
    status->commit = host->value;
    status->last_error = g_strdup(host->last_error);
    status->nv_burst = host->budget.burst;
    status->nv_interval_ms = host->budget.interval_ms;
    status->nv_left = vsm_budget_left(&host->budget, g_get_monotonic_time());
    g_mutex_unlock(&host->mutex);
    *ret = g_steal_pointer(&status);
    return true;
}

void vsm_host_counters(VsmHost *host,
                       guint64 *ret_tpm_commands,
                       guint *ret_nv_left,
                       guint *ret_nv_burst)
{
    *ret_tpm_commands = vsm_tpm_commands(host->tpm);
    g_mutex_lock(&host->mutex);
    *ret_nv_left = vsm_budget_left(&host->budget, g_get_monotonic_time());
    *ret_nv_burst = host->budget.burst;
    g_mutex_unlock(&host->mutex);
}

void vsm_host_set_deadline(gint64 deadline_us)
{
    vsm_tpm_set_deadline(deadline_us);
}
