/*
 * Forms that sections take right after a verified load, kept in this process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attester/accepted.h"
#include "core/masks.h"

struct _VsmAccepted {
    char *id;
    GHashTable *forms; /* char* "idstr/instance" → VsmDigest* */
};

VsmAccepted *vsm_accepted_new(const char *id)
{
    VsmAccepted *accepted = g_new0(VsmAccepted, 1);

    accepted->id = g_strdup(id);
    accepted->forms =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return accepted;
}

void vsm_accepted_free(VsmAccepted *accepted)
{
    if (accepted) {
        g_free(accepted->id);
        g_hash_table_unref(accepted->forms);
        g_free(accepted);
    }
}

const char *vsm_accepted_id(const VsmAccepted *accepted)
{
    return accepted->id;
}

bool vsm_accepted_add(VsmAccepted *accepted,
                      const VsmSection *section,
                      GBytes *payload,
                      GError **error)
{
    g_autoptr(VsmManifest) one = vsm_manifest_new();
    const VsmManifestSection *form;
    gsize bytes;
    const guint8 *data = g_bytes_get_data(payload, &bytes);

    if (!vsm_masks_may_accept(section)) {
        return true;
    }
    if (!vsm_manifest_add_section(one, section, data, bytes, error)) {
        return false;
    }
    form = one->sections->pdata[0];
    g_hash_table_replace(accepted->forms,
                         vsm_section_name(section->idstr, section->instance),
                         g_memdup2(&form->digest, sizeof(form->digest)));
    return true;
}

void vsm_accepted_merge(VsmAccepted *accepted, const VsmAccepted *from)
{
    GHashTableIter iter;
    gpointer key, digest;

    if (strcmp(accepted->id, from->id)) {
        return;
    }
    g_hash_table_iter_init(&iter, from->forms);
    while (g_hash_table_iter_next(&iter, &key, &digest)) {
        g_hash_table_replace(accepted->forms, g_strdup(key),
                             g_memdup2(digest, sizeof(VsmDigest)));
    }
}

GPtrArray *vsm_accepted_needed(const VsmAccepted *accepted,
                               const VsmManifest *sealed,
                               const VsmManifest *measured)
{
    GPtrArray *needed = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < measured->sections->len; i++) {
        const VsmManifestSection *now = measured->sections->pdata[i];
        const VsmManifestSection *then =
            vsm_manifest_find(sealed, now->idstr, now->instance);
        g_autofree char *key = vsm_section_name(now->idstr, now->instance);
        const VsmDigest *form = g_hash_table_lookup(accepted->forms, key);

        if (then && form && !vsm_digest_equal(&then->digest, &now->digest) &&
            vsm_digest_equal(form, &now->digest)) {
            g_ptr_array_add(needed, g_steal_pointer(&key));
        }
    }
    return needed;
}
