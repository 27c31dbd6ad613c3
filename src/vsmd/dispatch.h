/*
 * One connection's requests, each turned into a call of its VM's attester.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "attester/protocol.h"

typedef struct VsmDispatch VsmDispatch;

/**
 * vsm_dispatch_new:
 * @attester: this connection's alone; a reference is held
 * @uuid: of its VM; a message that states another one is DENIED
 */
VsmDispatch *vsm_dispatch_new(VsmAttester *attester, const char *uuid);

/* Ends a transaction: an unfinished save's folder goes. */
void vsm_dispatch_free(VsmDispatch *dispatch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmDispatch, vsm_dispatch_free)

/**
 * vsm_dispatch_message:
 * @header, @body: as received
 * @cancel: ends the attester's waits
 * @ret_op, @ret_body: (out): the answer, set in any case; send it with
 *                     vsm_channel_send()
 *
 * Blocks as the attester does; one thread at a time.
 *
 * Returns: false when the request broke the protocol (unknown op or version,
 * a body that cannot be read): close the connection after the answer.  An
 * answer that says that the attester refused is true.
 */
bool vsm_dispatch_message(VsmDispatch *dispatch,
                          const VsmProtocolHeader *header,
                          GBytes *body,
                          GCancellable *cancel,
                          guint16 *ret_op,
                          GBytes **ret_body);
