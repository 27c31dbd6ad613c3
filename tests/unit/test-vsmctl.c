/*
 * vsmctl as a black box: wrong usage, no connection, and that help, man page
 * and completion are one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-stub.h"
#include "report-fixture.h"
#include "vsmctl-run.h"

#include <jansson.h>
#include <string.h>

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
    /* As its help says: the word after it is its socket. */
    usage_error(vsmctl("vm", "--daemon", "list", NULL), "argument is missing");
    usage_error(vsmctl("vm", "register", FIXTURE_UUID, NULL), "who is it?");
    usage_error(vsmctl("vm", "unregister", "1", NULL), "UUID");
    usage_error(vsmctl("verify-snapshot", "--image=a", NULL), "--vm UUID");
    usage_error(vsmctl("verify-snapshot", "--image=a", "--nonce=AAAAAAAAAAA",
                       "b", NULL),
                "no report");
    usage_error(vsmctl("verify-snapshot", "--vm=" FIXTURE_UUID, "a", NULL),
                "go with --image");
}

/* The table's names, as completion offers them for the first word. */
static GStrv subcommands(void)
{
    g_auto(Run) completion = vsmctl("--print-completion", NULL);
    char *words = strstr(completion.out, "-W 'help ");

    g_assert_nonnull(words);
    words += strlen("-W 'help ");
    *strchr(words, '\'') = '\0';
    return g_strsplit(words, " ", -1);
}

static void test_help_describes_every_subcommand(void)
{
    g_auto(Run) all = vsmctl("help", NULL);
    g_auto(Run) version = vsmctl("--version", NULL);
    g_auto(GStrv) names = subcommands();

    g_assert_cmpuint(g_strv_length(names), >=, 19);
    g_assert_cmpint(all.code, ==, 0);
    g_assert_cmpint(version.code, ==, 0);
    for (guint i = 0; names[i]; i++) {
        g_auto(Run) one = vsmctl(names[i], "--help", NULL);
        g_autofree char *usage = g_strdup_printf("vsmctl %s ", names[i]);
        g_autofree char *row = g_strdup_printf("\n  %-16s ", names[i]);

        says(all.out, row);
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

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    scratch_begin();
    g_test_add_func("/vsmctl/usage-errors-are-3", test_usage_errors_are_3);
    g_test_add_func("/vsmctl/help-describes-every-subcommand",
                    test_help_describes_every_subcommand);
    g_test_add_func("/vsmctl/man-page-and-completion-are-the-tables",
                    test_man_page_and_completion_are_the_tables);
    g_test_add_func("/vsmctl/no-connection-is-3", test_no_connection_is_3);
    g_test_add_func("/vsmctl/qemu-without-vsm-is-3",
                    test_qemu_without_vsm_is_3);
    rc = g_test_run();
    scratch_end();
    return rc;
}
