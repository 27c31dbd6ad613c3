/*
 * The stream engine as a hypervisor uses it: stored bytes in, digests out.
 *
 * One caller thread feeds; hashing runs on the pool.  Streams are made by
 * VsmSealing (save) and VsmCheck (verify), see snapshot.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/state.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct _VsmStream VsmStream;
typedef struct _VsmRecheck VsmRecheck;

/* Unit of input and output, and of the tags of pass 2; bytes. */
#define VSM_CHUNK_BYTES (1024 * 1024)

/**
 * vsm_stream_page:
 * @stream: a save's stream
 * @offset: where in the stream the page's VSM_PAGE_BYTES bytes begin
 * @block: index into the blocks given to vsm_sealing_set_ram()
 * @page: page number in the block
 *
 * Save only, before the bytes are fed: the next body lies here.  Offsets
 * ascend.  An inconsistent call fails the stream at vsm_stream_finish().
 */
void vsm_stream_page(VsmStream *stream,
                     guint64 offset,
                     guint block,
                     guint64 page);

/**
 * vsm_stream_section_begin:
 * @section: borrowed, copied
 * @offset: where its payload begins; nothing beyond it was fed yet
 *
 * Save only.  The payload (at most VSM_SECTION_BYTES_MAX) is copied as it is
 * fed.  Errors: VSM_ERROR_LIMIT, VSM_ERROR_INVALID.
 */
bool vsm_stream_section_begin(VsmStream *stream,
                              const VsmSection *section,
                              guint64 offset,
                              GError **error);

/**
 * vsm_stream_section_end:
 * @offset: where its payload ends; may lie beyond what was fed so far
 *
 * Its digest goes to the manifest once its last byte was fed.
 */
bool vsm_stream_section_end(VsmStream *stream, guint64 offset, GError **error);

/**
 * vsm_stream_feed:
 * @next: the next bytes of the stream, any length; before a load a whole chunk,
 *        VSM_CHUNK_BYTES but for the last one: pass 2 refuses what came in
 *        other parts.  Borrowed, a reference is held until they are hashed:
 *        they must not change meanwhile
 *        (the last reference may be dropped in a pool thread: its free function
 *        must allow that)
 *
 * Verify: the first difference already known fails the call with
 * VSM_ERROR_TAMPERED and the offset; what is not yet hashed shows later.
 * Blocks while too much is in flight, so memory is bounded.
 */
bool vsm_stream_feed(VsmStream *stream, GBytes *next, GError **error);

/**
 * vsm_stream_finish:
 *
 * Waits for all hashing.  Verify: true only if every byte up to the sealed
 * length came and is equal; else VSM_ERROR_TAMPERED with the offset.
 */
bool vsm_stream_finish(VsmStream *stream, GError **error);

/**
 * vsm_recheck_complete:
 *
 * To be asked after vsm_stream_finish(), while VM and disks are as they were:
 * true if pass 2 will know each chunk; VSM_ERROR_INVALID if one was not fed as
 * a whole.
 */
bool vsm_recheck_complete(VsmRecheck *recheck, GError **error);

/**
 * vsm_recheck_check:
 * @chunk: index of the chunk; VSM_CHUNK_BYTES long but the last
 *
 * Pass 2: true only if @bytes are those of pass 1, which remembered a GMAC tag
 * (NIST SP 800-38D) of each chunk under a key that lives in this process only.
 * That they were equal to what was sealed is vsm_stream_finish()'s answer.
 * Errors: VSM_ERROR_TAMPERED with the chunk's offset, VSM_ERROR_INVALID for a
 * chunk that pass 1 was not fed as a whole.
 */
bool vsm_recheck_check(VsmRecheck *recheck,
                       guint64 chunk,
                       GBytes *bytes,
                       GError **error);

/**
 * vsm_recheck_begin:
 *
 * The same in two steps, so that chunks are checked while the ones before are
 * parsed: begins to check @bytes, of which a reference is held.  Errors:
 * VSM_ERROR_INVALID for a chunk that pass 1 was not fed as a whole.
 */
bool vsm_recheck_begin(VsmRecheck *recheck,
                       guint64 chunk,
                       GBytes *bytes,
                       GError **error);

/**
 * vsm_recheck_end:
 *
 * Waits for the oldest check that was begun: true only if its bytes are those
 * of pass 1.  Until then nothing may read them.  Errors: as
 * vsm_recheck_check().
 */
bool vsm_recheck_end(VsmRecheck *recheck, GError **error);

#pragma GCC visibility pop
G_END_DECLS
