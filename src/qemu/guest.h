/*
 * The stopped guest as src/runtime/ sees it: memory and registers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_GUEST_H
#define VSM_GUEST_H

#include "object.h"
#include <vsm/runtime.h>

typedef struct VsmGuestView VsmGuestView;

/**
 * vsm_guest_view_new:
 * @m: whose page map tells untouched memory; not used afterwards
 * @ret_reason: (transfer full): why this guest cannot be looked at, if NULL is
 *              returned
 *
 * Registers of all vCPUs as they are now, and the memory that the guest sees
 * at each physical address.  The VM is stopped until vsm_guest_view_free().
 * Main thread, under the BQL.
 */
VsmGuestView *vsm_guest_view_new(VsmManager *m, char **ret_reason);
void vsm_guest_view_free(VsmGuestView *view);

/* Borrowed; any thread may read through it while the VM is stopped.  */
const VsmGuest *vsm_guest_view(const VsmGuestView *view);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmGuestView, vsm_guest_view_free)

/*
 * Appends a VsmX86Regs for each vCPU to @vcpus; false with the reason for a
 * guest whose page tables src/runtime/ cannot walk.
 */
bool vsm_guest_registers(GArray *vcpus,
                         guint *ret_phys_bits,
                         char **ret_reason);

#endif /* VSM_GUEST_H */
