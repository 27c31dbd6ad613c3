/*
 * The payload of sections, copied as it passes by, and its digest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/error.h>

#include "base/limits.h"
#include "core/stream-internal.h"

void vsm_tap_free(VsmTap *tap)
{
    g_free((char *)tap->section.idstr);
    g_byte_array_unref(tap->payload);
    g_free(tap);
}

static bool misuse(GError **error, const VsmSection *section, const char *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID, "section '%s/%u': %s",
                section->idstr ? section->idstr : "", section->instance, why);
    return false;
}

bool vsm_stream_section_begin(VsmStream *stream,
                              const VsmSection *section,
                              guint64 offset,
                              GError **error)
{
    VsmTap *last = g_queue_peek_tail(&stream->taps);
    VsmTap *tap;

    if (stream->stored || stream->finished) {
        return misuse(error, section, "this stream is not being saved");
    }
    if (!vsm_section_check(section, 0, error)) {
        return false;
    }
    if (offset < stream->position) {
        return misuse(error, section, "its first byte was already fed");
    }
    if (last && last->end > offset) {
        return misuse(error, section, "it begins inside of another one");
    }
    tap = g_new0(VsmTap, 1);
    tap->section = *section;
    tap->section.idstr = g_strdup(section->idstr);
    tap->begin = offset;
    tap->end = G_MAXUINT64;
    tap->payload = g_byte_array_new();
    g_queue_push_tail(&stream->taps, tap);
    return true;
}

/* Sections whose last byte was fed go to the manifest, in order. */
static bool complete_taps(VsmStream *stream, GError **error)
{
    VsmTap *tap;

    while ((tap = g_queue_peek_head(&stream->taps)) != NULL &&
           tap->end <= stream->position) {
        bool ok = vsm_manifest_add_section(stream->manifest, &tap->section,
                                           tap->payload->data,
                                           tap->payload->len, error);

        vsm_tap_free(g_queue_pop_head(&stream->taps));
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool vsm_stream_section_end(VsmStream *stream, guint64 offset, GError **error)
{
    VsmTap *tap = g_queue_peek_tail(&stream->taps);

    if (!tap || tap->end != G_MAXUINT64) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "stream: the end of a section that did not begin");
        return false;
    }
    if (offset < tap->begin) {
        return misuse(error, &tap->section, "it ends before it begins");
    }
    if (!vsm_section_check(&tap->section, offset - tap->begin, error)) {
        return false;
    }
    tap->end = offset;
    if (offset - tap->begin < tap->payload->len) {
        g_byte_array_set_size(tap->payload, offset - tap->begin);
    }
    return complete_taps(stream, error);
}

/* Called with @stream->position still at the first of the bytes. */
bool vsm_stream_tap(VsmStream *stream,
                    const guint8 *data,
                    gsize bytes,
                    GError **error)
{
    guint64 begin = stream->position, end = begin + bytes;

    for (GList *link = stream->taps.head; link; link = link->next) {
        VsmTap *tap = link->data;
        guint64 from = MAX(begin, tap->begin), to = MIN(end, tap->end);

        if (from >= to) {
            continue;
        }
        if (!vsm_section_check(&tap->section, tap->payload->len + (to - from),
                               error)) {
            return false;
        }
        g_byte_array_append(tap->payload, data + (from - begin), to - from);
    }
    return true;
}

bool vsm_stream_finish_taps(VsmStream *stream, GError **error)
{
    VsmTap *tap;

    if (!complete_taps(stream, error)) {
        return false;
    }
    tap = g_queue_peek_head(&stream->taps);
    return !tap || misuse(error, &tap->section, "the stream ends inside of it");
}
