/*
 * What was resealed before: is it the operator's word, and was it finished?
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/reseal.h"

#include <string.h>
#include "base/limits.h"
#include "host/internal.h"

/* --- What was resealed before ----------------------------------------- */

static bool names(const VsmOperatorRequest *request,
                  const VsmMetadata *metadata)
{
    VsmDigest config;

    return vsm_operator_reseals(request, metadata->vm_uuid, metadata->id) &&
           vsm_sha384(metadata->config, strlen(metadata->config), &config,
                      NULL) &&
           vsm_digest_equal(&request->config, &config) &&
           vsm_digest_equal(&request->hypervisor, &metadata->hypervisor);
}

bool vsm_reseal_check(VsmHost *host,
                      const VsmMetadata *metadata,
                      GError **error)
{
    g_autoptr(VsmOperatorRequest) request = NULL;
    g_autoptr(GError) why = NULL;

    if (!metadata->reseal_request) {
        return true;
    }
    request = vsm_operator_request_decode(metadata->reseal_request, &why);
    if (request && vsm_operator_check(vsm_tpm_keys(host->tpm)->operator_public,
                                      metadata->reseal_request,
                                      metadata->reseal_signature, NULL, &why)) {
        if (!strcmp(request->host, host->id) && names(request, metadata)) {
            return true;
        }
        g_set_error(&why, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "the operator signed for something else");
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                "snapshot \"%s\": its hypervisor and configuration were "
                "changed without the operator: %s; the snapshot can only be "
                "removed",
                metadata->tag, why->message);
    return false;
}

/* --- At open ---------------------------------------------------------- */

static bool finish_one(VsmHost *host, const VsmEntry *entry, GError **error)
{
    g_autoptr(VsmFolder) folder = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) why = NULL;
    const VsmDir *dir;
    VsmDigest digest;

    folder = vsm_folder_open(host->store, entry->uuid, entry->id, &why);
    if (!folder) {
        return true; /* reading it will say so */
    }
    dir = vsm_folder_dir(folder);
    if (!vsm_file_read(dir, VSM_FILE_METADATA_NEXT, VSM_METADATA_BYTES_MAX,
                       &bytes, &why)) {
        return g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)
                   ? vsm_file_remove(dir, VSM_FILE_SIGNATURE_NEXT, error)
                   : vsm_reseal_drop(dir, error);
    }
    if (!vsm_sha384_bytes(bytes, &digest, error)) {
        return false;
    }
    return vsm_digest_equal(&digest, &entry->metadata)
               ? vsm_reseal_take(dir, error)
               : vsm_reseal_drop(dir, error);
}

bool vsm_reseal_recover(VsmHost *host, GError **error)
{
    for (guint i = 0; i < host->catalogue->entries->len; i++) {
        if (!finish_one(host,
                        &g_array_index(host->catalogue->entries, VsmEntry, i),
                        error)) {
            return false;
        }
    }
    return true;
}

/* The evidence first: with metadata.next there, both are still to be moved. */
bool vsm_reseal_take(const VsmDir *dir, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (!vsm_file_rename(dir, VSM_FILE_SIGNATURE_NEXT, VSM_FILE_SIGNATURE,
                         &why) &&
        !g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    return vsm_file_rename(dir, VSM_FILE_METADATA_NEXT, VSM_FILE_METADATA,
                           error);
}

bool vsm_reseal_drop(const VsmDir *dir, GError **error)
{
    return vsm_file_remove(dir, VSM_FILE_SIGNATURE_NEXT, error) &&
           vsm_file_remove(dir, VSM_FILE_METADATA_NEXT, error);
}
