/*
 * What the AK says at a commit: made, kept beside the record, checked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/evidence.h"
#include "base/codec.h"
#include "base/limits.h"
#include "report/binding.h"

static bool wrong(GError **error, const char *what, GError *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                "%s: not what this host's attestation key signed: %s", what,
                why->message);
    return false;
}

bool vsm_evidence_check_commit(VsmHost *host,
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

    if (!vsm_binding_seal(metadata, body, &extra, error)) {
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

bool vsm_evidence_write(VsmFolder *folder,
                        const char *name,
                        const VsmDigest *body,
                        const VsmTpmEvidence *evidence,
                        GError **error)
{
    g_autoptr(GBytes) bytes = vsm_codec_encode(
        g_variant_new("(@ay@ay@ay)", vsm_codec_new_digest(body),
                      vsm_codec_new_bytes(evidence->attest),
                      vsm_codec_new_bytes(evidence->signature)),
        VSM_SIGNATURE_BYTES_MAX, VSM_FILE_SIGNATURE, error);

    return bytes &&
           vsm_file_replace(vsm_folder_dir(folder), name, bytes, error);
}

bool vsm_evidence_decode(GBytes *bytes,
                         VsmDigest *ret_body,
                         VsmTpmEvidence *ret,
                         GError **error)
{
    g_autoptr(GVariant) value =
        vsm_codec_decode(bytes, "(ayayay)", NULL, 0, VSM_SIGNATURE_BYTES_MAX,
                         VSM_FILE_SIGNATURE, error);
    g_autoptr(GVariant) body = NULL;
    g_autoptr(GVariant) attest = NULL;
    g_autoptr(GVariant) signature = NULL;
    g_auto(VsmTpmEvidence) evidence = {NULL};

    if (!value) {
        return false;
    }
    body = g_variant_get_child_value(value, 0);
    attest = g_variant_get_child_value(value, 1);
    signature = g_variant_get_child_value(value, 2);
    evidence.attest = vsm_codec_get_bytes(attest, VSM_SIGNATURE_BYTES_MAX,
                                          VSM_FILE_SIGNATURE, error);
    if (!evidence.attest) {
        return false;
    }
    evidence.signature = vsm_codec_get_bytes(signature, VSM_SIGNATURE_BYTES_MAX,
                                             VSM_FILE_SIGNATURE, error);
    if (!evidence.signature ||
        !vsm_codec_get_digest(body, ret_body, VSM_FILE_SIGNATURE, error)) {
        return false;
    }
    *ret = evidence;
    evidence = (VsmTpmEvidence){NULL};
    return true;
}

bool vsm_evidence_check(VsmHost *host,
                        VsmFolder *folder,
                        const VsmDigest *metadata,
                        const VsmDigest *commit,
                        GError **error)
{
    g_autoptr(GBytes) bytes = NULL;
    g_auto(VsmTpmEvidence) evidence = {NULL};
    VsmDigest body, before, after;

    if (!vsm_file_read(vsm_folder_dir(folder), VSM_FILE_SIGNATURE,
                       VSM_SIGNATURE_BYTES_MAX, &bytes, error) ||
        !vsm_evidence_decode(bytes, &body, &evidence, error) ||
        !vsm_evidence_check_commit(host, evidence.attest, evidence.signature,
                                   metadata, &body, "evidence", &before,
                                   error)) {
        return false;
    }
    vsm_tpm_commit_next(&before, &body, &after);
    if (!vsm_digest_equal(&after, commit)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "evidence of another commit");
        return false;
    }
    return true;
}
