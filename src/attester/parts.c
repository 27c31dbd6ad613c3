/*
 * Whole documents over the attester's border, in messages of bounded length.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attester/parts.h"
#include "attester/attester.h"
#include "base/limits.h"
#include "base/part.h"

bool vsm_parts_put(VsmAttester *attester,
                   VsmPart part,
                   GBytes *bytes,
                   GCancellable *cancel,
                   GError **error)
{
    gsize size = g_bytes_get_size(bytes);

    for (gsize offset = 0; offset < size; offset += VSM_PIECE_BYTES_MAX) {
        g_autoptr(GBytes) some = g_bytes_new_from_bytes(
            bytes, offset, MIN(VSM_PIECE_BYTES_MAX, size - offset));

        if (!vsm_attester_put(attester, part, offset, some, cancel, error)) {
            return false;
        }
    }
    return true;
}

bool vsm_parts_get(VsmAttester *attester,
                   VsmPart part,
                   gsize max_bytes,
                   GBytes **ret,
                   GCancellable *cancel,
                   GError **error)
{
    g_autoptr(GByteArray) all = g_byte_array_new();

    for (;;) {
        g_autoptr(GBytes) some = NULL;
        gsize got;

        if (!vsm_attester_get(attester, part, all->len, VSM_PIECE_BYTES_MAX,
                              &some, cancel, error)) {
            return false;
        }
        got = g_bytes_get_size(some);
        if (got > max_bytes - all->len) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                        "%s of the snapshot is longer than %zu bytes",
                        vsm_part_name(part), max_bytes);
            return false;
        }
        g_byte_array_append(all, g_bytes_get_data(some, NULL), got);
        if (got < VSM_PIECE_BYTES_MAX) {
            *ret = g_byte_array_free_to_bytes(g_steal_pointer(&all));
            return true;
        }
    }
}

bool vsm_parts_fill(VsmAttester *attester,
                    VsmPart part,
                    VsmStored *stored,
                    GCancellable *cancel,
                    GError **error)
{
    guint64 wanted = vsm_stored_part_bytes(stored, part);
    guint64 offset = 0;

    while (offset < wanted) {
        g_autoptr(GBytes) some = NULL;

        if (!vsm_attester_get(attester, part, offset,
                              MIN(VSM_PIECE_BYTES_MAX, wanted - offset), &some,
                              cancel, error)) {
            return false;
        }
        if (g_bytes_get_size(some) == 0) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                        "%s of the snapshot ends at byte "
                        "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT,
                        vsm_part_name(part), offset, wanted);
            return false;
        }
        if (!vsm_stored_add(stored, part, some, error)) {
            return false;
        }
        offset += g_bytes_get_size(some);
    }
    return true;
}
