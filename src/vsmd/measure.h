/*
 * A VM's hypervisor is measured: what that may take of the daemon's time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "host/hypervisor.h"
#include "vsmd/server.h"

/**
 * vsm_measure:
 * @deadline_us: monotonic time
 *
 * vsm_hypervisor_refresh_within(), on the VM's account.  Locks the mutex, but
 * not while it reads.  Errors: also BUSY, with the time to wait.
 */
bool vsm_measure(VsmServer *server,
                 VsmVmState *vm,
                 VsmHypervisor *hypervisor,
                 gint64 deadline_us,
                 GCancellable *cancel,
                 GError **error);

/* Keeps the path of its executable for the status.  Locks the mutex. */
void vsm_measure_name(VsmServer *server, VsmVmState *vm, int proc_fd);
