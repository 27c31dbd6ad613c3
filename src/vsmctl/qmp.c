/*
 * A QMP client on a unix socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/qmp.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <vsm/error.h>

/* One message; a report is at most 1 MiB, twice in an answer. */
#define MESSAGE_BYTES_MAX (16 * 1024 * 1024)

/* Milliseconds.  QEMU answers at once, unless its main loop is blocked by
 * something that is not ours, such as HMP's savevm on a slow disk. */
#define GREETING_MS 5000
#define ANSWER_MS (15 * 60 * 1000)

struct _Qmp {
    GSocket *socket;
    GByteArray *input; /* received, not yet a whole line */
    GQueue *events; /* of json_t */
    char *path;
    guint64 last_id;
};

void qmp_free(Qmp *qmp)
{
    if (!qmp) {
        return;
    }
    g_clear_object(&qmp->socket);
    g_byte_array_unref(qmp->input);
    g_queue_free_full(qmp->events, (GDestroyNotify)json_decref);
    g_free(qmp->path);
    g_free(qmp);
}

static bool lost(Qmp *qmp, const char *why, GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION,
                "the connection to QEMU at '%s' broke: %s; is the VM still "
                "there?",
                qmp->path, why);
    return false;
}

/* Cuts the first line out of the input; NULL: there is no whole one. */
static char *take_line(Qmp *qmp)
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
static bool read_line(Qmp *qmp, gint64 deadline, char **ret, GError **error)
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
                        qmp->path);
            return false;
        }
    }
}

/* *ret NULL: nothing came until @deadline. */
static bool
read_message(Qmp *qmp, gint64 deadline, json_t **ret, GError **error)
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
                    "what answers at '%s' does not speak QMP", qmp->path);
        return false;
    }
    return true;
}

static gint64 after_ms(guint ms)
{
    return g_get_monotonic_time() + (gint64)ms * 1000;
}

static bool greet(Qmp *qmp, GError **error)
{
    json_auto_t *greeting = NULL, *answer = NULL;

    if (!read_message(qmp, after_ms(GREETING_MS), &greeting, error)) {
        return false;
    }
    if (!greeting) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT,
                    "QEMU does not answer at '%s': another client holds this "
                    "monitor, or QEMU is stopped; give QEMU a second -qmp "
                    "socket",
                    qmp->path);
        return false;
    }
    if (!json_object_get(greeting, "QMP")) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "what answers at '%s' does not speak QMP", qmp->path);
        return false;
    }
    answer = qmp_execute(qmp, "qmp_capabilities", NULL, error);
    return answer != NULL;
}

Qmp *qmp_open(const char *path, GError **error)
{
    g_autoptr(Qmp) qmp = g_new0(Qmp, 1);
    g_autoptr(GSocketAddress) address = NULL;
    g_autoptr(GError) why = NULL;

    path = path ? path : g_getenv("VSM_QMP");
    qmp->input = g_byte_array_new();
    qmp->events = g_queue_new();
    qmp->path = g_strdup(path);
    if (!path) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "which VM? give its QMP socket with --qmp PATH, or in the "
                    "environment's VSM_QMP");
        return NULL;
    }
    address = g_unix_socket_address_new(path);
    qmp->socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                               G_SOCKET_PROTOCOL_DEFAULT, &why);
    if (!qmp->socket || !g_socket_connect(qmp->socket, address, NULL, &why)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CONNECTION,
                    "cannot reach QEMU at '%s': %s; does the VM run with -qmp "
                    "unix:%s,server=on,wait=off, and may you open it?",
                    path, why->message, path);
        return NULL;
    }
    return greet(qmp, error) ? g_steal_pointer(&qmp) : NULL;
}

static bool send_all(Qmp *qmp, const char *text, GError **error)
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

static json_t *result_of(const char *command, json_t *answer, GError **error)
{
    json_t *value = json_object_get(answer, "return");
    json_t *failure = json_object_get(answer, "error");
    const char *class = json_string_value(json_object_get(failure, "class"));
    const char *text = json_string_value(json_object_get(failure, "desc"));

    if (value) {
        return json_incref(value);
    }
    if (g_strcmp0(class, "CommandNotFound") == 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                    "this QEMU does not know '%s': is it the VSM one, "
                    "with -object vm-snapshot-manager?",
                    command);
    } else {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID, "%s",
                    text ? text : "QEMU refused without a reason");
    }
    return NULL;
}

json_t *
qmp_execute(Qmp *qmp, const char *command, json_t *arguments, GError **error)
{
    json_auto_t *request =
        json_pack("{s:s, s:I, s:o*}", "execute", command, "id",
                  (json_int_t)++qmp->last_id, "arguments", arguments);
    char *text = json_dumps(request, JSON_COMPACT | JSON_ENSURE_ASCII);
    g_autofree char *line = g_strconcat(text ? text : "", "\n", NULL);
    gint64 deadline = after_ms(ANSWER_MS);

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
            g_queue_push_tail(qmp->events, g_steal_pointer(&message));
        } else if (json_integer_value(json_object_get(message, "id")) ==
                   (json_int_t)qmp->last_id) {
            return result_of(command, message, error);
        }
    }
}

bool qmp_wait_event(Qmp *qmp, guint timeout_ms, json_t **ret, GError **error)
{
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
