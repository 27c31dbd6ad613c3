/*
 * One end of a connection: whole messages over a socket, each wait bounded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <sys/types.h>
#include "attester/protocol.h"

/* Who must have written every byte: SCM_CREDENTIALS, so SO_PASSCRED is set. */
typedef struct {
    pid_t pid;
    uid_t uid;
} VsmPeerId;

/**
 * VsmChannel:
 * @fd: a connected stream socket; borrowed
 * @peer: checked at each read; NULL: not asked
 * @deadline_us: monotonic time, 0: none; set it anew for each message
 * @cancel: ends a wait; borrowed, NULL allowed
 */
typedef struct {
    int fd;
    const VsmPeerId *peer;
    gint64 deadline_us;
    GCancellable *cancel;
} VsmChannel;

/* Waits until there is something to read, which may be the end. */
bool vsm_channel_wait(const VsmChannel *channel, GError **error);

/*
 * Errors of all: TIMEOUT, CANCELLED, CONNECTION (the other end is gone),
 * DENIED (bytes by another process than @peer), PROTOCOL.  After any of them
 * the connection is of no more use.  SIGPIPE is never raised.
 */
bool vsm_channel_send(const VsmChannel *channel,
                      guint16 op,
                      GBytes *body,
                      GError **error);

/* @ret_body: (transfer full).  File descriptors that come along are closed. */
bool vsm_channel_receive(const VsmChannel *channel,
                         VsmProtocolHeader *ret_header,
                         GBytes **ret_body,
                         GError **error);
