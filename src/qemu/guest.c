/*
 * The stopped guest as src/runtime/ sees it: memory and registers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "qemu/rcu.h"
#include "guest.h"
#include "ram.h"

struct VsmGuestView {
    VsmManager *m;
    VsmGuest guest;
    GArray *vcpus; /* of VsmX86Regs */
    GArray *memory; /* of VsmGuestMemory, ascending */
    GPtrArray *regions; /* of MemoryRegion, referenced */
};

/*
 * What a vCPU reads at an address, if it is memory.  Pages of virtio-mem that
 * are not plugged are none: reading would make them.
 */
static void add_memory(VsmGuestView *view,
                       MemoryRegion *mr,
                       uint64_t address,
                       uint64_t offset,
                       uint64_t bytes)
{
    uint64_t skip = -address % VSM_PAGE_BYTES;
    VsmGuestMemory piece;

    if (bytes < skip) {
        return;
    }
    piece = (VsmGuestMemory){
        .address = address + skip,
        .bytes = QEMU_ALIGN_DOWN(bytes - skip, VSM_PAGE_BYTES),
        .host = (uint8_t *)memory_region_get_ram_ptr(mr) + offset + skip,
        .rom = memory_region_is_rom(mr),
        .pagemap = vsm_ram_pagemap(view->m, mr->ram_block),
    };
    if (piece.bytes) {
        memory_region_ref(mr);
        g_ptr_array_add(view->regions, mr);
        g_array_append_val(view->memory, piece);
    }
}

typedef struct Plugged {
    VsmGuestView *view;
    uint64_t address, offset; /* of the range in the guest, in the region */
} Plugged;

static int add_plugged(MemoryRegionSection *section, void *opaque)
{
    Plugged *plugged = opaque;

    add_memory(plugged->view, section->mr,
               plugged->address + section->offset_within_region -
                   plugged->offset,
               section->offset_within_region, int128_get64(section->size));
    return 0;
}

static bool add_range(Int128 start,
                      Int128 length,
                      const MemoryRegion *const_mr,
                      hwaddr offset,
                      void *opaque)
{
    VsmGuestView *view = opaque;
    MemoryRegion *mr = (MemoryRegion *)const_mr;

    /* Device memory (passed-through PCI) may act when it is read.  */
    if (!memory_region_is_ram(mr) || memory_region_is_ram_device(mr)) {
        return false;
    }
    if (memory_region_has_ram_discard_manager(mr)) {
        RamDiscardManager *rdm = memory_region_get_ram_discard_manager(mr);
        MemoryRegionSection section = {
            .mr = mr,
            .offset_within_region = offset,
            .size = length,
        };
        Plugged plugged = {view, int128_get64(start), offset};

        ram_discard_manager_replay_populated(rdm, &section, add_plugged,
                                             &plugged);
    } else {
        add_memory(view, mr, int128_get64(start), offset, int128_get64(length));
    }
    return false;
}

VsmGuestView *vsm_guest_view_new(VsmManager *m, char **ret_reason)
{
    g_autoptr(VsmGuestView) view = g_new0(VsmGuestView, 1);

    view->m = m;
    view->vcpus = g_array_new(false, true, sizeof(VsmX86Regs));
    view->memory = g_array_new(false, false, sizeof(VsmGuestMemory));
    view->regions = g_ptr_array_new();
    if (!vsm_guest_registers(view->vcpus, &view->guest.phys_bits, ret_reason)) {
        return NULL;
    }
    WITH_RCU_READ_LOCK_GUARD()
    {
        flatview_for_each_range(
            address_space_to_flatview(&address_space_memory), add_range, view);
    }
    view->guest.vcpus = (const VsmX86Regs *)view->vcpus->data;
    view->guest.n_vcpus = view->vcpus->len;
    view->guest.memory = (const VsmGuestMemory *)view->memory->data;
    view->guest.n_memory = view->memory->len;
    return g_steal_pointer(&view);
}

void vsm_guest_view_free(VsmGuestView *view)
{
    if (!view) {
        return;
    }
    for (guint i = 0; i < view->regions->len; i++) {
        memory_region_unref(g_ptr_array_index(view->regions, i));
    }
    g_ptr_array_free(view->regions, true);
    g_array_free(view->memory, true);
    g_array_free(view->vcpus, true);
    g_free(view);
}

const VsmGuest *vsm_guest_view(const VsmGuestView *view)
{
    return &view->guest;
}
