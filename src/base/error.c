/*
 * The error domain, the codes' names and the exit codes they lead to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/error.h>

GQuark vsm_error_quark(void)
{
    return g_quark_from_static_string("vsm-error-quark");
}

static const char *const names[] = {
    [VSM_ERROR_INVALID] = "invalid",
    [VSM_ERROR_LIMIT] = "limit",
    [VSM_ERROR_FORMAT] = "format",
    [VSM_ERROR_NOT_FOUND] = "not-found",
    [VSM_ERROR_NOT_SEALED] = "not-sealed",
    [VSM_ERROR_BUSY] = "busy",
    [VSM_ERROR_CANCELLED] = "cancelled",
    [VSM_ERROR_UNSUPPORTED] = "unsupported",
    [VSM_ERROR_TAMPERED] = "tampered",
    [VSM_ERROR_REPLAYED] = "replayed",
    [VSM_ERROR_BOOT] = "boot",
    [VSM_ERROR_HYPERVISOR] = "hypervisor",
    [VSM_ERROR_CONFIG] = "config",
    [VSM_ERROR_TPM] = "tpm",
    [VSM_ERROR_TPM_ABSENT] = "tpm-absent",
    [VSM_ERROR_TIMEOUT] = "timeout",
    [VSM_ERROR_STORE] = "store",
    [VSM_ERROR_NO_SPACE] = "no-space",
    [VSM_ERROR_DENIED] = "denied",
    [VSM_ERROR_CONNECTION] = "connection",
    [VSM_ERROR_PROTOCOL] = "protocol",
    [VSM_ERROR_IN_DOUBT] = "in-doubt",
    [VSM_ERROR_CRYPTO] = "crypto",
    [VSM_ERROR_SIGNATURE] = "signature",
    [VSM_ERROR_UNTRUSTED] = "untrusted",
    [VSM_ERROR_STALE] = "stale",
    [VSM_ERROR_POLICY] = "policy",
};

const char *vsm_error_name(int code)
{
    if (code < 0 || code >= (int)G_N_ELEMENTS(names) || !names[code]) {
        return "unknown";
    }
    return names[code];
}

int vsm_error_exit_code(int code)
{
    switch (code) {
    case VSM_ERROR_FORMAT: /* of a report, or of stored bytes */
    case VSM_ERROR_NOT_SEALED:
    case VSM_ERROR_TAMPERED:
    case VSM_ERROR_REPLAYED:
    case VSM_ERROR_BOOT:
    case VSM_ERROR_HYPERVISOR:
    case VSM_ERROR_CONFIG:
    case VSM_ERROR_SIGNATURE:
    case VSM_ERROR_UNTRUSTED:
    case VSM_ERROR_STALE:
    case VSM_ERROR_POLICY:
        return 2;
    default:
        return 3;
    }
}
