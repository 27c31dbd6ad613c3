/*
 * Test help: runs vsmctl, with a folder for its files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl-run.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <pty.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static GPtrArray *words_of(const char *first, va_list list)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(words, vsmctl_path());
    for (const char *word = first; word; word = va_arg(list, const char *)) {
        g_ptr_array_add(words, g_strdup(word));
    }
    g_ptr_array_add(words, NULL);
    return words;
}

Run vsmctl(const char *first, ...)
{
    g_autoptr(GPtrArray) words = NULL;
    g_autoptr(GError) error = NULL;
    Run run = {0};
    va_list list;
    int status;

    va_start(list, first);
    words = words_of(first, list);
    va_end(list);
    g_spawn_sync(NULL, (char **)words->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL,
                 &run.out, &run.err, &status, &error);
    g_assert_no_error(error);
    g_assert_true(WIFEXITED(status));
    run.code = WEXITSTATUS(status);
    return run;
}

int vsmctl_on_terminal(int *ret_terminal, const char *first, ...)
{
    g_autoptr(GPtrArray) words = NULL;
    va_list list;
    int child_end, pid;

    va_start(list, first);
    words = words_of(first, list);
    va_end(list);
    g_assert_cmpint(openpty(ret_terminal, &child_end, NULL, NULL, NULL), ==, 0);
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        dup2(null, STDOUT_FILENO);
        dup2(child_end, STDERR_FILENO);
        close(*ret_terminal);
        close(child_end);
        execv(words->pdata[0], (char **)words->pdata);
        _exit(127);
    }
    close(child_end);
    return pid;
}

int vsmctl_end(int pid, int terminal, char **ret_text)
{
    GString *text = g_string_new(NULL);
    char buffer[4096];
    int status;
    ssize_t n;

    while ((n = read(terminal, buffer, sizeof(buffer))) > 0) {
        g_string_append_len(text, buffer, n);
    }
    close(terminal);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    *ret_text = g_string_free(text, FALSE);
    return WEXITSTATUS(status);
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
