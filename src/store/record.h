/*
 * A snapshot's folder in the store: vm/UUID/ID/PART.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/attester.h>
#include "store/files.h"

typedef struct _VsmFolder VsmFolder;

/*
 * @uuid and @id of all functions have passed vsm_text_is_uuid() and
 * vsm_text_is_id(): they become path components.
 */

/* Makes vm/@uuid/@id durably, empty.  Errors: STORE, NO_SPACE. */
VsmFolder *vsm_folder_make(const VsmDir *store,
                           const char *uuid,
                           const char *id,
                           GError **error);

/* Errors: NOT_FOUND, STORE. */
VsmFolder *vsm_folder_open(const VsmDir *store,
                           const char *uuid,
                           const char *id,
                           GError **error);
void vsm_folder_free(VsmFolder *folder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmFolder, vsm_folder_free)

const VsmDir *vsm_folder_dir(const VsmFolder *folder); /* borrowed */

/* Appends to @part; INVALID when @offset is not its length. */
bool vsm_folder_put(VsmFolder *folder,
                    VsmPart part,
                    guint64 offset,
                    GBytes *bytes,
                    GError **error);

/* Length of @part as put, or as found; 0 when absent. */
bool vsm_folder_length(VsmFolder *folder,
                       VsmPart part,
                       guint64 *ret_bytes,
                       GError **error);

/* Fewer than @bytes at the end of the part; empty beyond it. */
bool vsm_folder_get(VsmFolder *folder,
                    VsmPart part,
                    guint64 offset,
                    gsize bytes,
                    GBytes **ret,
                    GError **error);

/* Makes all parts and the folder durable. */
bool vsm_folder_sync(VsmFolder *folder, GError **error);

/*
 * Removes vm/@uuid/@id; absent: no error.  Metadata goes first, so a crash
 * leaves what the next start drops.
 */
bool vsm_folder_drop(const VsmDir *store,
                     const char *uuid,
                     const char *id,
                     GError **error);

/*
 * The same for what is no record, where there may be many: does not wait for
 * the disk, so a crash may bring it back.
 */
bool vsm_folder_discard(const VsmDir *store,
                        const char *uuid,
                        const char *id,
                        GError **error);

/* Uuids that have a folder; ids in the folder of @uuid. */
VsmNames *vsm_store_uuids(const VsmDir *store, GError **error);
VsmNames *vsm_store_ids(const VsmDir *store, const char *uuid, GError **error);

/* Bytes of all records of @uuid. */
bool vsm_store_usage(const VsmDir *store,
                     const char *uuid,
                     guint64 *ret_bytes,
                     GError **error);
