/*
 * A QMP client on a unix socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef struct _Qmp Qmp;

/**
 * qmp_open:
 * @path: of the socket; NULL: the environment's VSM_QMP
 *
 * Connects, reads the greeting and leaves the negotiation mode.
 *
 * Errors: VSM_ERROR_INVALID without a path, VSM_ERROR_CONNECTION,
 * VSM_ERROR_TIMEOUT when somebody else holds the monitor, VSM_ERROR_PROTOCOL.
 */
Qmp *qmp_open(const char *path, GError **error);

/**
 * qmp_execute:
 * @arguments: (transfer full) (nullable)
 *
 * Runs one command and waits for its answer; events that come meanwhile are
 * kept for qmp_wait_event().
 *
 * Errors: VSM_ERROR_UNSUPPORTED for a command that QEMU does not know,
 * VSM_ERROR_BUSY, VSM_ERROR_INVALID with QEMU's own text, VSM_ERROR_CONNECTION,
 * VSM_ERROR_TIMEOUT, VSM_ERROR_PROTOCOL.
 *
 * Returns: (transfer full): the "return" value
 */
json_t *
qmp_execute(Qmp *qmp, const char *command, json_t *arguments, GError **error);

/**
 * qmp_wait_event:
 * @timeout_ms: 0: only what has come already
 * @ret: (out) (transfer full) (nullable): the event, NULL: none came in time
 *
 * Errors: VSM_ERROR_CONNECTION, VSM_ERROR_PROTOCOL.
 */
bool qmp_wait_event(Qmp *qmp, guint timeout_ms, json_t **ret, GError **error);

void qmp_free(Qmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)
