/*
 * A snapshot's evidence, for verifiers that have no access to the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/limits.h"
#include "host/evidence.h"
#include "report/evidence.h"

static bool
gather(VsmHost *host, const VsmRecord *record, char **ret_json, GError **error)
{
    const VsmEntry *entry =
        vsm_catalogue_find(host->catalogue, record->vm_uuid, record->id);
    g_autoptr(VsmFolder) folder = NULL;
    g_autoptr(VsmMetadata) metadata = NULL;
    g_autoptr(GBytes) bytes = NULL, signature = NULL;
    g_auto(VsmTpmEvidence) signed_by_ak = {NULL};
    VsmSnapshotEvidence evidence = {.host_id = host->id};

    folder = vsm_folder_open(host->store, record->vm_uuid, record->id, error);
    if (!folder ||
        !vsm_host_metadata(host, record->vm_uuid, record->id, entry, &metadata,
                           &bytes, error) ||
        !vsm_evidence_check(host, folder, &entry->metadata, &entry->commit,
                            error) ||
        !vsm_file_read(vsm_folder_dir(folder), VSM_FILE_SIGNATURE,
                       VSM_SIGNATURE_BYTES_MAX, &signature, error) ||
        !vsm_evidence_decode(signature, &evidence.catalogue, &signed_by_ak,
                             error)) {
        return false;
    }
    evidence.metadata = bytes;
    evidence.attest = signed_by_ak.attest;
    evidence.signature = signed_by_ak.signature;
    *ret_json = vsm_snapshot_evidence_write(&evidence);
    return true;
}

bool vsm_host_snapshot_evidence(VsmHost *host,
                                const char *vm_uuid,
                                const char *snapshot,
                                char **ret_json,
                                GError **error)
{
    g_autoptr(VsmRecord) record = NULL;
    bool ok;

    if (!vsm_host_lock(host, error)) {
        return false;
    }
    ok = vsm_host_find(host, vm_uuid, snapshot, &record, error) &&
         gather(host, record, ret_json, error);
    vsm_host_unlock(host);
    return ok;
}
