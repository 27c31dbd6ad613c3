/*
 * C structs as GVariant tuples, by a table of their members.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attester/wire.h"

#include <string.h>
#include <vsm/error.h>
#include "base/codec.h"

/* --- Types ------------------------------------------------------------ */

static void append_type(GString *out, const VsmWireMember *member)
{
    static const char *const types[] = {
        [VSM_WIRE_TEXT] = "s",   [VSM_WIRE_KIND] = "s",
        [VSM_WIRE_BYTES] = "ay", [VSM_WIRE_DIGEST] = "ay",
        [VSM_WIRE_BOOL] = "b",   [VSM_WIRE_U8] = "y",
        [VSM_WIRE_U32] = "u",    [VSM_WIRE_U64] = "t",
        [VSM_WIRE_I64] = "x",    [VSM_WIRE_STRUCT] = "",
        [VSM_WIRE_TEXTS] = "as", [VSM_WIRE_STRUCTS] = "a",
    };

    if (member->null) {
        g_string_append_c(out, 'm');
    }
    g_string_append(out, types[member->type]);
    if (member->inner) {
        g_autofree char *inner = vsm_wire_type(member->inner);

        g_string_append(out, inner);
    }
}

char *vsm_wire_type(const VsmWire *wire)
{
    GString *out = g_string_new("(");

    for (guint i = 0; i < wire->n_members; i++) {
        append_type(out, &wire->members[i]);
    }
    g_string_append_c(out, ')');
    return g_string_free(out, FALSE);
}

/* Of the member alone, without the maybe. */
static GVariantType *member_type(const VsmWireMember *member)
{
    g_autoptr(GString) text = g_string_new(NULL);

    append_type(text, member);
    return g_variant_type_new(text->str + (member->null ? 1 : 0));
}

/* --- Encode ----------------------------------------------------------- */

static GVariant *over_limit(const VsmWireMember *member, GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                "message: %s is over its limit of %" G_GUINT64_FORMAT,
                member->name, member->max);
    return NULL;
}

/* @text, valid and not longer than @max bytes. */
static char *cut_text(const char *text, gsize max)
{
    g_autofree char *some = g_strndup(text, max);
    const char *end;

    g_utf8_validate(some, -1, &end);
    some[end - some] = '\0';
    return g_steal_pointer(&some);
}

/* Names from outside may be any bytes; GVariant takes UTF-8 alone. */
static GVariant *
encode_text(const VsmWireMember *member, const char *text, GError **error)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    if (member->max && strlen(valid) > member->max) {
        if (!member->cut) {
            return over_limit(member, error);
        }
        return g_variant_new_take_string(cut_text(valid, member->max));
    }
    return g_variant_new_take_string(g_steal_pointer(&valid));
}

static GVariant *
encode_bytes(const VsmWireMember *member, GBytes *bytes, GError **error)
{
    if (member->max && g_bytes_get_size(bytes) > member->max) {
        return over_limit(member, error);
    }
    return vsm_codec_new_bytes(bytes);
}

static GVariant *
encode_array(const VsmWireMember *member, GPtrArray *array, GError **error)
{
    g_autoptr(GVariantType) type = member_type(member);
    GVariantBuilder builder;

    if (array->len > member->max) {
        return over_limit(member, error);
    }
    g_variant_builder_init(&builder, type);
    for (guint i = 0; i < array->len; i++) {
        static const VsmWireMember text = {.name = "text"};
        GVariant *element =
            member->inner
                ? vsm_wire_encode(member->inner, array->pdata[i], error)
                : encode_text(&text, array->pdata[i], error);

        if (!element) {
            g_variant_builder_clear(&builder);
            return NULL;
        }
        g_variant_builder_add_value(&builder, element);
    }
    return g_variant_builder_end(&builder);
}

static GVariant *
encode_pointer(const VsmWireMember *member, gconstpointer at, GError **error)
{
    gpointer value = *(const gpointer *)at;
    g_autoptr(GVariantType) type = member_type(member);
    GVariant *child = NULL;

    if (!value && !member->null) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "message: %s is missing", member->name);
        return NULL;
    }
    if (value) {
        switch (member->type) {
        case VSM_WIRE_BYTES:
            child = encode_bytes(member, value, error);
            break;
        case VSM_WIRE_TEXTS:
        case VSM_WIRE_STRUCTS:
            child = encode_array(member, value, error);
            break;
        default:
            child = encode_text(member, value, error);
            break;
        }
        if (!child) {
            return NULL;
        }
    }
    return member->null ? g_variant_new_maybe(type, child) : child;
}

static GVariant *
encode_member(const VsmWireMember *member, gconstpointer at, GError **error)
{
    switch (member->type) {
    case VSM_WIRE_DIGEST:
        return vsm_codec_new_digest(at);
    case VSM_WIRE_BOOL:
        return g_variant_new_boolean(*(const bool *)at);
    case VSM_WIRE_U8:
        return g_variant_new_byte(*(const guint8 *)at);
    case VSM_WIRE_U32:
        return g_variant_new_uint32(*(const guint32 *)at);
    case VSM_WIRE_U64:
        return g_variant_new_uint64(*(const guint64 *)at);
    case VSM_WIRE_I64:
        return g_variant_new_int64(*(const gint64 *)at);
    case VSM_WIRE_STRUCT:
        return vsm_wire_encode(member->inner, at, error);
    default:
        return encode_pointer(member, at, error);
    }
}

GVariant *
vsm_wire_encode(const VsmWire *wire, gconstpointer value, GError **error)
{
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE_TUPLE);
    for (guint i = 0; i < wire->n_members; i++) {
        const VsmWireMember *member = &wire->members[i];
        GVariant *child = encode_member(
            member, (const guint8 *)value + member->offset, error);

        if (!child) {
            g_prefix_error(error, "%s: ", wire->name);
            g_variant_builder_clear(&builder);
            return NULL;
        }
        g_variant_builder_add_value(&builder, child);
    }
    return g_variant_builder_end(&builder);
}

/* --- Decode ----------------------------------------------------------- */

static void clear(const VsmWire *wire, gpointer value);
static bool
decode(const VsmWire *wire, GVariant *tuple, gpointer ret, GError **error);

static bool refuse(const VsmWireMember *member,
                   VsmError code,
                   const char *why,
                   GError **error)
{
    g_set_error(error, VSM_ERROR, code, "%s %s", member->name, why);
    return false;
}

static bool decode_text(const VsmWireMember *member,
                        GVariant *value,
                        char **ret,
                        GError **error)
{
    gsize bytes;
    const char *text = g_variant_get_string(value, &bytes);

    if (member->max && bytes > member->max) {
        return refuse(member, VSM_ERROR_LIMIT, "is too long", error);
    }
    *ret = g_strdup(text);
    return true;
}

static bool decode_kind(const VsmWireMember *member,
                        GVariant *value,
                        const char **ret,
                        GError **error)
{
    *ret = member->intern(g_variant_get_string(value, NULL));
    return *ret ||
           refuse(member, VSM_ERROR_FORMAT, "is not one of those known", error);
}

static bool decode_bytes(const VsmWireMember *member,
                         GVariant *value,
                         GBytes **ret,
                         GError **error)
{
    *ret = vsm_codec_get_bytes(value, member->max ? member->max : G_MAXSIZE,
                               member->name, error);
    return *ret != NULL;
}

static bool decode_texts(const VsmWireMember *member,
                         GVariant *value,
                         GPtrArray **ret,
                         GError **error)
{
    gsize n = g_variant_n_children(value);

    if (n > member->max) {
        return refuse(member, VSM_ERROR_LIMIT, "has too many texts", error);
    }
    *ret = g_ptr_array_new_full(n, g_free);
    for (gsize i = 0; i < n; i++) {
        char *text = NULL;

        g_variant_get_child(value, i, "s", &text);
        g_ptr_array_add(*ret, text);
    }
    return true;
}

static bool decode_structs(const VsmWireMember *member,
                           GVariant *value,
                           GPtrArray **ret,
                           GError **error)
{
    gsize n = g_variant_n_children(value);

    if (n > member->max) {
        return refuse(member, VSM_ERROR_LIMIT, "has too many elements", error);
    }
    *ret = g_ptr_array_new_full(n, member->inner->free);
    for (gsize i = 0; i < n; i++) {
        g_autoptr(GVariant) child = g_variant_get_child_value(value, i);
        gpointer element = vsm_wire_decode(member->inner, child, error);

        if (!element) {
            return false;
        }
        g_ptr_array_add(*ret, element);
    }
    return true;
}

static bool decode_pointer(const VsmWireMember *member,
                           GVariant *value,
                           gpointer at,
                           GError **error)
{
    g_autoptr(GVariant) child =
        member->null ? g_variant_get_maybe(value) : g_variant_ref(value);

    if (!child) {
        return true; /* stays NULL */
    }
    switch (member->type) {
    case VSM_WIRE_KIND:
        return decode_kind(member, child, at, error);
    case VSM_WIRE_BYTES:
        return decode_bytes(member, child, at, error);
    case VSM_WIRE_TEXTS:
        return decode_texts(member, child, at, error);
    case VSM_WIRE_STRUCTS:
        return decode_structs(member, child, at, error);
    default:
        return decode_text(member, child, at, error);
    }
}

static bool decode_number(const VsmWireMember *member,
                          GVariant *value,
                          gpointer at,
                          GError **error)
{
    guint64 number;

    switch (member->type) {
    case VSM_WIRE_U8:
        number = *(guint8 *)at = g_variant_get_byte(value);
        break;
    case VSM_WIRE_U32:
        number = *(guint32 *)at = g_variant_get_uint32(value);
        break;
    default:
        number = *(guint64 *)at = g_variant_get_uint64(value);
        break;
    }
    if (number < member->min || (member->max && number > member->max)) {
        return refuse(member, VSM_ERROR_FORMAT, "is out of its range", error);
    }
    return true;
}

static bool decode_member(const VsmWireMember *member,
                          GVariant *value,
                          gpointer at,
                          GError **error)
{
    switch (member->type) {
    case VSM_WIRE_DIGEST:
        return vsm_codec_get_digest(value, at, member->name, error);
    case VSM_WIRE_BOOL:
        *(bool *)at = g_variant_get_boolean(value);
        return true;
    case VSM_WIRE_U8:
    case VSM_WIRE_U32:
    case VSM_WIRE_U64:
        return decode_number(member, value, at, error);
    case VSM_WIRE_I64:
        *(gint64 *)at = g_variant_get_int64(value);
        return true;
    case VSM_WIRE_STRUCT:
        return decode(member->inner, value, at, error);
    default:
        return decode_pointer(member, value, at, error);
    }
}

/* @ret is zeroed; the caller clears it, also after a failure. */
static bool
decode(const VsmWire *wire, GVariant *tuple, gpointer ret, GError **error)
{
    for (guint i = 0; i < wire->n_members; i++) {
        const VsmWireMember *member = &wire->members[i];
        g_autoptr(GVariant) child = g_variant_get_child_value(tuple, i);

        if (!decode_member(member, child, (guint8 *)ret + member->offset,
                           error)) {
            g_prefix_error(error, "%s: ", wire->name);
            return false;
        }
    }
    return !wire->check || wire->check(ret, error);
}

gpointer vsm_wire_decode(const VsmWire *wire, GVariant *tuple, GError **error)
{
    gpointer value = g_malloc0(MAX(wire->bytes, 1));

    if (!decode(wire, tuple, value, error)) {
        vsm_wire_free(wire, value);
        return NULL;
    }
    return value;
}

static void clear(const VsmWire *wire, gpointer value)
{
    for (guint i = 0; i < wire->n_members; i++) {
        const VsmWireMember *member = &wire->members[i];
        gpointer at = (guint8 *)value + member->offset;

        switch (member->type) {
        case VSM_WIRE_TEXT:
            g_clear_pointer((char **)at, g_free);
            break;
        case VSM_WIRE_BYTES:
            g_clear_pointer((GBytes **)at, g_bytes_unref);
            break;
        case VSM_WIRE_TEXTS:
        case VSM_WIRE_STRUCTS:
            g_clear_pointer((GPtrArray **)at, g_ptr_array_unref);
            break;
        case VSM_WIRE_STRUCT:
            clear(member->inner, at);
            break;
        default:
            break;
        }
    }
}

void vsm_wire_free(const VsmWire *wire, gpointer value)
{
    if (value) {
        clear(wire, value);
        g_free(value);
    }
}
