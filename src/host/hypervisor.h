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
 * Lists the mappings again: a file that was measured before keeps its digest,
 * even when it was replaced on disk since; a new one is measured.  Errors:
 * HYPERVISOR, STORE.
 */
bool vsm_hypervisor_refresh(VsmHypervisor *hypervisor, GError **error);

/* Paths first seen by a refresh, comma-separated; borrowed, "": none. */
const char *vsm_hypervisor_added(const VsmHypervisor *hypervisor);
