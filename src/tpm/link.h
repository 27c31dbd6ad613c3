/*
 * The TPM thread: a TCTI transport that never blocks its caller for longer
 * than the deadline.
 *
 * ESYS gets a TCTI context whose transmit hands the command to the thread and
 * whose receive waits for it.  Used inside src/tpm only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <tss2/tss2_tcti.h>
#include "tpm/request.h"

/**
 * VsmTpmTransport: how the real transport is made
 * @open: runs in the TPM thread, may block
 * @close: the same
 *
 * Only tests have another one than tpm2-tss's loader.
 */
typedef struct {
    TSS2_RC (*open)(const char *tcti, TSS2_TCTI_CONTEXT **ret, gpointer opaque);
    void (*close)(TSS2_TCTI_CONTEXT *tcti, gpointer opaque);
    gpointer opaque;
} VsmTpmTransport;

typedef struct VsmTpmLink VsmTpmLink;

/**
 * vsm_tpm_link_open:
 * @tcti: TCTI text
 * @transport: NULL: tpm2-tss's loader; copied
 * @command_ms: deadline of the open and of each command
 * @ret: (out) (transfer full): vsm_tpm_link_close()
 *
 * Returns: TSS2_RC_SUCCESS; TSS2_TCTI_RC_TRY_AGAIN when the deadline passed or
 * earlier threads still hang; else what the transport said.
 */
TSS2_RC vsm_tpm_link_open(const char *tcti,
                          const VsmTpmTransport *transport,
                          guint command_ms,
                          VsmTpmLink **ret);

/* Ends the thread; leaves it behind when it hangs. */
void vsm_tpm_link_close(VsmTpmLink *link);

/* The context for Esys_Initialize(); lives as long as the link. */
TSS2_TCTI_CONTEXT *vsm_tpm_link_tcti(VsmTpmLink *link);

VsmTpmLinkEnd vsm_tpm_link_end(VsmTpmLink *link);
guint64 vsm_tpm_link_commands(VsmTpmLink *link); /* sent, resends included */
