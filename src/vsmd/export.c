/*
 * Where metrics go: a socket that answers HTTP, or a file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/export.h"
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "vsmd/log.h"

#define FILE_EVERY_MS 15000
#define SCRAPE_MS 2000 /* of one scrape, either way */
#define SOCKET_MODE 0660

typedef struct {
    VsmServer *server;
    int fd; /* listening; -1: a file */
    const char *path;
} Export;

static char *text_of(VsmServer *server)
{
    return vsm_metrics_text(server->metrics, server->host,
                            vsm_turns_waiting(server->turns));
}

static void write_file(const Export *self)
{
    g_autofree char *text = text_of(self->server);
    g_autoptr(GError) why = NULL;

    if (!g_file_set_contents_full(self->path, text, -1,
                                  G_FILE_SET_CONTENTS_CONSISTENT, 0644, &why)) {
        vsm_log(G_LOG_LEVEL_WARNING, "metrics cannot be written", "ERROR",
                why->message, NULL);
    }
}

/* One at a time; the request is not looked at: there is one page. */
static void answer_scrape(const Export *self)
{
    int fd = accept4(self->fd, NULL, NULL, SOCK_CLOEXEC);
    struct timeval limit = {.tv_sec = SCRAPE_MS / 1000};
    g_autofree char *text = NULL;
    g_autofree char *page = NULL;
    char request[4096];
    gsize bytes;

    if (fd < 0) {
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (recv(fd, request, sizeof(request), 0) > 0) {
        text = text_of(self->server);
        page = g_strdup_printf("HTTP/1.1 200 OK\r\n"
                               "Content-Type: text/plain; version=0.0.4\r\n"
                               "Content-Length: %zu\r\n"
                               "Connection: close\r\n\r\n%s",
                               strlen(text), text);
        bytes = strlen(page);
        for (gsize at = 0; at < bytes;) {
            ssize_t n = send(fd, page + at, bytes - at, MSG_NOSIGNAL);

            if (n <= 0) {
                break;
            }
            at += n;
        }
    }
    close(fd);
}

static gpointer export_thread(gpointer data)
{
    Export *self = data;
    GCancellable *stopping = self->server->stopping;

    while (!g_cancellable_is_cancelled(stopping)) {
        GPollFD fds[2] = {{.fd = self->fd, .events = G_IO_IN}};
        bool held = g_cancellable_make_pollfd(stopping, &fds[1]);
        bool file = self->fd < 0;

        if (file) {
            write_file(self);
            g_poll(&fds[1], held ? 1 : 0, FILE_EVERY_MS);
        } else if (g_poll(fds, held ? 2 : 1, -1) > 0 && fds[0].revents) {
            answer_scrape(self);
        }
        if (held) {
            g_cancellable_release_fd(stopping);
        }
    }
    if (self->fd >= 0) {
        close(self->fd);
    }
    g_mutex_lock(&self->server->mutex);
    self->server->admins--;
    g_cond_broadcast(&self->server->cond);
    g_mutex_unlock(&self->server->mutex);
    g_free(self);
    return NULL;
}

bool vsm_export_start(VsmServer *server, GError **error)
{
    const char *where = server->options->metrics;
    GThread *thread;
    Export *self;

    if (!where) {
        return true;
    }
    self = g_new0(Export, 1);
    self->server = server;
    self->fd = -1;
    self->path = where + strlen("unix:"); /* "file:" is as long */
    if (g_str_has_prefix(where, "unix:")) {
        self->fd = vsm_server_listen("metrics", self->path, SOCK_STREAM,
                                     SOCKET_MODE, error);
        if (self->fd < 0) {
            g_free(self);
            return false;
        }
    }
    g_mutex_lock(&server->mutex);
    thread = vsm_server_thread("vsmd-metrics", export_thread, self, error);
    server->admins += thread != NULL; /* the server waits for its end */
    g_mutex_unlock(&server->mutex);
    if (!thread) {
        close(self->fd);
        g_free(self);
        return false;
    }
    g_thread_unref(thread);
    return true;
}
