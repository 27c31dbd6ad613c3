/*
 * One connection's requests, each turned into a call of its VM's attester.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/dispatch.h"

#include <string.h>
#include "attester/attester.h"
#include "base/limits.h"

struct VsmDispatch {
    VsmAttester *attester;
    char *uuid;
    GPtrArray *records; /* of the last LIST from its start; NULL: none */
};

/* Turns one request into the answer's struct; false: @error says why. */
typedef bool Handler(VsmDispatch *dispatch,
                     gconstpointer request,
                     gpointer answer,
                     GCancellable *cancel,
                     GError **error);

static bool check_uuid(VsmDispatch *dispatch, const VsmVm *vm, GError **error)
{
    if (strcmp(vm->uuid, dispatch->uuid) == 0) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_DENIED,
                "VM %s: this connection is VM %s's alone", vm->uuid,
                dispatch->uuid);
    return false;
}

/* --- One function a request ------------------------------------------- */

/* The answer's struct is a copy of @from, which gives its members up. */
static void move(gpointer answer, gpointer from, gsize bytes)
{
    memcpy(answer, from, bytes);
    g_free(from);
}

static bool do_status(VsmDispatch *dispatch,
                      gconstpointer request,
                      gpointer answer,
                      GCancellable *cancel,
                      GError **error)
{
    VsmStatus *status;

    if (!check_uuid(dispatch, request, error) ||
        !vsm_attester_status(dispatch->attester, request, &status, cancel,
                             error)) {
        return false;
    }
    move(answer, status, sizeof(*status));
    return true;
}

/* As many as fit beside each other in one message. */
static bool add_records(VsmDispatch *dispatch,
                        guint32 start,
                        VsmProtocolRecords *answer,
                        GError **error)
{
    gsize bytes = 0;

    for (guint i = start; i < dispatch->records->len; i++) {
        VsmRecord *record = dispatch->records->pdata[i];
        const VsmWire *wire =
            vsm_protocol_wire(VSM_PROTOCOL_COMMIT | VSM_PROTOCOL_ANSWER);
        g_autoptr(GVariant) tuple = vsm_wire_encode(wire, record, error);

        if (!tuple) {
            return false;
        }
        g_variant_ref_sink(tuple);
        /* Alignment, and at most four bytes to say where it ends. */
        bytes += g_variant_get_size(tuple) + 12;
        if (i > start && bytes + 64 > VSM_MESSAGE_BYTES_MAX) {
            break;
        }
        g_ptr_array_add(answer->records, record);
    }
    return true;
}

static bool do_list(VsmDispatch *dispatch,
                    gconstpointer request,
                    gpointer answer,
                    GCancellable *cancel,
                    GError **error)
{
    const VsmProtocolList *list = request;
    VsmProtocolRecords *records = answer;

    if (list->start == 0) {
        g_autoptr(GPtrArray) found = NULL;

        if (!vsm_attester_list(dispatch->attester, &found, cancel, error)) {
            return false;
        }
        g_clear_pointer(&dispatch->records, g_ptr_array_unref);
        dispatch->records = g_steal_pointer(&found);
    }
    if (!dispatch->records || list->start > dispatch->records->len) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a list from record %u on: there is none", list->start);
        return false;
    }
    records->total = dispatch->records->len;
    records->records = g_ptr_array_new(); /* borrowed: no free function */
    return add_records(dispatch, list->start, records, error);
}

static bool do_seal_begin(VsmDispatch *dispatch,
                          gconstpointer request,
                          gpointer answer,
                          GCancellable *cancel,
                          GError **error)
{
    const VsmSealRequest *seal = request;
    VsmProtocolId *id = answer;

    return check_uuid(dispatch, &seal->vm, error) &&
           vsm_attester_seal_begin(dispatch->attester, seal, &id->id, cancel,
                                   error);
}

static bool do_put(VsmDispatch *dispatch,
                   gconstpointer request,
                   G_GNUC_UNUSED gpointer answer,
                   GCancellable *cancel,
                   GError **error)
{
    const VsmProtocolPut *put = request;

    return vsm_attester_put(dispatch->attester, put->part, put->offset,
                            put->bytes, cancel, error);
}

static bool do_seal_finish(VsmDispatch *dispatch,
                           gconstpointer request,
                           G_GNUC_UNUSED gpointer answer,
                           GCancellable *cancel,
                           GError **error)
{
    const VsmProtocolSealFinish *finish = request;

    return vsm_attester_seal_finish(dispatch->attester, &finish->container,
                                    finish->scope_reason, cancel, error);
}

static bool do_commit(VsmDispatch *dispatch,
                      G_GNUC_UNUSED gconstpointer request,
                      gpointer answer,
                      GCancellable *cancel,
                      GError **error)
{
    VsmRecord *record;

    if (!vsm_attester_commit(dispatch->attester, &record, cancel, error)) {
        return false;
    }
    move(answer, record, sizeof(*record));
    return true;
}

static bool do_check_begin(VsmDispatch *dispatch,
                           gconstpointer request,
                           gpointer answer,
                           GCancellable *cancel,
                           GError **error)
{
    const VsmCheckRequest *check = request;
    VsmRecord *record;

    if (!check_uuid(dispatch, &check->vm, error) ||
        !vsm_attester_check_begin(dispatch->attester, check, &record, cancel,
                                  error)) {
        return false;
    }
    move(answer, record, sizeof(*record));
    return true;
}

static bool do_get(VsmDispatch *dispatch,
                   gconstpointer request,
                   gpointer answer,
                   GCancellable *cancel,
                   GError **error)
{
    const VsmProtocolGet *get = request;
    VsmProtocolBytes *bytes = answer;

    return vsm_attester_get(dispatch->attester, get->part, get->offset,
                            get->bytes, &bytes->bytes, cancel, error);
}

static bool do_check_finish(VsmDispatch *dispatch,
                            gconstpointer request,
                            gpointer answer,
                            GCancellable *cancel,
                            GError **error)
{
    VsmVerdict *verdict;

    if (!vsm_attester_check_finish(dispatch->attester, request, &verdict,
                                   cancel, error)) {
        return false;
    }
    move(answer, verdict, sizeof(*verdict));
    return true;
}

static bool do_abort(VsmDispatch *dispatch,
                     G_GNUC_UNUSED gconstpointer request,
                     G_GNUC_UNUSED gpointer answer,
                     G_GNUC_UNUSED GCancellable *cancel,
                     G_GNUC_UNUSED GError **error)
{
    vsm_attester_abort(dispatch->attester);
    return true;
}

static bool do_remove(VsmDispatch *dispatch,
                      gconstpointer request,
                      G_GNUC_UNUSED gpointer answer,
                      GCancellable *cancel,
                      GError **error)
{
    const VsmProtocolId *id = request;

    return vsm_attester_remove(dispatch->attester, id->id, cancel, error);
}

static bool do_forget(VsmDispatch *dispatch,
                      gconstpointer request,
                      G_GNUC_UNUSED gpointer answer,
                      GCancellable *cancel,
                      GError **error)
{
    const VsmProtocolId *id = request;

    return vsm_attester_forget(dispatch->attester, id->id, cancel, error);
}

static Handler *const handlers[] = {
    [VSM_PROTOCOL_STATUS] = do_status,
    [VSM_PROTOCOL_LIST] = do_list,
    [VSM_PROTOCOL_SEAL_BEGIN] = do_seal_begin,
    [VSM_PROTOCOL_PUT] = do_put,
    [VSM_PROTOCOL_SEAL_FINISH] = do_seal_finish,
    [VSM_PROTOCOL_COMMIT] = do_commit,
    [VSM_PROTOCOL_CHECK_BEGIN] = do_check_begin,
    [VSM_PROTOCOL_GET] = do_get,
    [VSM_PROTOCOL_CHECK_FINISH] = do_check_finish,
    [VSM_PROTOCOL_ABORT] = do_abort,
    [VSM_PROTOCOL_REMOVE] = do_remove,
    [VSM_PROTOCOL_FORGET] = do_forget,
};

/* --- Messages --------------------------------------------------------- */

/* The answer's body; NULL: the attester refused, or nobody could read it. */
static GBytes *answer_of(VsmDispatch *dispatch,
                         guint16 op,
                         gconstpointer request,
                         GCancellable *cancel,
                         GError **error)
{
    guint16 answer_op = op | VSM_PROTOCOL_ANSWER;
    gpointer answer = g_malloc0(vsm_protocol_wire(answer_op)->bytes);
    GBytes *body = NULL;

    if (handlers[op](dispatch, request, answer, cancel, error)) {
        body = vsm_protocol_encode(answer_op, answer, error);
    }
    vsm_protocol_free(answer_op, answer);
    return body;
}

static gpointer
read_request(const VsmProtocolHeader *header, GBytes *body, GError **error)
{
    if (header->version != VSM_PROTOCOL_VERSION) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "a message in version %u of the protocol; the daemon "
                    "speaks version %u: use QEMU and vsmd of the same VSM",
                    header->version, VSM_PROTOCOL_VERSION);
        return NULL;
    }
    if (header->op & VSM_PROTOCOL_ANSWER) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "message %u is an answer, not a request", header->op);
        return NULL;
    }
    return vsm_protocol_decode(header->op, body, error);
}

bool vsm_dispatch_message(VsmDispatch *dispatch,
                          const VsmProtocolHeader *header,
                          GBytes *body,
                          GCancellable *cancel,
                          guint16 *ret_op,
                          GBytes **ret_body)
{
    g_autoptr(GError) why = NULL;
    gpointer request = read_request(header, body, &why);
    GBytes *answer = NULL;

    if (request) {
        answer = answer_of(dispatch, header->op, request, cancel, &why);
        vsm_protocol_free(header->op, request);
    }
    *ret_op = answer ? header->op | VSM_PROTOCOL_ANSWER : VSM_PROTOCOL_ERROR;
    *ret_body = answer ? answer : vsm_protocol_encode_error(why);
    return request != NULL;
}

VsmDispatch *vsm_dispatch_new(VsmAttester *attester, const char *uuid)
{
    VsmDispatch *dispatch = g_new0(VsmDispatch, 1);

    dispatch->attester = g_object_ref(attester);
    dispatch->uuid = g_strdup(uuid);
    return dispatch;
}

void vsm_dispatch_free(VsmDispatch *dispatch)
{
    if (dispatch) {
        vsm_attester_abort(dispatch->attester);
        g_object_unref(dispatch->attester);
        g_clear_pointer(&dispatch->records, g_ptr_array_unref);
        g_free(dispatch->uuid);
        g_free(dispatch);
    }
}
