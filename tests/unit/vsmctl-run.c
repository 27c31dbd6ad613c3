/*
 * Test help: runs vsmctl, with a folder for its files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl-run.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>

static char *scratch;

void run_clear(Run *run)
{
    g_free(run->out);
    g_free(run->err);
}

void scratch_begin(void)
{
    g_unsetenv("VSM_QMP");
    scratch = g_dir_make_tmp("vsm-ctl-XXXXXX", NULL);
}

char *in_scratch(const char *name)
{
    return g_build_filename(scratch, name, NULL);
}

char *write_file(const char *name, const char *text)
{
    char *path = in_scratch(name);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
    return path;
}

char *vsmctl_path(void)
{
    return g_test_build_filename(G_TEST_BUILT, "..", "..", "vsmctl", NULL);
}

Run vsmctl(const char *first, ...)
{
    g_autofree char *path = vsmctl_path();
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

void says(const char *text, const char *what)
{
    if (!strstr(text, what)) {
        g_error("'%s' does not say '%s'", text, what);
    }
}

void scratch_end(void)
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
