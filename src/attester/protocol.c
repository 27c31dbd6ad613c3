/*
 * The protocol between a hypervisor's process and vsmd: its messages as bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attester/protocol.h"

#include <string.h>
#include "attester/messages.h"
#include "base/codec.h"
#include "base/limits.h"

#define MAGIC "VSM1"
#define MAGIC_BYTES 4

/* --- Header ----------------------------------------------------------- */

void vsm_protocol_write_header(const VsmProtocolHeader *header,
                               guint8 ret[VSM_PROTOCOL_HEADER_BYTES])
{
    guint32 bytes = GUINT32_TO_BE(header->bytes);
    guint16 op = GUINT16_TO_BE(header->op);
    guint16 version = GUINT16_TO_BE(header->version);

    memcpy(ret, MAGIC, MAGIC_BYTES);
    memcpy(ret + 4, &bytes, sizeof(bytes));
    memcpy(ret + 8, &op, sizeof(op));
    memcpy(ret + 10, &version, sizeof(version));
}

bool vsm_protocol_read_header(const guint8 data[VSM_PROTOCOL_HEADER_BYTES],
                              VsmProtocolHeader *ret,
                              GError **error)
{
    guint32 bytes;
    guint16 op, version;

    memcpy(&bytes, data + 4, sizeof(bytes));
    memcpy(&op, data + 8, sizeof(op));
    memcpy(&version, data + 10, sizeof(version));
    if (memcmp(data, MAGIC, MAGIC_BYTES) != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "what came over the socket is no message of VSM: another "
                    "program has the other end");
        return false;
    }
    bytes = GUINT32_FROM_BE(bytes);
    if (bytes > VSM_MESSAGE_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "a message of %u bytes; %u at most", bytes,
                    VSM_MESSAGE_BYTES_MAX);
        return false;
    }
    *ret = (VsmProtocolHeader){
        .op = GUINT16_FROM_BE(op),
        .version = GUINT16_FROM_BE(version),
        .bytes = bytes,
    };
    return true;
}

/* --- Bodies ----------------------------------------------------------- */

const VsmWire *vsm_protocol_wire(guint16 op)
{
    static const VsmWire *const asked[] = {
        [VSM_PROTOCOL_STATUS] = &vsm_wire_vm,
        [VSM_PROTOCOL_LIST] = &vsm_wire_list,
        [VSM_PROTOCOL_SEAL_BEGIN] = &vsm_wire_seal_request,
        [VSM_PROTOCOL_PUT] = &vsm_wire_put,
        [VSM_PROTOCOL_SEAL_FINISH] = &vsm_wire_seal_finish,
        [VSM_PROTOCOL_COMMIT] = &vsm_wire_nothing,
        [VSM_PROTOCOL_CHECK_BEGIN] = &vsm_wire_check_request,
        [VSM_PROTOCOL_GET] = &vsm_wire_get,
        [VSM_PROTOCOL_CHECK_FINISH] = &vsm_wire_measured,
        [VSM_PROTOCOL_ABORT] = &vsm_wire_nothing,
        [VSM_PROTOCOL_REMOVE] = &vsm_wire_id,
        [VSM_PROTOCOL_FORGET] = &vsm_wire_id,
    };
    static const VsmWire *const answered[] = {
        [VSM_PROTOCOL_HELLO] = &vsm_wire_hello,
        [VSM_PROTOCOL_STATUS] = &vsm_wire_status,
        [VSM_PROTOCOL_LIST] = &vsm_wire_records,
        [VSM_PROTOCOL_SEAL_BEGIN] = &vsm_wire_id,
        [VSM_PROTOCOL_PUT] = &vsm_wire_nothing,
        [VSM_PROTOCOL_SEAL_FINISH] = &vsm_wire_nothing,
        [VSM_PROTOCOL_COMMIT] = &vsm_wire_record,
        [VSM_PROTOCOL_CHECK_BEGIN] = &vsm_wire_record,
        [VSM_PROTOCOL_GET] = &vsm_wire_bytes,
        [VSM_PROTOCOL_CHECK_FINISH] = &vsm_wire_verdict,
        [VSM_PROTOCOL_ABORT] = &vsm_wire_nothing,
        [VSM_PROTOCOL_REMOVE] = &vsm_wire_nothing,
        [VSM_PROTOCOL_FORGET] = &vsm_wire_nothing,
    };
    guint16 number = op & ~VSM_PROTOCOL_ANSWER;

    if (op == VSM_PROTOCOL_ERROR) {
        return &vsm_wire_error;
    }
    if (number >= G_N_ELEMENTS(asked)) {
        return NULL;
    }
    return op & VSM_PROTOCOL_ANSWER ? answered[number] : asked[number];
}

GBytes *vsm_protocol_encode(guint16 op, gconstpointer value, GError **error)
{
    const VsmWire *wire = vsm_protocol_wire(op);
    GVariant *tuple;

    g_return_val_if_fail(wire, NULL);
    tuple = vsm_wire_encode(wire, value, error);
    return tuple ? vsm_codec_encode(tuple, VSM_MESSAGE_BYTES_MAX, wire->name,
                                    error)
                 : NULL;
}

gpointer vsm_protocol_decode(guint16 op, GBytes *body, GError **error)
{
    const VsmWire *wire = vsm_protocol_wire(op);
    g_autofree char *type = wire ? vsm_wire_type(wire) : NULL;
    g_autoptr(GVariant) tuple = NULL;
    g_autoptr(GError) why = NULL;
    gpointer value = NULL;

    if (!wire) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "message %u is not known: daemon and client are of "
                    "different versions",
                    op);
        return NULL;
    }
    tuple = vsm_codec_decode(body, type, NULL, 0, VSM_MESSAGE_BYTES_MAX,
                             wire->name, &why);
    if (tuple) {
        value = vsm_wire_decode(wire, tuple, &why);
    }
    if (!value) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL, "message %u: %s", op,
                    why->message);
    }
    return value;
}

void vsm_protocol_free(guint16 op, gpointer value)
{
    vsm_wire_free(vsm_protocol_wire(op), value);
}

/* --- Errors ----------------------------------------------------------- */

GBytes *vsm_protocol_encode_error(const GError *error)
{
    VsmProtocolError message = {
        .code = error->domain == VSM_ERROR ? error->code : VSM_ERROR_STORE,
        .text = error->message,
    };

    return vsm_protocol_encode(VSM_PROTOCOL_ERROR, &message, NULL);
}

void vsm_protocol_take_error(GBytes *body, GError **error)
{
    VsmProtocolError *message =
        vsm_protocol_decode(VSM_PROTOCOL_ERROR, body, error);

    if (message) {
        g_set_error_literal(error, VSM_ERROR, message->code, message->text);
        vsm_protocol_free(VSM_PROTOCOL_ERROR, message);
    }
}
