/*
 * Strict JSON for reports, trust entries and policies.
 *
 * Every object that comes from outside is checked against a table of its
 * members first: an unknown, repeated, missing or mistyped member is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <vsm/digest.h>

G_BEGIN_DECLS

typedef enum {
    VSM_JSON_TEXT,
    VSM_JSON_COUNT, /* an integer from 0 up */
    VSM_JSON_BOOL,
    VSM_JSON_OBJECT,
    VSM_JSON_LIST,
    VSM_JSON_DIGEST, /* 96 lower-case hex digits */
    VSM_JSON_B64URL, /* of at most VSM_TPM_OBJECT_BYTES_MAX */
} VsmJsonKind;

typedef struct {
    const char *name;
    VsmJsonKind kind;
    bool optional;
} VsmJsonMember;

/**
 * vsm_json_load:
 * @text: one JSON object; repeated members are refused
 * @max: most bytes
 * @what: for messages: "the report", "the policy file"
 *
 * Errors: VSM_ERROR_FORMAT, VSM_ERROR_LIMIT.
 * Returns: (transfer full): json_decref()
 */
json_t *
vsm_json_load(const char *text, gsize max, const char *what, GError **error);

/**
 * vsm_json_check:
 * @table, @n: all members that @object may have
 * @where: for messages: "the report's 'vm'"
 *
 * Errors: VSM_ERROR_FORMAT.
 */
bool vsm_json_check(const json_t *object,
                    const VsmJsonMember *table,
                    guint n,
                    const char *where,
                    GError **error);

/* After vsm_json_check() only: the member is there, of that kind. */
const char *vsm_json_text(const json_t *object, const char *name);
guint64 vsm_json_count(const json_t *object, const char *name);
bool vsm_json_bool(const json_t *object, const char *name);
void vsm_json_digest(const json_t *object, const char *name, VsmDigest *ret);
GBytes *vsm_json_bytes(const json_t *object, const char *name);

/* Sorted keys, no blanks; (transfer full): g_free(). */
char *vsm_json_dump(const json_t *object);

G_END_DECLS
