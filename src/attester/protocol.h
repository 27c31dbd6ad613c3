/*
 * The protocol between a hypervisor's process and vsmd: its messages, and how
 * they become bytes.  docs/protocol.md describes it for other readers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/attester.h>
#include "attester/wire.h"

#define VSM_PROTOCOL_VERSION 1
#define VSM_PROTOCOL_HEADER_BYTES 12
#define VSM_PROTOCOL_PACKET_BYTES_MAX 65536 /* a body goes in such packets */

/* Numbers are on the wire: never renumber. */
typedef enum {
    VSM_PROTOCOL_HELLO = 0, /* only as an answer, which nobody asked for */
    VSM_PROTOCOL_STATUS = 1,
    VSM_PROTOCOL_LIST = 2,
    VSM_PROTOCOL_SEAL_BEGIN = 3,
    VSM_PROTOCOL_PUT = 4,
    VSM_PROTOCOL_SEAL_FINISH = 5,
    VSM_PROTOCOL_COMMIT = 6,
    VSM_PROTOCOL_CHECK_BEGIN = 7,
    VSM_PROTOCOL_GET = 8,
    VSM_PROTOCOL_CHECK_FINISH = 9,
    VSM_PROTOCOL_ABORT = 10,
    VSM_PROTOCOL_REMOVE = 11,
    VSM_PROTOCOL_FORGET = 12,
    VSM_PROTOCOL_ADMIN = 64, /* the admin socket's begin here */

    VSM_PROTOCOL_ANSWER = 0x8000, /* or'ed to the request's number */
    VSM_PROTOCOL_ERROR = 0xffff, /* the answer instead */
} VsmProtocolOp;

/*
 * What the bodies hold, beside VsmVm (STATUS), VsmSealRequest, VsmCheckRequest
 * and VsmMeasured (CHECK_FINISH), and the answers VsmStatus, VsmRecord (COMMIT,
 * CHECK_BEGIN) and VsmVerdict.  COMMIT and ABORT ask with nothing, which is
 * also the answer to PUT, SEAL_FINISH, ABORT, REMOVE and FORGET.
 */
typedef struct {
    guint8 nothing;
} VsmProtocolNothing;

/*
 * The daemon's first message, once it knows and has measured its peer.  What a
 * client sends before it would be another program's words: the daemon closes.
 */
typedef struct {
    char *version; /* of vsmd; a claim */
} VsmProtocolHello;

/* LIST: records from @start; 0 reads the list anew. */
typedef struct {
    guint32 start;
} VsmProtocolList;

/* Its answer: some of @total records. */
typedef struct {
    guint32 total;
    GPtrArray *records; /* of VsmRecord */
} VsmProtocolRecords;

/* REMOVE, FORGET; the answer to SEAL_BEGIN. */
typedef struct {
    char *id;
} VsmProtocolId;

typedef struct {
    guint8 part; /* VsmPart */
    guint64 offset;
    GBytes *bytes;
} VsmProtocolPut;

typedef struct {
    VsmContainer container;
    char *scope_reason; /* NULL: a scope was put */
} VsmProtocolSealFinish;

typedef struct {
    guint8 part; /* VsmPart */
    guint64 offset;
    guint32 bytes;
} VsmProtocolGet;

/* The answer to GET. */
typedef struct {
    GBytes *bytes;
} VsmProtocolBytes;

/* VSM_PROTOCOL_ERROR.  @code: of VSM_ERROR. */
typedef struct {
    guint32 code;
    char *text;
} VsmProtocolError;

/**
 * vsm_protocol_wire:
 *
 * Returns: the table of @op's body, of an answer when VSM_PROTOCOL_ANSWER is
 * set; NULL: no such message
 */
const VsmWire *vsm_protocol_wire(guint16 op);

/**
 * vsm_protocol_encode:
 * @op: a known message; @value is its struct
 *
 * Errors: LIMIT, INVALID.  Returns: (transfer full): the body
 */
GBytes *vsm_protocol_encode(guint16 op, gconstpointer value, GError **error);

/**
 * vsm_protocol_decode:
 * @op: any
 * @body: untrusted
 *
 * Errors: PROTOCOL, whatever is wrong with it.
 *
 * Returns: (transfer full): the struct of @op; vsm_protocol_free()
 */
gpointer vsm_protocol_decode(guint16 op, GBytes *body, GError **error);
void vsm_protocol_free(guint16 op, gpointer value);

/* The body of VSM_PROTOCOL_ERROR for @error; never fails. */
GBytes *vsm_protocol_encode_error(const GError *error);

/* Sets @error to what the body says; PROTOCOL when it cannot be read. */
void vsm_protocol_take_error(GBytes *body, GError **error);

typedef struct {
    guint16 op, version;
    guint32 bytes; /* of the body */
} VsmProtocolHeader;

void vsm_protocol_write_header(const VsmProtocolHeader *header,
                               guint8 ret[VSM_PROTOCOL_HEADER_BYTES]);

/*
 * PROTOCOL: not the magic, or a body over VSM_MESSAGE_BYTES_MAX, before any
 * memory is taken for it.  Another version is for the caller to refuse, with
 * an answer in its own version.
 */
bool vsm_protocol_read_header(const guint8 data[VSM_PROTOCOL_HEADER_BYTES],
                              VsmProtocolHeader *ret,
                              GError **error);
