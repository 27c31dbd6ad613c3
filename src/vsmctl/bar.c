/*
 * A progress bar, as text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/bar.h"

#include <glib.h>
#include <string.h>

#define WIDTH 40

char *bar_text(const char *label, json_int_t done, json_int_t total)
{
    char bar[WIDTH + 1];
    double part = total > 0 ? CLAMP((double)done / total, 0, 1) : 0;
    int filled = (int)(part * WIDTH);

    memset(bar, '#', filled);
    memset(bar + filled, '.', WIDTH - filled);
    bar[WIDTH] = '\0';
    return g_strdup_printf("%s [%s] %3d %%", label, bar, (int)(part * 100));
}
