/*
 * VsmTpm: the connection to one TPM.
 *
 * A thread of its own owns the transport, so a TPM that hangs costs the caller
 * the deadline of one command and no more.  After a lost connection or a
 * deadline the next use connects anew and proves the pinned Names again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/error.h>

G_BEGIN_DECLS

#define VSM_TPM_COMMAND_MS 10000 /* default deadline of one command */

typedef struct VsmTpm VsmTpm;

/**
 * vsm_tpm_open:
 * @tcti: TCTI text, such as "swtpm:path=/run/x" or "device:/dev/tpmrm0"
 * @command_ms: deadline of one TPM command; 0: VSM_TPM_COMMAND_MS
 *
 * Connects, and starts the TPM where nobody has (TPM2_Startup).
 *
 * Errors of this and of every function that takes a VsmTpm:
 *   VSM_ERROR_TPM_ABSENT   cannot be reached, or the connection was lost
 *   VSM_ERROR_TIMEOUT      no answer within @command_ms
 *   VSM_ERROR_BUSY         NV write rate, lockout, or out of memory for
 *                          objects or sessions: try again later
 *   VSM_ERROR_TPM          any other answer, with its text
 * Thread safety: any thread; commands of two threads never mix.
 *
 * Returns: (transfer full): vsm_tpm_free()
 */
VsmTpm *vsm_tpm_open(const char *tcti, guint command_ms, GError **error);
void vsm_tpm_free(VsmTpm *tpm); /* never waits for a hanging TPM */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmTpm, vsm_tpm_free)

/**
 * vsm_tpm_lock:
 *
 * Keeps other threads' commands out until vsm_tpm_unlock(); recursive.  Every
 * function takes it itself: needed only around functions that belong together,
 * such as vsm_tpm_nv_certify() and vsm_tpm_nv_extend(), which then share a
 * session.
 */
void vsm_tpm_lock(VsmTpm *tpm);
void vsm_tpm_unlock(VsmTpm *tpm);

/* Commands sent so far, for tests and metrics. */
guint64 vsm_tpm_commands(VsmTpm *tpm);

/**
 * vsm_tpm_describe:
 * @ret: (out) (transfer full): manufacturer, model text and firmware version,
 *       such as "IBM SW TPM, firmware 8217.4131"; g_free()
 */
bool vsm_tpm_describe(VsmTpm *tpm, char **ret, GError **error);

G_END_DECLS
