/*
 * A progress bar, as text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <jansson.h>

/* "LABEL [####....]  50 %".  Returns: (transfer full) */
char *bar_text(const char *label, json_int_t done, json_int_t total);
