/*
 * Which catalogue is true: at the start, and after a commit in doubt.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/limits.h"
#include "host/adopt.h"
#include "host/evidence.h"
#include "host/reseal.h"

static const VsmDigest zero;

/* One of the two files; @catalogue NULL: absent, or @why it is unusable. */
typedef struct {
    VsmSigned file;
    VsmCatalogue *catalogue;
    VsmDigest value; /* of the index if it was committed */
    GError *why;
} Found;

static void found_clear(Found *found)
{
    vsm_signed_clear(&found->file);
    g_clear_pointer(&found->catalogue, vsm_catalogue_free);
    g_clear_error(&found->why);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Found, found_clear)

/* false only when the store cannot be read at all. */
static bool find(VsmHost *host, const char *name, Found *ret, GError **error)
{
    g_autofree char *path = g_build_filename(host->store->path, name, NULL);
    g_autoptr(GBytes) bytes = NULL;

    if (!vsm_file_read(host->store, name, VSM_CATALOGUE_BYTES_MAX, &bytes,
                       &ret->why)) {
        if (g_error_matches(ret->why, VSM_ERROR, VSM_ERROR_STORE)) {
            g_propagate_error(error, g_steal_pointer(&ret->why));
            return false;
        }
        return true;
    }
    if (vsm_signed_decode(bytes, path, &ret->file, &ret->why)) {
        ret->catalogue = vsm_catalogue_decode(ret->file.body, path, &ret->why);
    }
    return !ret->catalogue ||
           vsm_catalogue_value(&ret->catalogue->previous, ret->file.body,
                               &ret->value, error);
}

/*
 * The index proves the content; the AK's word is evidence for others, and a
 * store without it could not have been written by this host.  The first
 * catalogue has none: an index cannot be certified before it was written.
 */
static bool check_signed(VsmHost *host, const Found *found, GError **error)
{
    g_autofree char *what =
        g_build_filename(host->store->path, VSM_STORE_CATALOGUE, NULL);
    VsmDigest metadata, body, before;

    if (vsm_digest_equal(&found->catalogue->previous, &zero) &&
        found->catalogue->entries->len == 0) {
        return true;
    }
    vsm_catalogue_sealed(found->catalogue, &metadata);
    if (!vsm_sha384_bytes(found->file.body, &body, error) ||
        !vsm_evidence_check_commit(host, found->file.attest,
                                   found->file.signature, &metadata, &body,
                                   what, &before, error)) {
        return false;
    }
    if (!vsm_digest_equal(&before, &found->catalogue->previous)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "%s: certified at another value of the commit index", what);
        return false;
    }
    return true;
}

static bool unusable(VsmHost *host, const char *why, GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                "%s: its catalogue is unusable: %s; restore the store's "
                "latest copy",
                host->store->path, why);
    return false;
}

static bool
take(VsmHost *host, Found *found, const VsmDigest *nv, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (!check_signed(host, found, &why)) {
        if (g_error_matches(why, VSM_ERROR, VSM_ERROR_TAMPERED)) {
            return unusable(host, why->message, error);
        }
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    vsm_catalogue_settle(found->catalogue, nv);
    g_clear_pointer(&host->catalogue, vsm_catalogue_free);
    host->catalogue = g_steal_pointer(&found->catalogue);
    host->value = *nv;
    return vsm_reseal_recover(host, error);
}

static bool refuse(VsmHost *host, const Found *current, GError **error)
{
    if (!current->catalogue) {
        return unusable(host, current->why->message, error);
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_REPLAYED,
                "%s: an older copy of the store, or of another one: the "
                "TPM's commit index says that snapshots were made or "
                "removed since; restore the latest copy, or, if it is "
                "lost, have the operator adopt this one (vsmctl adopt)",
                host->store->path);
    return false;
}

/* The index was never written: commits an empty catalogue, the first. */
static bool first(VsmHost *host, GError **error)
{
    g_autoptr(VsmCatalogue) empty = vsm_catalogue_new(&zero);
    g_autoptr(GBytes) body = vsm_catalogue_encode(empty, error);
    g_autoptr(GBytes) bytes = NULL;
    VsmSigned file = {.body = body};
    VsmDigest digest, after;

    if (!body || !vsm_sha384_bytes(body, &digest, error)) {
        return false;
    }
    bytes = vsm_signed_encode(&file, error);
    if (!bytes ||
        !vsm_file_replace(host->store, VSM_STORE_NEXT, bytes, error)) {
        return false;
    }
    vsm_files_tell("extend", host->store->path);
    if (!vsm_tpm_nv_extend(host->tpm, &zero, &digest, &after, error)) {
        return false;
    }
    vsm_files_tell("extended", host->store->path);
    host->catalogue = g_steal_pointer(&empty);
    host->value = after;
    return vsm_file_rename(host->store, VSM_STORE_NEXT, VSM_STORE_CATALOGUE,
                           error);
}

bool vsm_host_recover(VsmHost *host, GError **error)
{
    g_auto(Found) current = {.why = NULL};
    g_auto(Found) next = {.why = NULL};
    VsmDigest nv;
    bool written;

    if (!vsm_tpm_nv_read(host->tpm, &nv, &written, error) ||
        !find(host, VSM_STORE_CATALOGUE, &current, error) ||
        !find(host, VSM_STORE_NEXT, &next, error)) {
        return false;
    }
    if (!written) {
        return current.catalogue ? refuse(host, &current, error)
                                 : first(host, error);
    }
    switch (vsm_catalogue_rule(&nv, current.catalogue ? &current.value : NULL,
                               next.catalogue ? &next.value : NULL)) {
    case VSM_CATALOGUE_KEEP:
        return take(host, &current, &nv, error) &&
               vsm_file_remove(host->store, VSM_STORE_NEXT, error);
    case VSM_CATALOGUE_TAKE_NEXT:
        return take(host, &next, &nv, error) &&
               vsm_file_rename(host->store, VSM_STORE_NEXT, VSM_STORE_CATALOGUE,
                               error);
    case VSM_CATALOGUE_REPLAYED:
    default:
        return refuse(host, &current, error);
    }
}

bool vsm_host_adoptable(VsmHost *host,
                        VsmCatalogue **ret,
                        VsmDigest *ret_body,
                        GError **error)
{
    g_auto(Found) found = {.why = NULL};
    VsmDigest nv;
    bool written;

    if (!vsm_tpm_nv_read(host->tpm, &nv, &written, error) ||
        !find(host, VSM_STORE_CATALOGUE, &found, error)) {
        return false;
    }
    if (!found.catalogue) {
        return refuse(host, &found, error);
    }
    if (written && vsm_digest_equal(&nv, &found.value)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "%s: the store is the one that the TPM's commit index "
                    "names: there is nothing to adopt",
                    host->store->path);
        return false;
    }
    if (!check_signed(host, &found, error) ||
        !vsm_sha384_bytes(found.file.body, ret_body, error)) {
        return false;
    }
    vsm_catalogue_settle(found.catalogue, &found.value);
    *ret = g_steal_pointer(&found.catalogue);
    return true;
}

bool vsm_host_lock(VsmHost *host, GError **error)
{
    g_autoptr(GError) why = NULL;

    g_mutex_lock(&host->mutex);
    if (!host->in_doubt) {
        return true;
    }
    if (vsm_host_recover(host, &why)) {
        host->in_doubt = false;
        return true;
    }
    vsm_host_note(host, why);
    g_mutex_unlock(&host->mutex);
    g_set_error(error, VSM_ERROR, VSM_ERROR_IN_DOUBT,
                "the outcome of the last commit is not known yet: %s",
                why->message);
    return false;
}

void vsm_host_unlock(VsmHost *host)
{
    g_mutex_unlock(&host->mutex);
}

bool vsm_host_note(VsmHost *host, const GError *error)
{
    g_free(host->last_error);
    host->last_error = g_strdup(error->message);
    return false;
}
