/*
 * What may refuse a save before anything is made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/limits.h"
#include "host/debris.h"
#include "host/local.h"

/* Left free beside what a save announces: catalogue, metadata, file system. */
#define SPACE_RESERVE_BYTES (1024 * 1024)

static bool no_space(GError **error,
                     const char *uuid,
                     const char *why,
                     guint64 have,
                     guint64 need)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_NO_SPACE,
                "VM %s: %s: no space: the snapshot's record may need "
                "%" G_GUINT64_FORMAT " bytes and %" G_GUINT64_FORMAT
                " are left; remove snapshots, or make room",
                uuid, why, need, have);
    return false;
}

static bool check_space(VsmLocal *self, guint64 need, GError **error)
{
    guint64 space, used, quota = self->host->vm_quota_bytes;

    if (!need) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "VM %s: a save says how many bytes it may need; 0 is none",
                    self->uuid);
        return false;
    }
    if (!vsm_dir_space(self->host->store, &space, error)) {
        return false;
    }
    if (space < need || space - need < SPACE_RESERVE_BYTES) {
        return no_space(error, self->uuid, self->host->store->path, space,
                        need);
    }
    if (!quota) {
        return true;
    }
    if (!vsm_store_usage(self->host->store, self->uuid, &used, error)) {
        return false;
    }
    if (used > quota || quota - used < need) {
        return no_space(error, self->uuid, "quota",
                        used > quota ? 0 : quota - used, need);
    }
    return true;
}

/* Called with the host's mutex held. */
static bool
check_tag(VsmLocal *self, const VsmSealRequest *request, GError **error)
{
    const VsmCatalogue *catalogue = self->host->catalogue;

    for (guint i = 0; !request->replace && i < catalogue->entries->len; i++) {
        const VsmEntry *entry = &g_array_index(catalogue->entries, VsmEntry, i);

        if (!strcmp(entry->uuid, self->uuid) &&
            !strcmp(entry->tag, request->tag)) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "snapshot \"%s\" of VM %s exists; choose another tag, "
                        "or ask to replace it",
                        request->tag, self->uuid);
            return false;
        }
    }
    return true;
}

static bool check_listed(VsmLocal *self,
                         const VsmSealRequest *request,
                         const VsmCatalogue *own,
                         GError **error)
{
    guint stay = 0;

    for (guint i = 0; i < own->entries->len; i++) {
        const VsmEntry *entry = &g_array_index(own->entries, VsmEntry, i);

        stay += !request->replace || strcmp(entry->tag, request->tag);
    }
    if (stay < VSM_LISTED_MAX) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                "VM %s has %u sealed snapshots, as many as one VM may have; "
                "delete some",
                self->uuid, stay);
    return false;
}

/*
 * The catalogue is everybody's, and each folder is looked at by each open of
 * the store: one VM's records have an end.
 */
static bool
check_count(VsmLocal *self, const VsmSealRequest *request, GError **error)
{
    VsmHost *host = self->host;
    g_autoptr(VsmCatalogue) own = NULL;

    if (!vsm_host_lock(host, error)) {
        return false;
    }
    own = vsm_catalogue_of(host->catalogue, self->uuid);
    vsm_host_unlock(host);
    return check_listed(self, request, own, error) &&
           vsm_debris_admit(host, self->uuid, own, error);
}

bool vsm_local_read_boot(VsmLocal *self, VsmTpmPcrs *ret, GError **error)
{
    VsmHost *host = self->host;

    return vsm_tpm_read_boot(host->tpm, host->boot_pcrs,
                             host->allow_unmeasured_boot, ret, error) &&
           vsm_host_boot_check(host, ret, NULL, error);
}

bool vsm_local_admit(VsmLocal *self,
                     const VsmSealRequest *request,
                     GError **error)
{
    VsmHost *host = self->host;
    VsmTpmPcrs boot;
    bool ok;

    if (!check_count(self, request, error) ||
        !check_space(self, request->expect_bytes, error) ||
        !vsm_hypervisor_refresh(self->hypervisor, error) ||
        !vsm_local_read_boot(self, &boot, error) ||
        !vsm_host_lock(host, error)) {
        return false;
    }
    ok = check_tag(self, request, error) &&
         vsm_host_budget_take(host, self->uuid, error);
    vsm_host_unlock(host);
    self->seal.token = ok;
    return ok;
}
