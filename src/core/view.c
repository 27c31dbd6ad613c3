/*
 * Body leaves seen by address: the last body of a page wins.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/view.h"

#include <vsm/error.h>

#include "base/limits.h"

struct _VsmView {
    const VsmGeometry *geometry;
    const VsmLeaves *leaves;
    guint32 **bodies; /* for each block and page: index of its body + 1 */
};

static bool add_block(VsmView *view, guint index, GError **error)
{
    const VsmGeometryBlock *block = &view->geometry->blocks[index];

    if (block->pages == 0) {
        return true;
    }
    view->bodies[index] = g_try_new0(guint32, block->pages);
    if (!view->bodies[index]) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "RAM block '%s': no memory for an index of its pages",
                    block->idstr);
        return false;
    }
    return true;
}

VsmView *vsm_view_new(const VsmGeometry *geometry,
                      const VsmMap *map,
                      const VsmLeaves *leaves,
                      GError **error)
{
    g_autoptr(VsmView) view = g_new0(VsmView, 1);
    guint32 body = 0;

    view->geometry = geometry;
    view->leaves = leaves;
    view->bodies = g_new0(guint32 *, geometry->n_blocks);
    if (vsm_map_bodies(map) >= G_MAXUINT32) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "map: more than 2^32 page bodies");
        return NULL;
    }
    for (guint i = 0; i < geometry->n_blocks; i++) {
        if (!add_block(view, i, error)) {
            return NULL;
        }
    }
    for (guint32 i = 0; i < vsm_map_runs(map); i++) {
        VsmRun run = vsm_map_run(map, i);
        guint32 *bodies = view->bodies[run.block] + run.first;

        for (guint32 j = 0; j < run.pages; j++) {
            bodies[j] = ++body;
        }
    }
    return g_steal_pointer(&view);
}

void vsm_view_leaves(
    const VsmView *view, guint block, guint64 first, guint n, VsmDigest *out)
{
    const guint32 *bodies = view->bodies[block] + first;

    for (guint i = 0; i < n; i++) {
        out[i] = bodies[i] ? *vsm_leaves_peek(view->leaves, bodies[i] - 1)
                           : vsm_leaf_zero;
    }
    vsm_geometry_mark_absent(&view->geometry->blocks[block], first, n, out,
                             &vsm_leaf_absent);
}

const VsmDigest *vsm_view_peek(const VsmView *view, guint block, guint64 page)
{
    guint32 body = view->bodies[block][page];

    return body ? vsm_leaves_peek(view->leaves, body - 1) : &vsm_leaf_zero;
}

typedef struct {
    const VsmView *view;
    guint block;
} BlockView;

static void
get_leaves(gconstpointer opaque, guint64 first, guint n, VsmDigest *out)
{
    const BlockView *block = opaque;

    vsm_view_leaves(block->view, block->block, first, n, out);
}

bool vsm_view_root(const VsmView *view,
                   VsmPool *pool,
                   guint block,
                   VsmDigest *ret,
                   GError **error)
{
    BlockView block_view = {view, block};

    return vsm_tree_root(pool, VSM_TREE_RAM,
                         view->geometry->blocks[block].pages, get_leaves,
                         &block_view, ret, error);
}

void vsm_view_free(VsmView *view)
{
    if (!view) {
        return;
    }
    for (guint i = 0; i < view->geometry->n_blocks; i++) {
        g_free(view->bodies[i]);
    }
    g_free(view->bodies);
    g_free(view);
}
