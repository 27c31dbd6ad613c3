/*
 * An administrator's connection: a thread that takes requests one by one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/admin.h"
#include <unistd.h>
#include "base/codec.h"
#include "base/limits.h"
#include "vsmd/log.h"

#define MS G_TIME_SPAN_MILLISECOND

/* Root that connects and says nothing holds one of few places. */
#define IDLE_MS 60000

typedef struct {
    VsmServer *server;
    int fd;
} Admin;

static GVariant *run_row(VsmServer *server,
                         const VsmAdminRow *row,
                         GVariant *request,
                         GError **error)
{
    gint64 deadline = g_get_monotonic_time() + server->options->request_ms * MS;
    GVariant *answer = NULL;
    bool ok;

    if (row->turn &&
        !vsm_turns_take(server->turns, "", deadline, server->stopping, error)) {
        return NULL;
    }
    vsm_host_set_deadline(deadline);
    ok = row->run(server, request, &answer, error);
    vsm_host_set_deadline(0);
    if (row->turn) {
        vsm_turns_give(server->turns);
    }
    return ok ? answer : NULL;
}

static GBytes *run(VsmServer *server,
                   const VsmProtocolHeader *header,
                   GBytes *body,
                   GError **error)
{
    const VsmAdminRow *row = vsm_admin_row(header->op);
    g_autoptr(GVariant) request = NULL;
    GVariant *answer;

    if (!row || header->version != VSM_PROTOCOL_VERSION) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "no operation %u in version %u; use vsmctl and vsmd of "
                    "the same VSM",
                    header->op, header->version);
        return NULL;
    }
    request = vsm_codec_decode(body, row->request, NULL, 0,
                               VSM_MESSAGE_BYTES_MAX, row->name, error);
    answer = request ? run_row(server, row, request, error) : NULL;
    if (!answer) {
        return NULL;
    }
    return vsm_codec_encode(answer, VSM_MESSAGE_BYTES_MAX, row->name, error);
}

static void say(const VsmProtocolHeader *header, const GError *why)
{
    const VsmAdminRow *row = vsm_admin_row(header->op);

    vsm_log(why ? G_LOG_LEVEL_WARNING : G_LOG_LEVEL_INFO,
            "an administrator asked", "OP", row ? row->name : "unknown",
            "RESULT", why ? vsm_error_name(why->code) : "ok", "ERROR",
            why ? why->message : NULL, NULL);
}

/* false: the connection ends. */
static bool answer_one(VsmServer *server, int fd)
{
    VsmChannel channel = {
        .fd = fd,
        .deadline_us = g_get_monotonic_time() + IDLE_MS * MS,
        .cancel = server->stopping,
    };
    VsmProtocolHeader header;
    g_autoptr(GBytes) body = NULL;
    g_autoptr(GBytes) answer = NULL;
    g_autoptr(GError) why = NULL;
    guint16 op;

    if (!vsm_channel_receive(&channel, &header, &body, NULL)) {
        return false;
    }
    answer = run(server, &header, body, &why);
    say(&header, why);
    op = answer ? header.op | VSM_PROTOCOL_ANSWER : VSM_PROTOCOL_ERROR;
    if (!answer) {
        answer = vsm_protocol_encode_error(why);
    }
    channel.cancel = NULL;
    channel.deadline_us =
        g_get_monotonic_time() + server->options->message_ms * MS;
    return vsm_channel_send(&channel, op, answer, NULL) &&
           (!why || why->code != VSM_ERROR_PROTOCOL);
}

static gpointer admin_thread(gpointer data)
{
    g_autofree Admin *admin = data;
    VsmServer *server = admin->server;

    while (answer_one(server, admin->fd)) {
        continue;
    }
    close(admin->fd);
    g_mutex_lock(&server->mutex);
    server->admins--;
    g_cond_broadcast(&server->cond);
    g_mutex_unlock(&server->mutex);
    return NULL;
}

bool vsm_admin_start(VsmServer *server, int fd, GError **error)
{
    Admin *admin = g_new0(Admin, 1);
    GThread *thread;

    admin->server = server;
    admin->fd = fd;
    thread = vsm_server_thread("vsmd-admin", admin_thread, admin, error);
    if (!thread) {
        g_free(admin);
        return false;
    }
    g_thread_unref(thread);
    return true;
}
