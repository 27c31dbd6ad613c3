/*
 * Shows on a terminal that something goes on which does not answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/waiting.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "vsmctl/bar.h"
#include "vsmctl/vsmctl.h"

struct _Waiting {
    GThread *thread; /* NULL: there is no terminal, or another one shows it */
    GMutex lock;
    GCond cond;
    bool over; /* under @lock, as what follows */
    json_int_t done, total; /* 0: nobody told */
};

static Waiting *shown; /* the outermost */

static void show(const Waiting *waiting, guint seconds)
{
    if (waiting->total) {
        g_autofree char *bar =
            bar_text(vsmctl_options.subcommand, waiting->done, waiting->total);

        fprintf(stderr, "\r%s\033[K", bar);
    } else {
        /* What a progress bar left behind it goes. */
        fprintf(stderr, "\r%s: %u s\033[K", vsmctl_options.subcommand, seconds);
    }
    fflush(stderr);
}

static gpointer thread(gpointer opaque)
{
    Waiting *waiting = opaque;
    gint64 started = g_get_monotonic_time();
    guint seconds = 1;

    g_mutex_lock(&waiting->lock);
    while (!waiting->over) {
        if (g_cond_wait_until(&waiting->cond, &waiting->lock,
                              started + (gint64)seconds * G_USEC_PER_SEC)) {
            continue;
        }
        show(waiting, seconds++);
    }
    if (seconds > 1) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    g_mutex_unlock(&waiting->lock);
    return NULL;
}

Waiting *waiting_new(void)
{
    Waiting *waiting = g_new0(Waiting, 1);

    g_mutex_init(&waiting->lock);
    g_cond_init(&waiting->cond);
    if (!shown && isatty(STDERR_FILENO)) {
        shown = waiting;
        waiting->thread = g_thread_new("waiting", thread, waiting);
    }
    return waiting;
}

void waiting_free(Waiting *waiting)
{
    if (!waiting) {
        return;
    }
    if (waiting->thread) {
        g_mutex_lock(&waiting->lock);
        waiting->over = true;
        g_cond_signal(&waiting->cond);
        g_mutex_unlock(&waiting->lock);
        g_thread_join(waiting->thread);
        shown = NULL;
    }
    g_cond_clear(&waiting->cond);
    g_mutex_clear(&waiting->lock);
    g_free(waiting);
}

void waiting_progress(json_int_t done, json_int_t total)
{
    if (shown) {
        g_mutex_lock(&shown->lock);
        shown->done = done;
        shown->total = total;
        g_mutex_unlock(&shown->lock);
    }
}
