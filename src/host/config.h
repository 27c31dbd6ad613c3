/*
 * Which lines of two configuration texts differ, for a refusal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>

/**
 * vsm_config_diff:
 *
 * Returns: (transfer full): such as `sealed "smp 2", now "smp 4"`, a few lines
 * at most; NULL when the texts are equal
 */
char *vsm_config_diff(const char *sealed, const char *now);
