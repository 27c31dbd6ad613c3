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
    return check->purpose != VSM_PURPOSE_LOAD || check->recheck;
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
    return fetch(check, error) ? g_steal_pointer(&check) : NULL;
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

bool vsm_check_finish(VsmCheck *check, VsmVerdict **ret, GError **error)
{
    bool stored = check->purpose == VSM_PURPOSE_STORED;
    g_autoptr(GPtrArray) needed = NULL;
    g_autoptr(GPtrArray) damage = NULL;
    guint64 left_out = 0;
    VsmMeasured measured = {.pause_ms = check->pause_ms};

    if (check->finished) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "the check has an answer");
        return false;
    }
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
    if (!vsm_attester_check_finish(check->attester, &measured, ret,
                                   check->cancel, error)) {
        return false;
    }
    check->finished = true;
    return true;
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
    vsm_manifest_free(check->manifest);
    vsm_ram_result_clear(&check->ram);
    vsm_accepted_free(check->accepted);
    vsm_record_free(check->record);
    g_clear_object(&check->cancel);
    g_object_unref(check->attester);
    g_free(check);
}
