/*
 * systemd's two small protocols: sockets that come along, and readiness.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>

/*
 * The socket that systemd passed under the name @name (FileDescriptorName=),
 * close-on-exec; -1: none.
 */
int vsm_systemd_socket(const char *name);

/* Such as "READY=1"; nothing without NOTIFY_SOCKET. */
void vsm_systemd_notify(const char *state);
