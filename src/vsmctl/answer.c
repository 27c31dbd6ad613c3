/*
 * The subcommands that ask for a report: run the job, show and keep what it
 * found.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/answer.h"

#include <stdio.h>
#include <string.h>

#include "vsmctl/jobs.h"
#include "vsmctl/output.h"
#include "vsmctl/request.h"
#include "vsmctl/vsmctl.h"

static json_t *arguments_of(const Request *request)
{
    json_t *arguments =
        json_pack("{s:s, s:s*, s:s*}", "snapshot", request->snapshot, "nonce",
                  request->nonce, "recipient", request->recipient);

    if (strcmp(request->op, "attest") == 0) {
        json_object_set_new(arguments, "scope", json_string(request->scope));
        if (request->profile) {
            json_object_set_new(arguments, "profile",
                                json_string(request->profile));
        }
    }
    return arguments;
}

/* A request names its VM: the wrong one is not even asked. */
static bool check_vm(Qmp *qmp, const Request *request, GError **error)
{
    json_auto_t *info = NULL;

    if (!request->vm) {
        return true;
    }
    info = qmp_execute(qmp, "query-vsm", NULL, error);
    if (!info) {
        return false;
    }
    if (strcmp(vsmctl_text(info, "uuid"), request->vm) != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "the request is for VM %s, this one is %s", request->vm,
                    vsmctl_text(info, "uuid"));
        return false;
    }
    return true;
}

void answer_print_verdict(const json_t *answer)
{
    const json_t *verdict = json_object_get(answer, "verdict");
    bool runtime = strcmp(vsmctl_text(answer, "scope"), "runtime") == 0;
    g_autofree char *hashed = vsmctl_size(vsmctl_int(verdict, "bytes-hashed"));
    g_autofree char *pause =
        g_strdup_printf("%lld ms", vsmctl_int(verdict, "pause-ms"));

    vsmctl_print_member("result", verdict, "result");
    vsmctl_print_member("reason", verdict, "reason");
    vsmctl_print_findings(verdict, runtime,
                          vsmctl_int(verdict, "findings-left-out"));
    vsmctl_print_list("accepted", verdict, "accepted");
    vsmctl_print_masked("not compared", verdict, "host-clock");
    vsmctl_print_list("tolerated", verdict, "tolerated");
    vsmctl_print_list("not attested", verdict, "unattested");
    vsmctl_print_member("snapshot", verdict, "tag");
    vsmctl_print_member("id", verdict, "snapshot-id");
    vsmctl_print_member("sealed", verdict, "sealed");
    vsmctl_print_member("measured", verdict, "measured");
    vsmctl_print_field("hashed", hashed);
    vsmctl_print_field("paused", pause);
    vsmctl_print_member("profile", answer, "profile");
    vsmctl_print_field("covers", vsmctl_covers(runtime));
    if (json_is_false(json_object_get(verdict, "unsealed"))) {
        vsmctl_print_field("unsealed", "false: the TPM was not asked, nothing "
                                       "is signed");
    }
}

/* Of a verdict that the VM's own process gave. */
int answer_exit_code(const json_t *verdict)
{
    const char *result = vsmctl_text(verdict, "result");

    if (!verdict) {
        return VSMCTL_ENCRYPTED; /* only the recipient can read it */
    }
    if (strcmp(result, "match") == 0) {
        return vsmctl_int(verdict, "findings-left-out") > 0 ? VSMCTL_UNTRUSTED
                                                            : VSMCTL_MATCH;
    }
    return strcmp(result, "unavailable") == 0 ? VSMCTL_UNAVAILABLE
                                              : VSMCTL_MISMATCH;
}

/* @failure: (nullable): of the job that has this answer all the same */
static int show(json_t *answer, const char *failure, GError **error)
{
    const json_t *verdict = json_object_get(answer, "verdict");
    const char *out = vsmctl_options.out;
    const char *report = vsmctl_text(answer, "report");

    if (out && !write_text_file(out, report, error)) {
        return -1;
    }
    if (out && strcmp(out, "-") == 0) {
        if (failure) {
            vsmctl_print_message(failure);
        }
        return answer_exit_code(verdict);
    }
    if (vsmctl_options.json) {
        if (failure) {
            json_object_set_new(answer, "failed", json_string(failure));
        }
        vsmctl_print_json(answer);
    } else if (verdict) {
        answer_print_verdict(answer);
    } else {
        vsmctl_print_field("result", "in the report, for its recipient alone");
    }
    if (!vsmctl_options.json && out) {
        vsmctl_print_field("report", out);
    }
    if (!vsmctl_options.json) {
        vsmctl_print_field("failed", failure);
    }
    return answer_exit_code(verdict);
}

/*
 * A rollback whose restored state differs fails as a job, and yet has its
 * report: it is the evidence, so it is shown before the error.
 */
static int
run_job(Qmp *qmp, const char *command, const Request *request, GError **error)
{
    g_autofree char *id = NULL;
    g_autoptr(GError) why = NULL;
    json_auto_t *answer = NULL;
    bool ok =
        vsmctl_job(qmp, command, arguments_of(request), request->op, &id, &why);
    int code;

    if (ok || id) {
        answer =
            qmp_execute(qmp, "query-vsm-report",
                        json_pack("{s:s}", "job-id", id), ok ? error : NULL);
    }
    if (!answer) {
        if (!ok) {
            g_propagate_error(error, g_steal_pointer(&why));
        }
        return -1;
    }
    code = show(answer, ok ? NULL : why->message, error);
    if (!ok && code >= 0) {
        code = code == VSMCTL_MATCH || code == VSMCTL_ENCRYPTED
                   ? vsm_error_exit_code(why->code)
                   : code;
    }
    return code;
}

int answer_run(const char *op,
               const char *command,
               const char *scope,
               const char *profile,
               const char *snapshot,
               GError **error)
{
    g_autoptr(Request) request =
        request_from_options(op, scope, profile, snapshot, error);
    g_autoptr(Qmp) qmp = NULL;

    if (!request) {
        return -1;
    }
    qmp = qmp_open_vm(error);
    if (!qmp || !check_vm(qmp, request, error)) {
        return -1;
    }
    return run_job(qmp, command, request, error);
}

int answer_run_unsealed(Qmp *qmp, const char *snapshot, GError **error)
{
    Request request = {.op = (char *)"verify", .snapshot = (char *)snapshot};

    return run_job(qmp, "vsm-verify", &request, error);
}
