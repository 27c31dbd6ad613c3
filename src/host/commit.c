/*
 * One commit: catalogue and NV index go from one content to the next.
 *
 * NV_Certify by the AK over the value before, evidence and catalogue.next
 * durable, NV_Extend = commit, rename.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/codec.h"
#include "base/limits.h"
#include "host/internal.h"

bool vsm_host_seal_extra(const VsmDigest *metadata,
                         const VsmDigest *body,
                         VsmDigest *ret,
                         GError **error)
{
    g_autoptr(GByteArray) fields = g_byte_array_new();

    vsm_codec_append_text(fields, "VSM-SEAL-1");
    vsm_codec_append_field(fields, metadata->b, sizeof(metadata->b));
    vsm_codec_append_field(fields, body->b, sizeof(body->b));
    return vsm_sha384(fields->data, fields->len, ret, error);
}

static bool wrong(GError **error, const char *what, GError *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                "%s: not what this host's attestation key signed: %s", what,
                why->message);
    return false;
}

bool vsm_host_check_evidence(VsmHost *host,
                             GBytes *attest,
                             GBytes *signature,
                             const VsmDigest *metadata,
                             const VsmDigest *body,
                             const char *what,
                             VsmDigest *ret_before,
                             GError **error)
{
    const VsmTpmKeys *keys = vsm_tpm_keys(host->tpm);
    g_autoptr(GError) why = NULL;
    g_autoptr(GBytes) raw = NULL;
    VsmDigest extra;
    VsmCurve curve = vsm_key_curve(host->ak);
    gsize bytes, raw_bytes;
    gconstpointer data = g_bytes_get_data(attest, &bytes);

    if (!vsm_host_seal_extra(metadata, body, &extra, error)) {
        return false;
    }
    if (!vsm_tpm_signature_raw(signature, vsm_curve_bytes(curve), &raw, &why)) {
        return wrong(error, what, why);
    }
    raw_bytes = g_bytes_get_size(raw);
    if (!vsm_key_verify(host->ak, vsm_curve_hash(curve), data, bytes,
                        g_bytes_get_data(raw, NULL), raw_bytes, &why) ||
        !vsm_tpm_nv_check(attest, keys->commit_index_name, &extra, ret_before,
                          &why)) {
        return wrong(error, what, why);
    }
    return true;
}

static bool write_signature(const VsmDigest *body,
                            const VsmTpmEvidence *by,
                            VsmFolder *folder,
                            GError **error)
{
    g_autoptr(GBytes) bytes = vsm_codec_encode(
        g_variant_new("(@ay@ay@ay)", vsm_codec_new_digest(body),
                      vsm_codec_new_bytes(by->attest),
                      vsm_codec_new_bytes(by->signature)),
        VSM_SIGNATURE_BYTES_MAX, VSM_FILE_SIGNATURE, error);

    return bytes && vsm_file_replace(vsm_folder_dir(folder), VSM_FILE_SIGNATURE,
                                     bytes, error);
}

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
    if (change->put) {
        vsm_catalogue_put(next->catalogue, change->put);
    }
    next->body = vsm_catalogue_encode(next->catalogue, error);
    return next->body && vsm_sha384_bytes(next->body, &next->digest, error);
}

/* Certifies, and makes durable all that the commit needs but itself. */
static bool prepare(VsmHost *host,
                    const VsmChange *change,
                    const Next *next,
                    GError **error)
{
    g_auto(VsmTpmEvidence) evidence = {NULL};
    g_autoptr(GBytes) bytes = NULL;
    VsmDigest metadata, extra, before;
    VsmSigned file;

    vsm_catalogue_sealed(next->catalogue, &metadata);
    if (!vsm_host_seal_extra(&metadata, &next->digest, &extra, error) ||
        !vsm_tpm_nv_certify(host->tpm, &extra, &evidence, error) ||
        !vsm_host_check_evidence(host, evidence.attest, evidence.signature,
                                 &metadata, &next->digest,
                                 "the TPM's own answer", &before, error)) {
        return false;
    }
    if (!vsm_digest_equal(&before, &host->value)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_REPLAYED,
                    "%s: the commit index in the TPM moved on without this "
                    "store: another copy of it is in use",
                    host->store->path);
        return false;
    }
    file.body = next->body;
    file.attest = evidence.attest;
    file.signature = evidence.signature;
    bytes = vsm_signed_encode(&file, error);
    return bytes &&
           (!change->folder ||
            write_signature(&next->digest, &evidence, change->folder, error)) &&
           vsm_file_replace(host->store, VSM_STORE_NEXT, bytes, error);
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
