/*
 * QEMU's jobs, hidden: start one, show progress, wait, tidy up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "vsmctl/qmp.h"

/**
 * vsmctl_job:
 * @command: a QMP command that starts a job
 * @arguments: (transfer full): without "job-id"
 * @label: for the progress bar, which appears on a terminal after a second
 * @ret_id: (out) (transfer full) (optional): the job's id, for
 *          query-vsm-report
 *
 * Runs the job to its end; an interrupt (Ctrl-C) cancels it.  When the job
 * failed, @error has QEMU's text and, if VSM_REFUSED told it, VSM's code.
 *
 * Errors: those of qmp_execute(), VSM_ERROR_CANCELLED, and every code that
 * VSM_REFUSED may bring.  @ret_id is set even then, once the job was started.
 */
bool vsmctl_job(Qmp *qmp,
                const char *command,
                json_t *arguments,
                const char *label,
                char **ret_id,
                GError **error);
