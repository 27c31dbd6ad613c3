/*
 * One screen about the daemon and its host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>

/* Prints it; the exit code, or -1 with @error. */
int daemon_status(GError **error);
