/*
 * vsmctl's completion, in a bash that sources it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl-run.h"

#include <string.h>
#include <sys/wait.h>

/* What it offers for the last of the words; "" for a new one. */
static char *offered(const char *words)
{
    g_autofree char *file = g_test_build_filename(
        G_TEST_DIST, "..", "..", "completions", "bash", "vsmctl", NULL);
    g_autofree char *script = g_strdup_printf(
        "source '%s' || exit 1\n"
        "complete -p vsmctl | grep -q -- '-F _vsmctl' || exit 1\n"
        "COMP_WORDS=(vsmctl %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
        "_vsmctl; echo \" ${COMPREPLY[*]} \"",
        file, words);
    const char *const argv[] = {"bash", "--norc", "-c", script, NULL};
    g_autoptr(GError) error = NULL;
    g_autofree char *err = NULL;
    char *out = NULL;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                 &out, &err, &status, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(err, ==, "");
    g_assert_cmpint(status, ==, 0);
    return g_strchomp(out);
}

static void offers(const char *words, const char *expected)
{
    g_autofree char *got = offered(words);

    g_assert_cmpstr(g_strchug(got), ==, expected);
}

static void has(const char *words, const char *one)
{
    g_autofree char *got = offered(words);
    g_autofree char *padded = g_strconcat(got, " ", NULL);
    g_autofree char *word = g_strconcat(" ", one, " ", NULL);

    says(padded, word);
}

static void test_subcommands(void)
{
    offers("ver", "verify-snapshot verify");
    offers("help roll", "rollback");
    has("''", "watch");
}

static void test_verbs(void)
{
    offers("policy ''", "show diff approve revoke sign");
    offers("policy d", "diff");
    offers("enroll ''", "request challenge respond accept");
    offers("trust ''", "update");
    offers("vm ''", "list register unregister");
}

static void test_options(void)
{
    offers("watch --de", "--detach");
    offers("vm list --da", "--daemon");
    has("setup --", "--operator-key");
}

static void test_values_of_options(void)
{
    offers("verify --op ''", "attest verify rollback watch");
    offers("request --op ''", "attest verify rollback");
    offers("attest --profile ''", "standard strict");
    offers("request --profile st", "standard strict");
    offers("attest --scope ''", "full runtime");
    offers("verify --scope ''", "full runtime stored");
    offers("enroll request --ek ''", "p-384 rsa-2048");
}

static void test_files_elsewhere(void)
{
    g_autofree char *path = write_file("report.jws", "");
    g_autofree char *begun = g_strndup(path, strlen(path) - 4);
    g_autofree char *words = g_strconcat("verify ", begun, NULL);

    offers(words, path);
}

/* Each word that it offers for an option is one that vsmctl takes. */
static void test_offered_words_are_taken(void)
{
    g_auto(Run) op =
        vsmctl("request", "--vm=1", "--snapshot=a", "--op=rollback", NULL);
    g_auto(Run) profile = vsmctl("request", "--vm=1", "--snapshot=a",
                                 "--scope=runtime", "--profile=strict", NULL);

    /* All is right but the UUID. */
    says(op.err, "UUID");
    says(profile.err, "UUID");
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    scratch_begin();
    g_test_add_func("/vsmctl-completion/subcommands", test_subcommands);
    g_test_add_func("/vsmctl-completion/verbs", test_verbs);
    g_test_add_func("/vsmctl-completion/options", test_options);
    g_test_add_func("/vsmctl-completion/values-of-options",
                    test_values_of_options);
    g_test_add_func("/vsmctl-completion/files-elsewhere", test_files_elsewhere);
    g_test_add_func("/vsmctl-completion/offered-words-are-taken",
                    test_offered_words_are_taken);
    rc = g_test_run();
    scratch_end();
    return rc;
}
