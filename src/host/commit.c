/*
 * One commit: catalogue and NV index go from one content to the next.
 *
 * NV_Certify by the AK over the value before, evidence and catalogue.next
 * durable, NV_Extend = commit, rename.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/evidence.h"
#include "report/binding.h"

/* What is about to be committed. */
typedef struct {
    VsmCatalogue *catalogue;
    GBytes *body;
    VsmDigest digest; /* SHA-384 of the body */
} Next;

static void next_clear(Next *next)
{
    g_clear_pointer(&next->catalogue, vsm_catalogue_free);
    g_clear_pointer(&next->body, g_bytes_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Next, next_clear)

static bool
build(VsmHost *host, const VsmChange *change, Next *next, GError **error)
{
    next->catalogue = vsm_catalogue_copy(host->catalogue);
    next->catalogue->previous = host->value;
    for (guint i = 0; i < change->n_drop; i++) {
        vsm_catalogue_drop(next->catalogue, change->drop[i].uuid,
                           change->drop[i].id);
    }
    for (guint i = 0; i < change->n_put; i++) {
        vsm_catalogue_put(next->catalogue, &change->put[i]);
    }
    next->body = vsm_catalogue_encode(next->catalogue, error);
    return next->body && vsm_sha384_bytes(next->body, &next->digest, error);
}

/* What the AK says of the commit of @metadata with this body. */
static bool certify(VsmHost *host,
                    const VsmDigest *metadata,
                    const Next *next,
                    VsmTpmEvidence *ret,
                    GError **error)
{
    VsmDigest extra, before;

    if (!vsm_binding_seal(metadata, &next->digest, &extra, error) ||
        !vsm_tpm_nv_certify(host->tpm, &extra, ret, error) ||
        !vsm_evidence_check_commit(host, ret->attest, ret->signature, metadata,
                                   &next->digest, "the TPM's own answer",
                                   &before, error)) {
        return false;
    }
    if (!vsm_digest_equal(&before, &host->value)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_REPLAYED,
                    "%s: the commit index in the TPM moved on without this "
                    "store: another copy of it is in use",
                    host->store->path);
        return false;
    }
    return true;
}

/* Each snapshot has evidence of its own; @ret is that of the last. */
static bool certify_all(VsmHost *host,
                        const VsmChange *change,
                        const Next *next,
                        VsmTpmEvidence *ret,
                        GError **error)
{
    const char *name = change->evidence ? change->evidence : VSM_FILE_SIGNATURE;
    VsmDigest none;

    if (!change->n_put) {
        vsm_catalogue_sealed(next->catalogue, &none);
        return certify(host, &none, next, ret, error);
    }
    for (guint i = 0; i < change->n_put; i++) {
        vsm_tpm_evidence_clear(ret);
        if (!certify(host, &change->put[i].metadata, next, ret, error) ||
            !vsm_evidence_write(change->folders[i], name, &next->digest, ret,
                                error)) {
            return false;
        }
    }
    return true;
}

/* Certifies, and makes durable all that the commit needs but itself. */
static bool prepare(VsmHost *host,
                    const VsmChange *change,
                    const Next *next,
                    GError **error)
{
    g_auto(VsmTpmEvidence) evidence = {NULL};
    g_autoptr(GBytes) bytes = NULL;
    VsmSigned file;

    if (!certify_all(host, change, next, &evidence, error)) {
        return false;
    }
    file.body = next->body;
    file.attest = evidence.attest;
    file.signature = evidence.signature;
    bytes = vsm_signed_encode(&file, error);
    return bytes && vsm_file_replace(host->store, VSM_STORE_NEXT, bytes, error);
}

/* The commit has happened: nothing here can take it back. */
static void take(VsmHost *host, Next *next, const VsmDigest *after)
{
    g_autoptr(GError) why = NULL;

    vsm_catalogue_settle(next->catalogue, after);
    vsm_catalogue_free(host->catalogue);
    host->catalogue = g_steal_pointer(&next->catalogue);
    host->value = *after;
    if (!vsm_file_rename(host->store, VSM_STORE_NEXT, VSM_STORE_CATALOGUE,
                         &why)) {
        /* The next user finishes it, as the next start would. */
        host->in_doubt = true;
        vsm_host_note(host, why);
    }
}

bool vsm_host_commit(VsmHost *host,
                     const VsmChange *change,
                     VsmDigest *ret,
                     GError **error)
{
    g_auto(Next) next = {NULL};
    g_autoptr(GError) why = NULL;
    VsmDigest after;
    bool ok;

    if (!build(host, change, &next, error)) {
        return false;
    }
    vsm_tpm_lock(host->tpm);
    ok = prepare(host, change, &next, &why);
    if (ok) {
        vsm_files_tell("extend", host->store->path);
        ok = vsm_tpm_nv_extend(host->tpm, &host->value, &next.digest, &after,
                               &why);
    }
    vsm_tpm_unlock(host->tpm);
    if (ok) {
        vsm_files_tell("extended", host->store->path);
        take(host, &next, &after);
        *ret = after;
        return true;
    }
    vsm_host_note(host, why);
    if (g_error_matches(why, VSM_ERROR, VSM_ERROR_IN_DOUBT)) {
        host->in_doubt = true;
    } else {
        /* Never committed: of no use to anybody, and no harm if it stays. */
        vsm_file_remove(host->store, VSM_STORE_NEXT, NULL);
    }
    g_propagate_error(error, g_steal_pointer(&why));
    return false;
}
