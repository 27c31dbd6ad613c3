/*
 * What VSM refused, where QEMU's answer has its text but not its code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/refusal.h"

#include <string.h>
#include <vsm/error.h>

#include "vsmctl/output.h"

int refusal_code(const char *name)
{
    for (int code = VSM_ERROR_INVALID; code <= VSM_ERROR_POLICY; code++) {
        if (strcmp(vsm_error_name(code), name) == 0) {
            return code;
        }
    }
    return VSM_ERROR_INVALID;
}

int refusal_last(Qmp *qmp,
                 const char *job,
                 const char *text,
                 char **ret_message)
{
    json_auto_t *info = qmp_execute(qmp, "query-vsm", NULL, NULL);
    const json_t *refusal = json_object_get(info, "last-refusal");
    const char *message = vsmctl_text(refusal, "message");
    const char *its_job = json_string_value(json_object_get(refusal, "job-id"));

    if (!*message ||
        !(its_job ? g_strcmp0(its_job, job) == 0 : !!strstr(text, message))) {
        return VSM_ERROR_INVALID;
    }
    if (ret_message) {
        *ret_message = g_strdup(message);
    }
    return refusal_code(vsmctl_text(refusal, "code"));
}
