/*
 * Pass 2 of a load: a GMAC tag for each chunk of pass 1.
 *
 * Pass 1 makes a chunk's tag where it hashes the chunk, while that is in the
 * CPU's cache.  Pass 2 compares on the pool, so that the thread that parses has
 * nothing else to do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/error.h>

#include "base/limits.h"
#include "core/recheck-internal.h"
#include "crypto/hash.h"

/* One chunk of pass 2 on its way through the pool. */
typedef struct {
    VsmRecheck *recheck;
    guint64 chunk;
    GBytes *bytes;
    bool equal; /* to what pass 1 tagged */
    bool done; /* under the lock */
    GError *error;
} Check;

static void check_free(Check *check)
{
    g_bytes_unref(check->bytes);
    g_clear_error(&check->error);
    g_free(check);
}

VsmRecheck *vsm_recheck_new(VsmPool *pool, guint64 stream_bytes, GError **error)
{
    g_autoptr(VsmRecheck) recheck = g_new0(VsmRecheck, 1);
    VsmGmac *gmac;

    recheck->pool = pool;
    recheck->group = vsm_group_new(pool, vsm_pool_in_flight(pool));
    recheck->idle =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_gmac_free);
    recheck->pages = g_array_new(FALSE, FALSE, sizeof(VsmPagesTag));
    pthread_mutex_init(&recheck->lock, NULL);
    pthread_cond_init(&recheck->checked, NULL);
    g_queue_init(&recheck->checks);
    if (stream_bytes > VSM_STREAM_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "stream: longer than %llu bytes", VSM_STREAM_BYTES_MAX);
        return NULL;
    }
    recheck->bytes = stream_bytes;
    recheck->chunks =
        stream_bytes / VSM_CHUNK_BYTES + (stream_bytes % VSM_CHUNK_BYTES != 0);
    recheck->tags = g_try_new0(VsmGmacTag, recheck->chunks + 1);
    recheck->tagged = g_try_malloc0(recheck->chunks + 1);
    if (!recheck->tags || !recheck->tagged) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "no memory for %" G_GUINT64_FORMAT " tags",
                    recheck->chunks);
        return NULL;
    }
    recheck->key = vsm_secret_new_random(VSM_GMAC_KEY_BYTES, error);
    gmac = recheck->key ? vsm_recheck_take_gmac(recheck, error) : NULL;
    if (!gmac) {
        return NULL;
    }
    vsm_recheck_give_gmac(recheck, gmac);
    return g_steal_pointer(&recheck);
}

void vsm_recheck_free(VsmRecheck *recheck)
{
    if (!recheck) {
        return;
    }
    vsm_group_free(recheck->group); /* waits */
    g_queue_clear_full(&recheck->checks, (GDestroyNotify)check_free);
    if (recheck->tags) {
        vsm_wipe(recheck->tags, recheck->chunks * sizeof(VsmGmacTag));
    }
    vsm_wipe(recheck->pages->data, recheck->pages->len * sizeof(VsmPagesTag));
    g_array_unref(recheck->pages);
    g_ptr_array_unref(recheck->idle);
    vsm_secret_free(recheck->key);
    g_free(recheck->tags);
    g_free(recheck->tagged);
    pthread_cond_destroy(&recheck->checked);
    pthread_mutex_destroy(&recheck->lock);
    g_free(recheck);
}

VsmGmac *vsm_recheck_take_gmac(VsmRecheck *recheck, GError **error)
{
    VsmGmac *gmac = NULL;

    pthread_mutex_lock(&recheck->lock);
    if (recheck->idle->len) {
        gmac = g_ptr_array_steal_index_fast(recheck->idle, 0);
    }
    pthread_mutex_unlock(&recheck->lock);
    return gmac ? gmac
                : vsm_gmac_new_with_key(vsm_pool_backend(recheck->pool),
                                        vsm_secret_peek(recheck->key), error);
}

void vsm_recheck_give_gmac(VsmRecheck *recheck, VsmGmac *gmac)
{
    pthread_mutex_lock(&recheck->lock);
    g_ptr_array_add(recheck->idle, gmac);
    pthread_mutex_unlock(&recheck->lock);
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

static bool make_tag(VsmRecheck *recheck,
                     guint64 chunk,
                     GBytes *bytes,
                     VsmGmacTag *ret,
                     GError **error)
{
    VsmGmac *gmac = vsm_recheck_take_gmac(recheck, error);
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    bool ok = gmac && vsm_gmac_tag(gmac, chunk, data, size, ret, error);

    if (gmac) {
        vsm_recheck_give_gmac(recheck, gmac);
    }
    return ok;
}

/* A nonce is used for one text only, as far as the tag is kept. */
static bool claim(VsmRecheck *recheck, guint64 chunk)
{
    bool mine;

    pthread_mutex_lock(&recheck->lock);
    mine = recheck->tagged[chunk] == VSM_TAGGED_NOT;
    recheck->tagged[chunk] = mine ? VSM_TAGGED_SOON : recheck->tagged[chunk];
    pthread_mutex_unlock(&recheck->lock);
    return mine;
}

struct _VsmTagging {
    VsmRecheck *recheck;
    guint64 chunk;
    GBytes *bytes;
    gsize tagged; /* bytes */
    VsmGmac *gmac;
};

VsmTagging *vsm_tagging_new(VsmRecheck *recheck,
                            guint64 chunk,
                            GBytes *bytes,
                            GError **error)
{
    g_autoptr(VsmTagging) tagging = NULL;

    if (chunk >= recheck->chunks ||
        g_bytes_get_size(bytes) != chunk_bytes(recheck, chunk)) {
        misuse(chunk, "is no chunk of this stream", error);
        return NULL;
    }
    if (!claim(recheck, chunk)) {
        misuse(chunk, "was already added", error);
        return NULL;
    }
    tagging = g_new0(VsmTagging, 1);
    tagging->recheck = recheck;
    tagging->chunk = chunk;
    tagging->bytes = g_bytes_ref(bytes);
    tagging->gmac = vsm_recheck_take_gmac(recheck, error);
    if (!tagging->gmac || !vsm_gmac_begin(tagging->gmac, chunk, error)) {
        return NULL;
    }
    return g_steal_pointer(&tagging);
}

void vsm_tagging_free(VsmTagging *tagging)
{
    if (!tagging) {
        return;
    }
    if (tagging->gmac) {
        vsm_recheck_give_gmac(tagging->recheck, tagging->gmac);
    }
    g_bytes_unref(tagging->bytes);
    g_free(tagging);
}

bool vsm_tagging_up_to(VsmTagging *tagging, const void *end, GError **error)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(tagging->bytes, &size);
    guintptr up_to = (guintptr)end - (guintptr)data; /* elsewhere: large */
    gsize tagged = tagging->tagged;

    if (up_to > size || up_to <= tagged) {
        return true;
    }
    tagging->tagged = up_to;
    return vsm_gmac_update(tagging->gmac, data + tagged, up_to - tagged, error);
}

bool vsm_tagging_end(VsmTagging *tagging, GError **error)
{
    VsmRecheck *recheck = tagging->recheck;
    gsize size;
    const guint8 *data = g_bytes_get_data(tagging->bytes, &size);
    VsmGmacTag tag;

    if (!vsm_tagging_up_to(tagging, data + size, error) ||
        !vsm_gmac_end(tagging->gmac, &tag, error)) {
        return false;
    }
    pthread_mutex_lock(&recheck->lock);
    recheck->tags[tagging->chunk] = tag;
    recheck->tagged[tagging->chunk] = VSM_TAGGED;
    pthread_mutex_unlock(&recheck->lock);
    vsm_wipe(&tag, sizeof(tag));
    return true;
}

/* A failure is the check's own: the group goes on. */
static bool run_check(gpointer data, VsmHasher *hasher, GError **error)
{
    Check *check = data;
    VsmRecheck *recheck = check->recheck;
    VsmGmacTag tag;

    (void)hasher, (void)error;
    if (make_tag(recheck, check->chunk, check->bytes, &tag, &check->error)) {
        check->equal =
            g_bytes_get_size(check->bytes) ==
                chunk_bytes(recheck, check->chunk) &&
            vsm_equal(tag.b, recheck->tags[check->chunk].b, sizeof(tag.b));
        vsm_wipe(&tag, sizeof(tag));
    }
    pthread_mutex_lock(&recheck->lock);
    check->done = true;
    pthread_cond_signal(&recheck->checked);
    pthread_mutex_unlock(&recheck->lock);
    return true;
}

bool vsm_recheck_complete(VsmRecheck *recheck, GError **error)
{
    guint64 chunk = 0;

    pthread_mutex_lock(&recheck->lock);
    while (chunk < recheck->chunks && recheck->tagged[chunk] == VSM_TAGGED) {
        chunk++;
    }
    pthread_mutex_unlock(&recheck->lock);
    return chunk == recheck->chunks ||
           misuse(chunk, "was not fed to pass 1 as a whole", error);
}

bool vsm_recheck_begin(VsmRecheck *recheck,
                       guint64 chunk,
                       GBytes *bytes,
                       GError **error)
{
    Check *check;
    bool tagged = false;

    if (chunk < recheck->chunks) {
        pthread_mutex_lock(&recheck->lock);
        tagged = recheck->tagged[chunk] == VSM_TAGGED;
        pthread_mutex_unlock(&recheck->lock);
    }
    if (!tagged) {
        return misuse(chunk, "was not fed to pass 1 as a whole", error);
    }
    check = g_new0(Check, 1);
    check->recheck = recheck;
    check->chunk = chunk;
    check->bytes = g_bytes_ref(bytes);
    g_queue_push_tail(&recheck->checks, check);
    vsm_group_push(recheck->group, run_check, check);
    return true;
}

bool vsm_recheck_end(VsmRecheck *recheck, GError **error)
{
    Check *check = g_queue_pop_head(&recheck->checks);
    bool equal;

    if (!check) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "no chunk is being checked");
        return false;
    }
    pthread_mutex_lock(&recheck->lock);
    while (!check->done) {
        pthread_cond_wait(&recheck->checked, &recheck->lock);
    }
    pthread_mutex_unlock(&recheck->lock);
    equal = check->equal;
    if (check->error) {
        g_propagate_error(error, g_steal_pointer(&check->error));
    } else if (!equal) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "the stored snapshot changed after it was verified, in "
                    "the bytes from %" G_GUINT64_FORMAT " on: check who else "
                    "writes to this storage",
                    check->chunk * VSM_CHUNK_BYTES);
    }
    check_free(check);
    return equal;
}

bool vsm_recheck_check(VsmRecheck *recheck,
                       guint64 chunk,
                       GBytes *bytes,
                       GError **error)
{
    if (!g_queue_is_empty(&recheck->checks)) {
        return misuse(chunk, "others are being checked", error);
    }
    return vsm_recheck_begin(recheck, chunk, bytes, error) &&
           vsm_recheck_end(recheck, error);
}
