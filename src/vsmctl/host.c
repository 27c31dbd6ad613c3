/*
 * The host's TPM and store, opened in vsmctl's own process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/host.h"

#include <vsm/host.h>

#include "vsmctl/vsmctl.h"
#include "vsmctl/waiting.h"

#define PCR_MAX 22 /* 23 stands for the VM */

static bool parse_number(const char *text, guint64 *ret)
{
    return g_ascii_string_to_unsigned(text, 10, 0, PCR_MAX, ret, NULL);
}

/* "0-7,11" → bit mask; 0: malformed. */
static guint32 parse_pcrs(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    guint32 mask = 0;

    for (guint i = 0; parts[i]; i++) {
        g_auto(GStrv) ends = g_strsplit(parts[i], "-", 2);
        guint64 first, last;

        if (!ends[0] || !parse_number(ends[0], &first) ||
            !parse_number(ends[1] ? ends[1] : ends[0], &last) || first > last) {
            return 0;
        }
        for (guint64 pcr = first; pcr <= last; pcr++) {
            mask |= 1u << pcr;
        }
    }
    return mask;
}

bool host_options_fill(VsmHostOptions *ret, GError **error)
{
    *ret = (VsmHostOptions){
        .state_dir = vsmctl_options.state_dir,
        .tcti = vsmctl_options.tcti,
        .secret_path = vsmctl_options.secret,
        .allow_unmeasured_boot = vsmctl_options.allow_unmeasured_boot,
    };
    if (!ret->tcti || !ret->state_dir) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "--tcti and --state-dir are needed: which TPM, and where "
                    "its records are");
        return false;
    }
    if (vsmctl_options.pcrs) {
        ret->boot_pcrs = parse_pcrs(vsmctl_options.pcrs);
        if (ret->boot_pcrs == 0) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "--pcrs is a list of numbers and ranges from 0 to "
                        "22, such as 0-7,11");
            return false;
        }
    }
    return true;
}

bool host_open(const char *operator_key, VsmHost **ret, GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();
    VsmHostOptions options;

    if (!host_options_fill(&options, error)) {
        return false;
    }
    options.operator_key_path = operator_key;
    *ret = vsm_host_open(&options, error);
    return *ret != NULL;
}

bool host_keys(const char *operator_key, json_t **ret, GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();
    g_autoptr(VsmHost) host = NULL;
    g_autofree char *text = NULL;

    if (!host_open(operator_key, &host, error) ||
        !vsm_host_keys(host, &text, error)) {
        return false;
    }
    *ret = json_loads(text, 0, NULL);
    if (!*ret) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "the host's keys are not JSON");
        return false;
    }
    return true;
}
