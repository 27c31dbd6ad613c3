/*
 * How a QMP client reaches QEMU: the part that differs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "vsmctl/qmp.h"

/**
 * QmpBackend:
 * @exchange: sends @request, to which it may add members, and returns the
 *            whole answer, with "return" or "error"; (transfer full)
 * @wait_event: as qmp_wait_event()
 * @free: the rest of @qmp
 */
typedef struct {
    json_t *(*exchange)(Qmp *qmp,
                        const char *command,
                        json_t *request,
                        GError **error);
    bool (*wait_event)(Qmp *qmp,
                       guint timeout_ms,
                       json_t **ret,
                       GError **error);
    void (*free)(Qmp *qmp);
} QmpBackend;

struct _Qmp {
    const QmpBackend *backend;
    char *name; /* for messages: path or domain */
};
