/*
 * The commit of a save: listed from here on, with what it replaces gone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/local.h"

/* Listed snapshots of the same tag; damaged ones, too: the catalogue knows. */
static GArray *replaced(VsmLocal *self)
{
    const VsmCatalogue *catalogue = self->host->catalogue;
    GArray *drop = g_array_new(false, false, sizeof(VsmEntry));

    for (guint i = 0; i < catalogue->entries->len && self->seal.replace; i++) {
        const VsmEntry *entry = &g_array_index(catalogue->entries, VsmEntry, i);

        if (!strcmp(entry->uuid, self->uuid) &&
            !strcmp(entry->tag, self->seal.tag)) {
            g_array_append_val(drop, *entry);
        }
    }
    return drop;
}

/* Called with the host's mutex held. */
static bool commit_locked(VsmLocal *self, VsmRecord **ret, GError **error)
{
    VsmLocalSeal *seal = &self->seal;
    g_autofree char *asked = g_strdup_printf("id:%s", seal->id);
    g_autoptr(GArray) drop = NULL;
    VsmEntry entry = {.metadata = seal->metadata};
    VsmChange change = {.put = &entry, .folders = &seal->folder, .n_put = 1};
    VsmDigest after;

    if (!seal->token && !vsm_host_budget_take(self->host, self->uuid, error)) {
        return false;
    }
    drop = replaced(self);
    seal->token = false; /* used, whatever comes of it */
    g_strlcpy(entry.uuid, self->uuid, sizeof(entry.uuid));
    g_strlcpy(entry.id, seal->id, sizeof(entry.id));
    g_strlcpy(entry.tag, seal->tag, sizeof(entry.tag));
    change.drop = (VsmEntry *)(void *)drop->data;
    change.n_drop = drop->len;
    if (!vsm_host_commit(self->host, &change, &after, error)) {
        return false;
    }
    /* The commit stands; a record that cannot be read shows when listed. */
    if (!vsm_host_find(self->host, self->uuid, asked, ret, NULL)) {
        *ret = g_new0(VsmRecord, 1);
        (*ret)->id = g_strdup(seal->id);
        (*ret)->vm_uuid = g_strdup(self->uuid);
        (*ret)->commit = after;
        (*ret)->listed = true;
        (*ret)->damaged = g_strdup("cannot be read back");
    }
    return true;
}

/* What wrote the entries on the disks is what the snapshot is bound to. */
static bool is_sealed_hypervisor(VsmLocal *self, GError **error)
{
    g_autofree char *what = g_strdup_printf("snapshot %s", self->seal.id);

    return vsm_local_same_hypervisor(self, &self->seal.hypervisor, what,
                                     "save again", error);
}

bool vsm_local_commit(VsmAttester *attester,
                      VsmRecord **ret,
                      GCancellable *cancel,
                      GError **error)
{
    VsmLocal *self = VSM_LOCAL(attester);
    g_autoptr(GError) why = NULL;
    bool ok;

    if (vsm_local_cancelled(cancel, error) ||
        !vsm_local_expect(self, VSM_LOCAL_SEALED, error) ||
        !is_sealed_hypervisor(self, error) ||
        !vsm_host_lock(self->host, error)) {
        return false;
    }
    ok = commit_locked(self, ret, &why);
    vsm_host_unlock(self->host);
    if (ok || g_error_matches(why, VSM_ERROR, VSM_ERROR_IN_DOUBT)) {
        vsm_local_end(self);
    }
    if (!ok) {
        g_propagate_error(error, g_steal_pointer(&why));
    }
    return ok;
}
