/*
 * The VM generation ID: how a guest learns that it was rolled back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/acpi/vmgenid.h"
#include "qemu/error-report.h"
#include "generation.h"

/*
 * A guest that sees an old GUID again does not notice that it was rolled
 * back, and uses its old random numbers.  The device writes this one into
 * guest memory when the VM runs on; until then the VM is what was sealed.
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
