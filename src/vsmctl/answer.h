/*
 * The subcommands that ask for a report: run the job, show and keep what it
 * found.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "vsmctl/qmp.h"

/**
 * answer_run:
 * @op: "attest", "verify" or "rollback"
 * @command: its QMP command
 * @scope, @profile: (nullable): of --scope, --profile
 * @snapshot: (nullable): the argument
 *
 * Returns: the exit code, or -1 with @error
 */
int answer_run(const char *op,
               const char *command,
               const char *scope,
               const char *profile,
               const char *snapshot,
               GError **error);

/* vsm-verify without a nonce, of a QEMU that has no machine. */
int answer_run_unsealed(Qmp *qmp, const char *snapshot, GError **error);

/* What QEMU answered, in lines; it must have a verdict. */
void answer_print_verdict(const json_t *answer);

/* Of a verdict that the VM's own process gave; NULL: for its recipient. */
int answer_exit_code(const json_t *verdict);
