/*
 * The structs that cross the attester's border, freed.
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

void vsm_container_clear(VsmContainer *container)
{
    g_clear_pointer(&container->tag, g_free);
    g_clear_pointer(&container->disks, g_ptr_array_unref);
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
        g_clear_pointer(&verdict->tolerated, g_ptr_array_unref);
        g_clear_pointer(&verdict->unattested, g_ptr_array_unref);
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
