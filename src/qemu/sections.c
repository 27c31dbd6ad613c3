/*
 * Sections of the VM state: what libvsm is told about them
 *
 * Which bytes of a section follow the host's clock, and which sections may
 * take another form right after a load, is libvsm's knowledge.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "migration/snapshot-guard.h"
#include "qapi/error.h"
#include "call.h"
#include "sections.h"
#include "trace.h"

VsmSection vsm_section(const char *idstr, uint32_t instance, uint32_t version)
{
    bool vcpu = !strcmp(idstr, "cpu") || !strcmp(idstr, "cpu_common");

    return (VsmSection){
        .idstr = idstr,
        .kind = vcpu ? VSM_SECTION_VCPU : VSM_SECTION_DEVICE,
        .instance = instance,
        .version = version,
    };
}

typedef struct Capture {
    VsmManager *m;
    VsmCheck *check;
    bool accept;
} Capture;

static bool capture_section(const char *idstr,
                            uint32_t instance_id,
                            uint32_t version_id,
                            const uint8_t *data,
                            size_t size,
                            void *opaque,
                            Error **errp)
{
    Capture *capture = opaque;
    VsmSection section = vsm_section(idstr, instance_id, version_id);
    g_autoptr(GBytes) payload = g_bytes_new(data, size);
    g_autoptr(GError) error = NULL;

    trace_vsm_section(idstr, instance_id, size);
    if (capture->accept &&
        !vsm_check_accept(capture->check, &section, payload, &error)) {
        vsm_fail(capture->m, error->code, errp, "%s", error->message);
        return false;
    }
    if (!vsm_check_section(capture->check, &section, payload, &error)) {
        vsm_fail(capture->m, error->code, errp, "%s", error->message);
        return false;
    }
    return true;
}

bool vsm_sections_capture(VsmManager *m,
                          VsmCheck *check,
                          bool accept,
                          Error **errp)
{
    Capture capture = {m, check, accept};

    return savevm_visit_device_state(capture_section, &capture, errp);
}
