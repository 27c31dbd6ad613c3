/*
 * The attester that the object's properties name
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "attester-open.h"
#include "properties.h"
#include <sys/prctl.h>
#include <vsm/host.h>
#include <vsm/remote.h>

#define DEFAULT_SECRET "/etc/vsm/secret"

/* What the daemon decides for all VMs of the host.  */
static bool daemon_properties(VsmManager *m, Error **errp)
{
    const struct {
        const char *name;
        bool set;
    } foreign[] = {
        {"tcti", m->tcti},
        {"state-dir", m->state_dir},
        {"secret", m->secret},
        {"operator-key", m->operator_key},
        {"pcrs", m->pcrs},
        {"allow-unmeasured-boot", m->allow_unmeasured_boot},
        {"nv-burst", m->nv_burst},
        {"nv-interval-ms", m->nv_interval_ms},
    };

    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        if (foreign[i].set) {
            error_setg(errp,
                       "'%s' belongs to vsmd when 'attester' is set: give it "
                       "to vsmd, or drop one of the two",
                       foreign[i].name);
            return false;
        }
    }
    if (!strstart(m->attester_address, "unix:/", NULL)) {
        error_setg(errp, "'attester' must be unix:PATH with the absolute path "
                         "of vsmd's socket, such as unix:/run/vsm/vsmd.sock");
        return false;
    }
    return true;
}

bool vsm_attester_properties(VsmManager *m, Error **errp)
{
    if (m->attester_address) {
        return daemon_properties(m, errp);
    }
    if (!m->tcti || !m->state_dir) {
        error_setg(errp, "'attester', or 'tcti' and 'state-dir', must be set, "
                         "for example attester=unix:/run/vsm/vsmd.sock, or "
                         "tcti=device:/dev/tpmrm0,state-dir=/var/lib/vsm/vm1");
        return false;
    }
    return !m->pcrs || vsm_pcrs_parse(m->pcrs, &m->boot_pcrs, errp);
}

static VsmAttester *open_local(VsmManager *m, GError **error)
{
    VsmHostOptions options = {
        .state_dir = m->state_dir,
        .tcti = m->tcti,
        .secret_path = m->secret ?: DEFAULT_SECRET,
        .operator_key_path = m->operator_key,
        .boot_pcrs = m->boot_pcrs,
        .allow_unmeasured_boot = m->allow_unmeasured_boot,
        .request_ms = m->request_ms,
        .nv_burst = m->nv_burst,
        .nv_interval_ms = m->nv_interval_ms,
    };
    g_autoptr(VsmHypervisor) hypervisor = NULL;
    g_autoptr(VsmHost) host = NULL;
    int proc_fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (proc_fd < 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR,
                    "cannot open /proc/self to measure QEMU's files: %s",
                    strerror(errno));
        return NULL;
    }
    /* Measured once the library that talks to the TPM is loaded, too.  */
    host = vsm_host_open(&options, error);
    if (host) {
        hypervisor = vsm_hypervisor_measure(proc_fd, error);
    }
    close(proc_fd);
    if (!hypervisor) {
        return NULL;
    }
    return vsm_local_attester_new(host, m->uuid, g_steal_pointer(&hypervisor));
}

/*
 * The daemon measures this process, so others of the same user must not write
 * into it: no ptrace, no /proc/PID/mem, and no core dump with the guest's RAM.
 * The daemon has CAP_SYS_PTRACE and still reads /proc/PID.
 */
static VsmAttester *open_remote(VsmManager *m, GError **error)
{
    const char *path = m->attester_address + strlen("unix:");
    VsmAttester *attester;

    if (prctl(PR_SET_DUMPABLE, 0) < 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR,
                    "cannot keep other processes out of QEMU: %s",
                    strerror(errno));
        return NULL;
    }
    attester = vsm_remote_attester_new(path, error);
    if (attester) {
        vsm_remote_attester_set_deadline(attester, m->request_ms);
    }
    return attester;
}

VsmAttester *vsm_attester_open(VsmManager *m, GError **error)
{
    return m->attester_address ? open_remote(m, error) : open_local(m, error);
}
