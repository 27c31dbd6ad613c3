/*
 * A verifier's secret between challenge and acceptance: for one use.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* A new file, 0600, durable.  Errors: INVALID when it is there, STORE. */
bool secret_file_write(const char *path, const char *text, GError **error);

/**
 * secret_file_consume:
 *
 * Of any number of callers exactly one gets the text; the file is gone then,
 * whatever comes of it.  Errors: STALE when it is not there any more, LIMIT,
 * INVALID.
 *
 * Returns: (transfer full): wipe it with secret_text_free()
 */
char *secret_file_consume(const char *path, gsize max, GError **error);

void secret_text_free(char *text);
