/*
 * Pass 2 of a load: a GMAC tag for each chunk of pass 1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/recheck.h"

#include <vsm/error.h>

#include "base/limits.h"
#include "crypto/gmac.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

struct _VsmRecheck {
    VsmGmac *gmac;
    guint64 bytes, chunks; /* of the stream */
    VsmGmacTag *tags;
    guint8 *seen; /* one a chunk */
};

VsmRecheck *vsm_recheck_new(guint64 stream_bytes, GError **error)
{
    g_autoptr(VsmRecheck) recheck = g_new0(VsmRecheck, 1);

    if (stream_bytes > VSM_STREAM_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "stream: longer than %llu bytes", VSM_STREAM_BYTES_MAX);
        return NULL;
    }
    recheck->bytes = stream_bytes;
    recheck->chunks =
        stream_bytes / VSM_CHUNK_BYTES + (stream_bytes % VSM_CHUNK_BYTES != 0);
    recheck->tags = g_try_new0(VsmGmacTag, recheck->chunks + 1);
    recheck->seen = g_try_malloc0(recheck->chunks + 1);
    if (!recheck->tags || !recheck->seen) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "no memory for %" G_GUINT64_FORMAT " tags",
                    recheck->chunks);
        return NULL;
    }
    recheck->gmac = vsm_gmac_new(error);
    return recheck->gmac ? g_steal_pointer(&recheck) : NULL;
}

void vsm_recheck_free(VsmRecheck *recheck)
{
    if (!recheck) {
        return;
    }
    if (recheck->tags) {
        vsm_wipe(recheck->tags, recheck->chunks * sizeof(VsmGmacTag));
    }
    vsm_gmac_free(recheck->gmac);
    g_free(recheck->tags);
    g_free(recheck->seen);
    g_free(recheck);
}

static guint64 chunk_bytes(const VsmRecheck *recheck, guint64 chunk)
{
    return MIN(VSM_CHUNK_BYTES, recheck->bytes - chunk * VSM_CHUNK_BYTES);
}

static bool misuse(guint64 chunk, const char *why, GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "chunk %" G_GUINT64_FORMAT ": %s", chunk, why);
    return false;
}

bool vsm_recheck_add(VsmRecheck *recheck,
                     guint64 chunk,
                     GBytes *bytes,
                     GError **error)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);

    if (chunk >= recheck->chunks || size != chunk_bytes(recheck, chunk)) {
        return misuse(chunk, "is no chunk of this stream", error);
    }
    /* A nonce is used for one text only, as far as the tag is kept. */
    if (recheck->seen[chunk]) {
        return misuse(chunk, "was already added", error);
    }
    if (!vsm_gmac_tag(recheck->gmac, chunk, data, size, &recheck->tags[chunk],
                      error)) {
        return false;
    }
    recheck->seen[chunk] = 1;
    return true;
}

bool vsm_recheck_check(VsmRecheck *recheck,
                       guint64 chunk,
                       GBytes *bytes,
                       GError **error)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    VsmGmacTag tag;
    bool equal;

    if (chunk >= recheck->chunks || !recheck->seen[chunk]) {
        return misuse(chunk, "was not verified before", error);
    }
    if (!vsm_gmac_tag(recheck->gmac, chunk, data, size, &tag, error)) {
        return false;
    }
    equal = size == chunk_bytes(recheck, chunk) &&
            vsm_equal(tag.b, recheck->tags[chunk].b, sizeof(tag.b));
    vsm_wipe(&tag, sizeof(tag));
    if (!equal) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "the stored snapshot changed after it was verified, in "
                    "the bytes from %" G_GUINT64_FORMAT " on: check who else "
                    "writes to this storage",
                    chunk * VSM_CHUNK_BYTES);
        return false;
    }
    return true;
}
