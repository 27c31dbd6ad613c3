/*
 * vsmctl's subcommands for snapshots: exit codes, errors, what the terminal
 * gets.
 *
 * QEMU is a stub with fixed answers here; the functional tests run the real
 * one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-stub.h"
#include "vsmctl-run.h"

#include <stdbool.h>
#include <string.h>

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

static void test_snapshot_takes_all_writable_disks(void)
{
    static const StubAnswer answers[] = {
        {"query-block", BLOCK, NULL, 0},
        {"snapshot-save", STUB_DONE, NULL, 0},
        {"query-jobs", STUB_JOB_ENDED, NULL, 0},
        {"job-dismiss", STUB_DONE, NULL, 0},
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
        {"snapshot-save", STUB_DONE, NULL, 0},
        {"query-jobs", STUB_JOB_FAILED, NULL, 0},
        {"job-dismiss", STUB_DONE, NULL, 0},
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
        {"snapshot-save", STUB_DONE, NULL, 0},
        {"query-jobs", EXISTS, NULL, 0},
        {"job-dismiss", STUB_DONE, NULL, 0},
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

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    scratch_begin();
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
    rc = g_test_run();
    scratch_end();
    return rc;
}
