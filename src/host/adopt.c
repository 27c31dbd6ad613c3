/*
 * Adopt: the operator's word that an older copy of the store shall count, or
 * one whose commit index was lost.  And the end of a store.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/adopt.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/limits.h"
#include "host/evidence.h"
#include "host/pending.h"
#include "host/reseal.h"

/* What is extended into an index that was never written, so that it can be
 * certified.  It is no catalogue's digest. */
#define FIRST_EXTEND "VSM-ADOPT-1"

static const VsmDigest zero;

static GVariant *entry_of(VsmHost *host, const VsmEntry *entry)
{
    g_autoptr(VsmMetadata) metadata = NULL;
    gint64 time = 0;

    if (vsm_host_metadata(host, entry->uuid, entry->id, entry, &metadata, NULL,
                          NULL)) {
        time = metadata->time;
    }
    return g_variant_new("(sssxb)", entry->uuid, entry->id, entry->tag, time,
                         (gboolean)!metadata);
}

static GVariant *entries_of(VsmHost *host, const VsmCatalogue *catalogue)
{
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("a(sssxb)"));
    for (guint i = 0; i < catalogue->entries->len; i++) {
        g_variant_builder_add_value(
            &list,
            entry_of(host, &g_array_index(catalogue->entries, VsmEntry, i)));
    }
    return g_variant_ref_sink(g_variant_builder_end(&list));
}

/* An index that can be certified, and its value. */
static bool current_value(VsmHost *host, VsmDigest *ret, GError **error)
{
    VsmDigest first;
    bool written;

    if (!vsm_tpm_nv_read(host->tpm, ret, &written, error)) {
        return false;
    }
    return written ||
           (vsm_sha384(FIRST_EXTEND, strlen(FIRST_EXTEND), &first, error) &&
            vsm_tpm_nv_extend(host->tpm, &zero, &first, ret, error));
}

/* Called with the mutex held. */
static bool begin(VsmHost *host,
                  GVariant **ret_entries,
                  GBytes **ret_request,
                  GError **error)
{
    g_autoptr(VsmOperatorRequest) request =
        vsm_operator_request_new(VSM_OPERATOR_ADOPT, host->id);
    g_autoptr(VsmCatalogue) catalogue = NULL;
    g_autoptr(GBytes) bytes = NULL;

    if (!vsm_pending_free_slot(host, error) ||
        !vsm_host_adoptable(host, &catalogue, &request->catalogue, error) ||
        !current_value(host, &request->value, error)) {
        return false;
    }
    request->entries = catalogue->entries->len;
    bytes = vsm_operator_request_encode(request, error);
    if (!bytes) {
        return false;
    }
    *ret_entries = entries_of(host, catalogue);
    g_clear_pointer(&host->catalogue, vsm_catalogue_free);
    host->catalogue = g_steal_pointer(&catalogue);
    vsm_pending_set(host, g_steal_pointer(&request), bytes);
    *ret_request = g_steal_pointer(&bytes);
    return true;
}

static bool need_adopting(VsmHost *host, GError **error)
{
    if (host->adopting) {
        return vsm_pending_operator(host, error);
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "%s: the store is the one that the TPM's commit index names: "
                "there is nothing to adopt",
                host->store->path);
    return false;
}

bool vsm_host_adopt_begin(VsmHost *host,
                          GVariant **ret_entries,
                          GBytes **ret_request,
                          GError **error)
{
    bool ok;

    if (!need_adopting(host, error)) {
        return false;
    }
    g_mutex_lock(&host->mutex);
    ok = begin(host, ret_entries, ret_request, error);
    g_mutex_unlock(&host->mutex);
    return ok;
}

/* Called with the mutex held. */
static bool commit(VsmHost *host, GError **error)
{
    const VsmOperatorRequest *wanted = host->pending.request;
    const VsmChange nothing = {.n_put = 0};
    VsmDigest now, after;

    if (!vsm_tpm_nv_read(host->tpm, &now, NULL, error)) {
        return false;
    }
    if (!vsm_digest_equal(&now, &wanted->value)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STALE,
                    "the commit index moved on since the operator was asked: "
                    "another copy of the store is in use");
        return false;
    }
    host->value = now;
    return vsm_host_commit(host, &nothing, &after, error) &&
           vsm_reseal_recover(host, error);
}

bool vsm_host_adopt_finish(VsmHost *host, GBytes *signature, GError **error)
{
    bool ok;

    if (!need_adopting(host, error)) {
        return false;
    }
    g_mutex_lock(&host->mutex);
    ok = vsm_pending_answered(host, VSM_OPERATOR_ADOPT, signature, NULL, error);
    if (ok) {
        ok = commit(host, error);
        vsm_pending_clear(host);
    }
    g_mutex_unlock(&host->mutex);
    return ok;
}

/* --- The end ----------------------------------------------------------- */

static bool drop_vm(VsmHost *host, const char *uuid, GError **error)
{
    g_autoptr(VsmNames) ids = vsm_store_ids(host->store, uuid, error);
    g_autofree char *path = g_build_filename("vm", uuid, NULL);
    const char *id;

    if (!ids) {
        return false;
    }
    while ((id = vsm_names_next(ids))) {
        if (!vsm_folder_drop(host->store, uuid, id, error)) {
            return false;
        }
    }
    unlinkat(host->store->fd, path, AT_REMOVEDIR);
    return vsm_names_end(ids, error);
}

static bool drop_records(VsmHost *host, GError **error)
{
    g_autoptr(VsmNames) uuids = vsm_store_uuids(host->store, error);
    const char *uuid;

    if (!uuids) {
        return false;
    }
    while ((uuid = vsm_names_next(uuids))) {
        if (!drop_vm(host, uuid, error)) {
            return false;
        }
    }
    unlinkat(host->store->fd, "vm", AT_REMOVEDIR);
    return vsm_names_end(uuids, error);
}

bool vsm_host_destroy(VsmHost *host, const char *id, GError **error)
{
    static const char *const files[] = {
        VSM_STORE_CATALOGUE, VSM_STORE_NEXT,   "approved",
        "approved.next",     VSM_STORE_BUDGET, VSM_STORE_HOST,
    };
    bool ok;

    if (strcmp(id, host->id)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "%s belongs to host %s: give this id to destroy its keys "
                    "and all its snapshots",
                    host->store->path, host->id);
        return false;
    }
    g_mutex_lock(&host->mutex);
    vsm_pending_clear(host);
    ok = vsm_tpm_keys_destroy(host->tpm, error) && drop_records(host, error);
    for (guint i = 0; ok && i < G_N_ELEMENTS(files); i++) {
        ok = vsm_file_remove(host->store, files[i], error);
    }
    g_mutex_unlock(&host->mutex);
    return ok;
}
