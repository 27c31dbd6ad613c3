/*
 * QMP on a stream socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/qmp-backend.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <unistd.h>
#include <vsm/error.h>

#include "vsmctl/waiting.h"

/* One message; a report is at most 1 MiB, twice in an answer. */
#define MESSAGE_BYTES_MAX (16 * 1024 * 1024)

/* Milliseconds.  QEMU answers at once, unless its main loop is blocked by
 * something that is not ours, such as HMP's savevm on a slow disk. */
#define GREETING_MS 5000
#define EMULATOR_MS 60000 /* a cold start on a busy host */
#define ANSWER_MS (15 * 60 * 1000)

typedef struct {
    Qmp qmp;
    GSocket *socket;
    GByteArray *input; /* received, not yet a whole line */
    GQueue *events; /* of json_t */
    guint64 last_id;
} SocketQmp;

static SocketQmp *to_socket(Qmp *qmp)
{
    return (SocketQmp *)qmp;
}

static void socket_free(Qmp *base)
{
    SocketQmp *qmp = to_socket(base);

    g_clear_object(&qmp->socket);
    g_byte_array_unref(qmp->input);
    g_queue_free_full(qmp->events, (GDestroyNotify)json_decref);
    g_free(qmp);
}

static bool lost(SocketQmp *qmp, const char *why, GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION,
                "the connection to QEMU at '%s' broke: %s; is the VM still "
                "there?",
                qmp->qmp.name, why);
    return false;
}

/* Cuts the first line out of the input; NULL: there is no whole one. */
static char *take_line(SocketQmp *qmp)
{
    guint8 *end = qmp->input->len > 0
                      ? memchr(qmp->input->data, '\n', qmp->input->len)
                      : NULL;
    char *line;
    guint bytes;

    if (!end) {
        return NULL;
    }
    bytes = end - qmp->input->data + 1;
    line = g_strndup((char *)qmp->input->data, bytes - 1);
    g_byte_array_remove_range(qmp->input, 0, bytes);
    return line;
}

/* Waits until @deadline (monotonic, microseconds); *ret NULL: it passed. */
static bool
read_line(SocketQmp *qmp, gint64 deadline, char **ret, GError **error)
{
    for (;;) {
        guint8 buffer[65536];
        gint64 left = MAX(deadline - g_get_monotonic_time(), 0);
        g_autoptr(GError) why = NULL;
        gssize n;

        *ret = take_line(qmp);
        if (*ret) {
            return true;
        }
        if (!g_socket_condition_timed_wait(qmp->socket, G_IO_IN, left, NULL,
                                           &why)) {
            return g_error_matches(why, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) ||
                   lost(qmp, why->message, error);
        }
        n = g_socket_receive(qmp->socket, (char *)buffer, sizeof(buffer), NULL,
                             &why);
        if (n <= 0) {
            return lost(qmp, n == 0 ? "it was closed" : why->message, error);
        }
        g_byte_array_append(qmp->input, buffer, n);
        if (qmp->input->len > MESSAGE_BYTES_MAX) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                        "'%s' sends a message that is too long for QMP",
                        qmp->qmp.name);
            return false;
        }
    }
}

/* *ret NULL: nothing came until @deadline. */
static bool
read_message(SocketQmp *qmp, gint64 deadline, json_t **ret, GError **error)
{
    g_autofree char *line = NULL;

    *ret = NULL;
    if (!read_line(qmp, deadline, &line, error)) {
        return false;
    }
    if (!line) {
        return true;
    }
    *ret = json_loads(line, 0, NULL);
    if (!json_is_object(*ret)) {
        g_clear_pointer(ret, json_decref);
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "what answers at '%s' does not speak QMP", qmp->qmp.name);
        return false;
    }
    return true;
}

static gint64 after_ms(guint ms)
{
    return g_get_monotonic_time() + (gint64)ms * 1000;
}

static bool send_all(SocketQmp *qmp, const char *text, GError **error)
{
    gsize left = strlen(text);

    while (left > 0) {
        g_autoptr(GError) why = NULL;
        gssize n = g_socket_send(qmp->socket, text, left, NULL, &why);

        if (n < 0) {
            return lost(qmp, why->message, error);
        }
        text += n;
        left -= n;
    }
    return true;
}

/*
 * Whether it is of a save, during which nothing is answered.  No other event
 * says that QEMU is at work: guests cause some of them.
 */
static bool is_progress(const json_t *event)
{
    const json_t *data = json_object_get(event, "data");

    if (g_strcmp0(json_string_value(json_object_get(event, "event")),
                  "VSM_PROGRESS") != 0) {
        return false;
    }
    waiting_progress(json_integer_value(json_object_get(data, "done")),
                     json_integer_value(json_object_get(data, "total")));
    return true;
}

static json_t *
socket_exchange(Qmp *base, const char *command, json_t *request, GError **error)
{
    SocketQmp *qmp = to_socket(base);
    gint64 deadline = after_ms(ANSWER_MS);
    char *text;
    g_autofree char *line = NULL;

    json_object_set_new(request, "id",
                        json_integer((json_int_t)++qmp->last_id));
    text = json_dumps(request, JSON_COMPACT | JSON_ENSURE_ASCII);
    line = g_strconcat(text ? text : "", "\n", NULL);
    free(text);
    if (!send_all(qmp, line, error)) {
        return NULL;
    }
    for (;;) {
        json_auto_t *message = NULL;

        if (!read_message(qmp, deadline, &message, error)) {
            return NULL;
        }
        if (!message) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT,
                        "QEMU did not answer '%s' within %d minutes", command,
                        ANSWER_MS / 60000);
            return NULL;
        }
        if (json_object_get(message, "event")) {
            if (is_progress(message)) {
                deadline = after_ms(ANSWER_MS);
            }
            g_queue_push_tail(qmp->events, g_steal_pointer(&message));
        } else if (json_integer_value(json_object_get(message, "id")) ==
                   (json_int_t)qmp->last_id) {
            return g_steal_pointer(&message);
        }
    }
}

static bool
socket_wait_event(Qmp *base, guint timeout_ms, json_t **ret, GError **error)
{
    SocketQmp *qmp = to_socket(base);
    gint64 deadline = after_ms(timeout_ms);

    *ret = g_queue_pop_head(qmp->events);
    while (!*ret) {
        json_auto_t *message = NULL;

        if (!read_message(qmp, deadline, &message, error)) {
            return false;
        }
        if (!message) {
            return true;
        }
        if (json_object_get(message, "event")) {
            *ret = g_steal_pointer(&message);
        }
    }
    return true;
}

static bool greet(SocketQmp *qmp, guint timeout_ms, GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();
    json_auto_t *greeting = NULL, *answer = NULL;

    if (!read_message(qmp, after_ms(timeout_ms), &greeting, error)) {
        return false;
    }
    if (!greeting) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT,
                    "QEMU does not answer at '%s': another client holds this "
                    "monitor, or QEMU is stopped; give QEMU a second -qmp "
                    "socket",
                    qmp->qmp.name);
        return false;
    }
    if (!json_object_get(greeting, "QMP")) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "what answers at '%s' does not speak QMP", qmp->qmp.name);
        return false;
    }
    answer = qmp_execute(&qmp->qmp, "qmp_capabilities", NULL, error);
    return answer != NULL;
}

static SocketQmp *socket_new(const char *name)
{
    static const QmpBackend backend = {socket_exchange, socket_wait_event,
                                       socket_free};
    SocketQmp *qmp = g_new0(SocketQmp, 1);

    qmp->qmp.backend = &backend;
    qmp->qmp.name = g_strdup(name);
    qmp->input = g_byte_array_new();
    qmp->events = g_queue_new();
    return qmp;
}

Qmp *qmp_open(const char *path, GError **error)
{
    SocketQmp *qmp = socket_new(path);
    g_autoptr(Qmp) owned = &qmp->qmp;
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GError) why = NULL;

    qmp->socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                               G_SOCKET_PROTOCOL_DEFAULT, &why);
    if (!qmp->socket || !g_socket_connect(qmp->socket, address, NULL, &why)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION,
                    "cannot reach QEMU at '%s': %s; does the VM run with -qmp "
                    "unix:%s,server=on,wait=off, and may you open it?",
                    path, why->message, path);
        return NULL;
    }
    return greet(qmp, GREETING_MS, error) ? g_steal_pointer(&owned) : NULL;
}

Qmp *qmp_open_fd(int fd, const char *name, GError **error)
{
    SocketQmp *qmp = socket_new(name);
    g_autoptr(Qmp) owned = &qmp->qmp;

    qmp->socket = g_socket_new_from_fd(fd, error);
    if (!qmp->socket) {
        close(fd);
        return NULL;
    }
    return greet(qmp, EMULATOR_MS, error) ? g_steal_pointer(&owned) : NULL;
}
