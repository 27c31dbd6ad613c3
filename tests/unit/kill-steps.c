/*
 * Test help: kill -9 at each step whose order matters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kill-steps.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: dies before step @deadly, having told each before it. */
static guint steps, deadly;
static int told;

static void step(const char *what, G_GNUC_UNUSED const char *path)
{
    if (steps++ == deadly) {
        raise(SIGKILL);
    }
    if (write(told, what, strlen(what) + 1) < 0) {
        raise(SIGKILL);
    }
}

void kill_steps_count(void)
{
    steps = 0;
    vsm_files_step = step;
}

bool kill_steps_at(Store *store,
                   KillAct act,
                   gconstpointer data,
                   guint n,
                   const char *what,
                   bool *ret_done)
{
    char text[16384] = "";
    gsize got = 0;
    ssize_t more;
    int ends[2], status;
    pid_t child;

    g_assert_cmpint(pipe(ends), ==, 0);
    store_close(store);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        told = ends[1];
        deadly = n;
        _exit(act(store, data) ? 0 : 1);
    }
    close(ends[1]);
    while ((more = read(ends[0], text + got, sizeof(text) - got)) > 0) {
        got += more;
    }
    close(ends[0]);
    waitpid(child, &status, 0);
    /* Told before it is done; nothing is told, or killed, in the middle. */
    *ret_done = memmem(text, got, what, strlen(what) + 1) != NULL;
    if (WIFSIGNALED(status)) {
        return true;
    }
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
    return false;
}
