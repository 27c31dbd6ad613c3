/*
 * Who is at the other end of a connection, and which VM it is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "attester/channel.h"
#include "vsmd/process.h"
#include "vsmd/registry.h"

/* One user that runs one VM. */
typedef struct {
    uid_t uid;
    char *uuid;
} VsmSingle;

/* @by: what the identity comes from, for the log; static. */
typedef struct {
    VsmPeerId id;
    VsmProcess process;
    char *uuid;
    const char *by;
} VsmPeer;

void vsm_peer_free(VsmPeer *peer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmPeer, vsm_peer_free)

/**
 * vsm_peer_identify:
 * @fd: a connection just accepted
 * @singles: of VsmSingle; NULL: none
 *
 * The process that connected, held by a pidfd; its VM by root's registration,
 * by its libvirt scope, or by a user that runs one VM alone, in this order.
 * Reads small files of /proc only, and never waits for the peer.
 * Errors: DENIED.
 */
VsmPeer *vsm_peer_identify(int fd,
                           VsmRegistry *registry,
                           const GPtrArray *singles,
                           GError **error);

/* "USER=UUID", by name or number; INVALID. */
VsmSingle *vsm_peer_parse_single(const char *text, GError **error);
void vsm_single_free(VsmSingle *single);
