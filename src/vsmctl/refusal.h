/*
 * What VSM refused, where QEMU's answer has its text but not its code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "vsmctl/qmp.h"

/* The VsmError of such a name; VSM_ERROR_INVALID for one that is not known. */
int refusal_code(const char *name);

/**
 * refusal_last:
 * @job: (nullable): id of the job that failed
 * @text: QEMU's text of the failure
 * @ret_message: (out) (transfer full) (optional): VSM's text, if it was VSM
 *
 * QEMU remembers its last refusal, also for clients that get no events.  It
 * is this failure's if it names @job; a save or a deletion has no job-id, and
 * then @text holds its message.
 *
 * Returns: its code, VSM_ERROR_INVALID if it was not VSM that refused
 */
int refusal_last(Qmp *qmp,
                 const char *job,
                 const char *text,
                 char **ret_message);
