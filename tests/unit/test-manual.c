/*
 * The manual of the policy file has the members that the code takes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "report/policy.h"

/* The part of @folder/@name from @begin to @end. */
static char *part_of(const char *folder,
                     const char *name,
                     const char *begin,
                     const char *end)
{
    g_autofree char *path =
        g_test_build_filename(G_TEST_DIST, "..", "..", folder, name, NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    char *from, *to;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    from = strstr(text, begin);
    g_assert_nonnull(from);
    to = strstr(from + strlen(begin), end);
    g_assert_nonnull(to);
    return g_strndup(from, to - from);
}

static bool is_member(const char *name)
{
    for (guint i = 0; vsm_policy_member(i); i++) {
        if (strcmp(vsm_policy_member(i), name) == 0) {
            return true;
        }
    }
    return false;
}

static void test_man_page_has_every_member_of_a_policy(void)
{
    g_autofree char *text =
        part_of("man", "vsm-policy.5", ".SH MEMBERS", ".SH EXAMPLES");

    for (guint i = 0; vsm_policy_member(i); i++) {
        g_autofree char *entry =
            g_strdup_printf(".TP\n.BR %s \" (", vsm_policy_member(i));

        if (!strstr(text, entry)) {
            g_error("vsm-policy(5) lacks '%s'", vsm_policy_member(i));
        }
    }
}

static void test_man_page_has_no_other_member(void)
{
    g_autofree char *text =
        part_of("man", "vsm-policy.5", ".SH MEMBERS", ".SH EXAMPLES");
    g_auto(GStrv) entries = g_strsplit(text, ".TP\n.BR ", -1);

    g_assert_cmpuint(g_strv_length(entries), >, 1);
    for (guint i = 1; entries[i]; i++) {
        entries[i][strcspn(entries[i], " ")] = '\0';
        if (!is_member(entries[i])) {
            g_error("vsm-policy(5) has '%s', which no policy has", entries[i]);
        }
    }
}

static void test_formats_have_every_member_of_a_policy(void)
{
    g_autofree char *text =
        part_of("docs", "formats.md", "## Policy file", "\n## ");

    for (guint i = 0; vsm_policy_member(i); i++) {
        g_autofree char *word = g_strdup_printf("`%s`", vsm_policy_member(i));

        if (!strstr(text, word)) {
            g_error("docs/formats.md lacks %s", word);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/manual/man-page-has-every-member-of-a-policy",
                    test_man_page_has_every_member_of_a_policy);
    g_test_add_func("/manual/man-page-has-no-other-member",
                    test_man_page_has_no_other_member);
    g_test_add_func("/manual/formats-have-every-member-of-a-policy",
                    test_formats_have_every_member_of_a_policy);
    return g_test_run();
}
