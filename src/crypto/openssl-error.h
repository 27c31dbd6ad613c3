/*
 * OpenSSL's error queue as a GError.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>

/*
 * Sets @code with "@what failed" and the first reason of this thread's queue,
 * and clears the queue, which belongs to the whole process's use of OpenSSL.
 */
void vsm_openssl_error(GError **error, int code, const char *what);
