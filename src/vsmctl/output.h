/*
 * What vsmctl prints: readable by default, JSON on request, and nothing that
 * a guest or a file could use to steer a terminal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/**
 * vsmctl_escape:
 * @text: (nullable): untrusted; any bytes
 *
 * Returns: (transfer full): UTF-8 in which control characters, line ends
 *          included, and marks that change the direction of text are \xNN or
 *          \u{NNNN}; g_free()
 */
char *vsmctl_escape(const char *text);

/* A line "LABEL  VALUE"; the value is escaped; no line if it is NULL. */
void vsmctl_print_field(const char *label, const char *value);

/* The member @name of @object as such a line, if it is a text. */
void vsmctl_print_member(const char *label,
                         const json_t *object,
                         const char *name);

/* Indented, sorted, ASCII only; a newline follows. */
void vsmctl_print_json(const json_t *value);

/* The same on standard error, before something is done to it: who signs sees.
 */
void vsmctl_show_before(const json_t *value);

/* On standard error alone. */
void vsmctl_print_message(const char *text);

/* On standard error; with --json also an object on standard output. */
void vsmctl_print_error(const char *code, const char *text);

/* "2026-11-24 14:00:00 UTC"; (transfer full) */
char *vsmctl_time(json_int_t seconds);

/* "12.5 MiB"; (transfer full) */
char *vsmctl_size(json_int_t bytes);

/* Text of a member, "" if it is none; borrowed. */
const char *vsmctl_text(const json_t *object, const char *name);
json_int_t vsmctl_int(const json_t *object, const char *name);

/**
 * vsmctl_print_findings:
 * @object: a verdict or claims, with the list "findings"
 * @runtime: whether they are of the runtime scope
 * @left_out: how many more there are
 */
void vsmctl_print_findings(const json_t *object,
                           bool runtime,
                           guint64 left_out);

/* What a report of such a scope speaks of, and what it does not; static. */
const char *vsmctl_covers(bool runtime);

/* The texts of the list @name, one a line. */
void vsmctl_print_list(const char *label,
                       const json_t *object,
                       const char *name);

/**
 * vsmctl_print_masked:
 * @name: a list of masks ("SECTION vN +OFFSET:BYTES REASON")
 *
 * One line a section and reason, with the number of fields.
 */
void vsmctl_print_masked(const char *label,
                         const json_t *object,
                         const char *name);
