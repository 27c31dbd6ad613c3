/*
 * Which lines of two configuration texts differ, for a refusal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/config.h"
#include <stdbool.h>
#include <string.h>

#define LINES_SHOWN 8 /* of each text: a message, not a report */

static GHashTable *lines_of(char **lines)
{
    GHashTable *table = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; lines[i]; i++) {
        guint n = GPOINTER_TO_UINT(g_hash_table_lookup(table, lines[i]));

        g_hash_table_insert(table, lines[i], GUINT_TO_POINTER(n + 1));
    }
    return table;
}

/* Appends lines that @others does not have; takes those that it has. */
static void
append(GString *text, const char *what, char **lines, GHashTable *others)
{
    guint shown = 0, left_out = 0;

    for (guint i = 0; lines[i]; i++) {
        guint n = GPOINTER_TO_UINT(g_hash_table_lookup(others, lines[i]));

        if (n) {
            g_hash_table_insert(others, lines[i], GUINT_TO_POINTER(n - 1));
        } else if (shown < LINES_SHOWN) {
            g_string_append_printf(text, "%s%s \"%s\"", text->len ? ", " : "",
                                   shown ? "and" : what, lines[i]);
            shown++;
        } else {
            left_out++;
        }
    }
    if (left_out) {
        g_string_append_printf(text, ", and %u more lines", left_out);
    }
}

char *vsm_config_diff(const char *sealed, const char *now)
{
    g_auto(GStrv) before = g_strsplit(sealed, "\n", -1);
    g_auto(GStrv) after = g_strsplit(now, "\n", -1);
    g_autoptr(GHashTable) in_before = lines_of(before);
    g_autoptr(GHashTable) in_after = lines_of(after);
    g_autoptr(GString) text = g_string_new(NULL);

    if (!strcmp(sealed, now)) {
        return NULL;
    }
    append(text, "sealed with", before, in_after);
    append(text, "now", after, in_before);
    if (!text->len) {
        g_string_append(text, "the same lines in another order");
    }
    return g_string_free(g_steal_pointer(&text), false);
}
