/*
 * A VM's list over the socket, and what became of a change of it whose answer
 * was lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attester/remote-list.h"

#include <string.h>

/* How long the outcome of a commit is asked for; milliseconds. */
#define DECIDE_MS 10000
#define DECIDE_PAUSE_MS 100

/* Far above what one VM's quota holds. */
#define RECORDS_MAX 65536u

static void steal_records(VsmProtocolRecords *page, GPtrArray *records)
{
    while (page->records->len) {
        g_ptr_array_add(records, g_ptr_array_steal_index(page->records, 0));
    }
}

GPtrArray *vsm_remote_list(VsmConnection *connection,
                           guint deadline_ms,
                           GCancellable *cancel,
                           GError **error)
{
    g_autoptr(GPtrArray) records =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_record_free);
    guint32 total;

    do {
        VsmProtocolList start = {records->len};
        VsmRequest request = {
            .op = VSM_PROTOCOL_LIST,
            .body = &start,
            .deadline_ms = deadline_ms,
            .on = records->len ? vsm_connection_number(connection) : 0,
        };
        gpointer answer = NULL;
        VsmProtocolRecords *page;

        if (!vsm_connection_ask(connection, &request, &answer, NULL, cancel,
                                error)) {
            return NULL;
        }
        page = answer;
        total = page->total;
        steal_records(page, records);
        vsm_protocol_free(VSM_PROTOCOL_LIST | VSM_PROTOCOL_ANSWER, page);
        if (records->len > total || records->len == start.start ||
            total > RECORDS_MAX) {
            break;
        }
    } while (records->len < total);
    if (records->len != total) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "a list of %u records came with %u of them", total,
                    records->len);
        return NULL;
    }
    return g_steal_pointer(&records);
}

/*
 * The record's place in the list, once the daemon can be asked again: it
 * serves one connection of a VM at a time, so what an earlier one asked for
 * has ended by then.  NULL: not known in time.
 */
static GPtrArray *list_again(VsmConnection *connection, GError **error)
{
    gint64 until = g_get_monotonic_time() + DECIDE_MS * G_TIME_SPAN_MILLISECOND;

    for (;;) {
        gint64 left = (until - g_get_monotonic_time()) / 1000;
        g_autoptr(GPtrArray) records = NULL;

        if (left <= 0) {
            return NULL;
        }
        g_clear_error(error);
        records = vsm_remote_list(connection, left, NULL, error);
        if (records) {
            return g_steal_pointer(&records);
        }
        g_usleep(DECIDE_PAUSE_MS * 1000);
    }
}

/* Takes the listed record @id out of @records. */
static VsmRecord *take_listed(GPtrArray *records, const char *id)
{
    for (guint i = 0; i < records->len; i++) {
        const VsmRecord *record = records->pdata[i];

        if (record->listed && strcmp(record->id, id) == 0) {
            return g_ptr_array_steal_index(records, i);
        }
    }
    return NULL;
}

bool vsm_remote_decide(VsmConnection *connection,
                       const VsmRequest *request,
                       const char *id,
                       gpointer *ret,
                       VsmRecord **ret_listed,
                       GError **error)
{
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(GError) why = NULL;
    g_autoptr(GError) later = NULL;
    bool lost;

    /* Once sent it cannot be called back, so nothing cancels the wait. */
    if (vsm_connection_ask(connection, request, ret, &lost, NULL, &why)) {
        return true;
    }
    if (!lost) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    records = list_again(connection, &later);
    if (!records) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_IN_DOUBT,
                    "%s; whether snapshot %s is listed cannot be told (%s): it "
                    "is seen to when vsmd can be asked again",
                    why->message, id, later ? later->message : "no time");
        return false;
    }
    *ret_listed = take_listed(records, id);
    g_propagate_error(error, g_steal_pointer(&why));
    return true;
}
