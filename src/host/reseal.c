/*
 * Reseal: the operator's word that a VM's snapshots shall hold for another
 * hypervisor or configuration.
 *
 * The sealed digest stays; what it is bound to changes.  Beside each file of a
 * record its successor is written; one commit of the catalogue names them all;
 * then they take their place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/reseal.h"

#include <string.h>
#include "base/limits.h"
#include "base/text.h"
#include "host/pending.h"

static VsmTpmObject to_object(const VsmTpmBlob *blob)
{
    return (VsmTpmObject){
        .name = blob->name,
        .public_area = blob->public_area,
        .private_area = blob->private_area,
    };
}

/* --- Begin ------------------------------------------------------------ */

static bool read_boot(VsmHost *host, VsmTpmPcrs *ret, GError **error)
{
    return vsm_tpm_read_boot(host->tpm, host->boot_pcrs,
                             host->allow_unmeasured_boot, ret, error) &&
           vsm_host_boot_check(host, ret, NULL, error);
}

/* What the request shall say; pure once the catalogue stands still. */
typedef struct {
    VsmHost *host;
    const char *config;
    VsmOperatorRequest *request;
} Asking;

static bool add(Asking *asking, const VsmEntry *entry, GError **error)
{
    VsmOperatorRequest *request = asking->request;
    g_autoptr(VsmMetadata) metadata = NULL;
    VsmOperatorSnapshot one = {.metadata = entry->metadata};

    if (!vsm_host_metadata(asking->host, entry->uuid, entry->id, entry,
                           &metadata, NULL, error) ||
        !vsm_reseal_check(asking->host, metadata, error)) {
        return false;
    }
    if (vsm_digest_equal(&metadata->hypervisor, &request->hypervisor) &&
        !strcmp(metadata->config, asking->config)) {
        return true; /* as it shall be */
    }
    if (request->snapshots->len == VSM_RESEAL_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "more than %u snapshots of VM %s: name some of them, and "
                    "the others in the next request",
                    VSM_RESEAL_MAX, request->vm);
        return false;
    }
    g_strlcpy(one.id, entry->id, sizeof(one.id));
    g_array_append_val(request->snapshots, one);
    return true;
}

static bool is_named(VsmHost *host,
                     const VsmEntry *entry,
                     GHashTable *ids,
                     const char *uuid)
{
    (void)host;
    return !strcmp(entry->uuid, uuid) &&
           (!ids || g_hash_table_contains(ids, entry->id));
}

/* Ids of the named ones; NULL with no error: all. */
static bool resolve(VsmHost *host,
                    const char *uuid,
                    const char *const *snapshots,
                    GHashTable **ret,
                    GError **error)
{
    *ret = NULL;
    if (!snapshots || !*snapshots) {
        return true;
    }
    *ret = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (; *snapshots; snapshots++) {
        g_autoptr(VsmRecord) record = NULL;

        if (!vsm_host_find(host, uuid, *snapshots, &record, error)) {
            return false;
        }
        g_hash_table_add(*ret, g_strdup(record->id));
    }
    return true;
}

static bool
collect(Asking *asking, const char *const *snapshots, GError **error)
{
    VsmHost *host = asking->host;
    VsmOperatorRequest *request = asking->request;
    g_autoptr(GHashTable) ids = NULL;

    if (!resolve(host, request->vm, snapshots, &ids, error)) {
        return false;
    }
    for (guint i = 0; i < host->catalogue->entries->len; i++) {
        const VsmEntry *entry =
            &g_array_index(host->catalogue->entries, VsmEntry, i);

        if (is_named(host, entry, ids, request->vm) &&
            !add(asking, entry, error)) {
            return false;
        }
    }
    if (!request->snapshots->len) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "VM %s has no sealed snapshot that another hypervisor or "
                    "configuration than this one holds",
                    request->vm);
        return false;
    }
    return true;
}

/* Called with the mutex held. */
static bool begin(Asking *asking,
                  const char *const *snapshots,
                  GBytes **ret_request,
                  GError **error)
{
    VsmHost *host = asking->host;
    g_autoptr(GBytes) bytes = NULL;

    asking->request->value = host->value;
    if (!vsm_pending_free_slot(host, error) ||
        !collect(asking, snapshots, error)) {
        return false;
    }
    bytes = vsm_operator_request_encode(asking->request, error);
    if (!bytes) {
        return false;
    }
    vsm_pending_set(host, g_steal_pointer(&asking->request), bytes);
    host->pending.config = g_strdup(asking->config);
    *ret_request = g_steal_pointer(&bytes);
    return true;
}

bool vsm_host_reseal_begin(VsmHost *host,
                           const char *uuid,
                           const char *const *snapshots,
                           const VsmDigest *hypervisor,
                           const char *config,
                           GBytes **ret_request,
                           GError **error)
{
    g_autoptr(VsmOperatorRequest) request =
        vsm_operator_request_new(VSM_OPERATOR_RESEAL, host->id);
    Asking asking = {host, config, NULL};
    VsmTpmPcrs boot;
    bool ok;

    if (!vsm_pending_operator(host, error)) {
        return false;
    }
    if (!vsm_text_is_uuid(uuid) || strlen(config) > VSM_CONFIG_BYTES_MAX ||
        !g_utf8_validate(config, -1, NULL)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "reseal needs a VM's uuid and its configuration text, as "
                    "query-vsm of the running VM gives them");
        return false;
    }
    request->vm = g_strdup(uuid);
    request->hypervisor = *hypervisor;
    if (!vsm_sha384(config, strlen(config), &request->config, error) ||
        !read_boot(host, &boot, error) || !vsm_host_lock(host, error)) {
        return false;
    }
    asking.request = g_steal_pointer(&request);
    ok = begin(&asking, snapshots, ret_request, error);
    vsm_host_unlock(host);
    vsm_operator_request_free(asking.request);
    return ok;
}

/* --- Finish ----------------------------------------------------------- */

/* A commit under way; the arrays are one element a snapshot. */
typedef struct {
    VsmHost *host;
    GBytes *request, *signature;
    const VsmOperatorRequest *wanted;
    VsmTpmPcrs boot;
    GArray *entries; /* of VsmEntry */
    GPtrArray *folders; /* of VsmFolder */
} Resealing;

/* Unseals under what held at the seal, and seals the same for what shall. */
static bool bind_anew(Resealing *r, VsmMetadata *metadata, GError **error)
{
    const VsmTpmObject ssk = to_object(&metadata->ssk);
    const VsmTpmObject old = to_object(&metadata->sealed);
    VsmTpmBinding was = {.boot = r->boot, .hypervisor = metadata->hypervisor};
    VsmTpmBinding shall = {.boot = r->boot,
                           .hypervisor = r->wanted->hypervisor,
                           .config = r->wanted->config};
    g_auto(VsmTpmObject) sealed = {NULL};
    VsmDigest unsealed, stated;

    if (!vsm_sha384(metadata->config, strlen(metadata->config), &was.config,
                    error) ||
        !vsm_seal_digest(&metadata->state, &metadata->stream, &metadata->scope,
                         &stated, error) ||
        !vsm_tpm_unseal(r->host->tpm, &ssk, &old, &was, NULL, &unsealed, NULL,
                        error)) {
        return false;
    }
    if (!vsm_digest_equal(&unsealed, &stated)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "snapshot \"%s\": the TPM released another digest than its "
                    "metadata states",
                    metadata->tag);
        return false;
    }
    if (!vsm_tpm_seal(r->host->tpm, &ssk, &shall, &unsealed, &sealed, error)) {
        return false;
    }
    g_clear_pointer(&metadata->sealed.name, g_bytes_unref);
    g_clear_pointer(&metadata->sealed.public_area, g_bytes_unref);
    g_clear_pointer(&metadata->sealed.private_area, g_bytes_unref);
    metadata->sealed = (VsmTpmBlob){
        .name = g_bytes_ref(sealed.name),
        .public_area = g_bytes_ref(sealed.public_area),
        .private_area = g_bytes_ref(sealed.private_area),
    };
    return true;
}

static void describe_anew(Resealing *r, VsmMetadata *metadata)
{
    metadata->hypervisor = r->wanted->hypervisor;
    g_free(metadata->config);
    metadata->config = g_strdup(r->host->pending.config);
    g_free(metadata->measured_by);
    metadata->measured_by = g_strdup("operator");
    g_free(metadata->pcr_bank);
    metadata->pcr_bank = g_strdup(vsm_tpm_bank_name(r->boot.bank));
    metadata->boot_pcrs = r->boot.mask;
    g_clear_pointer(&metadata->pcr_values, g_bytes_unref);
    metadata->pcr_values = vsm_tpm_pcrs_pack(&r->boot);
    metadata->unmeasured_boot = vsm_tpm_pcrs_zero(&r->boot);
    g_clear_pointer(&metadata->reseal_request, g_bytes_unref);
    g_clear_pointer(&metadata->reseal_signature, g_bytes_unref);
    metadata->reseal_request = g_bytes_ref(r->request);
    metadata->reseal_signature = g_bytes_ref(r->signature);
}

/* Writes metadata.next of one snapshot. */
static bool
prepare_one(Resealing *r, const VsmOperatorSnapshot *one, GError **error)
{
    VsmHost *host = r->host;
    const VsmEntry *entry =
        vsm_catalogue_find(host->catalogue, r->wanted->vm, one->id);
    g_autoptr(VsmMetadata) metadata = NULL;
    g_autoptr(GBytes) bytes = NULL;
    VsmFolder *folder;
    VsmEntry next = {.uuid = ""};

    /* The commit value is the request's, so the entries are. */
    if (!entry || !vsm_digest_equal(&entry->metadata, &one->metadata)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STALE,
                    "snapshot %s is not what it was when the operator was "
                    "asked: begin anew",
                    one->id);
        return false;
    }
    if (!vsm_host_metadata(host, r->wanted->vm, one->id, entry, &metadata, NULL,
                           error) ||
        !vsm_reseal_check(host, metadata, error) ||
        !bind_anew(r, metadata, error)) {
        return false;
    }
    describe_anew(r, metadata);
    next = *entry;
    next.commit = (VsmDigest){{0}};
    bytes = vsm_metadata_encode(metadata, error);
    if (!bytes || !vsm_sha384_bytes(bytes, &next.metadata, error)) {
        return false;
    }
    folder = vsm_folder_open(host->store, r->wanted->vm, one->id, error);
    if (!folder) {
        return false;
    }
    g_ptr_array_add(r->folders, folder);
    g_array_append_val(r->entries, next);
    return vsm_file_replace(vsm_folder_dir(folder), VSM_FILE_METADATA_NEXT,
                            bytes, error);
}

static bool commit(Resealing *r, GError **error)
{
    VsmChange change = {
        .put = (VsmEntry *)(void *)r->entries->data,
        .folders = (VsmFolder **)r->folders->pdata,
        .n_put = r->entries->len,
        .evidence = VSM_FILE_SIGNATURE_NEXT,
    };
    VsmDigest after;

    return vsm_host_budget_take(r->host, NULL, error) &&
           vsm_host_commit(r->host, &change, &after, error);
}

/* The commit stands: what cannot be renamed now is at the next lock. */
static void take_all(Resealing *r)
{
    for (guint i = 0; i < r->folders->len; i++) {
        g_autoptr(GError) why = NULL;

        if (!vsm_reseal_take(vsm_folder_dir(r->folders->pdata[i]), &why)) {
            r->host->in_doubt = true;
            vsm_host_note(r->host, why);
        }
    }
}

static void drop_all(Resealing *r)
{
    for (guint i = 0; i < r->folders->len; i++) {
        vsm_reseal_drop(vsm_folder_dir(r->folders->pdata[i]), NULL);
    }
}

static bool run(Resealing *r, GError **error)
{
    g_autoptr(GError) why = NULL;
    bool ok = true;

    if (!vsm_digest_equal(&r->host->value, &r->wanted->value)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STALE,
                    "snapshots were made or removed since the operator was "
                    "asked: begin anew");
        return false;
    }
    for (guint i = 0; ok && i < r->wanted->snapshots->len; i++) {
        ok = prepare_one(
            r, &g_array_index(r->wanted->snapshots, VsmOperatorSnapshot, i),
            &why);
    }
    if (ok && commit(r, &why)) {
        take_all(r);
        return true;
    }
    if (!g_error_matches(why, VSM_ERROR, VSM_ERROR_IN_DOUBT)) {
        drop_all(r);
    }
    g_propagate_error(error, g_steal_pointer(&why));
    return false;
}

static void free_folder(gpointer folder)
{
    vsm_folder_free(folder);
}

bool vsm_host_reseal_finish(VsmHost *host,
                            GBytes *signature,
                            guint *ret_n,
                            GError **error)
{
    g_autoptr(GArray) entries = g_array_new(FALSE, TRUE, sizeof(VsmEntry));
    g_autoptr(GPtrArray) folders = g_ptr_array_new_with_free_func(free_folder);
    Resealing r = {
        .host = host,
        .signature = signature,
        .entries = entries,
        .folders = folders,
    };
    bool ok;

    if (!read_boot(host, &r.boot, error) || !vsm_host_lock(host, error)) {
        return false;
    }
    ok =
        vsm_pending_answered(host, VSM_OPERATOR_RESEAL, signature, NULL, error);
    if (ok) {
        r.request = host->pending.bytes;
        r.wanted = host->pending.request;
        ok = run(&r, error);
        vsm_pending_clear(host);
    }
    vsm_host_unlock(host);
    if (ok && ret_n) {
        *ret_n = entries->len;
    }
    return ok;
}
