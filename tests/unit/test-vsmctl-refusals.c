/*
 * vsmctl: the exit code of a refusal whose text QEMU gives without its code,
 * and what a terminal sees meanwhile.
 *
 * QEMU is a stub with fixed answers here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-stub.h"
#include "vsmctl-run.h"

#include <string.h>

#define BOOT_TEXT "the host booted another state than was approved"
#define LAST_REFUSAL(code, text)                                               \
    "{\"return\": {\"last-refusal\": {\"operation\": \"save\", \"snapshot\": " \
    "\"clean\", \"code\": \"" code "\", \"message\": \"" text "\", "           \
    "\"vm-changed\": false}}}"
#define HMP_ERROR(text) "{\"return\": \"Error: " text "\\r\\n\"}"

static Run replace(const char *hmp, const char *info)
{
    const StubAnswer answers[] = {
        {"human-monitor-command", hmp, NULL, 0},
        {"query-vsm", info, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("replace.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);

    return vsmctl("snapshot", "clean", "--replace", "--qmp", path, NULL);
}

static void test_refused_replacement_has_the_code_of_the_refusal(void)
{
    g_auto(Run) boot =
        replace(HMP_ERROR(BOOT_TEXT), LAST_REFUSAL("boot", BOOT_TEXT));
    g_auto(Run) tpm =
        replace(HMP_ERROR("no TPM"), LAST_REFUSAL("tpm-absent", "no TPM"));

    g_assert_cmpint(boot.code, ==, 2);
    g_assert_cmpstr(boot.err, ==, "vsmctl: " BOOT_TEXT "\n");
    g_assert_cmpint(tpm.code, ==, 3);
}

/* QEMU's own failure, after VSM refused something else. */
static void test_older_refusal_is_not_this_ones(void)
{
    g_auto(Run) run =
        replace(HMP_ERROR("no disk"), LAST_REFUSAL("boot", BOOT_TEXT));
    g_auto(Run) none = replace(HMP_ERROR("no disk"), "{\"return\": {}}");

    g_assert_cmpint(run.code, ==, 3);
    g_assert_cmpstr(run.err, ==, "vsmctl: no disk\n");
    g_assert_cmpint(none.code, ==, 3);
}

static const char one_disk[] =
    "{\"return\": [{\"device\": \"b\", \"inserted\": {\"ro\": false, "
    "\"node-name\": \"disk0\", \"image\": {\"format\": \"qcow2\"}}}]}";

static Run save(const char *job_error, const char *info)
{
    g_autofree char *jobs =
        g_strdup_printf("{\"return\": [{\"id\": \"JOB\", \"status\": "
                        "\"concluded\", \"error\": \"%s\"}]}",
                        job_error);
    const StubAnswer answers[] = {
        {"query-block", one_disk, NULL, 0},
        {"snapshot-save", STUB_DONE, NULL, 0},
        {"query-jobs", jobs, NULL, 0},
        {"job-dismiss", STUB_DONE, NULL, 0},
        {"query-vsm", info, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("save.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);

    return vsmctl("snapshot", "clean", "--qmp", path, NULL);
}

/* The same for the job, whose refusal names no job. */
static void test_older_refusal_of_a_save_is_not_the_jobs(void)
{
    g_auto(Run) boot = save(BOOT_TEXT, LAST_REFUSAL("boot", BOOT_TEXT));
    g_auto(Run) other = save("Snapshot 'clean' already exists",
                             LAST_REFUSAL("boot", BOOT_TEXT));

    g_assert_cmpint(boot.code, ==, 2);
    says(boot.err, BOOT_TEXT);
    g_assert_cmpint(other.code, ==, 3);
    says(other.err, "already exists; --replace");
}

/* VSM was not asked when QEMU's own part failed. */
static void test_what_qemu_says_of_a_failed_save_is_not_lost(void)
{
    static const StubAnswer answers[] = {
        {"query-block", one_disk, NULL, 0},
        {"snapshot-save", STUB_DONE, NULL, 0},
        {"query-jobs", STUB_JOB_FAILED,
         "{\"event\": \"VSM_REFUSED\", \"data\": {\"operation\": \"save\", "
         "\"code\": \"store\", \"message\": \"QEMU could not\", "
         "\"vm-changed\": false}}",
         0},
        {"job-dismiss", STUB_DONE, NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("both.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);
    g_auto(Run) run = vsmctl("snapshot", "clean", "--qmp", path, NULL);

    g_assert_cmpint(run.code, ==, 3);
    g_assert_cmpstr(run.err, ==, "vsmctl: QEMU could not (QEMU: it broke)\n");
}

static void test_terminal_sees_that_a_replacement_goes_on(void)
{
    static const StubAnswer answers[] = {
        {"human-monitor-command", HMP_ERROR("no seal"), NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("slow.sock"), *text = NULL;
    g_autoptr(Stub) stub = stub_new(path, answers);
    int terminal, pid;

    stub_slow(stub, "human-monitor-command", 1500);
    pid = vsmctl_on_terminal(&terminal, "snapshot", "clean", "--replace",
                             "--qmp", path, NULL);
    g_assert_cmpint(vsmctl_end(pid, terminal, &text), ==, 3);
    says(text, "\rsnapshot: 1 s");
    /* The line is gone when the error comes. */
    says(text, "\r\033[Kvsmctl: no seal");
}

/* QEMU answers nothing before the snapshot is there, but sends events. */
static void test_terminal_sees_how_far_a_save_is(void)
{
    static const StubAnswer answers[] = {
        {"query-block", one_disk, NULL, 0},
        {"snapshot-save", STUB_DONE, NULL, 0},
        {"query-jobs", STUB_JOB_FAILED,
         "{\"event\": \"VSM_PROGRESS\", \"data\": {\"operation\": \"save\", "
         "\"snapshot\": \"clean\", \"done\": 3, \"total\": 4}}",
         0},
        {"job-dismiss", STUB_DONE, NULL, 0},
        {"query-vsm", "{\"return\": {}}", NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("bar.sock"), *text = NULL;
    g_autoptr(Stub) stub = stub_new(path, answers);
    int terminal, pid;

    stub_slow(stub, "query-jobs", 1500);
    pid =
        vsmctl_on_terminal(&terminal, "snapshot", "clean", "--qmp", path, NULL);
    g_assert_cmpint(vsmctl_end(pid, terminal, &text), ==, 3);
    says(text, "\rsnapshot [##############################..........]  75 %");
    says(text, "\r\033[Kvsmctl: it broke");
}

static void test_short_replacement_shows_nothing(void)
{
    static const StubAnswer answers[] = {
        {"human-monitor-command", HMP_ERROR("no seal"), NULL, 0},
        {0},
    };
    g_autofree char *path = in_scratch("quick.sock"), *text = NULL;
    g_autoptr(Stub) stub = stub_new(path, answers);
    int terminal;
    int pid = vsmctl_on_terminal(&terminal, "snapshot", "clean", "--replace",
                                 "--qmp", path, NULL);

    g_assert_cmpint(vsmctl_end(pid, terminal, &text), ==, 3);
    g_assert_null(strstr(text, "snapshot:"));
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    scratch_begin();
    g_test_add_func("/vsmctl-refusals/replacement-has-the-code-of-the-refusal",
                    test_refused_replacement_has_the_code_of_the_refusal);
    g_test_add_func("/vsmctl-refusals/older-refusal-is-not-this-ones",
                    test_older_refusal_is_not_this_ones);
    g_test_add_func("/vsmctl-refusals/terminal-sees-how-far-a-save-is",
                    test_terminal_sees_how_far_a_save_is);
    g_test_add_func("/vsmctl-refusals/what-qemu-says-of-a-save-is-not-lost",
                    test_what_qemu_says_of_a_failed_save_is_not_lost);
    g_test_add_func("/vsmctl-refusals/older-refusal-of-a-save-is-not-the-jobs",
                    test_older_refusal_of_a_save_is_not_the_jobs);
    g_test_add_func("/vsmctl-refusals/terminal-sees-that-a-replacement-goes-on",
                    test_terminal_sees_that_a_replacement_goes_on);
    g_test_add_func("/vsmctl-refusals/short-replacement-shows-nothing",
                    test_short_replacement_shows_nothing);
    rc = g_test_run();
    scratch_end();
    return rc;
}
