/*
 * The client's connection to vsmd: made at first use, one request at a time,
 * made anew after a loss.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "attester/protocol.h"

typedef struct VsmConnection VsmConnection;

/* INVALID when @path is none that a socket can have. */
VsmConnection *vsm_connection_new(const char *path, GError **error);
void vsm_connection_free(VsmConnection *connection);

/* Of each request, connecting included; milliseconds. */
void vsm_connection_set_deadline(VsmConnection *connection, guint request_ms);

/**
 * VsmRequest:
 * @op: of the request; @body: its struct
 * @deadline_ms: 0: as set for the connection
 * @on: only on the connection that vsm_connection_number() once named, for it
 *      has what the request goes on with; 0: on any
 */
typedef struct {
    VsmProtocolOp op;
    gconstpointer body;
    guint deadline_ms;
    guint on;
} VsmRequest;

/**
 * vsm_connection_ask:
 * @ret: (out) (transfer full): the answer's struct; vsm_protocol_free(), or
 *       the public free function of its type
 * @ret_lost: (out): on failure: whether the request may have been carried out
 *            all the same, for it was sent and its answer was lost; NULL
 * allowed
 */
bool vsm_connection_ask(VsmConnection *connection,
                        const VsmRequest *request,
                        gpointer *ret,
                        bool *ret_lost,
                        GCancellable *cancel,
                        GError **error);

/* Of the connection that is there: each has another one; never 0. */
guint vsm_connection_number(VsmConnection *connection);

/*
 * Tells the daemon to end its transaction, without waiting for its answer,
 * which the next request takes first.
 */
void vsm_connection_abort(VsmConnection *connection);
