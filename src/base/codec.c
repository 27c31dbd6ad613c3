/*
 * The one way in which VSM's own documents are encoded and decoded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/codec.h"

#include <string.h>
#include <vsm/error.h>

/* A copy in memory that is aligned for every GVariant type. */
static GBytes *aligned_copy(GBytes *bytes)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);

    return g_bytes_new_take(size ? g_memdup2(data, size) : NULL, size);
}

static bool check_header(GVariant *value,
                         const char *magic,
                         guint16 version,
                         const char *what,
                         GError **error)
{
    const char *found_magic;
    guint16 found_version;

    if (!magic) {
        return true;
    }
    g_variant_get_child(value, 0, "&s", &found_magic);
    g_variant_get_child(value, 1, "q", &found_version);
    if (strcmp(found_magic, magic) != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "%s: is no %s: another file stands in its place", what,
                    magic);
        return false;
    }
    if (found_version != version) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "%s: version %u is not known, only %u: use the VSM that "
                    "wrote it",
                    what, found_version, version);
        return false;
    }
    return true;
}

GVariant *vsm_codec_decode(GBytes *bytes,
                           const char *type,
                           const char *magic,
                           guint16 version,
                           gsize max_bytes,
                           const char *what,
                           GError **error)
{
    g_autoptr(GVariant) wire = NULL;
    g_autoptr(GVariant) value = NULL;
    g_autoptr(GBytes) copy = NULL;
    gsize size = g_bytes_get_size(bytes);

    if (size > max_bytes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "%s: %" G_GSIZE_FORMAT " bytes, at most %" G_GSIZE_FORMAT
                    " are allowed",
                    what, size, max_bytes);
        return NULL;
    }
    if (size == 0) {
        /* GVariant takes it for the default value of some types. */
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "%s: is empty: it is damaged", what);
        return NULL;
    }
    copy = aligned_copy(bytes);
    wire = g_variant_ref_sink(
        g_variant_new_from_bytes(G_VARIANT_TYPE(type), copy, FALSE));
    if (!g_variant_is_normal_form(wire)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "%s: cannot be parsed: it is damaged", what);
        return NULL;
    }
#if G_BYTE_ORDER == G_BIG_ENDIAN
    value = g_variant_byteswap(wire);
#else
    value = g_variant_ref(wire);
#endif
    if (!check_header(value, magic, version, what, error)) {
        return NULL;
    }
    return g_steal_pointer(&value);
}

GBytes *vsm_codec_encode(GVariant *value,
                         gsize max_bytes,
                         const char *what,
                         GError **error)
{
    g_autoptr(GVariant) held = g_variant_ref_sink(value);
    g_autoptr(GVariant) normal = g_variant_get_normal_form(held);
    g_autoptr(GVariant) wire = NULL;
    gsize size;

#if G_BYTE_ORDER == G_BIG_ENDIAN
    wire = g_variant_byteswap(normal);
#else
    wire = g_variant_ref(normal);
#endif
    size = g_variant_get_size(wire);
    if (size > max_bytes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "%s: would be %" G_GSIZE_FORMAT
                    " bytes, at most %" G_GSIZE_FORMAT " are allowed",
                    what, size, max_bytes);
        return NULL;
    }
    return g_variant_get_data_as_bytes(wire);
}

static const VsmCodecField *find_field(const VsmCodecField *fields,
                                       guint n,
                                       const char *key,
                                       guint *ret_index)
{
    for (guint i = 0; i < n; i++) {
        if (strcmp(fields[i].key, key) == 0) {
            *ret_index = i;
            return &fields[i];
        }
    }
    return NULL;
}

bool vsm_codec_check_dict(GVariant *dict,
                          const VsmCodecField *fields,
                          guint n_fields,
                          const char *what,
                          GError **error)
{
    g_autofree bool *seen = g_new0(bool, n_fields + 1);
    GVariantIter iter;
    const char *key;
    GVariant *value;

    g_variant_iter_init(&iter, dict);
    while (g_variant_iter_next(&iter, "{&sv}", &key, &value)) {
        g_autoptr(GVariant) held = value;
        guint i;
        const VsmCodecField *field = find_field(fields, n_fields, key, &i);

        if (!field || seen[i] ||
            !g_variant_is_of_type(held, G_VARIANT_TYPE(field->type))) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                        "%s: key '%s' is %s", what, key,
                        !field    ? "not known"
                        : seen[i] ? "there twice"
                                  : "of another type");
            return false;
        }
        seen[i] = true;
    }
    for (guint i = 0; i < n_fields; i++) {
        if (fields[i].required && !seen[i]) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                        "%s: key '%s' is missing", what, fields[i].key);
            return false;
        }
    }
    return true;
}

bool vsm_codec_get_digest(GVariant *ay,
                          VsmDigest *ret,
                          const char *what,
                          GError **error)
{
    gsize n;
    const guint8 *data = g_variant_get_fixed_array(ay, &n, 1);

    if (n != VSM_DIGEST_BYTES) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "%s: a digest has %" G_GSIZE_FORMAT " bytes instead of %d",
                    what, n, VSM_DIGEST_BYTES);
        return false;
    }
    memcpy(ret->b, data, VSM_DIGEST_BYTES);
    return true;
}

GVariant *vsm_codec_new_digest(const VsmDigest *digest)
{
    return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, digest->b,
                                     VSM_DIGEST_BYTES, 1);
}

GBytes *vsm_codec_get_bytes(GVariant *ay,
                            gsize max_bytes,
                            const char *what,
                            GError **error)
{
    gsize n;
    const guint8 *data = g_variant_get_fixed_array(ay, &n, 1);

    if (n > max_bytes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "%s: a field has %" G_GSIZE_FORMAT
                    " bytes, at most %" G_GSIZE_FORMAT " are allowed",
                    what, n, max_bytes);
        return NULL;
    }
    return g_bytes_new(data, n);
}

GVariant *vsm_codec_new_bytes(GBytes *bytes)
{
    gsize n = 0;
    const void *data = bytes ? g_bytes_get_data(bytes, &n) : NULL;

    return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, data, n, 1);
}

void vsm_codec_append_field(GByteArray *out, const void *data, gsize bytes)
{
    guint8 length[2] = {bytes >> 8, bytes & 0xff};

    g_assert(bytes <= G_MAXUINT16);
    g_byte_array_append(out, length, sizeof(length));
    if (bytes) {
        g_byte_array_append(out, data, bytes);
    }
}

void vsm_codec_append_text(GByteArray *out, const char *text)
{
    vsm_codec_append_field(out, text, text ? strlen(text) : 0);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool vsm_codec_parse_hex(const char *hex, guint8 *out, gsize bytes)
{
    if (strlen(hex) != 2 * bytes) {
        return false;
    }
    for (gsize i = 0; i < 2 * bytes; i++) {
        if (hex_value(hex[i]) < 0) {
            return false;
        }
    }
    for (gsize i = 0; i < bytes; i++) {
        out[i] = hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]);
    }
    return true;
}

char *vsm_codec_hex(const void *data, gsize bytes)
{
    static const char digits[] = "0123456789abcdef";
    const guint8 *in = data;
    char *out = g_malloc(2 * bytes + 1);

    for (gsize i = 0; i < bytes; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * bytes] = '\0';
    return out;
}
