/*
 * What the daemon tells its operator: one line an event, with fields.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/log.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIELDS_MAX 16
#define PREFIX "VSM_" /* of our fields in the journal */

static bool to_journal, tell_debug;

void vsm_log_init(bool verbose)
{
    to_journal = g_log_writer_is_journald(STDERR_FILENO);
    tell_debug = verbose;
}

/* One word, or quoted; nothing that steers a terminal or makes a line. */
static void append_value(GString *line, const char *text)
{
    bool plain = *text && strpbrk(text, " \"=") == NULL;
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    g_string_append(line, plain ? "" : "\"");
    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (c == '"' || c == '\\') {
            g_string_append_printf(line, "\\%c", (char)c);
        } else if (!g_unichar_isprint(c)) {
            g_string_append_printf(line, "\\u{%04x}", c);
        } else {
            g_string_append_unichar(line, c);
        }
    }
    g_string_append(line, plain ? "" : "\"");
}

static const char *level_name(GLogLevelFlags level)
{
    switch (level) {
    case G_LOG_LEVEL_WARNING:
        return "warning";
    case G_LOG_LEVEL_DEBUG:
        return "debug";
    case G_LOG_LEVEL_INFO:
        return "info";
    default:
        return "notice";
    }
}

static void write_line(GLogLevelFlags level,
                       const char *message,
                       const GLogField *fields,
                       guint n)
{
    g_autoptr(GString) line = g_string_new("vsmd: level=");

    g_string_append_printf(line, "%s message=", level_name(level));
    append_value(line, message);
    for (guint i = 0; i < n; i++) {
        g_autofree char *key = g_ascii_strdown(fields[i].key, -1);

        g_string_append_printf(line, " %s=", key + strlen(PREFIX));
        append_value(line, fields[i].value);
    }
    g_string_append_c(line, '\n');
    fputs(line->str, stderr); /* one call, so that lines do not mix */
}

static void write_journal(GLogLevelFlags level,
                          const char *message,
                          GLogField *fields,
                          guint n)
{
    g_autoptr(GString) text = g_string_new(message);
    const char *priority = level == G_LOG_LEVEL_WARNING   ? "4"
                           : level == G_LOG_LEVEL_MESSAGE ? "5"
                           : level == G_LOG_LEVEL_INFO    ? "6"
                                                          : "7";

    for (guint i = 0; i < n; i++) {
        g_string_append_printf(text, "%s%s ", i ? ", " : ": ",
                               fields[i].key + strlen(PREFIX));
        append_value(text, fields[i].value);
    }
    fields[n++] = (GLogField){"MESSAGE", text->str, -1};
    fields[n++] = (GLogField){"PRIORITY", priority, -1};
    fields[n++] = (GLogField){"SYSLOG_IDENTIFIER", "vsmd", -1};
    g_log_writer_journald(level, fields, n, NULL);
}

void vsm_log(GLogLevelFlags level, const char *message, ...)
{
    GLogField fields[FIELDS_MAX + 3];
    char *names[FIELDS_MAX];
    guint n = 0;
    const char *name;
    va_list args;

    if (level == G_LOG_LEVEL_DEBUG && !tell_debug) {
        return;
    }
    va_start(args, message);
    while ((name = va_arg(args, const char *)) && n < FIELDS_MAX) {
        const char *value = va_arg(args, const char *);

        if (value) {
            names[n] = g_strconcat(PREFIX, name, NULL);
            fields[n] = (GLogField){names[n], value, -1};
            n++;
        }
    }
    va_end(args);
    if (to_journal) {
        write_journal(level, message, fields, n);
    } else {
        write_line(level, message, fields, n);
    }
    for (guint i = 0; i < n; i++) {
        g_free(names[i]);
    }
}
