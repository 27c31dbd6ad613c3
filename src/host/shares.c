/*
 * Whose NV write the next one is: no VM uses up what the others need.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/shares.h"
#include <string.h>

/* A VM that was refused and does not come back for its write loses it. */
#define GRACE_US (60 * G_TIME_SPAN_SECOND)

typedef struct {
    guint joined;
    gint64 wrote_us; /* the last write; 0: none that counts */
    guint64 claim; /* order of refusal; 0: none */
    gint64 claim_until_us;
} Share;

struct VsmShares {
    GHashTable *vms; /* uuid → Share */
    guint64 claims; /* counted */
};

VsmShares *vsm_shares_new(void)
{
    VsmShares *shares = g_new0(VsmShares, 1);

    shares->vms =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return shares;
}

void vsm_shares_free(VsmShares *shares)
{
    if (shares) {
        g_hash_table_unref(shares->vms);
        g_free(shares);
    }
}

static Share *share_of(VsmShares *shares, const char *vm)
{
    Share *share = g_hash_table_lookup(shares->vms, vm);

    if (!share) {
        share = g_new0(Share, 1);
        g_hash_table_insert(shares->vms, g_strdup(vm), share);
    }
    return share;
}

void vsm_shares_join(VsmShares *shares, const char *vm)
{
    share_of(shares, vm)->joined++;
}

void vsm_shares_leave(VsmShares *shares, const char *vm)
{
    share_of(shares, vm)->joined--;
}

static gint64 unit(const VsmBudget *budget)
{
    return (gint64)budget->interval_ms * 1000;
}

/* Drops what is past; a VM that is gone and has nothing is forgotten. */
static void prune(VsmShares *shares, const VsmBudget *budget, gint64 now_us)
{
    gint64 window = budget->burst * unit(budget);
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, shares->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Share *share = value;

        if (share->claim_until_us < now_us) {
            share->claim = 0;
        }
        if (share->wrote_us && now_us - share->wrote_us >= window) {
            share->wrote_us = 0;
        }
        if (!share->joined && !share->claim && !share->wrote_us) {
            g_hash_table_iter_remove(&iter);
        }
    }
}

/* Whether @share goes before @own, as both were refused or asked. */
static bool is_before(const Share *share, const Share *own)
{
    return share->claim && (!own->claim || share->claim < own->claim) &&
           (own->wrote_us || !share->wrote_us);
}

/* Writes that are there for others than @own. */
static guint
kept(const VsmShares *shares, const VsmBudget *budget, const Share *own)
{
    guint before = 0, fresh = 0;
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, shares->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Share *share = value;

        if (share != own && is_before(share, own)) {
            before++;
        } else if (share != own && share->joined && !share->wrote_us) {
            fresh++;
        }
    }
    return before + (own->wrote_us ? MIN(fresh, budget->burst / 2) : 0);
}

bool vsm_shares_take(VsmShares *shares,
                     VsmBudget *budget,
                     const char *vm,
                     gint64 now_us,
                     GError **error)
{
    Share *own;
    gint64 wait;

    prune(shares, budget, now_us);
    own = share_of(shares, vm);
    wait = vsm_budget_wait(budget, kept(shares, budget, own) + 1, now_us);
    if (wait == 0) {
        own->wrote_us = MAX(now_us, 1);
        own->claim = 0;
        return vsm_budget_take(budget, now_us, error);
    }
    if (!own->claim) {
        own->claim = ++shares->claims;
    }
    own->claim_until_us = now_us + wait + GRACE_US;
    vsm_budget_busy(budget, wait, error);
    return false;
}
