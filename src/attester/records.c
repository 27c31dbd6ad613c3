/*
 * The structs that cross the attester's border: copy and free.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attester/attester.h"

void vsm_disk_free(VsmDisk *disk)
{
    if (disk) {
        g_free(disk->device);
        g_free(disk);
    }
}

static void free_disk(gpointer disk)
{
    vsm_disk_free(disk);
}

static gpointer copy_disk(gconstpointer from, G_GNUC_UNUSED gpointer opaque)
{
    VsmDisk *disk = g_memdup2(from, sizeof(*disk));

    disk->device = g_strdup(disk->device);
    return disk;
}

void vsm_container_copy(VsmContainer *to, const VsmContainer *from)
{
    *to = *from;
    to->tag = g_strdup(from->tag);
    to->disks = g_ptr_array_new_with_free_func(free_disk);
    for (guint i = 0; from->disks && i < from->disks->len; i++) {
        g_ptr_array_add(to->disks, copy_disk(from->disks->pdata[i], NULL));
    }
}

void vsm_container_clear(VsmContainer *container)
{
    g_clear_pointer(&container->tag, g_free);
    g_clear_pointer(&container->disks, g_ptr_array_unref);
}

VsmRecord *vsm_record_copy(const VsmRecord *record)
{
    VsmRecord *copy = g_memdup2(record, sizeof(*record));

    copy->id = g_strdup(record->id);
    copy->tag = g_strdup(record->tag);
    copy->vm_uuid = g_strdup(record->vm_uuid);
    copy->vm_name = g_strdup(record->vm_name);
    copy->scope_reason = g_strdup(record->scope_reason);
    copy->config = g_strdup(record->config);
    copy->pcr_bank = g_strdup(record->pcr_bank);
    copy->damaged = g_strdup(record->damaged);
    copy->ssk_name =
        record->ssk_name ? g_bytes_ref(record->ssk_name) : NULL;
    copy->sealed_name =
        record->sealed_name ? g_bytes_ref(record->sealed_name) : NULL;
    vsm_container_copy(&copy->container, &record->container);
    return copy;
}

void vsm_record_free(VsmRecord *record)
{
    if (record) {
        g_free(record->id);
        g_free(record->tag);
        g_free(record->vm_uuid);
        g_free(record->vm_name);
        g_free(record->scope_reason);
        g_free(record->config);
        g_free(record->pcr_bank);
        g_free(record->damaged);
        g_clear_pointer(&record->ssk_name, g_bytes_unref);
        g_clear_pointer(&record->sealed_name, g_bytes_unref);
        vsm_container_clear(&record->container);
        g_free(record);
    }
}

void vsm_verdict_free(VsmVerdict *verdict)
{
    if (verdict) {
        g_free(verdict->reason);
        g_free(verdict->report);
        g_clear_pointer(&verdict->findings, g_ptr_array_unref);
        g_clear_pointer(&verdict->host_clock, g_ptr_array_unref);
        g_clear_pointer(&verdict->accepted, g_ptr_array_unref);
        g_free(verdict);
    }
}

void vsm_status_free(VsmStatus *status)
{
    if (status) {
        g_free(status->kind);
        g_free(status->measured_by);
        g_free(status->tpm);
        g_free(status->pcr_bank);
        g_free(status->boot_policy);
        g_free(status->ak_jwk);
        g_free(status->rk_jwk);
        g_free(status->last_error);
        g_free(status);
    }
}
