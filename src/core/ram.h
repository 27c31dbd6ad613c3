/*
 * Live RAM: hashed in place, compared with sealed leaves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/manifest.h"
#include "core/pool.h"
#include "core/stored.h"
#include <gio/gio.h>

typedef struct {
    GPtrArray *changed; /* of VsmFinding "ram", at most VSM_FINDINGS_MAX */
    guint64 changed_pages; /* all of them */
    guint64 changed_left_out; /* ranges not in @changed */
    guint64 bytes_hashed; /* of present memory looked at */
} VsmRamResult;

/**
 * vsm_ram_measure:
 * @stored: proved; NULL: only the roots are wanted
 * @blocks: with @host set; the caller has stopped whoever writes there
 * @manifest: gets geometry and measured roots
 *
 * Absent ranges are never read.  All threads have left @blocks when it
 * returns.  A difference is a finding; false only if RAM was not measured:
 * INVALID, LIMIT, CANCELLED, CRYPTO.
 */
bool vsm_ram_measure(VsmPool *pool,
                     const VsmStored *stored,
                     const VsmRamBlock *blocks,
                     guint n_blocks,
                     VsmManifest *manifest,
                     VsmRamResult *ret,
                     GCancellable *cancel,
                     GError **error);
void vsm_ram_result_clear(VsmRamResult *result);
