/*
 * Records as the catalogue and their metadata give them: list, find.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/limits.h"
#include "base/text.h"
#include "host/internal.h"

#define LIST_TRIES 8

static bool damaged(GError **error, const char *file, const char *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                "%s: %s; the snapshot can only be removed", file, why);
    return false;
}

static bool read_metadata(VsmHost *host,
                          const char *uuid,
                          const char *id,
                          GBytes **ret,
                          GError **error)
{
    g_autoptr(VsmFolder) folder = vsm_folder_open(host->store, uuid, id, error);

    return folder && vsm_file_read(vsm_folder_dir(folder), VSM_FILE_METADATA,
                                   VSM_METADATA_BYTES_MAX, ret, error);
}

bool vsm_host_metadata(VsmHost *host,
                       const char *uuid,
                       const char *id,
                       const VsmEntry *entry,
                       VsmMetadata **ret,
                       GBytes **ret_bytes,
                       GError **error)
{
    g_autofree char *file = g_build_filename(host->store->path, "vm", uuid, id,
                                             VSM_FILE_METADATA, NULL);
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(VsmMetadata) metadata = NULL;
    g_autoptr(GError) why = NULL;
    VsmDigest digest;

    if (!read_metadata(host, uuid, id, &bytes, &why)) {
        if (g_error_matches(why, VSM_ERROR, VSM_ERROR_STORE)) {
            g_propagate_error(error, g_steal_pointer(&why));
            return false;
        }
        return damaged(error, file, why->message);
    }
    if (!vsm_sha384_bytes(bytes, &digest, error)) {
        return false;
    }
    if (entry && !vsm_digest_equal(&digest, &entry->metadata)) {
        return damaged(error, file, "not what the catalogue says was sealed");
    }
    metadata = vsm_metadata_decode(bytes, &why);
    if (!metadata) {
        return damaged(error, file, why->message);
    }
    if (strcmp(metadata->id, id) || strcmp(metadata->vm_uuid, uuid)) {
        return damaged(error, file, "of another snapshot");
    }
    *ret = g_steal_pointer(&metadata);
    if (ret_bytes) {
        *ret_bytes = g_steal_pointer(&bytes);
    }
    return true;
}

/* @entry NULL: debris; then NULL without an error when it has no metadata. */
static VsmRecord *record_of(VsmHost *host,
                            const char *uuid,
                            const char *id,
                            const VsmEntry *entry,
                            GError **error)
{
    g_autoptr(VsmMetadata) metadata = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) why = NULL;
    VsmRecord *record;

    if (vsm_host_metadata(host, uuid, id, entry, &metadata, &bytes, &why) &&
        !entry && !vsm_host_mark_known(host, metadata)) {
        return NULL; /* not a record of this host: nothing is swept for it */
    }
    if (metadata) {
        record = vsm_metadata_record(metadata, bytes, error);
        if (!record) {
            return NULL;
        }
        record->has_mark = true;
    } else if (entry && g_error_matches(why, VSM_ERROR, VSM_ERROR_TAMPERED)) {
        record = g_new0(VsmRecord, 1);
        record->id = g_strdup(id);
        record->vm_uuid = g_strdup(uuid);
        record->damaged = g_strdup(why->message);
    } else {
        if (entry) {
            g_propagate_error(error, g_steal_pointer(&why));
        }
        return NULL;
    }
    if (entry) {
        record->listed = true;
        record->commit = entry->commit;
    }
    return record;
}

static void free_record(gpointer record)
{
    vsm_record_free(record);
}

static bool add_listed(VsmHost *host,
                       const VsmCatalogue *own,
                       GPtrArray *records,
                       GError **error)
{
    for (guint i = 0; i < own->entries->len; i++) {
        const VsmEntry *entry = &g_array_index(own->entries, VsmEntry, i);
        VsmRecord *record =
            record_of(host, entry->uuid, entry->id, entry, error);

        if (!record) {
            return false;
        }
        g_ptr_array_add(records, record);
    }
    return true;
}

/* Forged folders cost a look, too. */
static bool add_debris(VsmHost *host,
                       const char *uuid,
                       const VsmCatalogue *own,
                       GPtrArray *records,
                       GError **error)
{
    g_autoptr(VsmNames) ids = vsm_store_ids(host->store, uuid, error);
    const char *id;
    guint looked = 0;

    if (!ids) {
        return false;
    }
    while (looked < VSM_DEBRIS_MAX && (id = vsm_names_next(ids))) {
        VsmRecord *record;

        if (vsm_catalogue_find(own, uuid, id)) {
            continue;
        }
        looked++;
        record = record_of(host, uuid, id, NULL, NULL);
        if (record) {
            g_ptr_array_add(records, record);
        }
    }
    return vsm_names_end(ids, error);
}

static GPtrArray *read_records(VsmHost *host,
                               const char *uuid,
                               const VsmCatalogue *own,
                               GError **error)
{
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(free_record);

    return add_listed(host, own, records, error) &&
                   add_debris(host, uuid, own, records, error)
               ? g_steal_pointer(&records)
               : NULL;
}

static bool are_still(VsmHost *host, const char *uuid, const VsmCatalogue *own)
{
    g_autoptr(VsmCatalogue) now = NULL;
    bool same;

    g_mutex_lock(&host->mutex);
    now = vsm_catalogue_of(host->catalogue, uuid);
    g_mutex_unlock(&host->mutex);
    same = now->entries->len == own->entries->len;
    for (guint i = 0; same && i < now->entries->len; i++) {
        const VsmEntry *a = &g_array_index(now->entries, VsmEntry, i);
        const VsmEntry *b = &g_array_index(own->entries, VsmEntry, i);

        same = !strcmp(a->id, b->id) &&
               vsm_digest_equal(&a->metadata, &b->metadata);
    }
    return same;
}

/* Others go on meanwhile; what a reseal changed under it is read again. */
GPtrArray *vsm_host_list(VsmHost *host, const char *uuid, GError **error)
{
    for (guint i = 0; i < LIST_TRIES; i++) {
        g_autoptr(VsmCatalogue) own = NULL;
        g_autoptr(GPtrArray) records = NULL;
        g_autoptr(GError) why = NULL;

        if (!vsm_host_lock(host, error)) {
            return NULL;
        }
        own = vsm_catalogue_of(host->catalogue, uuid);
        vsm_host_unlock(host);
        records = read_records(host, uuid, own, &why);
        if (!are_still(host, uuid, own)) {
            continue;
        }
        if (!records) {
            g_propagate_error(error, g_steal_pointer(&why));
        }
        return g_steal_pointer(&records);
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                "VM %s: its snapshots change while they are listed; try again",
                uuid);
    return NULL;
}

static int pick(GPtrArray *records, const char *name, bool by_tag)
{
    for (guint i = 0; i < records->len; i++) {
        const VsmRecord *record = records->pdata[i];
        const char *text = by_tag ? record->tag : record->id;

        if (text && !strcmp(text, name)) {
            return i;
        }
    }
    return -1;
}

/*
 * A name says one snapshot only if every listed one can be read and no other
 * bears it: altered metadata may hide the one that is meant, and somebody who
 * hid an old one from an overwrite must not bring it back under its tag.
 */
static bool
tag_is_plain(GPtrArray *records, const char *uuid, int tag, GError **error)
{
    const VsmRecord *found = records->pdata[tag];

    for (guint i = 0; i < records->len; i++) {
        const VsmRecord *record = records->pdata[i];

        if (record->damaged) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                        "snapshot \"%s\" of VM %s cannot be told by its tag "
                        "while the metadata of snapshot %s is altered: ask by "
                        "id, or delete id:%s",
                        found->tag, uuid, record->id, record->id);
            return false;
        }
        if ((int)i != tag && !strcmp(record->tag, found->tag)) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                        "two sealed snapshots of VM %s bear the tag \"%s\", so "
                        "an overwrite was tampered with: ask by id (%s, %s), "
                        "and delete one",
                        uuid, found->tag, found->id, record->id);
            return false;
        }
    }
    return true;
}

static void set_not_found(GPtrArray *records,
                          const char *uuid,
                          const char *asked,
                          GError **error)
{
    guint unusable = 0;

    for (guint i = 0; i < records->len; i++) {
        const VsmRecord *record = records->pdata[i];

        unusable += record->damaged != NULL;
    }
    if (unusable) {
        /* It may be one of these: "not sealed" must not be concluded. */
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "no usable sealed snapshot \"%s\" of VM %s; the metadata "
                    "of %u of its snapshots was altered: list them, and ask "
                    "by id",
                    asked, uuid, unusable);
    } else {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "no sealed snapshot \"%s\" of VM %s; list the snapshots "
                    "to see which there are",
                    asked, uuid);
    }
}

bool vsm_host_find(VsmHost *host,
                   const char *uuid,
                   const char *asked,
                   VsmRecord **ret,
                   GError **error)
{
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(free_record);
    g_autoptr(VsmCatalogue) own = vsm_catalogue_of(host->catalogue, uuid);
    VsmAsked kind;
    const char *name;
    const VsmRecord *found;
    int tag = -1, id = -1;

    if (!vsm_text_parse_asked(asked, &kind, &name, error) ||
        !add_listed(host, own, records, error)) {
        return false;
    }
    if (kind != VSM_ASKED_ID) {
        tag = pick(records, name, true);
    }
    if (kind != VSM_ASKED_TAG) {
        id = pick(records, name, false);
    }
    if (tag >= 0 && id >= 0 && tag != id) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "\"%s\" is the tag of one snapshot and the id of another; "
                    "say tag:%s or id:%s",
                    name, name, name);
        return false;
    }
    if (tag < 0 && id < 0) {
        set_not_found(records, uuid, asked, error);
        return false;
    }
    if (tag >= 0 && !tag_is_plain(records, uuid, tag, error)) {
        return false;
    }
    found = records->pdata[tag >= 0 ? tag : id];
    if (found->damaged) {
        g_set_error_literal(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                            found->damaged);
        return false;
    }
    *ret = g_ptr_array_steal_index(records, tag >= 0 ? tag : id);
    return true;
}
