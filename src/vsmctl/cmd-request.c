/*
 * vsmctl request: write down what is asked, with a fresh nonce.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/report.h>

#include "vsmctl/request.h"
#include "vsmctl/vsmctl.h"

static char *vm, *snapshot, *op, *scope, *profile, *recipient, *out;

static const GOptionEntry options[] = {
    {"vm", 0, 0, G_OPTION_ARG_STRING, &vm, "The VM's UUID", "UUID"},
    {"snapshot", 0, 0, G_OPTION_ARG_STRING, &snapshot, "tag:NAME or id:HEX",
     "SNAPSHOT"},
    {"op", 0, 0, G_OPTION_ARG_STRING, &op,
     "attest (default), verify or rollback", "OP"},
    {"scope", 0, 0, G_OPTION_ARG_STRING, &scope,
     "full, runtime or stored (default: stored for verify, else full)",
     "SCOPE"},
    {"profile", 0, 0, G_OPTION_ARG_STRING, &profile,
     "What scope runtime may bear: standard (default) or strict", "PROFILE"},
    {"recipient", 0, 0, G_OPTION_ARG_FILENAME, &recipient,
     "Ask for a report that is encrypted for this public EC key, a JWK",
     "FILE"},
    {"out", 'o', 0, G_OPTION_ARG_FILENAME, &out,
     "Write the request to this file (default: standard output)", "FILE"},
    {0},
};

static bool add_recipient(Request *request, GError **error)
{
    g_autofree char *thumbprint = NULL;

    if (!recipient) {
        return true;
    }
    request->recipient = read_text_file(recipient, REQUEST_BYTES_MAX, error);
    return request->recipient &&
           vsm_report_recipient(request->recipient, &thumbprint, error);
}

static int run(char **args, GError **error)
{
    g_autoptr(Request) request = g_new0(Request, 1);
    g_autofree char *json = NULL;

    (void)args;
    request->op = g_strdup(op ? op : "attest");
    request->scope = g_strdup(scope ? scope : request_scope(request->op));
    request->snapshot = g_strdup(snapshot);
    request->nonce = request_new_nonce();
    if (!vm || !snapshot) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a request needs --vm UUID and --snapshot SNAPSHOT");
        return -1;
    }
    if (!request_scope_fits(request->op, request->scope, error) ||
        !request_set_profile(request, profile, error)) {
        return -1;
    }
    request->vm = request_uuid(vm, error);
    if (!request->vm || !add_recipient(request, error)) {
        return -1;
    }
    json = request_to_json(request);
    return write_text_file(out ? out : "-", json, error) ? VSMCTL_MATCH : -1;
}

const VsmctlCommand vsmctl_request = {
    .name = "request",
    .args = "",
    .summary = "write a request with a fresh nonce, for attest and verify",
    .text = "The verifier makes the request and keeps it; attest, "
            "verify-snapshot or rollback answer it with --request on the "
            "host; verify then checks that the report is the answer to it. "
            "A request is used once.",
    .options = options,
    .run = run,
};
