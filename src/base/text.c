/*
 * Which texts may be a tag, an id, a uuid or an idstr.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/text.h"

#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"

bool vsm_text_check(const char *text,
                    gsize max_bytes,
                    const char *what,
                    GError **error)
{
    gsize n = text ? strnlen(text, max_bytes + 1) : 0;

    if (n == 0 || n > max_bytes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "%s: must have 1 to %" G_GSIZE_FORMAT " bytes", what,
                    max_bytes);
        return false;
    }
    if (!g_utf8_validate(text, n, NULL)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID, "%s: is not UTF-8",
                    what);
        return false;
    }
    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        if (g_unichar_iscntrl(g_utf8_get_char(p))) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "%s: holds a control character", what);
            return false;
        }
    }
    return true;
}

bool vsm_text_is_id(const char *text)
{
    return strlen(text) == VSM_ID_DIGITS &&
           strspn(text, "0123456789abcdef") == VSM_ID_DIGITS;
}

/* Also with upper-case digits: such a tag would be taken for an id by eye. */
static bool looks_like_id(const char *text)
{
    return strlen(text) == VSM_ID_DIGITS &&
           strspn(text, "0123456789abcdefABCDEF") == VSM_ID_DIGITS;
}

bool vsm_text_check_tag(const char *tag, GError **error)
{
    if (!vsm_text_check(tag, VSM_TAG_BYTES_MAX, "snapshot tag", error)) {
        return false;
    }
    if (g_str_has_prefix(tag, "tag:") || g_str_has_prefix(tag, "id:")) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "snapshot tag '%s' would be read as another snapshot's "
                    "name: choose one that does not begin with tag: or id:",
                    tag);
        return false;
    }
    if (looks_like_id(tag)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "snapshot tag '%s' looks like a snapshot id: choose a tag "
                    "that is not 32 hex digits",
                    tag);
        return false;
    }
    return true;
}

bool vsm_text_is_uuid(const char *text)
{
    if (strlen(text) != VSM_UUID_DIGITS) {
        return false;
    }
    for (guint i = 0; i < VSM_UUID_DIGITS; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : !strchr("0123456789abcdef", text[i])) {
            return false;
        }
    }
    return true;
}

bool vsm_text_parse_asked(const char *asked,
                          VsmAsked *ret_kind,
                          const char **ret_name,
                          GError **error)
{
    VsmAsked kind = VSM_ASKED_WORD;
    const char *name = asked;

    if (asked && g_str_has_prefix(asked, "tag:")) {
        kind = VSM_ASKED_TAG;
        name = asked + strlen("tag:");
    } else if (asked && g_str_has_prefix(asked, "id:")) {
        kind = VSM_ASKED_ID;
        name = asked + strlen("id:");
    }
    if (!vsm_text_check(name, VSM_TAG_BYTES_MAX, "snapshot name", error)) {
        return false;
    }
    if (kind == VSM_ASKED_ID && !vsm_text_is_id(name)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "snapshot id '%s': must be 32 lower-case hex digits", name);
        return false;
    }
    *ret_kind = kind;
    *ret_name = name;
    return true;
}
