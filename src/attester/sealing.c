/*
 * VsmSealing: one save, from the request to the commit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/snapshot.h>
#include "attester/attester.h"
#include "attester/parts.h"
#include "base/limits.h"
#include "core/stream.h"

typedef enum {
    BEGUN,
    FINISHED, /* the record is durable, unlisted */
    ENDED, /* committed, or in doubt: not to be aborted */
} Stage;

struct _VsmSealing {
    VsmAttester *attester;
    GCancellable *cancel;
    VsmStream *stream;
    char *id;
    GBytes *scope;
    char *scope_reason;
    Stage stage;
};

static bool put_leaves(gpointer opaque,
                       VsmPart part,
                       guint64 offset,
                       GBytes *bytes,
                       GError **error)
{
    VsmSealing *sealing = opaque;

    return vsm_attester_put(sealing->attester, part, offset, bytes,
                            sealing->cancel, error);
}

VsmSealing *vsm_sealing_begin(VsmAttester *attester,
                              VsmPool *pool,
                              const VsmSealRequest *request,
                              GCancellable *cancel,
                              GError **error)
{
    g_autofree char *id = NULL;
    VsmSealing *sealing;

    g_return_val_if_fail(VSM_IS_ATTESTER(attester) && pool && request, NULL);
    if (!vsm_attester_seal_begin(attester, request, &id, cancel, error)) {
        return NULL;
    }
    sealing = g_new0(VsmSealing, 1);
    sealing->attester = g_object_ref(attester);
    sealing->cancel = cancel ? g_object_ref(cancel) : NULL;
    sealing->id = g_steal_pointer(&id);
    sealing->stream = vsm_stream_new_save(pool, put_leaves, sealing);
    return sealing;
}

const char *vsm_sealing_id(VsmSealing *sealing)
{
    return sealing->id;
}

bool vsm_sealing_set_ram(VsmSealing *sealing,
                         const VsmRamBlock *blocks,
                         guint n_blocks,
                         GError **error)
{
    return vsm_stream_set_ram(sealing->stream, blocks, n_blocks, error);
}

VsmStream *vsm_sealing_stream(VsmSealing *sealing)
{
    return sealing->stream;
}

bool vsm_sealing_set_scope(VsmSealing *sealing,
                           GBytes *scope,
                           const char *reason,
                           GError **error)
{
    if (!scope == !reason) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a runtime scope, or the reason why there is none");
        return false;
    }
    if (scope && g_bytes_get_size(scope) > VSM_SCOPE_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "runtime scope of %zu bytes; %u at most",
                    g_bytes_get_size(scope), VSM_SCOPE_BYTES_MAX);
        return false;
    }
    g_clear_pointer(&sealing->scope, g_bytes_unref);
    g_free(sealing->scope_reason);
    sealing->scope = scope ? g_bytes_ref(scope) : NULL;
    sealing->scope_reason = g_strdup(reason);
    return true;
}

static bool put_documents(VsmSealing *sealing, GError **error)
{
    g_autoptr(GBytes) manifest = NULL;
    g_autoptr(GBytes) document = NULL;

    return vsm_stream_documents(sealing->stream, &manifest, &document, error) &&
           vsm_parts_put(sealing->attester, VSM_PART_MANIFEST, manifest,
                         sealing->cancel, error) &&
           vsm_parts_put(sealing->attester, VSM_PART_STREAM, document,
                         sealing->cancel, error) &&
           (!sealing->scope ||
            vsm_parts_put(sealing->attester, VSM_PART_SCOPE, sealing->scope,
                          sealing->cancel, error));
}

bool vsm_sealing_finish(VsmSealing *sealing,
                        const VsmContainer *container,
                        GError **error)
{
    const char *reason = sealing->scope_reason;

    if (sealing->stage != BEGUN) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "snapshot %s: finished already", sealing->id);
        return false;
    }
    if (!sealing->scope && !reason) {
        reason = "no runtime scope was given";
    }
    if (!vsm_stream_finish(sealing->stream, error) ||
        !put_documents(sealing, error) ||
        !vsm_attester_seal_finish(sealing->attester, container, reason,
                                  sealing->cancel, error)) {
        return false;
    }
    sealing->stage = FINISHED;
    return true;
}

bool vsm_sealing_commit(VsmSealing *sealing, VsmRecord **ret, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (sealing->stage != FINISHED) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "snapshot %s: not finished, or committed already",
                    sealing->id);
        return false;
    }
    if (vsm_attester_commit(sealing->attester, ret, sealing->cancel, &why)) {
        sealing->stage = ENDED;
        return true;
    }
    if (g_error_matches(why, VSM_ERROR, VSM_ERROR_IN_DOUBT)) {
        sealing->stage = ENDED;
    }
    g_propagate_error(error, g_steal_pointer(&why));
    return false;
}

void vsm_sealing_free(VsmSealing *sealing)
{
    if (!sealing) {
        return;
    }
    vsm_stream_free(sealing->stream);
    if (sealing->stage != ENDED) {
        vsm_attester_abort(sealing->attester);
    }
    g_clear_object(&sealing->cancel);
    g_clear_pointer(&sealing->scope, g_bytes_unref);
    g_free(sealing->scope_reason);
    g_free(sealing->id);
    g_object_unref(sealing->attester);
    g_free(sealing);
}
