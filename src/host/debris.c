/*
 * Folders of a VM that the catalogue does not list: which stay, how many may.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/debris.h"
#include "base/limits.h"

/*
 * Whoever writes the store makes any number of folders: what is left after so
 * long goes at the next time.
 */
gint64 vsm_debris_sweep_us = 10 * G_USEC_PER_SEC;

/* @until: monotonic; @max: so many @records are enough to know. */
typedef struct {
    gint64 until;
    guint max, records;
} Sweep;

static void note(VsmHost *host, const GError *why)
{
    g_mutex_lock(&host->mutex);
    vsm_host_note(host, why);
    g_mutex_unlock(&host->mutex);
}

bool vsm_debris_count(VsmHost *host,
                      const char *uuid,
                      const VsmCatalogue *own,
                      guint *ret,
                      GError **error)
{
    g_autoptr(VsmNames) ids = vsm_store_ids(host->store, uuid, error);
    guint n = 0;
    const char *id;

    if (!ids) {
        return false;
    }
    while ((id = vsm_names_next(ids))) {
        n += !vsm_catalogue_find(own, uuid, id);
    }
    if (!vsm_names_end(ids, error)) {
        return false;
    }
    *ret = n;
    return true;
}

/* Whether a save of this host got as far as its seal. */
static bool is_record(VsmHost *host, const char *uuid, const char *id)
{
    g_autoptr(VsmMetadata) metadata = NULL;
    g_autoptr(GError) why = NULL;

    if (!vsm_host_metadata(host, uuid, id, NULL, &metadata, NULL, &why)) {
        /* What cannot be read now may be a record. */
        return g_error_matches(why, VSM_ERROR, VSM_ERROR_STORE);
    }
    return vsm_host_mark_known(host, metadata);
}

static bool in_time(const Sweep *sweep)
{
    return g_get_monotonic_time() < sweep->until;
}

/*
 * Drops folders without metadata, of a save that ended before its seal, and
 * forged ones, for which no disk entry may go; counts records.
 */
static bool sweep_vm(VsmHost *host,
                     const char *uuid,
                     const VsmCatalogue *own,
                     Sweep *sweep,
                     GError **error)
{
    g_autoptr(VsmNames) ids = vsm_store_ids(host->store, uuid, error);
    const char *id;

    if (!ids) {
        return false;
    }
    while (sweep->records < sweep->max && in_time(sweep) &&
           (id = vsm_names_next(ids))) {
        g_autoptr(GError) why = NULL;

        if (vsm_catalogue_find(own, uuid, id)) {
            continue;
        }
        if (is_record(host, uuid, id)) {
            sweep->records++;
        } else if (!vsm_folder_discard(host->store, uuid, id, &why)) {
            note(host, why);
        }
    }
    return vsm_names_end(ids, error);
}

bool vsm_debris_admit(VsmHost *host,
                      const char *uuid,
                      const VsmCatalogue *own,
                      GError **error)
{
    Sweep sweep = {g_get_monotonic_time() + vsm_debris_sweep_us, VSM_DEBRIS_MAX,
                   0};
    guint folders;

    if (!vsm_debris_count(host, uuid, own, &folders, error)) {
        return false;
    }
    if (folders < VSM_DEBRIS_MAX) {
        return true;
    }
    if (!sweep_vm(host, uuid, own, &sweep, error)) {
        return false;
    }
    if (sweep.records == VSM_DEBRIS_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "VM %s: %u unfinished or deleted snapshots wait until its "
                    "hypervisor has deleted them from all of their disks; "
                    "attach these disks writable and try again, or start the "
                    "VM again with them",
                    uuid, VSM_DEBRIS_MAX);
        return false;
    }
    if (!in_time(&sweep)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "VM %s: its %u folders in %s that no snapshot belongs to "
                    "are being dropped; try again at once",
                    uuid, folders, host->store->path);
        return false;
    }
    return true;
}

bool vsm_debris_sweep_all(VsmHost *host, GError **error)
{
    g_autoptr(VsmNames) uuids = vsm_store_uuids(host->store, error);
    gint64 until = g_get_monotonic_time() + vsm_debris_sweep_us;
    const char *uuid;

    if (!uuids) {
        return false;
    }
    while ((uuid = vsm_names_next(uuids))) {
        g_autoptr(GError) why = NULL;
        Sweep sweep = {until, G_MAXUINT, 0};

        if (!sweep_vm(host, uuid, host->catalogue, &sweep, &why)) {
            note(host, why);
        }
    }
    return vsm_names_end(uuids, error);
}
