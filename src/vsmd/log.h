/*
 * What the daemon tells its operator: one line an event, with fields.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* To the journal with its fields when standard error is one, else key=value
 * lines on standard error.  Debug lines only when @verbose. */
void vsm_log_init(bool verbose);

/**
 * vsm_log:
 * @level: G_LOG_LEVEL_WARNING, _MESSAGE, _INFO or _DEBUG
 * @message: a fixed sentence
 * @...: pairs of a field's name in capitals ("VM") and its text, NULL allowed;
 *       ends with NULL.  Texts may come from a peer: they are escaped.
 *
 * Any thread.  No secret, key or digest goes here.
 */
void vsm_log(GLogLevelFlags level,
             const char *message,
             ...) G_GNUC_NULL_TERMINATED;
