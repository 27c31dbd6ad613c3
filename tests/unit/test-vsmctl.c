/*
 * vsmctl as a black box: exit codes, errors, and that help, man page and
 * completion are one.
 *
 * QEMU is a stub with fixed answers here; the functional tests run the real
 * one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-stub.h"
#include "report-fixture.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vsm/error.h>

#include "report/json.h"
#include "report/jwe.h"
#include "report/jwk.h"

static char *scratch;

typedef struct {
    char *out, *err;
    int code;
} Run;

static void run_clear(Run *run)
{
    g_free(run->out);
    g_free(run->err);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

static char *in_scratch(const char *name)
{
    return g_build_filename(scratch, name, NULL);
}

static char *write_file(const char *name, const char *text)
{
    char *path = in_scratch(name);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
    return path;
}

static char *program(void)
{
    return g_test_build_filename(G_TEST_BUILT, "..", "..", "vsmctl", NULL);
}

/* Runs vsmctl; the words end with NULL. */
static Run vsmctl(const char *first, ...)
{
    g_autofree char *path = program();
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    Run run = {0};
    va_list list;
    int status;

    g_ptr_array_add(words, path);
    va_start(list, first);
    for (const char *word = first; word; word = va_arg(list, const char *)) {
        g_ptr_array_add(words, (char *)word);
    }
    va_end(list);
    g_ptr_array_add(words, NULL);
    g_spawn_sync(NULL, (char **)words->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL,
                 &run.out, &run.err, &status, &error);
    g_assert_no_error(error);
    g_assert_true(WIFEXITED(status));
    run.code = WEXITSTATUS(status);
    return run;
}

static void says(const char *text, const char *what)
{
    if (!strstr(text, what)) {
        g_error("'%s' does not say '%s'", text, what);
    }
}

/* --- Usage ---------------------------------------------------------------- */

static void usage_error(Run run, const char *what)
{
    g_assert_cmpint(run.code, ==, 3);
    g_assert_cmpstr(run.out, ==, "");
    says(run.err, what);
    run_clear(&run);
}

static void test_usage_errors_are_3(void)
{
    usage_error(vsmctl(NULL, NULL), "subcommand is missing");
    usage_error(vsmctl("frobnicate", NULL), "no such subcommand");
    usage_error(vsmctl("help", "frobnicate", NULL), "no such subcommand");
    usage_error(vsmctl("status", "--frobnicate", NULL), "--frobnicate");
    usage_error(vsmctl("snapshot", NULL), "argument is missing");
    usage_error(vsmctl("snapshot", "a", "b", NULL), "too many arguments");
    usage_error(vsmctl("attest", "--qmp=/nonexistent", NULL),
                "which snapshot?");
    usage_error(vsmctl("attest", "a", "--nonce=AAAA", NULL), "8 to 64 bytes");
    usage_error(vsmctl("attest", "a", "--scope=stored", NULL), "scope");
    usage_error(vsmctl("request", "--vm=1", "--snapshot=a", NULL), "UUID");
    usage_error(vsmctl("request", "--vm=" FIXTURE_UUID, NULL), "--snapshot");
    usage_error(vsmctl("request", "--vm=" FIXTURE_UUID, "--snapshot=a",
                       "--op=erase", NULL),
                "attest, verify or rollback");
    usage_error(vsmctl("verify", "report", NULL), "--trust");
    usage_error(vsmctl("setup", NULL), "--tcti and --state-dir");
    usage_error(
        vsmctl("setup", "--tcti=x", "--state-dir=y", "--pcrs=0-23", NULL),
        "0 to 22");
    usage_error(vsmctl("status", NULL), "--qmp");
    usage_error(vsmctl("status", "--qmp=a", "--domain=b", NULL), "give one");
    usage_error(vsmctl("vm", "frobnicate", NULL), "vm list");
    usage_error(vsmctl("vm", "register", NULL), "which VM?");
    usage_error(vsmctl("vm", "register", FIXTURE_UUID, NULL), "who is it?");
    usage_error(vsmctl("vm", "unregister", "1", NULL), "UUID");
    usage_error(vsmctl("verify-snapshot", "--image=a", NULL), "--vm UUID");
    usage_error(vsmctl("verify-snapshot", "--image=a", "--nonce=AAAAAAAAAAA",
                       "b", NULL),
                "no report");
    usage_error(vsmctl("verify-snapshot", "--vm=" FIXTURE_UUID, "a", NULL),
                "go with --image");
}

static void test_help_describes_every_subcommand(void)
{
    g_auto(Run) all = vsmctl("help", NULL);
    g_auto(Run) version = vsmctl("--version", NULL);
    const char *const names[] = {
        "setup",    "keys",   "status",  "snapshot",
        "list",     "show",   "attest",  "verify-snapshot",
        "rollback", "delete", "request", "verify",
        "vm"};

    g_assert_cmpint(all.code, ==, 0);
    g_assert_cmpint(version.code, ==, 0);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_auto(Run) one = vsmctl(names[i], "--help", NULL);
        g_autofree char *usage = g_strdup_printf("vsmctl %s ", names[i]);

        says(all.out, names[i]);
        g_assert_cmpint(one.code, ==, 0);
        says(one.out, usage);
        says(one.out, "--json");
    }
}

static void same_as_file(Run run, const char *folder, const char *name)
{
    g_autofree char *path =
        g_test_build_filename(G_TEST_DIST, "..", "..", folder, name, NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(run.code, ==, 0);
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(run.out, ==, text);
    run_clear(&run);
}

static void test_man_page_and_completion_are_the_tables(void)
{
    same_as_file(vsmctl("--print-man", NULL), "man", "vsmctl.1");
    same_as_file(vsmctl("--print-completion", NULL), "completions/bash",
                 "vsmctl");
}

/* --- Connection ----------------------------------------------------------- */

static void test_no_connection_is_3(void)
{
    g_autofree char *none = in_scratch("none.sock");
    g_auto(Run) run = vsmctl("status", "--qmp", none, NULL);
    g_auto(Run) json = vsmctl("status", "--qmp", none, "--json", NULL);
    json_auto_t *object = json_loads(json.out, 0, NULL);

    g_assert_cmpint(run.code, ==, 3);
    says(run.err, "cannot reach QEMU");
    g_assert_cmpint(json.code, ==, 3);
    g_assert_cmpstr(json_string_value(json_object_get(object, "error")), ==,
                    "connection");
}

static void test_qemu_without_vsm_is_3(void)
{
    static const StubAnswer answers[] = {{0}};
    g_autofree char *path = in_scratch("stock.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) run = vsmctl("list", "--qmp", path, NULL);

    g_assert_cmpint(run.code, ==, 3);
    says(run.err, "vm-snapshot-manager");
}

/* --- Snapshots ------------------------------------------------------------ */

#define SNAPSHOT(id, tag)                                                      \
    "{\"id\": \"" id "\", \"tag\": \"" tag "\", \"time\": 1795528800, "        \
    "\"state\": \"11\", \"stream\": \"22\", \"metadata\": \"33\", "            \
    "\"ssk\": \"44\", \"sealed\": \"55\", \"commit\": \"66\", "                \
    "\"vmstate-bytes\": 214958080, \"verified\": true, "                       \
    "\"on-disks\": \"present\"}"

#define ID_1 "0e3f6a2f4c1e4be0b4f0ac6a1c0c7d12"
#define ID_2 "1e3f6a2f4c1e4be0b4f0ac6a1c0c7d12"

static const char snapshots[] = "{\"return\": [" SNAPSHOT(
    ID_1, "clean") ", " SNAPSHOT(ID_2, "evil\\u001b[31m\\u009b\\nx") "]}";

static void test_guests_texts_do_not_reach_the_terminal(void)
{
    static const StubAnswer answers[] = {
        {"query-vsm-snapshots", snapshots, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("list.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) list = vsmctl("list", "--qmp", path, NULL);
    g_auto(Run) show = vsmctl("show", "id:" ID_2, "--qmp", path, NULL);
    g_auto(Run) json = vsmctl("list", "--qmp", path, "--json", NULL);

    g_assert_cmpint(list.code, ==, 0);
    says(list.out, "evil\\x1b[31m\\x9b\\x0ax");
    says(show.out, "evil\\x1b[31m\\x9b\\x0ax");
    g_assert_null(strchr(list.out, '\033'));
    g_assert_null(strchr(show.out, '\033'));
    g_assert_null(strchr(json.out, '\033'));
    g_assert_null(strstr(json.out, "\xc2\x9b"));
}

static void test_unknown_snapshot_is_3(void)
{
    static const StubAnswer answers[] = {
        {"query-vsm-snapshots", snapshots, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("show.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) none = vsmctl("show", "tag:" ID_1, "--qmp", path, NULL);
    g_auto(Run) id = vsmctl("show", ID_1, "--qmp", path, NULL);

    g_assert_cmpint(none.code, ==, 3);
    says(none.err, "vsmctl list");
    g_assert_cmpint(id.code, ==, 0);
}

static void test_ambiguous_name_is_refused(void)
{
    static const StubAnswer answers[] = {
        {"query-vsm-snapshots",
         "{\"return\": [" SNAPSHOT(ID_1, ID_2) ", " SNAPSHOT(ID_2, "b") "]}",
         NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("ambiguous.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) run = vsmctl("delete", ID_2, "--qmp", path, NULL);

    g_assert_cmpint(run.code, ==, 3);
    says(run.err, "tag:" ID_2 " or id:" ID_2);
}

#define BLOCK                                                                  \
    "{\"return\": ["                                                           \
    "{\"device\": \"cd\", \"inserted\": {\"ro\": true, \"node-name\": "        \
    "\"cd0\", \"image\": {\"format\": \"raw\"}}},"                             \
    "{\"device\": \"empty\"},"                                                 \
    "{\"device\": \"a\", \"inserted\": {\"ro\": false, \"node-name\": "        \
    "\"raw0\", \"image\": {\"format\": \"raw\"}}},"                            \
    "{\"device\": \"b\", \"inserted\": {\"ro\": false, \"node-name\": "        \
    "\"disk0\", \"image\": {\"format\": \"qcow2\"}}}]}"

#define ENDED                                                                  \
    "{\"return\": [{\"id\": \"JOB\", \"status\": \"concluded\", "              \
    "\"current-progress\": 1, \"total-progress\": 1}]}"
#define FAILED                                                                 \
    "{\"return\": [{\"id\": \"JOB\", \"status\": \"concluded\", "              \
    "\"current-progress\": 1, \"total-progress\": 1, "                         \
    "\"error\": \"it broke\"}]}"
#define DONE "{\"return\": {}}"

static void test_snapshot_takes_all_writable_disks(void)
{
    static const StubAnswer answers[] = {
        {"query-block", BLOCK, NULL, 0},
        {"snapshot-save", DONE, NULL, 0},
        {"query-jobs", ENDED, NULL, 0},
        {"job-dismiss", DONE, NULL, 0},
        {"query-vsm-snapshots", snapshots, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("save.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) run = vsmctl("snapshot", "clean", "--qmp", path, NULL);
    bool seen = false;

    g_assert_cmpstr(run.err, ==, "");
    g_assert_cmpint(run.code, ==, 0);
    says(run.out, ID_1);
    for (guint i = 0; i < stub_received(stub)->len; i++) {
        const char *line = g_ptr_array_index(stub_received(stub), i);

        if (strstr(line, "\"snapshot-save\"")) {
            seen = strstr(line, "\"devices\":[\"raw0\",\"disk0\"]") &&
                   strstr(line, "\"vmstate\":\"disk0\"");
        }
    }
    g_assert_true(seen);
}

static void test_failed_snapshot_is_3_with_qemus_text(void)
{
    static const StubAnswer answers[] = {
        {"query-block", BLOCK, NULL, 0},
        {"snapshot-save", DONE, NULL, 0},
        {"query-jobs", FAILED, NULL, 0},
        {"job-dismiss", DONE, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("nosave.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) run = vsmctl("snapshot", "clean", "--qmp", path, NULL);

    g_assert_cmpint(run.code, ==, 3);
    says(run.err, "it broke");
}

#define EXISTS                                                                 \
    "{\"return\": [{\"id\": \"JOB\", \"status\": \"concluded\", "              \
    "\"error\": \"Snapshot 'clean' already exists\"}]}"

static void test_existing_tag_is_told_with_the_remedy(void)
{
    static const StubAnswer answers[] = {
        {"query-block", BLOCK, NULL, 0},
        {"snapshot-save", DONE, NULL, 0},
        {"query-jobs", EXISTS, NULL, 0},
        {"job-dismiss", DONE, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("exists.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) run = vsmctl("snapshot", "clean", "--qmp", path, NULL);

    g_assert_cmpint(run.code, ==, 3);
    says(run.err, "already exists; --replace");
}

static void test_replace_reports_hmps_error(void)
{
    static const StubAnswer answers[] = {
        {"human-monitor-command", "{\"return\": \"Error: no seal\\r\\n\"}",
         NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("replace.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) run =
        vsmctl("snapshot", "clean", "--replace", "--qmp", path, NULL);
    g_auto(Run) quoted =
        vsmctl("snapshot", "a\"b", "--replace", "--qmp", path, NULL);

    g_assert_cmpint(run.code, ==, 3);
    g_assert_cmpstr(run.err, ==, "vsmctl: no seal\n");
    g_assert_cmpint(quoted.code, ==, 3);
    says(quoted.err, "quotes");
}

/* --- Attest --------------------------------------------------------------- */

static char *verdict(const char *result, guint left_out)
{
    return g_strdup_printf(
        "{\"return\": {\"job-id\": \"JOB\", \"operation\": \"attest\", "
        "\"snapshot\": \"tag:clean\", \"scope\": \"full\", "
        "\"report\": \"aa.bb.cc\", \"verdict\": {\"snapshot-id\": \"" ID_1
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

static Run
attest(const char *report_answer, const char *jobs, const char *event)
{
    const StubAnswer answers[] = {
        {"vsm-attest", DONE, NULL, 0},
        {"query-jobs", jobs, event, 0},
        {"job-dismiss", DONE, NULL, 0},
        {"query-vsm-report", report_answer, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("attest.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);

    return vsmctl("attest", "tag:clean", "--qmp", path, NULL);
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
        g_auto(Run) run = attest(answer, ENDED, NULL);

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
        g_auto(Run) run = attest(NO_REPORT, FAILED, cases[i].event);

        g_assert_cmpint(run.code, ==, cases[i].code);
        says(run.err, cases[i].text);
    }
}

/* A rollback that failed after the load has its report all the same. */
static void test_result_for_a_recipient_is_5(void)
{
    g_auto(Run) run =
        attest("{\"return\": {\"job-id\": \"JOB\", \"operation\": \"attest\", "
               "\"snapshot\": \"tag:clean\", \"scope\": \"full\", "
               "\"report\": \"aa.bb.cc.dd.ee\"}}",
               ENDED, NULL);

    g_assert_cmpint(run.code, ==, 5);
    says(run.out, "recipient alone");
}

/* As through libvirt, which brings no events. */
static void test_refusal_without_its_event_keeps_its_exit_code(void)
{
    const StubAnswer answers[] = {
        {"vsm-attest", DONE, NULL, 0},
        {"query-jobs", FAILED, NULL, 0},
        {"job-dismiss", DONE, NULL, 0},
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

static void test_failed_rollback_with_a_report_is_not_0(void)
{
    g_autofree char *mismatch = verdict("mismatch", 0);
    g_autofree char *match = verdict("match", 0);
    g_auto(Run) run = attest(mismatch, FAILED, REFUSED("tampered"));
    g_auto(Run) odd = attest(match, FAILED, REFUSED("tampered"));

    g_assert_cmpint(run.code, ==, 1);
    says(run.out, "tampered says no");
    g_assert_cmpint(odd.code, ==, 2);
}

static void test_report_is_kept_and_jobs_dismissed(void)
{
    g_autofree char *answer = verdict("match", 0);
    const StubAnswer answers[] = {
        {"vsm-attest", DONE, NULL, 0},
        {"query-jobs", ENDED, NULL, 0},
        {"job-dismiss", DONE, NULL, 0},
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
        {"vsm-attest", DONE, NULL, 0},
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
    g_autofree char *path = program();
    const char *const words[] = {path,    "attest", "clean",
                                 "--qmp", socket,   NULL};
    GString *text = g_string_new(NULL);
    char buffer[4096];
    int terminal, child_end, status;
    ssize_t n;
    pid_t pid;

    g_assert_cmpint(openpty(&terminal, &child_end, NULL, NULL, NULL), ==, 0);
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        dup2(null, STDOUT_FILENO);
        dup2(child_end, STDERR_FILENO);
        close(terminal);
        close(child_end);
        execv(path, (char **)words);
        _exit(127);
    }
    close(child_end);
    if (signal) {
        stub_wait_for(stub, "query-jobs");
        kill(pid, signal);
    }
    while ((n = read(terminal, buffer, sizeof(buffer))) > 0) {
        g_string_append_len(text, buffer, n);
    }
    close(terminal);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    *ret_text = g_string_free(text, FALSE);
    return WEXITSTATUS(status);
}

static void test_terminal_shows_progress_after_a_second(void)
{
    g_autofree char *answer = verdict("match", 0);
    const StubAnswer answers[] = {
        {"vsm-attest", DONE, NULL, 0},
        {"query-jobs", RUNNING, NULL, 15},
        {"query-jobs", ENDED, NULL, 0},
        {"job-dismiss", DONE, NULL, 0},
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
        {"vsm-attest", DONE, NULL, 0},         {"query-jobs", RUNNING, NULL, 2},
        {"query-jobs", ENDED, NULL, 0},        {"job-dismiss", DONE, NULL, 0},
        {"query-vsm-report", answer, NULL, 0}, {0},
    };
    g_autofree char *path = in_scratch("short.sock"), *text = NULL;
    g_autoptr(Stub) stub = stub_new(path, answers);

    g_assert_cmpint(run_on_terminal(path, stub, 0, &text), ==, 0);
    g_assert_cmpstr(text, ==, "");
}

static void test_interrupt_cancels_the_job(void)
{
    static const StubAnswer answers[] = {
        {"vsm-attest", DONE, NULL, 0},   {"query-jobs", RUNNING, NULL, 12},
        {"query-jobs", FAILED, NULL, 0}, {"job-cancel", DONE, NULL, 0},
        {"job-dismiss", DONE, NULL, 0},  {0},
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

/* --- Verify --------------------------------------------------------------- */

typedef struct {
    Fixture *fixture;
    char *trust, *request, *report;
} Offline;

static void offline_clear(Offline *offline)
{
    fixture_free(offline->fixture);
    g_free(offline->trust);
    g_free(offline->request);
    g_free(offline->report);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Offline, offline_clear)

static Offline offline_new(void)
{
    Offline offline = {.fixture = fixture_new(48)};
    g_autofree char *plain = fixture_trust_json(offline.fixture);
    g_autofree char *trust = fixture_allow_in_process(plain);

    offline.fixture->claims.iat = g_get_real_time() / G_USEC_PER_SEC;
    offline.trust = write_file("trust.json", trust);
    offline.request =
        write_file("request.json",
                   "{\"version\": 1, \"nonce\": \"AAECAwQFBgcICQoLDA0ODw\", "
                   "\"op\": \"attest\", \"snapshot\": \"tag:clean\", "
                   "\"scope\": \"full\", \"vm\": \"" FIXTURE_UUID "\"}");
    return offline;
}

static void offline_report(Offline *offline)
{
    g_autofree char *jws = fixture_report(offline->fixture);

    g_free(offline->report);
    offline->report = write_file("report.jws", jws);
}

static Run verify(const Offline *offline)
{
    return vsmctl("verify", "--trust", offline->trust, "--request",
                  offline->request, offline->report, NULL);
}

static void test_verify_tells_results_by_exit_code(void)
{
    static const struct {
        guint8 result;
        int code;
    } cases[] = {
        {VSM_RESULT_MATCH, 0},
        {VSM_RESULT_MISMATCH, 1},
        {VSM_RESULT_UNAVAILABLE, 4},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Offline) offline = offline_new();
        VsmVerdict *sealed = &offline.fixture->verdict;

        sealed->result = cases[i].result;
        sealed->reason = cases[i].result == VSM_RESULT_UNAVAILABLE
                             ? (char *)"not\033ready"
                             : NULL;
        offline_report(&offline);
        {
            g_auto(Run) run = verify(&offline);

            g_assert_cmpint(run.code, ==, cases[i].code);
            says(run.out, "disks not covered");
            g_assert_null(strchr(run.out, '\033'));
        }
    }
}

static void test_verify_with_left_out_entries_is_2(void)
{
    g_auto(Offline) offline = offline_new();
    GPtrArray *list = offline.fixture->verdict.host_clock;

    for (guint i = 0; i <= VSM_CLAIMS_LIST_MAX; i++) {
        g_ptr_array_add(list, g_strdup("mc146818rtc/0 v3 +0:1 host-clock"));
    }
    offline_report(&offline);
    {
        g_auto(Run) run = verify(&offline);

        g_assert_cmpint(run.code, ==, 2);
        says(run.out, "not complete");
    }
}

static void test_verify_without_a_request_is_2(void)
{
    g_auto(Offline) offline = offline_new();

    offline_report(&offline);
    {
        g_auto(Run) none =
            vsmctl("verify", "--trust", offline.trust, offline.report, NULL);
        g_auto(Run) some =
            vsmctl("verify", "--trust", offline.trust, "--nonce",
                   "AAECAwQFBgcICQoLDA0ODw", "--vm", FIXTURE_UUID, "--snapshot",
                   "tag:clean", "--op", "attest", offline.report, NULL);
        g_auto(Run) all = vsmctl("verify", "--trust", offline.trust, "--nonce",
                                 "AAECAwQFBgcICQoLDA0ODw", "--vm", FIXTURE_UUID,
                                 "--snapshot", "tag:clean", "--op", "attest",
                                 "--scope", "full", offline.report, NULL);
        g_auto(Run) other =
            vsmctl("verify", "--trust", offline.trust, "--nonce",
                   "AAECAwQFBgcICQoLDA0ODw", "--vm", FIXTURE_UUID, "--snapshot",
                   "tag:other", "--op", "attest", "--scope", "full",
                   offline.report, NULL);

        g_assert_cmpint(none.code, ==, 2);
        g_assert_cmpint(some.code, ==, 2);
        g_assert_cmpint(all.code, ==, 0);
        g_assert_cmpint(other.code, ==, 2);
    }
}

static void test_verify_of_untrusted_reports_is_2(void)
{
    g_auto(Offline) offline = offline_new();
    g_autoptr(Fixture) stranger = fixture_new(48);
    g_autofree char *plain = fixture_trust_json(offline.fixture);
    g_autofree char *strict = write_file("strict.json", plain);
    g_autofree char *foreign = NULL, *foreign_path = NULL, *damaged = NULL;
    g_autofree char *empty = write_file("empty.json", "{}");

    offline_report(&offline);
    stranger->claims.iat = offline.fixture->claims.iat;
    foreign = fixture_report(stranger);
    foreign_path = write_file("foreign.jws", foreign);
    foreign[strlen(foreign) / 2] ^= 1;
    damaged = write_file("damaged.jws", foreign);
    {
        g_auto(Run) in_process =
            vsmctl("verify", "--trust", strict, "--request", offline.request,
                   offline.report, NULL);
        g_auto(Run) key =
            vsmctl("verify", "--trust", offline.trust, "--request",
                   offline.request, foreign_path, NULL);
        g_auto(Run) bad = vsmctl("verify", "--trust", offline.trust,
                                 "--request", offline.request, damaged, NULL);
        g_auto(Run) trust = vsmctl("verify", "--trust", empty, "--request",
                                   offline.request, offline.report, NULL);
        g_auto(Run) missing =
            vsmctl("verify", "--trust", offline.trust, "--request",
                   offline.request, "/nonexistent", NULL);
        g_auto(Run) json =
            vsmctl("verify", "--trust", strict, "--request", offline.request,
                   offline.report, "--json", NULL);
        json_auto_t *object = json_loads(json.out, 0, NULL);

        g_assert_cmpint(in_process.code, ==, 2);
        says(in_process.err, "--allow-in-process");
        g_assert_cmpint(key.code, ==, 2);
        says(key.err, "trust entry");
        g_assert_cmpint(bad.code, ==, 2);
        g_assert_cmpint(trust.code, ==, 2);
        g_assert_cmpint(missing.code, ==, 3);
        g_assert_cmpint(json.code, ==, 2);
        g_assert_cmpstr(json_string_value(json_object_get(object, "error")), ==,
                        "policy");
    }
}

static void test_verify_prints_json(void)
{
    g_auto(Offline) offline = offline_new();

    offline_report(&offline);
    {
        g_auto(Run) run =
            vsmctl("verify", "--trust", offline.trust, "--request",
                   offline.request, "--json", offline.report, NULL);
        json_auto_t *object = json_loads(run.out, 0, NULL);

        g_assert_cmpint(run.code, ==, 0);
        g_assert_true(json_is_true(json_object_get(object, "trusted")));
        g_assert_cmpstr(json_string_value(json_object_get(object, "result")),
                        ==, "match");
        g_assert_cmpstr(json_string_value(json_object_get(
                            json_object_get(object, "claims"), "iss")),
                        ==, offline.fixture->claims.host_id);
    }
}

#define P256_X "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
#define P256_Y "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
#define P256_D "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"
#define PUBLIC                                                                 \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y   \
    "\"}"
#define PRIVATE                                                                \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y   \
    "\",\"d\":\"" P256_D "\"}"

static void test_verify_opens_its_own_reports_only(void)
{
    g_auto(Offline) offline = offline_new();
    g_autofree char *key = write_file("key.jwk", PRIVATE);
    g_autofree char *public = write_file("public.jwk", PUBLIC);
    g_autofree char *thumbprint = NULL, *jws = NULL, *jwe = NULL;
    g_autofree char *request = in_scratch("secret.json"), *path = NULL;
    g_autofree char *text = NULL;
    json_auto_t *object = NULL;
    g_auto(Run) made =
        vsmctl("request", "--vm=" FIXTURE_UUID, "--snapshot=tag:clean",
               "--recipient", public, "--out", request, NULL);
    g_auto(Run) private = vsmctl("request", "--vm=" FIXTURE_UUID,
                                 "--snapshot=a", "--recipient", key, NULL);

    g_assert_cmpint(made.code, ==, 0);
    /* A private key must never get into a request. */
    g_assert_cmpint(private.code, ==, 2);
    g_assert_cmpstr(private.out, ==, "");
    says(private.err, "private");

    g_assert_true(g_file_get_contents(request, &text, NULL, NULL));
    object = json_loads(text, 0, NULL);
    g_bytes_unref(offline.fixture->claims.nonce);
    offline.fixture->claims.nonce = vsm_b64url_decode(
        json_string_value(json_object_get(object, "nonce")), 64, NULL);
    g_assert_true(vsm_report_recipient(PUBLIC, &thumbprint, NULL));
    offline.fixture->claims.recipient = thumbprint;
    jws = fixture_report(offline.fixture);
    g_assert_true(vsm_jwe_encrypt(jws, PUBLIC, &jwe, NULL));
    path = write_file("report.jwe", jwe);
    {
        g_auto(Run) opened =
            vsmctl("verify", "--trust", offline.trust, "--request", request,
                   "--key", key, path, NULL);
        g_auto(Run) closed = vsmctl("verify", "--trust", offline.trust,
                                    "--request", request, path, NULL);

        g_assert_cmpstr(opened.err, ==, "");
        g_assert_cmpint(opened.code, ==, 0);
        g_assert_cmpint(closed.code, ==, 2);
        says(closed.err, "JWE");
    }
    {
        /* A request without a recipient has no encrypted answer. */
        g_auto(Run) unasked =
            vsmctl("verify", "--trust", offline.trust, "--request",
                   offline.request, "--key", key, path, NULL);

        g_assert_cmpint(unasked.code, ==, 2);
    }
}

static void remove_scratch(void)
{
    const char *name;
    GDir *dir = g_dir_open(scratch, 0, NULL);

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(scratch, name, NULL);

        g_unlink(path);
    }
    g_dir_close(dir);
    g_rmdir(scratch);
    g_free(scratch);
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    g_unsetenv("VSM_QMP");
    scratch = g_dir_make_tmp("vsm-ctl-XXXXXX", NULL);
    g_test_add_func("/vsmctl/usage-errors-are-3", test_usage_errors_are_3);
    g_test_add_func("/vsmctl/help-describes-every-subcommand",
                    test_help_describes_every_subcommand);
    g_test_add_func("/vsmctl/man-page-and-completion-are-the-tables",
                    test_man_page_and_completion_are_the_tables);
    g_test_add_func("/vsmctl/no-connection-is-3", test_no_connection_is_3);
    g_test_add_func("/vsmctl/qemu-without-vsm-is-3",
                    test_qemu_without_vsm_is_3);
    g_test_add_func("/vsmctl/guests-texts-do-not-reach-the-terminal",
                    test_guests_texts_do_not_reach_the_terminal);
    g_test_add_func("/vsmctl/unknown-snapshot-is-3",
                    test_unknown_snapshot_is_3);
    g_test_add_func("/vsmctl/ambiguous-name-is-refused",
                    test_ambiguous_name_is_refused);
    g_test_add_func("/vsmctl/snapshot-takes-all-writable-disks",
                    test_snapshot_takes_all_writable_disks);
    g_test_add_func("/vsmctl/failed-snapshot-is-3-with-qemus-text",
                    test_failed_snapshot_is_3_with_qemus_text);
    g_test_add_func("/vsmctl/existing-tag-is-told-with-the-remedy",
                    test_existing_tag_is_told_with_the_remedy);
    g_test_add_func("/vsmctl/replace-reports-hmps-error",
                    test_replace_reports_hmps_error);
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
    g_test_add_func("/vsmctl/verify-tells-results-by-exit-code",
                    test_verify_tells_results_by_exit_code);
    g_test_add_func("/vsmctl/verify-with-left-out-entries-is-2",
                    test_verify_with_left_out_entries_is_2);
    g_test_add_func("/vsmctl/verify-without-a-request-is-2",
                    test_verify_without_a_request_is_2);
    g_test_add_func("/vsmctl/verify-of-untrusted-reports-is-2",
                    test_verify_of_untrusted_reports_is_2);
    g_test_add_func("/vsmctl/verify-prints-json", test_verify_prints_json);
    g_test_add_func("/vsmctl/verify-opens-its-own-reports-only",
                    test_verify_opens_its_own_reports_only);
    rc = g_test_run();
    remove_scratch();
    return rc;
}
