/*
 * A snapshot's evidence: written by its host, checked offline.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/evidence.h"

#include "base/codec.h"
#include "base/limits.h"
#include "core/metadata.h"
#include "crypto/hash.h"
#include "crypto/keys.h"
#include "report/binding.h"
#include "report/json.h"
#include "report/jwk.h"
#include "report/trust.h"

#define VERSION 1
#define TYPE "vsm-snapshot-evidence"

static const VsmJsonMember table[] = {
    {"type", VSM_JSON_TEXT, false},
    {"version", VSM_JSON_COUNT, false},
    {"host_id", VSM_JSON_TEXT, false},
    {"metadata", VSM_JSON_TEXT, false}, /* longer than VSM_JSON_B64URL may be */
    {"catalogue", VSM_JSON_DIGEST, false},
    {"attest", VSM_JSON_B64URL, false},
    {"signature", VSM_JSON_B64URL, false},
};

static json_t *text_of(GBytes *bytes)
{
    gsize size;
    gconstpointer data = g_bytes_get_data(bytes, &size);
    g_autofree char *text = vsm_b64url_encode(data, size);

    return json_string(text);
}

static json_t *hex_of(const VsmDigest *digest)
{
    g_autofree char *hex = vsm_codec_hex(digest->b, sizeof(digest->b));

    return json_string(hex);
}

char *vsm_snapshot_evidence_write(const VsmSnapshotEvidence *evidence)
{
    json_auto_t *object = json_pack(
        "{s:s, s:i, s:s, s:o, s:o, s:o, s:o}", "type", TYPE, "version", VERSION,
        "host_id", evidence->host_id, "metadata", text_of(evidence->metadata),
        "catalogue", hex_of(&evidence->catalogue), "attest",
        text_of(evidence->attest), "signature", text_of(evidence->signature));

    return vsm_json_dump(object);
}

/* --- Checking --------------------------------------------------------------
 */

static json_t *load(const char *text, GError **error)
{
    json_auto_t *object =
        vsm_json_load(text, VSM_EVIDENCE_BYTES_MAX, TYPE, error);

    if (!object ||
        !vsm_json_check(object, table, G_N_ELEMENTS(table), TYPE, error)) {
        return NULL;
    }
    if (g_strcmp0(vsm_json_text(object, "type"), TYPE) != 0 ||
        vsm_json_count(object, "version") != VERSION) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "not evidence of a snapshot, or of another version");
        return NULL;
    }
    return json_incref(object);
}

static const VsmTrustEntry *
find_host(const json_t *object, const VsmTrust *trust, GError **error)
{
    const VsmTrustEntry *entry =
        vsm_trust_find_host(trust, vsm_json_text(object, "host_id"));

    if (!entry || !entry->commit_index) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNTRUSTED, "%s",
                    entry ? "the host's trust entry does not know its commit "
                            "index: enrol the host again"
                          : "no trust entry has the host that this evidence "
                            "names, or more than one have");
        return NULL;
    }
    return entry;
}

static bool check_signature(const VsmTrustEntry *entry,
                            GBytes *attest,
                            GBytes *signature,
                            GError **error)
{
    g_autoptr(GBytes) raw = NULL;
    VsmHashAlg hash =
        entry->ak->bytes == 48 ? VSM_HASH_SHA384 : VSM_HASH_SHA256;
    gsize size, raw_size;
    gconstpointer data = g_bytes_get_data(attest, &size), raw_data;

    if (!vsm_tpm_signature_raw(signature, entry->ak->bytes, &raw, error)) {
        return false;
    }
    raw_data = g_bytes_get_data(raw, &raw_size);
    if (!vsm_key_verify(entry->ak_key, hash, data, size, raw_data, raw_size,
                        error)) {
        g_prefix_error(error, "the evidence is not by this host's attestation "
                              "key: ");
        return false;
    }
    return true;
}

/* The commit is what the index held after it. */
static bool check_index(const json_t *object,
                        const VsmTrustEntry *entry,
                        GBytes *metadata,
                        VsmDigest *ret_commit,
                        GError **error)
{
    g_autoptr(GBytes) attest = vsm_json_bytes(object, "attest");
    g_autoptr(GBytes) signature = vsm_json_bytes(object, "signature");
    g_autoptr(GError) why = NULL;
    VsmDigest digest, catalogue, extra, before;

    vsm_json_digest(object, "catalogue", &catalogue);
    if (!check_signature(entry, attest, signature, error) ||
        !vsm_sha384_bytes(metadata, &digest, error) ||
        !vsm_binding_seal(&digest, &catalogue, &extra, error)) {
        return false;
    }
    if (!vsm_tpm_nv_check(attest, entry->commit_index, &extra, &before, &why)) {
        bool differs = g_error_matches(why, VSM_ERROR, VSM_ERROR_TAMPERED);

        g_set_error(error, VSM_ERROR,
                    differs ? VSM_ERROR_SIGNATURE : VSM_ERROR_FORMAT,
                    "what the attestation key signed does not belong to this "
                    "metadata: %s",
                    why->message);
        return false;
    }
    vsm_tpm_commit_next(&before, &catalogue, ret_commit);
    return true;
}

static char *describe(const VsmMetadata *metadata,
                      GBytes *bytes,
                      const char *host_id,
                      const VsmDigest *commit,
                      GError **error)
{
    VsmDigest digest;
    json_auto_t *object = NULL;

    if (!vsm_sha384_bytes(bytes, &digest, error)) {
        return NULL;
    }
    object = json_pack(
        "{s:s, s:{s:s, s:s*}, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:s, "
        "s:s, s:s, s:s, s:b}",
        "host_id", host_id, "vm", "uuid", metadata->vm_uuid, "name",
        metadata->vm_name, "id", metadata->id, "tag", metadata->tag, "time",
        (json_int_t)metadata->time, "state", hex_of(&metadata->state), "stream",
        hex_of(&metadata->stream), "hypervisor", hex_of(&metadata->hypervisor),
        "metadata_sha384", hex_of(&digest), "commit", hex_of(commit), "config",
        metadata->config, "attester", metadata->attester, "measured_by",
        metadata->measured_by, "boot_policy", metadata->boot_policy,
        "unmeasured_boot", metadata->unmeasured_boot);
    if (!object) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "a text of the metadata is not UTF-8");
        return NULL;
    }
    return vsm_json_dump(object);
}

bool vsm_snapshot_evidence_verify(const char *evidence,
                                  const VsmTrust *trust,
                                  char **ret_json,
                                  GError **error)
{
    json_auto_t *object = load(evidence, error);
    const VsmTrustEntry *entry =
        object ? find_host(object, trust, error) : NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(VsmMetadata) metadata = NULL;
    g_autofree char *json = NULL;
    VsmDigest commit;

    if (!entry ||
        !(bytes = vsm_b64url_decode(vsm_json_text(object, "metadata"),
                                    VSM_METADATA_BYTES_MAX, error)) ||
        !check_index(object, entry, bytes, &commit, error) ||
        !(metadata = vsm_metadata_decode(bytes, error)) ||
        !(json = describe(metadata, bytes, entry->host_id, &commit, error))) {
        return false;
    }
    *ret_json = g_steal_pointer(&json);
    return true; /* the only path that returns true */
}
