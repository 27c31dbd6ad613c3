/*
 * Questions to the owner of a host's keys: the daemon, or the host opened in
 * this process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <stdbool.h>
#include <glib.h>
#include <vsm/admin.h>

/**
 * ask_daemon:
 *
 * vsm_admin_call() on the socket that --daemon names.
 */
bool ask_daemon(VsmAdminOp op,
                GVariant *request,
                const char *type,
                GVariant **ret,
                GError **error);

/**
 * ask_host:
 * @op: VSM_ADMIN_ENROLL_REQUEST, VSM_ADMIN_ENROLL_RESPOND (@b NULL) or
 *      VSM_ADMIN_EVIDENCE
 * @a, @b: its arguments
 * @ret: (out) (transfer full): a document
 *
 * With --daemon over its admin socket; else the host is opened by --tcti,
 * --state-dir and so on.  Errors: those of the operation.
 */
bool ask_host(
    VsmAdminOp op, const char *a, const char *b, char **ret, GError **error);
