/*
 * A QMP server with fixed answers, for tests of vsmctl.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-stub.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n"

struct _Stub {
    GSocketListener *listener;
    GCancellable *cancel;
    GThread *thread;
    GMutex lock; /* of @received */
    GPtrArray *received;
    const StubAnswer *answers;
    GHashTable *given; /* StubAnswer → how often */
    char *path, *job;
    const char *slow; /* NULL: no command is */
    guint slow_ms;
};

static const StubAnswer *find(Stub *stub, const char *command)
{
    for (const StubAnswer *entry = stub->answers; entry->command; entry++) {
        guint given = GPOINTER_TO_UINT(g_hash_table_lookup(stub->given, entry));

        if (strcmp(entry->command, command) == 0 &&
            (entry->times == 0 || given < entry->times)) {
            g_hash_table_insert(stub->given, (gpointer)entry,
                                GUINT_TO_POINTER(given + 1));
            return entry;
        }
    }
    return NULL;
}

static char *with_job(Stub *stub, const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, "JOB", -1);

    return g_strjoinv(stub->job ? stub->job : "", parts);
}

static void send_text(GOutputStream *out, const char *text)
{
    g_output_stream_write_all(out, text, strlen(text), NULL, NULL, NULL);
    g_output_stream_write_all(out, "\n", 1, NULL, NULL, NULL);
}

static void answer(Stub *stub, GOutputStream *out, const json_t *request)
{
    const char *command =
        json_string_value(json_object_get(request, "execute"));
    const char *job = json_string_value(
        json_object_get(json_object_get(request, "arguments"), "job-id"));
    const StubAnswer *entry = find(stub, command ? command : "");
    const char *text =
        entry
            ? entry->answer
            : "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"?\"}}";
    g_autofree char *line = NULL;
    json_auto_t *object = NULL;
    char *dumped;

    if (job) {
        g_free(stub->job);
        stub->job = g_strdup(job);
    }
    if (strcmp(command ? command : "", "qmp_capabilities") == 0) {
        text = "{\"return\": {}}";
    }
    if (entry && entry->event) {
        g_autofree char *event = with_job(stub, entry->event);

        send_text(out, event);
    }
    if (stub->slow && g_strcmp0(command, stub->slow) == 0) {
        g_usleep(stub->slow_ms * 1000UL);
    }
    line = with_job(stub, text);
    object = json_loads(line, 0, NULL);
    g_assert_nonnull(object);
    json_object_set(object, "id", json_object_get(request, "id"));
    dumped = json_dumps(object, JSON_COMPACT);
    send_text(out, dumped);
    free(dumped);
}

static void serve(Stub *stub, GSocketConnection *connection)
{
    g_autoptr(GDataInputStream) in = g_data_input_stream_new(
        g_io_stream_get_input_stream(G_IO_STREAM(connection)));
    GOutputStream *out = g_io_stream_get_output_stream(G_IO_STREAM(connection));
    char *line;

    g_output_stream_write_all(out, GREETING, strlen(GREETING), NULL, NULL,
                              NULL);
    while (
        (line = g_data_input_stream_read_line(in, NULL, stub->cancel, NULL))) {
        json_auto_t *request = json_loads(line, 0, NULL);

        g_mutex_lock(&stub->lock);
        g_ptr_array_add(stub->received, line);
        g_mutex_unlock(&stub->lock);
        answer(stub, out, request);
    }
}

static gpointer thread(gpointer opaque)
{
    Stub *stub = opaque;

    for (;;) {
        g_autoptr(GSocketConnection) connection =
            g_socket_listener_accept(stub->listener, NULL, stub->cancel, NULL);

        if (!connection) {
            return NULL;
        }
        serve(stub, connection);
    }
}

Stub *stub_new(const char *path, const StubAnswer *answers)
{
    Stub *stub = g_new0(Stub, 1);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GError) error = NULL;

    stub->path = g_strdup(path);
    stub->answers = answers;
    stub->given = g_hash_table_new(NULL, NULL);
    stub->received = g_ptr_array_new_with_free_func(g_free);
    g_mutex_init(&stub->lock);
    stub->listener = g_socket_listener_new();
    stub->cancel = g_cancellable_new();
    g_socket_listener_add_address(stub->listener, address, G_SOCKET_TYPE_STREAM,
                                  G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL,
                                  &error);
    g_assert_no_error(error);
    stub->thread = g_thread_new("qmp-stub", thread, stub);
    return stub;
}

static bool has_received(Stub *stub, const char *text)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&stub->lock);

    for (guint i = 0; i < stub->received->len; i++) {
        if (strstr(g_ptr_array_index(stub->received, i), text)) {
            return true;
        }
    }
    return false;
}

void stub_slow(Stub *stub, const char *command, guint ms)
{
    stub->slow = command;
    stub->slow_ms = ms;
}

void stub_wait_for(Stub *stub, const char *text)
{
    while (!has_received(stub, text)) {
        g_usleep(1000);
    }
}

GPtrArray *stub_received(Stub *stub)
{
    return stub->received;
}

void stub_free(Stub *stub)
{
    g_cancellable_cancel(stub->cancel);
    g_thread_join(stub->thread);
    g_socket_listener_close(stub->listener);
    g_unlink(stub->path);
    g_object_unref(stub->listener);
    g_object_unref(stub->cancel);
    g_ptr_array_unref(stub->received);
    g_hash_table_unref(stub->given);
    g_mutex_clear(&stub->lock);
    g_free(stub->path);
    g_free(stub->job);
    g_free(stub);
}
