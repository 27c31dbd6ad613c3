/*
 * Guest-physical memory, as it was handed in.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "runtime/memory.h"

#include <vsm/error.h>

/* Page numbers of 52-bit addresses stay far from any overflow. */
#define ADDRESS_END (1ull << 52)

static bool bad(GError **error, const char *what)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "runtime scope: the guest's %s", what);
    return false;
}

static bool check_piece(const VsmGuestMemory *piece, guint64 end)
{
    return piece->host && (guintptr)piece->host % sizeof(guint64) == 0 &&
           piece->bytes && piece->bytes % VSM_PAGE_BYTES == 0 &&
           piece->address % VSM_PAGE_BYTES == 0 && piece->address >= end &&
           piece->address < ADDRESS_END &&
           piece->bytes <= ADDRESS_END - piece->address;
}

bool vsm_memory_check(const VsmGuest *guest, GError **error)
{
    guint64 end = 0;

    if (guest->n_vcpus == 0 || guest->n_vcpus > VSM_SCOPE_VCPUS_MAX) {
        return bad(error, "number of vCPUs is out of range");
    }
    if (guest->n_memory == 0 || guest->n_memory > VSM_SCOPE_MEMORY_MAX) {
        return bad(error, "number of memory pieces is out of range");
    }
    if (guest->phys_bits < 32 || guest->phys_bits > 52) {
        return bad(error, "physical address has no 32 to 52 bits");
    }
    for (guint i = 0; i < guest->n_memory; i++) {
        if (!check_piece(&guest->memory[i], end)) {
            return bad(error, "memory is not in whole pages, ascending and "
                              "disjoint");
        }
        end = guest->memory[i].address + guest->memory[i].bytes;
    }
    return true;
}

const guint8 *vsm_memory_page(const VsmGuest *guest, guint64 address)
{
    guint low = 0, high = guest->n_memory;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const VsmGuestMemory *piece = &guest->memory[middle];

        if (address < piece->address) {
            high = middle;
        } else if (address - piece->address >= piece->bytes) {
            low = middle + 1;
        } else {
            guint64 offset = address - piece->address;

            return piece->host + offset - offset % VSM_PAGE_BYTES;
        }
    }
    return NULL;
}

guint64 vsm_memory_pages(const VsmGuest *guest)
{
    guint64 pages = 0;

    for (guint i = 0; i < guest->n_memory; i++) {
        pages += guest->memory[i].bytes / VSM_PAGE_BYTES;
    }
    return pages;
}
