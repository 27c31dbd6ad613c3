/*
 * Where metrics go: a socket that answers HTTP, or a file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "vsmd/server.h"

/*
 * Starts a thread that runs until the server stops; nothing without --metrics.
 * Errors: CONNECTION.
 */
bool vsm_export_start(VsmServer *server, GError **error);
