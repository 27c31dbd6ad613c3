/*
 * VsmAttester over the socket of vsmd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/remote.h>
#include "attester/connection.h"
#include "attester/remote-list.h"
#include "base/text.h"

#define VSM_TYPE_REMOTE (vsm_remote_get_type())
G_DECLARE_FINAL_TYPE(VsmRemote, vsm_remote, VSM, REMOTE, GObject)

struct _VsmRemote {
    GObject parent;
    VsmConnection *connection;
    guint begun; /* connection of the save or check under way; 0: none */
    char *id; /* of the save under way */
};

static void attester_init(VsmAttesterInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(VsmRemote,
                              vsm_remote,
                              G_TYPE_OBJECT,
                              G_IMPLEMENT_INTERFACE(VSM_TYPE_ATTESTER,
                                                    attester_init))

/* --- Requests that need no more than their answer --------------------- */

/* @on: goes on with what began on that connection; 0: with nothing. */
static bool ask(VsmRemote *self,
                VsmProtocolOp op,
                gconstpointer body,
                guint on,
                gpointer *ret,
                GCancellable *cancel,
                GError **error)
{
    VsmRequest request = {.op = op, .body = body, .on = on};

    return vsm_connection_ask(self->connection, &request, ret, NULL, cancel,
                              error);
}

/* The same where the answer says nothing but that it was done. */
static bool tell(VsmRemote *self,
                 VsmProtocolOp op,
                 gconstpointer body,
                 guint on,
                 GCancellable *cancel,
                 GError **error)
{
    gpointer nothing = NULL;

    if (!ask(self, op, body, on, &nothing, cancel, error)) {
        return false;
    }
    vsm_protocol_free(op | VSM_PROTOCOL_ANSWER, nothing);
    return true;
}

static bool do_status(VsmAttester *attester,
                      const VsmVm *vm,
                      VsmStatus **ret,
                      GCancellable *cancel,
                      GError **error)
{
    gpointer status = NULL;

    if (!ask(VSM_REMOTE(attester), VSM_PROTOCOL_STATUS, vm, 0, &status, cancel,
             error)) {
        return false;
    }
    *ret = status;
    return true;
}

static bool do_forget(VsmAttester *attester,
                      const char *id,
                      GCancellable *cancel,
                      GError **error)
{
    VsmProtocolId request = {(char *)id};

    return tell(VSM_REMOTE(attester), VSM_PROTOCOL_FORGET, &request, 0, cancel,
                error);
}

static bool do_put(VsmAttester *attester,
                   VsmPart part,
                   guint64 offset,
                   GBytes *bytes,
                   GCancellable *cancel,
                   GError **error)
{
    VsmRemote *self = VSM_REMOTE(attester);
    VsmProtocolPut request = {part, offset, bytes};

    return tell(self, VSM_PROTOCOL_PUT, &request, self->begun, cancel, error);
}

static bool do_get(VsmAttester *attester,
                   VsmPart part,
                   guint64 offset,
                   gsize bytes,
                   GBytes **ret,
                   GCancellable *cancel,
                   GError **error)
{
    VsmRemote *self = VSM_REMOTE(attester);
    VsmProtocolGet request = {part, offset, bytes};
    gpointer answer = NULL;
    VsmProtocolBytes *piece;

    if (!ask(self, VSM_PROTOCOL_GET, &request, self->begun, &answer, cancel,
             error)) {
        return false;
    }
    piece = answer;
    if (g_bytes_get_size(piece->bytes) > bytes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "%zu bytes of a part came where %zu were asked for",
                    g_bytes_get_size(piece->bytes), bytes);
        vsm_protocol_free(VSM_PROTOCOL_GET | VSM_PROTOCOL_ANSWER, answer);
        return false;
    }
    *ret = g_steal_pointer(&piece->bytes);
    vsm_protocol_free(VSM_PROTOCOL_GET | VSM_PROTOCOL_ANSWER, answer);
    return true;
}

/* --- The list ---------------------------------------------------------- */

static bool do_list(VsmAttester *attester,
                    GPtrArray **ret,
                    GCancellable *cancel,
                    GError **error)
{
    GPtrArray *records =
        vsm_remote_list(VSM_REMOTE(attester)->connection, 0, cancel, error);

    if (records) {
        *ret = records;
    }
    return records != NULL;
}

/* --- Begin and end of a transaction ----------------------------------- */

/* A new one: what an earlier one left behind is of no more interest. */
static bool begin(VsmRemote *self,
                  VsmProtocolOp op,
                  gconstpointer body,
                  gpointer *ret,
                  GCancellable *cancel,
                  GError **error)
{
    if (self->begun) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "a save or a check is under way; end it first");
        return false;
    }
    if (!ask(self, op, body, 0, ret, cancel, error)) {
        return false;
    }
    self->begun = vsm_connection_number(self->connection);
    return true;
}

static void end(VsmRemote *self)
{
    self->begun = 0;
    g_clear_pointer(&self->id, g_free);
}

static void do_abort(VsmAttester *attester)
{
    VsmRemote *self = VSM_REMOTE(attester);

    if (self->begun) {
        vsm_connection_abort(self->connection);
        end(self);
    }
}

static bool do_seal_begin(VsmAttester *attester,
                          const VsmSealRequest *request,
                          char **ret_id,
                          GCancellable *cancel,
                          GError **error)
{
    VsmRemote *self = VSM_REMOTE(attester);
    gpointer answer = NULL;
    VsmProtocolId *id;

    if (!begin(self, VSM_PROTOCOL_SEAL_BEGIN, request, &answer, cancel,
               error)) {
        return false;
    }
    id = answer;
    if (!vsm_text_is_id(id->id)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "the attester gave a save the id \"%s\"", id->id);
        vsm_protocol_free(VSM_PROTOCOL_SEAL_BEGIN | VSM_PROTOCOL_ANSWER, id);
        do_abort(attester);
        return false;
    }
    self->id = g_strdup(id->id);
    *ret_id = g_steal_pointer(&id->id);
    vsm_protocol_free(VSM_PROTOCOL_SEAL_BEGIN | VSM_PROTOCOL_ANSWER, id);
    return true;
}

static bool do_seal_finish(VsmAttester *attester,
                           const VsmContainer *container,
                           const char *scope_reason,
                           GCancellable *cancel,
                           GError **error)
{
    VsmRemote *self = VSM_REMOTE(attester);
    VsmProtocolSealFinish request = {*container, (char *)scope_reason};

    return tell(self, VSM_PROTOCOL_SEAL_FINISH, &request, self->begun, cancel,
                error);
}

static bool do_check_begin(VsmAttester *attester,
                           const VsmCheckRequest *request,
                           VsmRecord **ret,
                           GCancellable *cancel,
                           GError **error)
{
    gpointer record = NULL;

    if (!begin(VSM_REMOTE(attester), VSM_PROTOCOL_CHECK_BEGIN, request, &record,
               cancel, error)) {
        return false;
    }
    *ret = record;
    return true;
}

static bool do_check_finish(VsmAttester *attester,
                            const VsmMeasured *measured,
                            VsmVerdict **ret,
                            GCancellable *cancel,
                            GError **error)
{
    VsmRemote *self = VSM_REMOTE(attester);
    gpointer verdict = NULL;

    if (!ask(self, VSM_PROTOCOL_CHECK_FINISH, measured, self->begun, &verdict,
             cancel, error)) {
        return false;
    }
    end(self);
    *ret = verdict;
    return true;
}

/* --- Commit and remove: an answer that was lost ------------------------ */

static bool refuse_cancelled(GCancellable *cancel, GError **error)
{
    if (cancel && g_cancellable_is_cancelled(cancel)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CANCELLED, "cancelled");
        return true;
    }
    return false;
}

static bool do_commit(VsmAttester *attester,
                      VsmRecord **ret,
                      GCancellable *cancel,
                      GError **error)
{
    VsmRemote *self = VSM_REMOTE(attester);
    VsmProtocolNothing nothing = {0};
    VsmRequest request = {VSM_PROTOCOL_COMMIT, &nothing, 0, self->begun};
    gpointer answer = NULL;
    g_autoptr(GError) why = NULL;
    g_autoptr(VsmRecord) listed = NULL;

    if (refuse_cancelled(cancel, error)) {
        return false;
    }
    if (!self->id) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "no save is under way that could be committed");
        return false;
    }
    if (!vsm_remote_decide(self->connection, &request, self->id, &answer,
                           &listed, &why) ||
        (!answer && !listed)) {
        if (why->code == VSM_ERROR_IN_DOUBT) {
            end(self);
        }
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    end(self);
    *ret = answer ? answer : g_steal_pointer(&listed);
    return true;
}

static bool do_remove(VsmAttester *attester,
                      const char *id,
                      GCancellable *cancel,
                      GError **error)
{
    VsmProtocolId body = {(char *)id};
    VsmRequest request = {VSM_PROTOCOL_REMOVE, &body, 0, 0};
    gpointer answer = NULL;
    g_autoptr(GError) why = NULL;
    g_autoptr(VsmRecord) listed = NULL;

    if (refuse_cancelled(cancel, error)) {
        return false;
    }
    if (!vsm_remote_decide(VSM_REMOTE(attester)->connection, &request, id,
                           &answer, &listed, &why) ||
        listed) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    if (answer) {
        vsm_protocol_free(VSM_PROTOCOL_REMOVE | VSM_PROTOCOL_ANSWER, answer);
    }
    return true;
}

/* --- The object -------------------------------------------------------- */

static void attester_init(VsmAttesterInterface *iface)
{
    iface->status = do_status;
    iface->list = do_list;
    iface->seal_begin = do_seal_begin;
    iface->put = do_put;
    iface->seal_finish = do_seal_finish;
    iface->commit = do_commit;
    iface->check_begin = do_check_begin;
    iface->get = do_get;
    iface->check_finish = do_check_finish;
    iface->abort = do_abort;
    iface->remove = do_remove;
    iface->forget = do_forget;
}

static void vsm_remote_init(G_GNUC_UNUSED VsmRemote *self)
{
}

static void vsm_remote_finalize(GObject *object)
{
    VsmRemote *self = VSM_REMOTE(object);

    vsm_connection_free(self->connection);
    g_free(self->id);
    G_OBJECT_CLASS(vsm_remote_parent_class)->finalize(object);
}

static void vsm_remote_class_init(VsmRemoteClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = vsm_remote_finalize;
}

VsmAttester *vsm_remote_attester_new(const char *socket_path, GError **error)
{
    VsmConnection *connection = vsm_connection_new(socket_path, error);
    VsmRemote *self;

    if (!connection) {
        return NULL;
    }
    self = g_object_new(VSM_TYPE_REMOTE, NULL);
    self->connection = connection;
    return VSM_ATTESTER(self);
}

void vsm_remote_attester_set_deadline(VsmAttester *attester, guint request_ms)
{
    g_return_if_fail(VSM_IS_REMOTE(attester));
    vsm_connection_set_deadline(VSM_REMOTE(attester)->connection, request_ms);
}
