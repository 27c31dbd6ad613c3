/*
 * Strict JSON: load, check against a table, read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/json.h"

#include <string.h>
#include <vsm/error.h>

#include "base/codec.h"
#include "base/limits.h"
#include "report/jwk.h"

json_t *
vsm_json_load(const char *text, gsize max, const char *what, GError **error)
{
    json_error_t where;
    json_t *value;
    gsize bytes = strnlen(text, max + 1);

    if (bytes > max) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "%s is larger than %" G_GSIZE_FORMAT " bytes", what, max);
        return NULL;
    }
    value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
    if (!value) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "%s is not valid JSON (line %d, column %d: %s)", what,
                    where.line, where.column, where.text);
        return NULL;
    }
    if (!json_is_object(value)) {
        json_decref(value);
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "%s is not a JSON object", what);
        return NULL;
    }
    return value;
}

static bool is_b64url(const char *text)
{
    g_autoptr(GBytes) bytes =
        vsm_b64url_decode(text, VSM_TPM_OBJECT_BYTES_MAX, NULL);

    return bytes != NULL;
}

static bool of_kind(const json_t *value, VsmJsonKind kind)
{
    VsmDigest digest;

    switch (kind) {
    case VSM_JSON_TEXT:
        return json_is_string(value);
    case VSM_JSON_COUNT:
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case VSM_JSON_BOOL:
        return json_is_boolean(value);
    case VSM_JSON_OBJECT:
        return json_is_object(value);
    case VSM_JSON_LIST:
        return json_is_array(value);
    case VSM_JSON_DIGEST:
        return json_is_string(value) &&
               vsm_codec_parse_hex(json_string_value(value), digest.b,
                                   sizeof(digest.b));
    case VSM_JSON_B64URL:
        return json_is_string(value) && is_b64url(json_string_value(value));
    }
    return false;
}

static const char *kind_name(VsmJsonKind kind)
{
    static const char *const names[] = {
        [VSM_JSON_TEXT] = "a text",
        [VSM_JSON_COUNT] = "an integer from 0 up",
        [VSM_JSON_BOOL] = "true or false",
        [VSM_JSON_OBJECT] = "an object",
        [VSM_JSON_LIST] = "a list",
        [VSM_JSON_DIGEST] = "a SHA-384 digest in lower-case hex",
        [VSM_JSON_B64URL] = "base64url without padding",
    };

    return names[kind];
}

static const VsmJsonMember *
find_member(const VsmJsonMember *table, guint n, const char *name)
{
    for (guint i = 0; i < n; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

bool vsm_json_check(const json_t *object,
                    const VsmJsonMember *table,
                    guint n,
                    const char *where,
                    GError **error)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "%s is not a JSON object", where);
        return false;
    }
    json_object_foreach((json_t *)object, name, value)
    {
        const VsmJsonMember *member = find_member(table, n, name);

        if (!member) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                        "%s has the unknown member '%s'", where, name);
            return false;
        }
        if (!of_kind(value, member->kind)) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                        "'%s' of %s is not %s", name, where,
                        kind_name(member->kind));
            return false;
        }
    }
    for (guint i = 0; i < n; i++) {
        if (!table[i].optional && !json_object_get(object, table[i].name)) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, "%s lacks '%s'",
                        where, table[i].name);
            return false;
        }
    }
    return true;
}

const char *vsm_json_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

guint64 vsm_json_count(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

bool vsm_json_bool(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

void vsm_json_digest(const json_t *object, const char *name, VsmDigest *ret)
{
    bool ok = vsm_codec_parse_hex(vsm_json_text(object, name), ret->b,
                                  sizeof(ret->b));

    g_assert(ok); /* vsm_json_check() has seen it */
}

GBytes *vsm_json_bytes(const json_t *object, const char *name)
{
    GBytes *bytes = vsm_b64url_decode(vsm_json_text(object, name),
                                      VSM_TPM_OBJECT_BYTES_MAX, NULL);

    g_assert(bytes); /* vsm_json_check() has seen it */
    return bytes;
}

char *vsm_json_dump(const json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    char *copy = g_strdup(text);

    free(text);
    return copy;
}
