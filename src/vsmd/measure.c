/*
 * A VM's hypervisor is measured: what that may take of the daemon's time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/measure.h"
#include <unistd.h>
#include "base/limits.h"

/*
 * What is read for one VM: bytes in a second, and at once after a rest.  The
 * process decides what it maps, and how often.
 */
#define READ_BYTES_S (32 * 1024 * 1024)
#define READ_BURST_MS (VSM_HYPERVISOR_BYTES_MAX / READ_BYTES_S * 1000)

static bool may_read(VsmServer *server, VsmVmState *vm, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&server->mutex);

    return vsm_rate_owes_little(&vm->reads, READ_BURST_MS,
                                g_get_monotonic_time(), "mapped files", error);
}

/* How much there was to read is known afterwards only. */
static void charge(VsmServer *server, VsmVmState *vm, guint64 bytes)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&server->mutex);

    vsm_rate_charge(&vm->reads, bytes * G_USEC_PER_SEC / READ_BYTES_S,
                    g_get_monotonic_time());
}

bool vsm_measure(VsmServer *server,
                 VsmVmState *vm,
                 VsmHypervisor *hypervisor,
                 gint64 deadline_us,
                 GCancellable *cancel,
                 GError **error)
{
    guint64 before = vsm_hypervisor_cost(hypervisor);
    bool ok;

    if (!may_read(server, vm, error)) {
        return false;
    }
    ok = vsm_hypervisor_refresh_within(hypervisor, deadline_us, cancel, error);
    charge(server, vm, vsm_hypervisor_cost(hypervisor) - before);
    return ok;
}

void vsm_measure_name(VsmServer *server, VsmVmState *vm, int proc_fd)
{
    char path[4096];
    ssize_t bytes = readlinkat(proc_fd, "exe", path, sizeof(path) - 1);

    g_mutex_lock(&server->mutex);
    g_free(vm->hypervisor);
    vm->hypervisor = bytes > 0 ? g_strndup(path, bytes) : NULL;
    g_mutex_unlock(&server->mutex);
}
