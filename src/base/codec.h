/*
 * The one way in which VSM's own documents are encoded and decoded: GVariant,
 * little-endian, normal form, a fixed type for each version.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/digest.h>

/**
 * vsm_codec_decode:
 * @bytes: untrusted
 * @type: GVariant type; when it begins with "(sq" magic and version are checked
 * @magic: expected first field; NULL: the type has no header
 * @version: expected second field
 * @max_bytes: limit of limits.h
 * @what: name of the thing for the error text
 *
 * Errors: LIMIT (longer than @max_bytes), FORMAT (not normal form, other magic
 * or version).
 *
 * Returns: (transfer full): a value in host byte order, not floating; its
 * strings and arrays are bounded by @bytes, all else is for the caller to check
 */
GVariant *vsm_codec_decode(GBytes *bytes,
                           const char *type,
                           const char *magic,
                           guint16 version,
                           gsize max_bytes,
                           const char *what,
                           GError **error);

/**
 * vsm_codec_encode:
 * @value: a floating reference is consumed
 *
 * Errors: LIMIT.  Returns: (transfer full): little-endian normal form
 */
GBytes *vsm_codec_encode(GVariant *value,
                         gsize max_bytes,
                         const char *what,
                         GError **error);

/* One key of an a{sv}. */
typedef struct {
    const char *key, *type;
    bool required;
} VsmCodecField;

/**
 * vsm_codec_check_dict:
 * @dict: of type a{sv}
 * @fields: all keys that may appear
 *
 * FORMAT for an unknown, doubled or missing key, or a value of another type.
 */
bool vsm_codec_check_dict(GVariant *dict,
                          const VsmCodecField *fields,
                          guint n_fields,
                          const char *what,
                          GError **error);

/* A byte array of exactly 48 bytes; FORMAT otherwise. */
bool vsm_codec_get_digest(GVariant *ay,
                          VsmDigest *ret,
                          const char *what,
                          GError **error);
GVariant *vsm_codec_new_digest(const VsmDigest *digest); /* floating "ay" */

/**
 * vsm_codec_get_bytes:
 * @ay: of type ay
 * @max_bytes: LIMIT if longer
 *
 * Returns: (transfer full): a copy that does not keep the document alive
 */
GBytes *vsm_codec_get_bytes(GVariant *ay,
                            gsize max_bytes,
                            const char *what,
                            GError **error);
GVariant *vsm_codec_new_bytes(GBytes *bytes); /* floating "ay"; NULL: empty */

/**
 * vsm_codec_append_field:
 *
 * Appends u16 big-endian length and the bytes: the form of every field of an
 * extraData and of the canonical request.  @bytes is at most 65535: the caller
 * has checked it against its own limit.
 */
void vsm_codec_append_field(GByteArray *out, const void *data, gsize bytes);
void vsm_codec_append_text(GByteArray *out, const char *text); /* NULL: "" */

/* Exactly 2 * @bytes lower-case hex digits; @out untouched on false. */
bool vsm_codec_parse_hex(const char *hex, guint8 *out, gsize bytes);
char *vsm_codec_hex(const void *data, gsize bytes); /* transfer full */
