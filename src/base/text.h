/*
 * Which texts may be a tag, an id, a uuid or an idstr.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * UTF-8 without control characters, 1 to @max_bytes bytes; INVALID otherwise,
 * with @what in the text.
 */
bool vsm_text_check(const char *text,
                    gsize max_bytes,
                    const char *what,
                    GError **error);

/* A tag for a new snapshot: vsm_text_check(), and not 32 hex digits. */
bool vsm_text_check_tag(const char *tag, GError **error);

bool vsm_text_is_id(const char *text); /* 32 lower-case hex digits */
bool vsm_text_is_uuid(const char *text); /* 36 characters, lower case */

/* How a snapshot may be asked for. */
typedef enum {
    VSM_ASKED_TAG = 1, /* "tag:NAME" */
    VSM_ASKED_ID = 2, /* "id:HEX" */
    VSM_ASKED_WORD = 3, /* a bare word: a tag, else an id */
} VsmAsked;

/**
 * vsm_text_parse_asked:
 * @ret_name: (out): points into @asked
 *
 * INVALID for an empty, overlong or malformed text.
 */
bool vsm_text_parse_asked(const char *asked,
                          VsmAsked *ret_kind,
                          const char **ret_name,
                          GError **error);
