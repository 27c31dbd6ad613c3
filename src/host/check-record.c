/*
 * A record's files hold what was sealed: documents, lengths, evidence.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/limits.h"
#include "core/document.h"
#include "host/evidence.h"
#include "host/local.h"

bool vsm_local_tampered(VsmLocal *self,
                        const char *name,
                        const char *why,
                        GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                "%s/%s: %s; the snapshot can only be removed",
                vsm_folder_dir(self->check.folder)->path, name, why);
    return false;
}

/* One small document: whole, and equal to what the metadata says. */
static bool read_document(VsmLocal *self,
                          VsmPart part,
                          gsize max,
                          const VsmDigest *sealed,
                          GError **error)
{
    VsmLocalCheck *check = &self->check;
    const char *name = vsm_part_name(part);
    VsmDigest digest;
    guint64 length;

    if (!vsm_folder_length(check->folder, part, &length, error)) {
        return false;
    }
    if (length > max) {
        return vsm_local_tampered(self, name, "longer than any that is sealed",
                                  error);
    }
    if (!vsm_folder_get(check->folder, part, 0, max, &check->documents[part],
                        error) ||
        !vsm_sha384_bytes(check->documents[part], &digest, error)) {
        return false;
    }
    return vsm_digest_equal(&digest, sealed) ||
           vsm_local_tampered(self, name, "not what was sealed", error);
}

/* Lengths only: the bytes are proved by whoever fetches them. */
static bool check_bulk(VsmLocal *self, GError **error)
{
    static const VsmPart bulk[] = {VSM_PART_MAP, VSM_PART_LEAVES,
                                   VSM_PART_SKELETON};
    VsmLocalCheck *check = &self->check;
    VsmDocument document;

    if (!vsm_document_decode(check->documents[VSM_PART_STREAM], &document,
                             error)) {
        return false;
    }
    for (guint i = 0; i < G_N_ELEMENTS(bulk); i++) {
        guint64 length;

        if (!vsm_folder_length(check->folder, bulk[i], &length, error)) {
            return false;
        }
        if (length != vsm_document_part_bytes(&document, bulk[i])) {
            return vsm_local_tampered(self, vsm_part_name(bulk[i]),
                                      "not as long as what was sealed", error);
        }
    }
    return true;
}

static bool read_documents(VsmLocal *self, GError **error)
{
    VsmLocalCheck *check = &self->check;
    const VsmMetadata *metadata = check->metadata;

    check->folder = vsm_folder_open(self->host->store, self->uuid,
                                    check->record->id, error);
    return check->folder &&
           read_document(self, VSM_PART_MANIFEST, VSM_MANIFEST_BYTES_MAX,
                         &metadata->state, error) &&
           read_document(self, VSM_PART_STREAM, VSM_STREAM_DOCUMENT_BYTES_MAX,
                         &metadata->stream, error) &&
           (metadata->scope_reason ||
            read_document(self, VSM_PART_SCOPE, VSM_SCOPE_BYTES_MAX,
                          &metadata->scope, error)) &&
           check_bulk(self, error);
}

/* The evidence beside the record leads to the commit that lists it. */
static bool check_signature(VsmLocal *self, GError **error)
{
    VsmLocalCheck *check = &self->check;
    g_autoptr(GError) why = NULL;

    return vsm_evidence_check(self->host, check->folder,
                              &check->record->metadata, &check->record->commit,
                              &why) ||
           vsm_local_tampered(self, VSM_FILE_SIGNATURE, why->message, error);
}

bool vsm_local_read_record(VsmLocal *self, GError **error)
{
    return read_documents(self, error) && check_signature(self, error);
}
