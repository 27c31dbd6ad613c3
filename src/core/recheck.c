/*
 * Pass 2 of a load: a GMAC tag for each chunk of pass 1.
 *
 * Tags are made and compared on the pool, so that the thread that parses has
 * nothing else to do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/error.h>

#include "base/limits.h"
#include "core/recheck-internal.h"
#include "crypto/hash.h"

/* One chunk on its way through the pool. */
typedef struct {
    VsmRecheck *recheck;
    guint64 chunk;
    GBytes *bytes;
    bool compare; /* with the tag of pass 1; else: make that */
    bool equal;
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
    recheck->seen = g_try_malloc0(recheck->chunks + 1);
    if (!recheck->tags || !recheck->seen) {
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
    g_free(recheck->seen);
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

static bool tag_chunk(Check *check, GError **error)
{
    VsmRecheck *recheck = check->recheck;
    VsmGmacTag *sealed = &recheck->tags[check->chunk];
    VsmGmac *gmac = vsm_recheck_take_gmac(recheck, error);
    gsize bytes;
    const void *data = g_bytes_get_data(check->bytes, &bytes);
    VsmGmacTag tag;
    bool ok;

    if (!gmac) {
        return false;
    }
    ok = vsm_gmac_tag(gmac, check->chunk, data, bytes, &tag, error);
    vsm_recheck_give_gmac(recheck, gmac);
    if (!ok) {
        return false;
    }
    if (check->compare) {
        check->equal = bytes == chunk_bytes(recheck, check->chunk) &&
                       vsm_equal(tag.b, sealed->b, sizeof(tag.b));
    } else {
        *sealed = tag;
    }
    vsm_wipe(&tag, sizeof(tag));
    return true;
}

static bool run_add(gpointer data, VsmHasher *hasher, GError **error)
{
    Check *check = data;
    bool ok = tag_chunk(check, error);

    (void)hasher;
    check_free(check);
    return ok;
}

/* A failure is the check's own: the group goes on. */
static bool run_check(gpointer data, VsmHasher *hasher, GError **error)
{
    Check *check = data;
    VsmRecheck *recheck = check->recheck;

    (void)hasher, (void)error;
    tag_chunk(check, &check->error);
    pthread_mutex_lock(&recheck->lock);
    check->done = true;
    pthread_mutex_unlock(&recheck->lock);
    return true;
}

static Check *new_check(VsmRecheck *recheck, guint64 chunk, GBytes *bytes)
{
    Check *check = g_new0(Check, 1);

    check->recheck = recheck;
    check->chunk = chunk;
    check->bytes = g_bytes_ref(bytes);
    return check;
}

bool vsm_recheck_add(VsmRecheck *recheck,
                     guint64 chunk,
                     GBytes *bytes,
                     GError **error)
{
    if (chunk >= recheck->chunks ||
        g_bytes_get_size(bytes) != chunk_bytes(recheck, chunk)) {
        return misuse(chunk, "is no chunk of this stream", error);
    }
    /* A nonce is used for one text only, as far as the tag is kept. */
    if (recheck->seen[chunk]) {
        return misuse(chunk, "was already added", error);
    }
    recheck->seen[chunk] = 1;
    recheck->added = true;
    vsm_group_push(recheck->group, run_add, new_check(recheck, chunk, bytes));
    return true;
}

bool vsm_recheck_begin(VsmRecheck *recheck,
                       guint64 chunk,
                       GBytes *bytes,
                       GError **error)
{
    Check *check;

    if (chunk >= recheck->chunks || !recheck->seen[chunk]) {
        return misuse(chunk, "was not verified before", error);
    }
    if (recheck->added) {
        if (!vsm_group_wait(recheck->group, error)) {
            return false;
        }
        recheck->added = false;
    }
    check = new_check(recheck, chunk, bytes);
    check->compare = true;
    g_queue_push_tail(&recheck->checks, check);
    vsm_group_push(recheck->group, run_check, check);
    return true;
}

bool vsm_recheck_end(VsmRecheck *recheck, GError **error)
{
    Check *check = g_queue_pop_head(&recheck->checks);
    bool done, equal;

    if (!check) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "no chunk is being checked");
        return false;
    }
    pthread_mutex_lock(&recheck->lock);
    done = check->done;
    pthread_mutex_unlock(&recheck->lock);
    if (!done) {
        vsm_group_wait(recheck->group, NULL); /* rare, and soon over */
    }
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
