/*
 * Body leaves seen by address: the last body of a page wins.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/leaves.h"
#include "core/map.h"

typedef struct _VsmView VsmView;

/* All borrowed: must outlive the view.  LIMIT without memory. */
VsmView *vsm_view_new(const VsmGeometry *geometry,
                      const VsmMap *map,
                      const VsmLeaves *leaves,
                      GError **error);

/* Leaves of pages: a body's, else zero, else absent; any thread. */
void vsm_view_leaves(
    const VsmView *view, guint block, guint64 first, guint n, VsmDigest *out);
bool vsm_view_root(const VsmView *view,
                   VsmPool *pool,
                   guint block,
                   VsmDigest *ret,
                   GError **error);
/* The leaf of a page that is not absent: the zero leaf if it has no body. */
const VsmDigest *vsm_view_peek(const VsmView *view, guint block, guint64 page);

void vsm_view_free(VsmView *view);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmView, vsm_view_free)
