/*
 * vsmctl trust: approve a host's new boot state in a trust file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <jansson.h>
#include <string.h>
#include <vsm/enroll.h>

#include "vsmctl/output.h"
#include "vsmctl/request.h"
#include "vsmctl/vsmctl.h"

static char *trust_path, *pcrs_path, *host_id;
static char *report_path, *request_path, *policy_path;
static int keep;

static const GOptionEntry options[] = {
    {"trust", 0, 0, G_OPTION_ARG_FILENAME, &trust_path,
     "The trust file to change (needed)", "FILE"},
    {"host", 0, 0, G_OPTION_ARG_STRING, &host_id,
     "With --pcrs: the id of the host", "ID"},
    {"pcrs", 0, 0, G_OPTION_ARG_FILENAME, &pcrs_path,
     "Approve these values: {\"bank\": ..., \"values\": {\"0\": HEX, ...}}",
     "FILE"},
    {"report", 0, 0, G_OPTION_ARG_FILENAME, &report_path,
     "Approve the boot state that is quoted in this fresh report", "FILE"},
    {"request", 0, 0, G_OPTION_ARG_FILENAME, &request_path,
     "With --report: the request that it answers", "FILE"},
    {"policy", 0, 0, G_OPTION_ARG_FILENAME, &policy_path,
     "With --report: what it may lack", "FILE"},
    {"keep", 0, 0, G_OPTION_ARG_INT, &keep,
     "How many older boot states stay approved (default: 0)", "N"},
    {0},
};

/* A report of a host that is known, in every other point as verify wants it. */
static char *
pcrs_of_report(const char *trust_text, char **ret_host, GError **error)
{
    g_autoptr(Request) request = request_load(request_path, error);
    g_autofree char *policy_text = NULL, *jws = NULL, *pcrs = NULL;
    g_autoptr(VsmTrust) trust = NULL;
    g_autoptr(VsmReportPolicy) policy = NULL;
    g_autoptr(GBytes) nonce = NULL;
    VsmExpectation expectation;

    if (!request || !(nonce = request_nonce_bytes(request->nonce, error)) ||
        !(trust = vsm_trust_load(trust_text, error)) ||
        (policy_path && !(policy_text = read_text_file(
                              policy_path, INPUT_BYTES_MAX, error))) ||
        !(policy = vsm_report_policy_load(policy_text, error)) ||
        !(jws = read_text_file(report_path, INPUT_BYTES_MAX, error))) {
        return NULL;
    }
    expectation = request_expectation(request, nonce, "");
    vsm_report_boot_pcrs(jws, trust, policy, &expectation,
                         g_get_real_time() / G_USEC_PER_SEC, ret_host, &pcrs,
                         error);
    return g_steal_pointer(&pcrs);
}

static bool check_options(GError **error)
{
    const char *what = NULL;

    if (!trust_path) {
        what = "--trust FILE is missing";
    } else if (!pcrs_path == !report_path) {
        what = "give --pcrs FILE, or --report FILE with --request FILE: which "
               "boot state shall be approved";
    } else if (pcrs_path && !host_id) {
        what = "--host ID is missing: whose boot state it is";
    } else if (report_path && !request_path) {
        what = "--request FILE is missing: a report counts only as the answer "
               "to a request";
    }
    if (what) {
        g_set_error_literal(error, VSM_ERROR, VSM_ERROR_INVALID, what);
    }
    return !what;
}

static bool update(GError **error)
{
    g_autofree char *before = NULL, *after = NULL, *pcrs = NULL, *id = NULL;

    if (!check_options(error) ||
        !(before = read_text_file(trust_path, INPUT_BYTES_MAX, error))) {
        return false;
    }
    id = g_strdup(host_id);
    pcrs = pcrs_path ? read_text_file(pcrs_path, REQUEST_BYTES_MAX, error)
                     : pcrs_of_report(before, &id, error);
    if (!pcrs ||
        !vsm_trust_update_pcrs(before, id, pcrs, MAX(keep, 0), &after, error) ||
        !write_text_file(trust_path, after, error)) {
        return false;
    }
    if (vsmctl_options.json) {
        json_auto_t *object =
            json_pack("{s:s, s:s}", "updated", trust_path, "host", id);

        vsmctl_print_json(object);
        return true;
    }
    vsmctl_print_field("updated", trust_path);
    vsmctl_print_field("host", id);
    return true;
}

static int run(char **args, GError **error)
{
    if (strcmp(args[0], "update") != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a trust file can be updated: vsmctl trust update");
        return -1;
    }
    return update(error) ? VSMCTL_MATCH : -1;
}

const VsmctlCommand vsmctl_trust = {
    .name = "trust",
    .args = "update",
    .verbs = "update",
    .summary = "approve a host's new boot state in a trust file",
    .text =
        "After an intended update of a host, its reports are refused, because "
        "the boot state is none that the trust file approves. The new one "
        "comes from a file (--pcrs), or from a fresh report of that host "
        "(--report), which must pass every other check of verify. The older "
        "ones are dropped, unless --keep says otherwise.\n\n"
        "Approve only what you meant to install: this is the verifier's word "
        "that the host boots the right software.",
    .options = options,
    .n_args_min = 1,
    .n_args_max = 1,
    .run = run,
};
