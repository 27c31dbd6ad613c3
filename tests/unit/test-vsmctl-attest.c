/*
 * vsmctl attest: results and refusals by exit code, and jobs that take long.
 *
 * QEMU is a stub with fixed answers here; the functional tests run the real
 * one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-stub.h"
#include "report-fixture.h"
#include "vsmctl-run.h"

#include <jansson.h>
#include <signal.h>
#include <string.h>

/* --- Attest --------------------------------------------------------------- */

static char *verdict(const char *result, guint left_out)
{
    return g_strdup_printf(
        "{\"return\": {\"job-id\": \"JOB\", \"operation\": \"attest\", "
        "\"snapshot\": \"tag:clean\", \"scope\": \"full\", "
        "\"report\": \"aa.bb.cc\", \"verdict\": {\"snapshot-id\": \"" FIXTURE_ID
        "\", \"tag\": \"clean\", \"result\": \"%s\", \"sealed\": \"11\", "
        "\"measured\": \"11\", \"unsealed\": true, \"findings\": [{\"kind\": "
        "\"ram\", \"where\": \"pc.ram\", \"offset\": 8192, \"bytes\": 4096}],"
        "\"findings-left-out\": %u, \"host-clock\": ["
        "\"mc146818rtc/0 v3 +0:1 host-clock\", "
        "\"mc146818rtc/0 v3 +2:1 host-clock\", "
        "\"globalstate/0 v1 +0:36 run-state\", null, \"odd\"], "
        "\"accepted\": [], "
        "\"pause-ms\": 212, \"bytes-hashed\": 1048576}}}",
        result, left_out);
}

static Run attest_with(const char *option,
                       const char *report_answer,
                       const char *jobs,
                       const char *event)
{
    const StubAnswer answers[] = {
        {"vsm-attest", STUB_DONE, NULL, 0},
        {"query-jobs", jobs, event, 0},
        {"job-dismiss", STUB_DONE, NULL, 0},
        {"query-vsm-report", report_answer, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("attest.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);

    return vsmctl("attest", "tag:clean", "--qmp", path, option, NULL);
}

static Run
attest(const char *report_answer, const char *jobs, const char *event)
{
    return attest_with(NULL, report_answer, jobs, event);
}

static void test_attest_tells_results_by_exit_code(void)
{
    static const struct {
        const char *result;
        guint left_out;
        int code;
    } cases[] = {
        {"match", 0, 0},       {"mismatch", 0, 1}, {"mismatch", 9, 1},
        {"unavailable", 0, 4}, {"match", 1, 2},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *answer = verdict(cases[i].result, cases[i].left_out);
        g_auto(Run) run = attest(answer, STUB_JOB_ENDED, NULL);

        g_assert_cmpint(run.code, ==, cases[i].code);
        says(run.out, cases[i].result);
        says(run.out, "ram pc.ram at 0x2000, 4096 bytes");
        says(run.out, "mc146818rtc/0, host-clock, 2 fields");
        says(run.out, "globalstate/0, run-state\n");
        says(run.out, "disks not covered");
    }
}

#define NO_REPORT "{\"error\": {\"class\": \"GenericError\", \"desc\": \"?\"}}"
#define REFUSED(code)                                                          \
    "{\"event\": \"VSM_REFUSED\", \"data\": {\"operation\": \"attest\", "      \
    "\"job-id\": \"JOB\", \"code\": \"" code "\", \"message\": \"" code        \
    " says no\", \"vm-changed\": false}}"

static void test_attest_tells_refusals_by_exit_code(void)
{
    static const struct {
        const char *event, *text;
        int code;
    } cases[] = {
        {REFUSED("boot"), "boot says no", 2},
        {REFUSED("hypervisor"), "hypervisor says no", 2},
        {REFUSED("config"), "config says no", 2},
        {REFUSED("tampered"), "tampered says no", 2},
        {REFUSED("replayed"), "replayed says no", 2},
        {REFUSED("tpm-absent"), "tpm-absent says no", 3},
        {REFUSED("not-found"), "not-found says no", 3},
        {REFUSED("from-the-future"), "says no", 3},
        {NULL, "it broke", 3},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Run) run = attest(NO_REPORT, STUB_JOB_FAILED, cases[i].event);

        g_assert_cmpint(run.code, ==, cases[i].code);
        says(run.err, cases[i].text);
    }
}

static void test_result_for_a_recipient_is_5(void)
{
    g_auto(Run) run =
        attest("{\"return\": {\"job-id\": \"JOB\", \"operation\": \"attest\", "
               "\"snapshot\": \"tag:clean\", \"scope\": \"full\", "
               "\"report\": \"aa.bb.cc.dd.ee\"}}",
               STUB_JOB_ENDED, NULL);

    g_assert_cmpint(run.code, ==, 5);
    says(run.out, "recipient alone");
}

/* As through libvirt, which brings no events. */
static void test_refusal_without_its_event_keeps_its_exit_code(void)
{
    const StubAnswer answers[] = {
        {"vsm-attest", STUB_DONE, NULL, 0},
        {"query-jobs", STUB_JOB_FAILED, NULL, 0},
        {"job-dismiss", STUB_DONE, NULL, 0},
        {"query-vsm-report", NO_REPORT, NULL, 0},
        {"query-vsm",
         "{\"return\": {\"last-refusal\": {\"operation\": \"attest\", "
         "\"job-id\": \"JOB\", \"code\": \"tampered\", \"message\": "
         "\"a byte differs\", \"vm-changed\": false}}}",
         NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("no-event.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) run = vsmctl("attest", "tag:clean", "--qmp", path, NULL);

    g_assert_cmpint(run.code, ==, 2);
    says(run.err, "a byte differs");
}

/* A rollback that failed after the load has its report all the same. */
static void test_failed_rollback_with_a_report_is_not_0(void)
{
    g_autofree char *mismatch = verdict("mismatch", 0);
    g_autofree char *match = verdict("match", 0);
    g_auto(Run) run = attest(mismatch, STUB_JOB_FAILED, REFUSED("tampered"));
    g_auto(Run) odd = attest(match, STUB_JOB_FAILED, REFUSED("tampered"));

    g_assert_cmpint(run.code, ==, 1);
    says(run.out, "tampered says no");
    g_assert_cmpint(odd.code, ==, 2);
}

/* Whoever reads the standard output gets one document and nothing behind it. */
static void test_failed_rollback_leaves_the_output_whole(void)
{
    g_autofree char *answer = verdict("mismatch", 0);
    g_auto(Run) json =
        attest_with("--json", answer, STUB_JOB_FAILED, REFUSED("tampered"));
    g_auto(Run) report =
        attest_with("--out=-", answer, STUB_JOB_FAILED, REFUSED("tampered"));
    json_auto_t *object = json_loads(json.out, 0, NULL);

    g_assert_cmpint(json.code, ==, 1);
    g_assert_cmpstr(json_string_value(json_object_get(object, "failed")), ==,
                    "tampered says no");
    g_assert_nonnull(json_object_get(object, "verdict"));
    g_assert_cmpint(report.code, ==, 1);
    g_assert_cmpstr(report.out, ==, "aa.bb.cc\n");
    says(report.err, "tampered says no");
}

static void test_report_is_kept_and_jobs_dismissed(void)
{
    g_autofree char *answer = verdict("match", 0);
    const StubAnswer answers[] = {
        {"vsm-attest", STUB_DONE, NULL, 0},
        {"query-jobs", STUB_JOB_ENDED, NULL, 0},
        {"job-dismiss", STUB_DONE, NULL, 0},
        {"query-vsm-report", answer, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("keep.sock");
    g_autofree char *out = in_scratch("kept.jws"), *text = NULL;
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) run = vsmctl("attest", "clean", "-o", out, "--qmp", path, NULL);
    bool dismissed = false;

    g_assert_cmpint(run.code, ==, 0);
    g_assert_true(g_file_get_contents(out, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "aa.bb.cc\n");
    for (guint i = 0; i < stub_received(stub)->len; i++) {
        dismissed |= strstr(g_ptr_array_index(stub_received(stub), i),
                            "job-dismiss") != NULL;
    }
    g_assert_true(dismissed);
}

static void test_request_for_another_vm_is_not_asked(void)
{
    static const StubAnswer answers[] = {
        {"query-vsm",
         "{\"return\": {\"uuid\": \"00000000-5a59-4b39-a4bc-a4ad1e5ac21c\"}}",
         NULL, 0},
        {"vsm-attest", STUB_DONE, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("other.sock");
    g_autofree char *request = in_scratch("other.json");
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) made = vsmctl("request", "--vm=" FIXTURE_UUID,
                              "--snapshot=clean", "--out", request, NULL);
    g_auto(Run) run =
        vsmctl("attest", "--request", request, "--qmp", path, NULL);
    g_auto(Run) op =
        vsmctl("rollback", "--request", request, "--qmp", path, NULL);

    g_assert_cmpint(made.code, ==, 0);
    g_assert_cmpint(run.code, ==, 3);
    says(run.err, "is for VM " FIXTURE_UUID);
    g_assert_cmpint(op.code, ==, 3);
    says(op.err, "'attest', not for 'rollback'");
}

/* --- Long jobs ------------------------------------------------------------ */

#define RUNNING                                                                \
    "{\"return\": [{\"id\": \"JOB\", \"status\": \"running\", "                \
    "\"current-progress\": 3, \"total-progress\": 4}]}"

/* Runs an attest with a terminal as standard error; sends @signal to it. */
static int
run_on_terminal(const char *socket, Stub *stub, int signal, char **ret_text)
{
    int terminal;
    int pid =
        vsmctl_on_terminal(&terminal, "attest", "clean", "--qmp", socket, NULL);

    if (signal) {
        stub_wait_for(stub, "query-jobs");
        kill(pid, signal);
    }
    return vsmctl_end(pid, terminal, ret_text);
}

static void test_terminal_shows_progress_after_a_second(void)
{
    g_autofree char *answer = verdict("match", 0);
    const StubAnswer answers[] = {
        {"vsm-attest", STUB_DONE, NULL, 0},
        {"query-jobs", RUNNING, NULL, 15},
        {"query-jobs", STUB_JOB_ENDED, NULL, 0},
        {"job-dismiss", STUB_DONE, NULL, 0},
        {"query-vsm-report", answer, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("long.sock"), *text = NULL;
    g_autoptr(Stub) stub = stub_new(path, answers);

    g_assert_cmpint(run_on_terminal(path, stub, 0, &text), ==, 0);
    says(text, "attest [##############################..........]  75 %");
}

static void test_short_job_shows_no_progress(void)
{
    g_autofree char *answer = verdict("match", 0);
    const StubAnswer answers[] = {
        {"vsm-attest", STUB_DONE, NULL, 0},
        {"query-jobs", RUNNING, NULL, 2},
        {"query-jobs", STUB_JOB_ENDED, NULL, 0},
        {"job-dismiss", STUB_DONE, NULL, 0},
        {"query-vsm-report", answer, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("short.sock"), *text = NULL;
    g_autoptr(Stub) stub = stub_new(path, answers);

    g_assert_cmpint(run_on_terminal(path, stub, 0, &text), ==, 0);
    g_assert_cmpstr(text, ==, "");
}

static void test_interrupt_cancels_the_job(void)
{
    static const StubAnswer answers[] = {
        {"vsm-attest", STUB_DONE, NULL, 0},
        {"query-jobs", RUNNING, NULL, 12},
        {"query-jobs", STUB_JOB_FAILED, NULL, 0},
        {"job-cancel", STUB_DONE, NULL, 0},
        {"job-dismiss", STUB_DONE, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("cancel.sock"), *text = NULL;
    g_autoptr(Stub) stub = stub_new(path, answers);
    guint cancels = 0;

    g_assert_cmpint(run_on_terminal(path, stub, SIGINT, &text), ==, 3);
    says(text, "cancelled");
    for (guint i = 0; i < stub_received(stub)->len; i++) {
        cancels += strstr(g_ptr_array_index(stub_received(stub), i),
                          "\"job-cancel\"") != NULL;
    }
    g_assert_cmpuint(cancels, ==, 1);
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    scratch_begin();
    g_test_add_func("/vsmctl/attest-tells-results-by-exit-code",
                    test_attest_tells_results_by_exit_code);
    g_test_add_func("/vsmctl/attest-tells-refusals-by-exit-code",
                    test_attest_tells_refusals_by_exit_code);
    g_test_add_func("/vsmctl/result-for-a-recipient-is-5",
                    test_result_for_a_recipient_is_5);
    g_test_add_func("/vsmctl/refusal-without-its-event-keeps-its-exit-code",
                    test_refusal_without_its_event_keeps_its_exit_code);
    g_test_add_func("/vsmctl/failed-rollback-with-a-report-is-not-0",
                    test_failed_rollback_with_a_report_is_not_0);
    g_test_add_func("/vsmctl/failed-rollback-leaves-the-output-whole",
                    test_failed_rollback_leaves_the_output_whole);
    g_test_add_func("/vsmctl/report-is-kept-and-jobs-dismissed",
                    test_report_is_kept_and_jobs_dismissed);
    g_test_add_func("/vsmctl/request-for-another-vm-is-not-asked",
                    test_request_for_another_vm_is_not_asked);
    g_test_add_func("/vsmctl/terminal-shows-progress-after-a-second",
                    test_terminal_shows_progress_after_a_second);
    g_test_add_func("/vsmctl/short-job-shows-no-progress",
                    test_short_job_shows_no_progress);
    g_test_add_func("/vsmctl/interrupt-cancels-the-job",
                    test_interrupt_cancels_the_job);
    rc = g_test_run();
    scratch_end();
    return rc;
}
