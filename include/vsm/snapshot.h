/*
 * Sealing a snapshot, and checking a VM or its stored bytes against one.
 *
 * These two objects are all that a hypervisor needs.  Calls that reach the
 * attester block (begin, set_ram excepted, finish, commit): run them off the
 * main thread.  One object, one thread at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/attester.h>
#include <vsm/pool.h>
#include <vsm/stream.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct _VsmSealing VsmSealing;
typedef struct _VsmCheck VsmCheck;

/**
 * vsm_sealing_begin:
 * @attester: borrowed, a reference is held
 * @pool: borrowed, must outlive the sealing
 * @request: borrowed, copied
 *
 * Asks the attester for a new record before the VM stops.  Errors: BOOT,
 * BUSY, NO_SPACE, LIMIT, INVALID and those of every attester call.
 */
VsmSealing *vsm_sealing_begin(VsmAttester *attester,
                              VsmPool *pool,
                              const VsmSealRequest *request,
                              GCancellable *cancel,
                              GError **error);

/* The id of the record being made: 32 hex digits; borrowed. */
const char *vsm_sealing_id(VsmSealing *sealing);

/**
 * vsm_sealing_set_ram:
 *
 * After the VM stopped and before the stream is fed: geometry and absent
 * ranges of all migratable blocks, copied.  @host is not used.
 */
bool vsm_sealing_set_ram(VsmSealing *sealing,
                         const VsmRamBlock *blocks,
                         guint n_blocks,
                         GError **error);

/* The save's stream; borrowed.  It puts finished leaves by itself. */
VsmStream *vsm_sealing_stream(VsmSealing *sealing);

/**
 * vsm_sealing_set_scope:
 * @scope: the scope document, or NULL
 * @reason: why there is none; NULL when @scope is given
 */
bool vsm_sealing_set_scope(VsmSealing *sealing,
                           GBytes *scope,
                           const char *reason,
                           GError **error);

/**
 * vsm_sealing_finish:
 * @container: where the bytes will be listed; borrowed, copied
 *
 * Completes the documents and has the digest sealed.  On return the record is
 * durable but unlisted: no snapshot exists yet.  Calls vsm_stream_finish().
 */
bool vsm_sealing_finish(VsmSealing *sealing,
                        const VsmContainer *container,
                        GError **error);

/**
 * vsm_sealing_commit:
 * @ret: (out) (transfer full): the listed record
 *
 * After all disk entries are durable.  VSM_ERROR_IN_DOUBT: the outcome is not
 * known, nothing may be deleted, settle later.  Any other error: the snapshot
 * does not exist and an older one of the same tag is alive.
 */
bool vsm_sealing_commit(VsmSealing *sealing, VsmRecord **ret, GError **error);

/* Aborts what was not committed. */
void vsm_sealing_free(VsmSealing *sealing);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmSealing, vsm_sealing_free)

/**
 * vsm_check_begin:
 *
 * Policy first (boot state, hypervisor, configuration), then manifest, stream
 * document, map, leaves and skeleton digests are fetched and proved against
 * what the TPM unsealed.  The VM is not touched.  Errors: NOT_FOUND, BOOT,
 * HYPERVISOR, CONFIG, TAMPERED, REPLAYED, LIMIT and those of every attester
 * call.
 */
VsmCheck *vsm_check_begin(VsmAttester *attester,
                          VsmPool *pool,
                          const VsmCheckRequest *request,
                          GCancellable *cancel,
                          GError **error);

const VsmRecord *vsm_check_record(VsmCheck *check); /* borrowed */
VsmStream *vsm_check_stream(VsmCheck *check); /* pass 1; borrowed */
/* Borrowed; NULL unless the check is a load's. */
VsmRecheck *vsm_check_recheck(VsmCheck *check);

/**
 * vsm_check_ram:
 * @blocks: all migratable blocks, with @host set; borrowed until it returns
 *
 * Hashes live RAM on the pool and compares it with the sealed leaves.  The
 * caller has stopped the VM.  false only if it was not measured (CANCELLED,
 * CRYPTO, LIMIT): a difference is a finding, not an error.
 */
bool vsm_check_ram(VsmCheck *check,
                   const VsmRamBlock *blocks,
                   guint n_blocks,
                   GCancellable *cancel,
                   GError **error);

/**
 * vsm_check_section:
 * @payload: what the section saves now
 *
 * Adds a section to the measured manifest, in the order of a save.
 */
bool vsm_check_section(VsmCheck *check,
                       const VsmSection *section,
                       GBytes *payload,
                       GError **error);

/**
 * vsm_check_accept:
 *
 * Within a verified load: remembers the form that a section takes right after
 * its bytes were loaded, for sections that libvsm's table allows; kept in this
 * process for later checks of the same snapshot (see vsm_accepted_*).
 */
bool vsm_check_accept(VsmCheck *check,
                      const VsmSection *section,
                      GBytes *payload,
                      GError **error);

/**
 * vsm_check_take_accepted:
 * vsm_check_use_accepted:
 *
 * Moves accepted forms from the check of a load to the check of a later
 * attestation of the same snapshot id in this process.
 */
typedef struct _VsmAccepted VsmAccepted;
VsmAccepted *vsm_check_take_accepted(VsmCheck *check);
void vsm_check_use_accepted(VsmCheck *check, const VsmAccepted *accepted);
void vsm_accepted_free(VsmAccepted *accepted);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmAccepted, vsm_accepted_free)

/**
 * vsm_check_scope:
 *
 * RUNTIME, WATCH, LOAD: the sealed scope document, proved; borrowed.  NULL: the
 * snapshot has none, for which the record's scope_reason is the reason.
 */
GBytes *vsm_check_scope(VsmCheck *check);

/**
 * vsm_check_set_scope:
 * @measured: the scope as vsm_scope_capture() found it, or NULL
 * @reason: why nothing was measured; NULL when @measured is given
 * @bytes_hashed: for it, for the report
 *
 * RUNTIME, WATCH: what vsm_check_finish() hands to the attester.
 */
bool vsm_check_set_scope(VsmCheck *check,
                         GBytes *measured,
                         const char *reason,
                         guint64 bytes_hashed,
                         GError **error);

/**
 * vsm_check_page_place:
 * @idstr: RAM block
 * @page: in units of VSM_PAGE_BYTES
 * @ret_offset: (out): where its body lies in the stored stream, in bytes;
 *              G_MAXUINT64: nowhere, it was all zero
 *
 * RUNTIME, WATCH: finds an old page.  The first call fetches and proves what
 * it takes.  Errors: NOT_FOUND (no such page), and as vsm_check_begin().
 */
bool vsm_check_page_place(VsmCheck *check,
                          const char *idstr,
                          guint64 page,
                          guint64 *ret_offset,
                          GError **error);

/* After it: whether the VSM_PAGE_BYTES @bytes are that page as sealed. */
bool vsm_check_page_is(VsmCheck *check,
                       const char *idstr,
                       guint64 page,
                       const guint8 *bytes);

/**
 * vsm_check_set_details:
 * @details: of VsmFinding: what vsm_scope_explain() made of the findings;
 *           borrowed, a reference is held
 *
 * RUNTIME, WATCH: goes to the attester beside the scope.
 */
void vsm_check_set_details(VsmCheck *check,
                           GPtrArray *details,
                           guint64 left_out);

/* How long the VM was paused for the measurement, for the report. */
void vsm_check_set_pause(VsmCheck *check, guint pause_ms);

/**
 * vsm_check_finish:
 * @ret: (out) (transfer full)
 *
 * FULL, LOAD: the measured manifest (RAM and all sections) goes to the
 * attester, which compares.  RUNTIME, WATCH: the measured scope does.  STORED:
 * the stream document recomputed by vsm_check_stream(), of which
 * vsm_stream_finish() may have failed with TAMPERED: that is a mismatch, not an
 * error.
 */
bool vsm_check_finish(VsmCheck *check, VsmVerdict **ret, GError **error);

/* Aborts, wipes tags. */
void vsm_check_free(VsmCheck *check);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmCheck, vsm_check_free)

#pragma GCC visibility pop
G_END_DECLS
