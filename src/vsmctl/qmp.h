/*
 * A QMP client: over a unix socket, or through libvirt.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef struct _Qmp Qmp;

/**
 * qmp_open_vm:
 *
 * The VM that --qmp, --domain or the environment's VSM_QMP names.
 *
 * Errors: VSM_ERROR_INVALID if none does, or two do; those of qmp_open() and
 * qmp_open_domain().
 */
Qmp *qmp_open_vm(GError **error);

/**
 * qmp_open:
 * @path: of the socket
 *
 * Connects, reads the greeting and leaves the negotiation mode.
 *
 * Errors: VSM_ERROR_CONNECTION, VSM_ERROR_TIMEOUT when somebody else holds
 * the monitor, VSM_ERROR_PROTOCOL.
 */
Qmp *qmp_open(const char *path, GError **error);

/**
 * qmp_open_fd:
 * @fd: (transfer full): a connected socket of a QEMU that is just starting
 * @name: of it, for messages
 *
 * The same on a connection that is there.
 */
Qmp *qmp_open_fd(int fd, const char *name, GError **error);

/**
 * qmp_open_domain:
 * @uri: (nullable): of the connection; NULL: libvirt's default
 * @domain: its name, uuid or id
 *
 * Every command goes through "virsh qemu-monitor-command", which brings no
 * events.
 *
 * Errors: VSM_ERROR_CONNECTION, with virsh's own text.
 */
Qmp *qmp_open_domain(const char *uri, const char *domain, GError **error);

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
