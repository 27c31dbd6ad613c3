/*
 * Hash trees of fan-out 64 over 48-byte leaves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/tree.h"

#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"

#define NODE_MAGIC "VSM-NODE-1"
#define ROOT_MAGIC "VSM-ROOT-1"
#define MAGIC_BYTES 10

#define NODE_HEAD_BYTES (MAGIC_BYTES + 1 + 8) /* magic, level, index */
#define NODE_BYTES_MAX (NODE_HEAD_BYTES + VSM_TREE_FANOUT * VSM_DIGEST_BYTES)

/* Nodes hashed side by side; more gain nothing. */
#define NODE_BATCH 16

/* Nodes of level 1 in one task: 4096 leaves, 16 MiB of RAM. */
#define TASK_NODES 64

const VsmDigest vsm_leaf_zero = {{0}};
const VsmDigest vsm_leaf_absent = {
    {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static void put_le64(guint8 *out, guint64 value)
{
    value = GUINT64_TO_LE(value);
    memcpy(out, &value, sizeof(value));
}

/* Whether all children are the same given mark. */
static bool all_are(const VsmDigest *children, gsize n, const VsmDigest *mark)
{
    for (gsize i = 0; i < n; i++) {
        if (memcmp(&children[i], mark, sizeof(*mark)) != 0) {
            return false;
        }
    }
    return true;
}

guint64 vsm_tree_width(guint64 count)
{
    return count / VSM_TREE_FANOUT + (count % VSM_TREE_FANOUT != 0);
}

static gsize make_message(guint8 *out,
                          guint8 level,
                          guint64 index,
                          const VsmDigest *children,
                          gsize n)
{
    memcpy(out, NODE_MAGIC, MAGIC_BYTES);
    out[MAGIC_BYTES] = level;
    put_le64(out + MAGIC_BYTES + 1, index);
    memcpy(out + NODE_HEAD_BYTES, children, n * sizeof(*children));
    return NODE_HEAD_BYTES + n * sizeof(*children);
}

bool vsm_tree_nodes(VsmHasher *hasher,
                    guint8 level,
                    guint64 first,
                    const VsmDigest *children,
                    gsize n_children,
                    VsmDigest *out,
                    GError **error)
{
    g_autofree guint8 *messages = g_malloc(NODE_BATCH * NODE_BYTES_MAX);
    VsmHashJob jobs[NODE_BATCH];
    guint n_jobs = 0;
    gsize width = vsm_tree_width(n_children);

    for (gsize i = 0; i < width; i++) {
        const VsmDigest *mine = children + i * VSM_TREE_FANOUT;
        gsize n = MIN(VSM_TREE_FANOUT, n_children - i * VSM_TREE_FANOUT);

        if (all_are(mine, n, &vsm_leaf_zero)) {
            out[i] = vsm_leaf_zero;
        } else if (all_are(mine, n, &vsm_leaf_absent)) {
            out[i] = vsm_leaf_absent;
        } else {
            guint8 *message = messages + n_jobs * NODE_BYTES_MAX;
            gsize bytes = make_message(message, level, first + i, mine, n);

            jobs[n_jobs++] = (VsmHashJob){message, bytes, &out[i]};
        }
        if (n_jobs == NODE_BATCH || (i + 1 == width && n_jobs)) {
            if (!vsm_hasher_run(hasher, jobs, n_jobs, error)) {
                return false;
            }
            n_jobs = 0;
        }
    }
    return true;
}

bool vsm_tree_finish(VsmHasher *hasher,
                     VsmTreeKind kind,
                     guint64 count,
                     VsmDigest *level1,
                     VsmDigest *ret,
                     GError **error)
{
    guint8 message[MAGIC_BYTES + 1 + 8 + VSM_DIGEST_BYTES];
    VsmHashJob job = {message, sizeof(message), ret};
    guint64 width = vsm_tree_width(count);

    for (guint8 level = 2; width > 1; level++) {
        /* In place: node i is written when its children were read. */
        for (guint64 i = 0; i < width; i += VSM_TREE_FANOUT * TASK_NODES) {
            gsize n = MIN(VSM_TREE_FANOUT * TASK_NODES, width - i);
            VsmDigest nodes[TASK_NODES];

            if (!vsm_tree_nodes(hasher, level, i / VSM_TREE_FANOUT, level1 + i,
                                n, nodes, error)) {
                return false;
            }
            memcpy(level1 + i / VSM_TREE_FANOUT, nodes,
                   vsm_tree_width(n) * sizeof(*nodes));
        }
        width = vsm_tree_width(width);
    }
    memcpy(message, ROOT_MAGIC, MAGIC_BYTES);
    message[MAGIC_BYTES] = kind;
    put_le64(message + MAGIC_BYTES + 1, count);
    memcpy(message + MAGIC_BYTES + 9, width ? level1 : &vsm_leaf_zero,
           VSM_DIGEST_BYTES);
    return vsm_hasher_run(hasher, &job, 1, error);
}

typedef struct {
    VsmGroup *group;
    VsmTreeKind kind;
    guint64 count;
    VsmTreeLeafFunc leaves;
    gconstpointer opaque;
    VsmDigest *level1;
    VsmDigest root;
} Tree;

typedef struct {
    Tree *tree;
    guint64 first; /* leaf */
} TreePart;

static bool run_part(gpointer data, VsmHasher *hasher, GError **error)
{
    g_autofree TreePart *part = data;
    Tree *tree = part->tree;
    g_autofree VsmDigest *leaves = NULL;
    guint n = MIN(VSM_TREE_FANOUT * TASK_NODES, tree->count - part->first);
    guint64 node = part->first / VSM_TREE_FANOUT;

    if (vsm_group_is_cancelled(tree->group)) {
        return true;
    }
    leaves = g_new(VsmDigest, n);
    tree->leaves(tree->opaque, part->first, n, leaves);
    return vsm_tree_nodes(hasher, 1, node, leaves, n, tree->level1 + node,
                          error);
}

static bool run_finish(gpointer data, VsmHasher *hasher, GError **error)
{
    Tree *tree = data;

    return vsm_tree_finish(hasher, tree->kind, tree->count, tree->level1,
                           &tree->root, error);
}

bool vsm_tree_root(VsmPool *pool,
                   VsmTreeKind kind,
                   guint64 count,
                   VsmTreeLeafFunc leaves,
                   gconstpointer opaque,
                   VsmDigest *ret,
                   GError **error)
{
    g_autoptr(VsmGroup) group = vsm_group_new(pool, vsm_pool_in_flight(pool));
    g_autofree VsmDigest *level1 = NULL;
    guint64 width = vsm_tree_width(count);
    Tree tree = {.group = group,
                 .kind = kind,
                 .count = count,
                 .leaves = leaves,
                 .opaque = opaque};
    bool ok;

    if (width > G_MAXSIZE / sizeof(VsmDigest) ||
        !(level1 = g_try_new(VsmDigest, width + 1))) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "no memory for a hash tree of %" G_GUINT64_FORMAT " leaves",
                    count);
        return false;
    }
    tree.level1 = level1;
    for (guint64 i = 0; i < count; i += VSM_TREE_FANOUT * TASK_NODES) {
        TreePart *part = g_new(TreePart, 1);

        *part = (TreePart){&tree, i};
        vsm_group_push(group, run_part, part);
    }
    ok = vsm_group_wait(group, error);
    if (ok) {
        vsm_group_push(group, run_finish, &tree);
        ok = vsm_group_wait(group, error);
    }
    if (ok) {
        *ret = tree.root;
    }
    return ok;
}
