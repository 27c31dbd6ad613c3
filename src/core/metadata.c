/*
 * The metadata of a snapshot: its life in memory, and the public record.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/metadata.h"

#include "crypto/hash.h"

VsmMetadata *vsm_metadata_new(void)
{
    return g_new0(VsmMetadata, 1);
}

static void blob_clear(VsmTpmBlob *blob)
{
    g_clear_pointer(&blob->name, g_bytes_unref);
    g_clear_pointer(&blob->public_area, g_bytes_unref);
    g_clear_pointer(&blob->private_area, g_bytes_unref);
}

void vsm_metadata_free(VsmMetadata *metadata)
{
    if (!metadata) {
        return;
    }
    g_free(metadata->id);
    g_free(metadata->vm_uuid);
    g_free(metadata->vm_name);
    g_free(metadata->vm_version);
    g_free(metadata->tag);
    vsm_container_clear(&metadata->container);
    g_free(metadata->scope_reason);
    blob_clear(&metadata->ssk);
    blob_clear(&metadata->sealed);
    g_free(metadata->pcr_bank);
    g_clear_pointer(&metadata->pcr_values, g_bytes_unref);
    g_free(metadata->config);
    g_free(metadata->attester);
    g_free(metadata->measured_by);
    g_free(metadata->boot_policy);
    g_clear_pointer(&metadata->reseal_request, g_bytes_unref);
    g_clear_pointer(&metadata->reseal_signature, g_bytes_unref);
    g_free(metadata);
}

static VsmDisk *copy_disk(const VsmDisk *disk)
{
    VsmDisk *copy = g_new0(VsmDisk, 1);

    *copy = *disk;
    copy->device = g_strdup(disk->device);
    return copy;
}

void vsm_container_copy(const VsmContainer *container, VsmContainer *ret)
{
    *ret = *container;
    ret->tag = g_strdup(container->tag);
    ret->disks = g_ptr_array_new_with_free_func((GDestroyNotify)vsm_disk_free);
    for (guint i = 0; container->disks && i < container->disks->len; i++) {
        g_ptr_array_add(ret->disks,
                        copy_disk(g_ptr_array_index(container->disks, i)));
    }
}

VsmRecord *
vsm_metadata_record(const VsmMetadata *metadata, GBytes *bytes, GError **error)
{
    VsmDigest digest;
    VsmRecord *record;

    if (!vsm_sha384_bytes(bytes, &digest, error)) {
        return NULL;
    }
    record = g_new0(VsmRecord, 1);
    record->id = g_strdup(metadata->id);
    record->tag = g_strdup(metadata->tag);
    record->vm_uuid = g_strdup(metadata->vm_uuid);
    record->vm_name = g_strdup(metadata->vm_name);
    record->time = metadata->time;
    record->state = metadata->state;
    record->stream = metadata->stream;
    record->scope = metadata->scope;
    record->scope_reason = g_strdup(metadata->scope_reason);
    record->metadata = digest;
    record->hypervisor = metadata->hypervisor;
    record->config = g_strdup(metadata->config);
    record->ssk_name = g_bytes_ref(metadata->ssk.name);
    record->sealed_name = g_bytes_ref(metadata->sealed.name);
    record->pcr_bank = g_strdup(metadata->pcr_bank);
    record->boot_pcrs = metadata->boot_pcrs;
    vsm_container_copy(&metadata->container, &record->container);
    record->has_mark = true;
    return record;
}
