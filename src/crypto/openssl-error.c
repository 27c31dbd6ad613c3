/*
 * OpenSSL's error queue as a GError.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crypto/openssl-error.h"

#include <openssl/err.h>
#include <vsm/error.h>

void vsm_openssl_error(GError **error, int code, const char *what)
{
    unsigned long first = ERR_get_error();
    const char *reason = first ? ERR_reason_error_string(first) : NULL;

    ERR_clear_error();
    g_set_error(error, VSM_ERROR, code, "%s failed%s%s", what,
                reason ? ": " : "", reason ? reason : "");
}
