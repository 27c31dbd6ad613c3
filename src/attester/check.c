/*
 * VsmCheck: one load, attest or verify: what was sealed is fetched, proved and
 * held; what is there now is measured and handed to the attester.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/snapshot.h>
#include "attester/accepted.h"
#include "attester/attester.h"
#include "attester/parts.h"
#include "base/limits.h"
#include "core/ram.h"
#include "core/recheck.h"
#include "core/stored.h"
#include "crypto/hash.h"
#include "core/stream.h"

struct _VsmCheck {
    VsmAttester *attester;
    VsmPool *pool; /* borrowed */
    GCancellable *cancel;
    VsmPurpose purpose;
    VsmRecord *record;
    VsmStored *stored;
    VsmStream *stream; /* pass 1; made when asked for */
    VsmRecheck *recheck; /* LOAD only */
    VsmManifest *manifest; /* measured */
    VsmRamResult ram;
    VsmAccepted *accepted;
    GBytes *sealed_scope; /* RUNTIME, WATCH; NULL: the snapshot has none */
    GBytes *scope; /* measured */
    char *scope_reason; /* why it was not */
    guint64 scope_hashed;
    GPtrArray *details; /* of what differs in it */
    guint64 details_left_out;
    guint pause_ms;
    bool finished;
};

/* The attester proved it; a short answer must not pass all the same. */
static bool same(GBytes *bytes,
                 const VsmDigest *sealed,
                 const char *what,
                 const char *id,
                 GError **error)
{
    VsmDigest digest;

    if (!vsm_sha384_bytes(bytes, &digest, error)) {
        return false;
    }
    if (!vsm_digest_equal(&digest, sealed)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "snapshot %s: its %s is not what was sealed", id, what);
        return false;
    }
    return true;
}

static bool fetch_documents(VsmCheck *check, GError **error)
{
    g_autoptr(GBytes) manifest = NULL;
    g_autoptr(GBytes) document = NULL;
    const VsmRecord *record = check->record;

    if (!vsm_parts_get(check->attester, VSM_PART_MANIFEST,
                       VSM_MANIFEST_BYTES_MAX, &manifest, check->cancel,
                       error) ||
        !vsm_parts_get(check->attester, VSM_PART_STREAM,
                       VSM_STREAM_DOCUMENT_BYTES_MAX, &document, check->cancel,
                       error) ||
        !same(manifest, &record->state, "manifest", record->id, error) ||
        !same(document, &record->stream, "stream", record->id, error)) {
        return false;
    }
    check->stored = vsm_stored_new(manifest, document, error);
    if (!check->stored) {
        return false;
    }
    /* Measured as it was sealed, also after the mask table got new rows. */
    check->manifest->masks = vsm_stored_manifest(check->stored)->masks;
    return true;
}

static bool is_runtime(const VsmCheck *check)
{
    return check->purpose == VSM_PURPOSE_RUNTIME ||
           check->purpose == VSM_PURPOSE_WATCH;
}

/* A running guest is compared with its scope alone. */
static bool fetch_scope(VsmCheck *check, GError **error)
{
    const VsmRecord *record = check->record;

    if (record->scope_reason) {
        return true;
    }
    return vsm_parts_get(check->attester, VSM_PART_SCOPE, VSM_SCOPE_BYTES_MAX,
                         &check->sealed_scope, check->cancel, error) &&
           same(check->sealed_scope, &record->scope, "scope", record->id,
                error);
}

static bool fetch(VsmCheck *check, GError **error)
{
    static const VsmPart bulk[] = {VSM_PART_MAP, VSM_PART_LEAVES,
                                   VSM_PART_SKELETON};

    if (!fetch_documents(check, error)) {
        return false;
    }
    for (guint i = 0; i < G_N_ELEMENTS(bulk); i++) {
        if (!vsm_parts_fill(check->attester, bulk[i], check->stored,
                            check->cancel, error)) {
            return false;
        }
    }
    if (!vsm_stored_prove(check->stored, check->pool, error)) {
        g_prefix_error(error, "snapshot %s: ", check->record->id);
        return false;
    }
    if (check->purpose == VSM_PURPOSE_LOAD) {
        check->recheck = vsm_recheck_new(
            check->pool, vsm_stored_document(check->stored)->bytes, error);
    }
    /* What is loaded may have to show its runtime scope, too. */
    return check->purpose != VSM_PURPOSE_LOAD ||
           (check->recheck && fetch_scope(check, error));
}

VsmCheck *vsm_check_begin(VsmAttester *attester,
                          VsmPool *pool,
                          const VsmCheckRequest *request,
                          GCancellable *cancel,
                          GError **error)
{
    g_autoptr(VsmRecord) record = NULL;
    g_autoptr(VsmCheck) check = NULL;

    g_return_val_if_fail(VSM_IS_ATTESTER(attester) && pool && request, NULL);
    if (!vsm_attester_check_begin(attester, request, &record, cancel, error)) {
        return NULL;
    }
    check = g_new0(VsmCheck, 1);
    check->attester = g_object_ref(attester);
    check->pool = pool;
    check->cancel = cancel ? g_object_ref(cancel) : NULL;
    check->purpose = request->purpose;
    check->record = g_steal_pointer(&record);
    check->manifest = vsm_manifest_new();
    check->accepted = vsm_accepted_new(check->record->id);
    if (is_runtime(check) ? fetch_scope(check, error) : fetch(check, error)) {
        return g_steal_pointer(&check);
    }
    return NULL;
}

const VsmRecord *vsm_check_record(VsmCheck *check)
{
    return check->record;
}

VsmStream *vsm_check_stream(VsmCheck *check)
{
    if (!check->stream) {
        check->stream = vsm_stream_new_verify(
            check->pool, check->stored, check->purpose == VSM_PURPOSE_STORED);
        if (check->recheck) {
            vsm_stream_set_recheck(check->stream, check->recheck);
        }
    }
    return check->stream;
}

VsmRecheck *vsm_check_recheck(VsmCheck *check)
{
    return check->recheck;
}

bool vsm_check_ram(VsmCheck *check,
                   const VsmRamBlock *blocks,
                   guint n_blocks,
                   GCancellable *cancel,
                   GError **error)
{
    bool equal = false;

    vsm_ram_result_clear(&check->ram);
    /* What pass 1 hashed need not be hashed again where it is unchanged. */
    if (check->recheck && check->stream &&
        vsm_stream_finish(check->stream, NULL) &&
        !vsm_recheck_ram(check->recheck, check->stored, blocks, n_blocks,
                         check->manifest, &check->ram, &equal, cancel, error)) {
        return false;
    }
    return equal ||
           vsm_ram_measure(check->pool, check->stored, blocks, n_blocks,
                           check->manifest, &check->ram, cancel, error);
}

bool vsm_check_section(VsmCheck *check,
                       const VsmSection *section,
                       GBytes *payload,
                       GError **error)
{
    gsize bytes;
    const guint8 *data = g_bytes_get_data(payload, &bytes);

    return vsm_manifest_add_section(check->manifest, section, data, bytes,
                                    error);
}

bool vsm_check_accept(VsmCheck *check,
                      const VsmSection *section,
                      GBytes *payload,
                      GError **error)
{
    if (check->purpose != VSM_PURPOSE_LOAD) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a form is accepted within a verified load only");
        return false;
    }
    return vsm_accepted_add(check->accepted, section, payload, error);
}

VsmAccepted *vsm_check_take_accepted(VsmCheck *check)
{
    VsmAccepted *taken = check->accepted;

    check->accepted = vsm_accepted_new(check->record->id);
    return taken;
}

void vsm_check_use_accepted(VsmCheck *check, const VsmAccepted *accepted)
{
    vsm_accepted_merge(check->accepted, accepted);
}

GBytes *vsm_check_scope(VsmCheck *check)
{
    return check->sealed_scope;
}

bool vsm_check_set_scope(VsmCheck *check,
                         GBytes *measured,
                         const char *reason,
                         guint64 bytes_hashed,
                         GError **error)
{
    if (!is_runtime(check) || !measured == !reason) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a check of the runtime scope takes a measured scope, or "
                    "the reason why there is none");
        return false;
    }
    g_clear_pointer(&check->scope, g_bytes_unref);
    g_free(check->scope_reason);
    check->scope = measured ? g_bytes_ref(measured) : NULL;
    check->scope_reason = g_strdup(reason);
    check->scope_hashed = bytes_hashed;
    return true;
}

/* The block's index and the page's leaf; NULL: there is no such page. */
static const VsmGeometryBlock *
find_page(VsmCheck *check, const char *idstr, guint64 page, guint *ret_index)
{
    const VsmGeometryBlock *block =
        check->stored && vsm_stored_view(check->stored)
            ? vsm_geometry_find(vsm_stored_manifest(check->stored)->geometry,
                                idstr, ret_index)
            : NULL;

    return block && page < block->pages && !vsm_geometry_is_absent(block, page)
               ? block
               : NULL;
}

bool vsm_check_page_place(VsmCheck *check,
                          const char *idstr,
                          guint64 page,
                          guint64 *ret_offset,
                          GError **error)
{
    guint64 offset = G_MAXUINT64, body;
    g_autoptr(GError) why = NULL;
    guint index;

    if (!check->stored && !fetch(check, &why)) {
        g_clear_pointer(&check->stored, vsm_stored_free);
        /* "No such page" is said of a page, not of what could not be read. */
        if (g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
            why->code = VSM_ERROR_STORE;
        }
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    if (!find_page(check, idstr, page, &index)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "snapshot %s has no page %" G_GUINT64_FORMAT
                    " of RAM block '%s'",
                    check->record->id, page, idstr);
        return false;
    }
    vsm_map_find_page(vsm_stored_map(check->stored), index, (guint32)page,
                      &offset, &body);
    *ret_offset = offset;
    return true;
}

bool vsm_check_page_is(VsmCheck *check,
                       const char *idstr,
                       guint64 page,
                       const guint8 *bytes)
{
    VsmDigest sealed, leaf = {0};
    guint index;

    if (!find_page(check, idstr, page, &index)) {
        return false;
    }
    vsm_view_leaves(vsm_stored_view(check->stored), index, page, 1, &sealed);
    if (!vsm_is_zero(bytes, VSM_PAGE_BYTES) &&
        !vsm_sha384(bytes, VSM_PAGE_BYTES, &leaf, NULL)) {
        return false;
    }
    return vsm_digest_equal(&leaf, &sealed);
}

void vsm_check_set_details(VsmCheck *check,
                           GPtrArray *details,
                           guint64 left_out)
{
    g_clear_pointer(&check->details, g_ptr_array_unref);
    check->details = g_ptr_array_ref(details);
    check->details_left_out = left_out;
}

void vsm_check_set_pause(VsmCheck *check, guint pause_ms)
{
    check->pause_ms = pause_ms;
}

/* The measured document of this purpose goes to the attester. */
static bool put_measured(VsmCheck *check, GError **error)
{
    bool stored = check->purpose == VSM_PURPOSE_STORED;
    g_autoptr(GBytes) document = NULL;

    if (stored) {
        if (!vsm_stream_measured(vsm_check_stream(check), &document, error)) {
            return false;
        }
    } else {
        if (!check->manifest->geometry) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "snapshot %s: RAM was not measured", check->record->id);
            return false;
        }
        document = vsm_manifest_encode(check->manifest, error);
    }
    return document &&
           vsm_parts_put(check->attester,
                         stored ? VSM_PART_STREAM : VSM_PART_MANIFEST, document,
                         check->cancel, error);
}

static bool finish_runtime(VsmCheck *check, VsmVerdict **ret, GError **error)
{
    VsmMeasured measured = {
        .pause_ms = check->pause_ms,
        .bytes_hashed = check->scope_hashed,
        .unavailable = check->scope_reason,
        .changed = check->details,
        .changed_left_out = check->details_left_out,
    };

    if (!check->scope && !check->scope_reason) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "snapshot %s: the runtime scope was not measured",
                    check->record->id);
        return false;
    }
    if (check->scope && !vsm_parts_put(check->attester, VSM_PART_SCOPE,
                                       check->scope, check->cancel, error)) {
        return false;
    }
    return vsm_attester_check_finish(check->attester, &measured, ret,
                                     check->cancel, error);
}

static bool finish_state(VsmCheck *check, VsmVerdict **ret, GError **error)
{
    bool stored = check->purpose == VSM_PURPOSE_STORED;
    g_autoptr(GPtrArray) needed = NULL;
    g_autoptr(GPtrArray) damage = NULL;
    guint64 left_out = 0;
    VsmMeasured measured = {.pause_ms = check->pause_ms};

    if (!stored) {
        vsm_manifest_order_like(check->manifest,
                                vsm_stored_manifest(check->stored));
    }
    if (!put_measured(check, error)) {
        return false;
    }
    needed = vsm_accepted_needed(
        check->accepted, vsm_stored_manifest(check->stored), check->manifest);
    measured.accepted = needed;
    if (stored) {
        damage = vsm_stream_damage(check->stream, &left_out);
        measured.changed = damage;
        measured.changed_left_out = left_out;
        measured.bytes_hashed = vsm_stream_position(check->stream);
    } else {
        measured.changed = check->ram.changed;
        measured.changed_left_out = check->ram.changed_left_out;
        measured.changed_pages = check->ram.changed_pages;
        measured.bytes_hashed = check->ram.bytes_hashed;
    }
    return vsm_attester_check_finish(check->attester, &measured, ret,
                                     check->cancel, error);
}

bool vsm_check_finish(VsmCheck *check, VsmVerdict **ret, GError **error)
{
    if (check->finished) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "the check has an answer");
        return false;
    }
    check->finished = is_runtime(check) ? finish_runtime(check, ret, error)
                                        : finish_state(check, ret, error);
    return check->finished;
}

void vsm_check_free(VsmCheck *check)
{
    if (!check) {
        return;
    }
    if (!check->finished) {
        vsm_attester_abort(check->attester);
    }
    g_clear_pointer(&check->stream, vsm_stream_free);
    g_clear_pointer(&check->recheck, vsm_recheck_free);
    g_clear_pointer(&check->stored, vsm_stored_free);
    g_clear_pointer(&check->sealed_scope, g_bytes_unref);
    g_clear_pointer(&check->scope, g_bytes_unref);
    g_clear_pointer(&check->details, g_ptr_array_unref);
    g_free(check->scope_reason);
    vsm_manifest_free(check->manifest);
    vsm_ram_result_clear(&check->ram);
    vsm_accepted_free(check->accepted);
    vsm_record_free(check->record);
    g_clear_object(&check->cancel);
    g_object_unref(check->attester);
    g_free(check);
}
