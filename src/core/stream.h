/*
 * The stream engine from the inside: how sealing and check make and read one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/stored.h"
#include <vsm/stream.h>

/**
 * VsmStreamPut:
 *
 * Takes the next bytes (at most VSM_PIECE_BYTES_MAX) of a bulk part, in
 * order; called from vsm_stream_feed() and vsm_stream_finish() in their
 * thread.  @bytes is borrowed.
 */
typedef bool (*VsmStreamPut)(gpointer opaque,
                             VsmPart part,
                             guint64 offset,
                             GBytes *bytes,
                             GError **error);

/* A save's stream; @pool borrowed; @put may be NULL (tests). */
VsmStream *
vsm_stream_new_save(VsmPool *pool, VsmStreamPut put, gpointer opaque);

/* Before the first byte: copied.  INVALID, LIMIT. */
bool vsm_stream_set_ram(VsmStream *stream,
                        const VsmRamBlock *blocks,
                        guint n_blocks,
                        GError **error);

/**
 * vsm_stream_documents:
 *
 * Save, after vsm_stream_finish(): manifest and stream document, encoded.
 * Map, leaves and skeleton digests were put before.
 */
bool vsm_stream_documents(VsmStream *stream,
                          GBytes **ret_manifest,
                          GBytes **ret_document,
                          GError **error);

/**
 * vsm_stream_new_verify:
 * @stored: proved; borrowed, must outlive the stream
 * @to_the_end: a difference does not fail vsm_stream_feed(): all damage is
 *              found, and vsm_stream_finish() reports the first
 */
VsmStream *
vsm_stream_new_verify(VsmPool *pool, const VsmStored *stored, bool to_the_end);

/*
 * Verify, before the first byte: each chunk that is fed as a whole is
 * remembered for pass 2, and each body that is equal for vsm_recheck_ram();
 * borrowed, must outlive the stream.
 */
void vsm_stream_set_recheck(VsmStream *stream, VsmRecheck *recheck);

/**
 * vsm_stream_measured:
 *
 * Verify, after vsm_stream_finish() whatever it returned: the stream document
 * of the bytes that came, to be compared with the sealed one.
 */
bool vsm_stream_measured(VsmStream *stream,
                         GBytes **ret_document,
                         GError **error);

/**
 * vsm_stream_damage:
 * @ret_left_out: (out): ranges beyond VSM_FINDINGS_MAX
 *
 * Verify, after vsm_stream_finish(): of VsmFinding "body" (where: block,
 * offset: stream offset) and "skeleton" (where: "stream"); transfer full.
 */
GPtrArray *vsm_stream_damage(VsmStream *stream, guint64 *ret_left_out);

guint64 vsm_stream_position(const VsmStream *stream); /* bytes fed */
void vsm_stream_free(VsmStream *stream); /* joins */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmStream, vsm_stream_free)
