/*
 * The VM generation ID: how a guest learns that it was rolled back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/memory.h"
#include "hw/acpi/vmgenid.h"
#include "qemu/bswap.h"
#include "qemu/error-report.h"
#include "exec/address-spaces.h"
#include "exec/ramblock.h"
#include "generation.h"

/*
 * A guest that sees an old GUID again does not notice that it was rolled
 * back, and uses its old random numbers.  post_load gives it this one.
 */
void vsm_generation_renew(void)
{
    Object *vmgenid = find_vmgenid_dev();

    if (vmgenid) {
        qemu_uuid_generate(&VMGENID(vmgenid)->guid);
    } else {
        warn_report_once("vsm: without a vmgenid device the guest does not "
                         "learn that it was rolled back");
    }
}

/* Whether the range is the page that the guest lets its GUID stand in.  */
static bool is_guid_page(const VsmFinding *finding, VmGenIdState *vmgenid)
{
    hwaddr address = ldl_le_p(vmgenid->vmgenid_addr_le);
    MemoryRegionSection section =
        memory_region_find(get_system_memory(), address, sizeof(QemuUUID));
    uint64_t page;
    bool is_page;

    if (!section.mr) {
        return false;
    }
    page = ROUND_DOWN(section.offset_within_region, VSM_PAGE_BYTES);
    is_page = memory_region_is_ram(section.mr) && section.mr->ram_block &&
              !strcmp(section.mr->ram_block->idstr, finding->where) &&
              finding->offset == page && finding->bytes == VSM_PAGE_BYTES;
    memory_region_unref(section.mr);
    return is_page;
}

static bool is_explained(const VsmFinding *finding, VmGenIdState *vmgenid)
{
    if (!strcmp(finding->kind, "ram")) {
        return is_guid_page(finding, vmgenid);
    }
    return !strcmp(finding->kind, "device") &&
           (g_str_has_suffix(finding->where, "/ICH9LPC/0") ||
            g_str_has_suffix(finding->where, "/piix4_pm/0"));
}

bool vsm_generation_explains(const VsmVerdict *verdict)
{
    Object *vmgenid = find_vmgenid_dev();

    if (!vmgenid || verdict->findings_left_out || !verdict->findings->len) {
        return false;
    }
    for (guint i = 0; i < verdict->findings->len; i++) {
        if (!is_explained(g_ptr_array_index(verdict->findings, i),
                          VMGENID(vmgenid))) {
            return false;
        }
    }
    return true;
}
