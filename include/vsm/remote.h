/*
 * VsmAttester over the socket of vsmd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/attester.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

/**
 * vsm_remote_attester_new:
 * @socket_path: absolute path of the daemon's socket; at most 107 bytes
 *
 * Connects at first use, and anew after a connection was lost: that ends the
 * transaction under way with CONNECTION, and the next request begins afresh.
 * A commit or removal whose answer was lost is decided by asking for the list,
 * for up to 10 seconds; after that it is IN_DOUBT.
 *
 * Errors: INVALID (not a path that a socket can have).
 *
 * Returns: (transfer full): g_object_unref()
 */
VsmAttester *vsm_remote_attester_new(const char *socket_path, GError **error);

/**
 * vsm_remote_attester_set_deadline:
 * @request_ms: the longest wait for one answer; 0: 70,000, which lets the
 *              daemon's own deadline of 60,000 come first, with its reason
 */
void vsm_remote_attester_set_deadline(VsmAttester *attester, guint request_ms);

#pragma GCC visibility pop
G_END_DECLS
