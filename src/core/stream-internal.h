/*
 * What the files of the stream engine share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <pthread.h>

#include "core/recheck.h"
#include "core/stream.h"

/* A message of a batch: a page body or a piece of the skeleton. */
typedef struct {
    guint64 index; /* among bodies or among pieces */
    guint64 offset; /* of its first byte in the stream */
    bool skeleton;
    guint32 block, page; /* of a body, for a stream with a recheck */
} VsmBatchItem;

/* Messages that one task hashes. */
typedef struct {
    VsmStream *stream;
    GPtrArray *held; /* of GBytes: chunks that jobs point into */
    GPtrArray *scratch; /* of buffers of VSM_PAGE_BYTES: gathered messages */
    GArray *jobs; /* of VsmHashJob */
    GArray *items; /* of VsmBatchItem, one a job */
    guint64 bytes; /* of all messages */
    guint64 bodies_end; /* bodies in this and all earlier batches */
    GBytes *chunk; /* to be tagged for pass 2; or NULL */
    guint64 chunk_index;
    bool done; /* under the stream's lock */
} VsmBatch;

/* A section whose payload is copied as it is fed. */
typedef struct {
    VsmSection section; /* idstr is owned */
    guint64 begin, end; /* end: G_MAXUINT64 while it is open */
    GByteArray *payload;
} VsmTap;

/* A digest that is not the sealed one. */
typedef struct {
    VsmBatchItem item;
    VsmDigest digest;
} VsmDamage;

struct _VsmStream {
    VsmPool *pool;
    VsmGroup *group;
    const VsmStored *stored; /* verify; NULL: save */
    bool to_the_end;
    VsmRecheck *recheck; /* verify: gets each chunk and equal body; or NULL */
    VsmStreamPut put;
    gpointer opaque;

    guint64 position; /* bytes fed */
    VsmMapCursor cursor; /* next body */
    guint64 pieces; /* of the skeleton, begun or whole */
    guint64 skeleton_bytes;
    guint8 *body, *piece; /* gathered, not yet whole; or NULL */
    guint body_fill, piece_fill; /* bytes */
    guint64 body_offset, piece_offset;
    VsmBatch *batch; /* being filled; or NULL */
    GQueue batches; /* of VsmBatch: handed to the pool, in order */
    guint64 complete; /* bodies hashed, from the first on */

    /* save */
    VsmManifest *manifest;
    VsmGeometry *geometry; /* until the manifest has it */
    VsmMap *map;
    VsmLeaves *leaves, *skeleton;
    GQueue taps; /* of VsmTap */
    guint64 leaves_put; /* leaves given to @put */
    VsmDocument document;

    guint64 excess; /* verify: bytes beyond the sealed length */
    GError *failure; /* sticky: of the caller, or of @put */
    bool finished;

    pthread_mutex_t lock; /* of done flags and all below */
    guint64 bad_offset; /* of the first difference; G_MAXUINT64: none */
    GArray *damage; /* of VsmDamage */
};

/* stream.c: remembers the first failure, which every later call gives. */
bool vsm_stream_fail(VsmStream *stream, GError *failure, GError **error);

/* stream-batch.c */
VsmBatch *vsm_batch_new(VsmStream *stream);
void vsm_batch_free(VsmBatch *batch);
bool vsm_batch_run(gpointer data, VsmHasher *hasher, GError **error);
void vsm_stream_note_bad(VsmStream *stream, guint64 offset);

/* stream-tap.c */
void vsm_tap_free(VsmTap *tap);
bool vsm_stream_tap(VsmStream *stream,
                    const guint8 *data,
                    gsize bytes,
                    GError **error);
bool vsm_stream_finish_taps(VsmStream *stream, GError **error);

/* stream-save.c */
bool vsm_stream_put_leaves(VsmStream *stream, bool last, GError **error);
bool vsm_stream_finish_save(VsmStream *stream, GError **error);

/* stream-verify.c */
bool vsm_stream_check_bad(VsmStream *stream, GError **error);
