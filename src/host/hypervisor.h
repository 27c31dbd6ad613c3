/*
 * Digest of a hypervisor's files: what stays inside libvsm.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/host.h>

/**
 * vsm_hypervisor_refresh:
 *
 * Lists the mappings again.  A file that was measured before and stayed mapped
 * keeps its digest, even when it was replaced on disk since; a new one is
 * measured.  What was measured once stays in the set.  Does nothing after
 * vsm_hypervisor_refresh_within().  Errors: HYPERVISOR, LIMIT.
 */
bool vsm_hypervisor_refresh(VsmHypervisor *hypervisor, GError **error);

/**
 * vsm_hypervisor_refresh_within:
 * @deadline_us: monotonic time; 0: none
 *
 * The same with an end, for an owner that shares its turn with others: from
 * here on only the owner looks, when it is nobody's turn, because the process
 * decides how long that takes.  Errors: also TIMEOUT, CANCELLED.
 */
bool vsm_hypervisor_refresh_within(VsmHypervisor *hypervisor,
                                   gint64 deadline_us,
                                   GCancellable *cancel,
                                   GError **error);

/* Of an open /proc/PID; nothing is measured yet. */
VsmHypervisor *vsm_hypervisor_new(int proc_fd, GError **error);

/*
 * What all measurements so far took, failed ones too: bytes of files, and eight
 * for each byte of a memory map, which is made and parsed line by line.
 */
guint64 vsm_hypervisor_cost(const VsmHypervisor *hypervisor);

/* Paths first seen by a refresh, comma-separated; borrowed, "": none. */
const char *vsm_hypervisor_added(const VsmHypervisor *hypervisor);
