/*
 * Fuzz target: messages of the protocol, as both sides read them.
 *
 * The first byte chooses how the body is read: as a request from 0 on, then
 * as an answer, then as an error; header and body follow.  A request that can
 * be read goes on to an attester that refuses everything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "attester/protocol.h"
#include "vsmd/dispatch.h"

#define UUID "00112233-4455-6677-8899-aabbccddeeff"
#define OPS VSM_PROTOCOL_FORGET

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/* --- An attester that is never asked with what it must not be ---------- */

#define TYPE_REFUSER (refuser_get_type())
G_DECLARE_FINAL_TYPE(Refuser, refuser, TEST, REFUSER, GObject)

struct _Refuser {
    GObject parent;
};

static bool refuse(GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY, "refused");
    return false;
}

static bool refuse_status(G_GNUC_UNUSED VsmAttester *self,
                          const VsmVm *vm,
                          G_GNUC_UNUSED VsmStatus **ret,
                          G_GNUC_UNUSED GCancellable *cancel,
                          GError **error)
{
    g_assert_cmpstr(vm->uuid, ==, UUID);
    return refuse(error);
}

static bool refuse_list(G_GNUC_UNUSED VsmAttester *self,
                        GPtrArray **ret,
                        G_GNUC_UNUSED GCancellable *cancel,
                        G_GNUC_UNUSED GError **error)
{
    *ret = g_ptr_array_new();
    return true;
}

static bool refuse_seal_begin(G_GNUC_UNUSED VsmAttester *self,
                              const VsmSealRequest *request,
                              G_GNUC_UNUSED char **ret,
                              G_GNUC_UNUSED GCancellable *cancel,
                              GError **error)
{
    g_assert_cmpstr(request->vm.uuid, ==, UUID);
    g_assert_nonnull(request->vm.config);
    return refuse(error);
}

static bool refuse_put(G_GNUC_UNUSED VsmAttester *self,
                       VsmPart part,
                       G_GNUC_UNUSED guint64 offset,
                       GBytes *bytes,
                       G_GNUC_UNUSED GCancellable *cancel,
                       GError **error)
{
    g_assert_true(part >= VSM_PART_MANIFEST && part <= VSM_PART_SKELETON);
    g_assert_nonnull(bytes);
    return refuse(error);
}

static bool refuse_seal_finish(G_GNUC_UNUSED VsmAttester *self,
                               const VsmContainer *container,
                               G_GNUC_UNUSED const char *scope_reason,
                               G_GNUC_UNUSED GCancellable *cancel,
                               GError **error)
{
    g_assert_cmpuint(container->disks->len, >=, 1);
    g_assert_nonnull(container->tag);
    return refuse(error);
}

static bool refuse_commit(G_GNUC_UNUSED VsmAttester *self,
                          G_GNUC_UNUSED VsmRecord **ret,
                          G_GNUC_UNUSED GCancellable *cancel,
                          GError **error)
{
    return refuse(error);
}

static bool refuse_check_begin(G_GNUC_UNUSED VsmAttester *self,
                               const VsmCheckRequest *request,
                               G_GNUC_UNUSED VsmRecord **ret,
                               G_GNUC_UNUSED GCancellable *cancel,
                               GError **error)
{
    g_assert_cmpstr(request->vm.uuid, ==, UUID);
    g_assert_true(request->purpose >= VSM_PURPOSE_LOAD &&
                  request->purpose <= VSM_PURPOSE_STORED);
    return refuse(error);
}

static bool refuse_get(G_GNUC_UNUSED VsmAttester *self,
                       VsmPart part,
                       G_GNUC_UNUSED guint64 offset,
                       G_GNUC_UNUSED gsize bytes,
                       G_GNUC_UNUSED GBytes **ret,
                       G_GNUC_UNUSED GCancellable *cancel,
                       GError **error)
{
    g_assert_true(part >= VSM_PART_MANIFEST && part <= VSM_PART_SKELETON);
    return refuse(error);
}

static bool refuse_check_finish(G_GNUC_UNUSED VsmAttester *self,
                                G_GNUC_UNUSED const VsmMeasured *measured,
                                G_GNUC_UNUSED VsmVerdict **ret,
                                G_GNUC_UNUSED GCancellable *cancel,
                                GError **error)
{
    return refuse(error);
}

static void do_nothing(G_GNUC_UNUSED VsmAttester *self)
{
}

static bool refuse_id(G_GNUC_UNUSED VsmAttester *self,
                      const char *id,
                      G_GNUC_UNUSED GCancellable *cancel,
                      GError **error)
{
    g_assert_cmpuint(strlen(id), ==, 32);
    return refuse(error);
}

static void attester_init(VsmAttesterInterface *iface)
{
    iface->status = refuse_status;
    iface->list = refuse_list;
    iface->seal_begin = refuse_seal_begin;
    iface->put = refuse_put;
    iface->seal_finish = refuse_seal_finish;
    iface->commit = refuse_commit;
    iface->check_begin = refuse_check_begin;
    iface->get = refuse_get;
    iface->check_finish = refuse_check_finish;
    iface->abort = do_nothing;
    iface->remove = refuse_id;
    iface->forget = refuse_id;
}

G_DEFINE_FINAL_TYPE_WITH_CODE(Refuser,
                              refuser,
                              G_TYPE_OBJECT,
                              G_IMPLEMENT_INTERFACE(VSM_TYPE_ATTESTER,
                                                    attester_init))

static void refuser_init(G_GNUC_UNUSED Refuser *self)
{
}

static void refuser_class_init(G_GNUC_UNUSED RefuserClass *klass)
{
}

/* --- The target -------------------------------------------------------- */

/* What was read is what would be written: no second form of one content. */
static bool fuzz_body(guint16 op, GBytes *body)
{
    g_autoptr(GError) error = NULL;
    gpointer value = vsm_protocol_decode(op, body, &error);
    g_autoptr(GBytes) again = NULL;

    g_assert_true(!value == !!error);
    if (!value) {
        g_assert_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL);
        return false;
    }
    again = vsm_protocol_encode(op, value, &error);
    g_assert_no_error(error);
    g_assert_true(g_bytes_equal(body, again));
    vsm_protocol_free(op, value);
    return true;
}

static void fuzz_dispatch(guint16 op, GBytes *body, bool readable)
{
    static VsmDispatch *dispatch;
    VsmProtocolHeader header = {op, VSM_PROTOCOL_VERSION,
                                g_bytes_get_size(body)};
    g_autoptr(GBytes) answer = NULL;
    guint16 answer_op;

    if (!dispatch) {
        dispatch = vsm_dispatch_new(g_object_new(TYPE_REFUSER, NULL), UUID);
    }
    g_assert_true(vsm_dispatch_message(dispatch, &header, body, NULL,
                                       &answer_op, &answer) == readable);
    g_assert_true(fuzz_body(answer_op, answer));
}

static void fuzz_header(const guint8 *data)
{
    VsmProtocolHeader header;
    guint8 again[VSM_PROTOCOL_HEADER_BYTES];

    if (vsm_protocol_read_header(data, &header, NULL)) {
        vsm_protocol_write_header(&header, again);
        g_assert_cmpmem(again, sizeof(again), data, sizeof(again));
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(GBytes) body = NULL;
    guint which;

    if (size < 1 + VSM_PROTOCOL_HEADER_BYTES) {
        return 0;
    }
    which = data[0] % (2 * OPS + 1);
    fuzz_header(data + 1);
    body = g_bytes_new(data + 1 + VSM_PROTOCOL_HEADER_BYTES,
                       size - 1 - VSM_PROTOCOL_HEADER_BYTES);
    if (which < OPS) {
        fuzz_dispatch(which + 1, body, fuzz_body(which + 1, body));
    } else if (which < 2 * OPS) {
        fuzz_body((which - OPS + 1) | VSM_PROTOCOL_ANSWER, body);
    } else {
        fuzz_body(VSM_PROTOCOL_ERROR, body);
    }
    return 0;
}
