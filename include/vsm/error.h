/*
 * Errors of libvsm: one GError domain, codes that are also on the wire.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

#define VSM_ERROR (vsm_error_quark())
GQuark vsm_error_quark(void);

/**
 * VsmError:
 *
 * The numbers are part of the daemon's protocol: never renumber.  A message
 * says what failed, on what, and what to do.
 */
typedef enum {
    VSM_ERROR_INVALID = 1, /* the caller's argument */
    VSM_ERROR_LIMIT, /* over a named limit of limits.h */
    VSM_ERROR_FORMAT, /* cannot be parsed, or of an unknown version */
    VSM_ERROR_NOT_FOUND, /* no such snapshot of this VM */
    VSM_ERROR_NOT_SEALED, /* on the disks, but never sealed */
    VSM_ERROR_BUSY,
    VSM_ERROR_CANCELLED,
    VSM_ERROR_UNSUPPORTED,
    VSM_ERROR_TAMPERED, /* stored bytes differ from what was sealed */
    VSM_ERROR_REPLAYED, /* an older copy of the store */
    VSM_ERROR_BOOT, /* refused: host boot state */
    VSM_ERROR_HYPERVISOR, /* refused: hypervisor's files */
    VSM_ERROR_CONFIG, /* refused: VM configuration */
    VSM_ERROR_TPM, /* the TPM answered with an error */
    VSM_ERROR_TPM_ABSENT, /* the TPM cannot be reached */
    VSM_ERROR_TIMEOUT,
    VSM_ERROR_STORE, /* reading or writing the store failed */
    VSM_ERROR_NO_SPACE,
    VSM_ERROR_DENIED, /* peer not allowed */
    VSM_ERROR_CONNECTION,
    VSM_ERROR_PROTOCOL,
    VSM_ERROR_IN_DOUBT, /* outcome of a commit unknown: touch nothing */
    VSM_ERROR_CRYPTO, /* the crypto library failed */
    VSM_ERROR_SIGNATURE, /* offline: a signature does not verify */
    VSM_ERROR_UNTRUSTED, /* offline: no trust entry for this key */
    VSM_ERROR_STALE, /* offline: too old, or another nonce */
    VSM_ERROR_POLICY, /* offline: weaker than the policy allows */
} VsmError;

/**
 * vsm_error_name:
 * @code: a VsmError
 *
 * Returns: a static name such as "tampered"; "unknown" for another number.
 */
const char *vsm_error_name(int code);

/**
 * vsm_error_exit_code:
 * @code: a VsmError
 *
 * Returns: the exit code of a program that ends with this error: 2 when
 * something is not to be trusted or was refused by policy, else 3
 */
int vsm_error_exit_code(int code);

#pragma GCC visibility pop
G_END_DECLS
