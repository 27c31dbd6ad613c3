/*
 * Registers of guests that are no x86 ones
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "guest.h"

bool vsm_guest_registers(GArray *vcpus, guint *ret_phys_bits, char **ret_reason)
{
    *ret_reason = g_strdup("the runtime scope knows the page tables of x86-64 "
                           "guests only; attest the full scope");
    return false;
}
