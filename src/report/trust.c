/*
 * Trust entries: written for a host, read by a verifier.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/trust.h"

#include <string.h>

#include "base/codec.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "report/claims-read.h"
#include "report/json.h"
#include "report/jwk.h"

#define TRUST_VERSION 1

struct _VsmTrust {
    GHashTable *entries; /* kid → VsmTrustEntry */
};

static const VsmJsonMember file_table[] = {
    {"version", VSM_JSON_COUNT, false},
    {"hosts", VSM_JSON_LIST, false},
};

static const VsmJsonMember host_table[] = {
    {"host_id", VSM_JSON_TEXT, false},
    {"attester", VSM_JSON_TEXT, false},
    {"allow_in_process", VSM_JSON_BOOL, true},
    {"ak_public", VSM_JSON_B64URL, false},
    {"ak_name", VSM_JSON_TEXT, false},
    {"rk_public", VSM_JSON_B64URL, false},
    {"rk_name", VSM_JSON_TEXT, false},
    {"rk_jwk", VSM_JSON_OBJECT, false},
    {"approved_pcrs", VSM_JSON_LIST, false},
    {"boot_policy", VSM_JSON_TEXT, false},
    {"commit_index", VSM_JSON_TEXT, true},
    {"ek_sha384", VSM_JSON_DIGEST, true},
    {"enrolled", VSM_JSON_COUNT, true},
};

static VsmKey *key_of(const VsmTpmKey *key, GError **error)
{
    VsmCurve curve = key->bytes == 48 ? VSM_CURVE_P384 : VSM_CURVE_P256;

    return vsm_key_new(curve, key->x, key->bytes, key->y, key->bytes, error);
}

static bool
decode(GBytes *area, VsmTpmKeyKind kind, VsmTpmKey **ret, GError **error)
{
    g_autoptr(VsmTpmKey) key = NULL;
    const char *name = kind == VSM_TPM_KEY_AK ? "attestation" : "report";

    if (!vsm_tpm_key_decode(area, &key, error)) {
        g_prefix_error(error, "the %s key: ", name);
        return false;
    }
    if (key->kind != kind) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "the %s key has other attributes (0x%08x) than VSM makes "
                    "it with, so it may do more than it should",
                    name, key->attributes);
        return false;
    }
    *ret = g_steal_pointer(&key);
    return true;
}

static char *name_hex(const VsmTpmKey *key)
{
    gsize size;
    const guint8 *name = g_bytes_get_data(key->name, &size);

    return vsm_codec_hex(name, size);
}

static json_t *text_of_bytes(GBytes *bytes)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    g_autofree char *text = vsm_b64url_encode(data, size);

    return json_string(text);
}

static void
put_hex(json_t *to, const char *name, gconstpointer data, gsize size)
{
    g_autofree char *hex = vsm_codec_hex(data, size);

    json_object_set_new(to, name, json_string(hex));
}

/* Members that not every entry has. */
static bool
add_optional(json_t *host, const VsmTrustInput *input, GError **error)
{
    VsmDigest ek;
    gsize size;
    gconstpointer data;

    if (input->commit_index) {
        data = g_bytes_get_data(input->commit_index, &size);
        put_hex(host, "commit_index", data, size);
    }
    if (input->ek_public) {
        data = g_bytes_get_data(input->ek_public, &size);
        if (!vsm_sha384(data, size, &ek, error)) {
            return false;
        }
        put_hex(host, "ek_sha384", ek.b, sizeof(ek.b));
    }
    if (input->enrolled) {
        json_object_set_new(host, "enrolled", json_integer(input->enrolled));
    }
    if (input->allow_in_process) {
        json_object_set_new(host, "allow_in_process", json_true());
    }
    return true;
}

bool vsm_trust_build(const VsmTrustInput *input,
                     char **ret_json,
                     GError **error)
{
    g_autoptr(VsmTpmKey) ak = NULL, rk = NULL;
    g_autoptr(VsmKey) rk_key = NULL;
    g_autofree char *ak_name = NULL, *rk_name = NULL, *jwk = NULL;
    json_auto_t *file = NULL;

    if (!decode(input->ak_public, VSM_TPM_KEY_AK, &ak, error) ||
        !decode(input->rk_public, VSM_TPM_KEY_RK, &rk, error)) {
        return false;
    }
    rk_key = key_of(rk, error);
    if (!rk_key) {
        return false;
    }
    ak_name = name_hex(ak);
    rk_name = name_hex(rk);
    jwk = vsm_jwk_from_key(rk_key);
    file = json_pack(
        "{s:i, s:[{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:[o]}]}", "version",
        TRUST_VERSION, "hosts", "host_id", input->host_id, "attester",
        input->attester, "boot_policy", input->boot_policy, "ak_name", ak_name,
        "rk_name", rk_name, "ak_public", text_of_bytes(input->ak_public),
        "rk_public", text_of_bytes(input->rk_public), "rk_jwk",
        json_loads(jwk, 0, NULL), "approved_pcrs", vsm_pcrs_write(input->pcrs));
    if (!file) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a trust entry cannot be made: a text is not UTF-8, or "
                    "the PCR bank is unknown");
        return false;
    }
    if (!add_optional(json_array_get(json_object_get(file, "hosts"), 0), input,
                      error)) {
        return false;
    }
    *ret_json = vsm_json_dump(file);
    return true;
}

static void entry_free(VsmTrustEntry *entry)
{
    g_free(entry->host_id);
    g_free(entry->kid);
    g_free(entry->rk_jwk);
    g_free(entry->boot_policy);
    vsm_tpm_key_free(entry->ak);
    vsm_tpm_key_free(entry->rk);
    vsm_key_free(entry->ak_key);
    g_clear_pointer(&entry->approved, g_array_unref);
    g_clear_pointer(&entry->commit_index, g_bytes_unref);
    g_free(entry);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmTrustEntry, entry_free)

static bool bad(GError **error, const char *what)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, "the trust file: %s", what);
    return false;
}

/* The Names are there for people to compare: they must be the real ones. */
static bool check_name(const json_t *host,
                       const char *member,
                       const VsmTpmKey *key,
                       GError **error)
{
    g_autofree char *name = name_hex(key);

    if (strcmp(vsm_json_text(host, member), name) != 0) {
        return bad(error, "a key's Name is not that of its public area");
    }
    return true;
}

static bool read_keys(const json_t *host, VsmTrustEntry *entry, GError **error)
{
    g_autoptr(GBytes) ak = vsm_json_bytes(host, "ak_public");
    g_autoptr(GBytes) rk = vsm_json_bytes(host, "rk_public");
    g_autofree char *stated = vsm_json_dump(json_object_get(host, "rk_jwk"));
    g_autoptr(VsmKey) rk_key = NULL, jwk_key = NULL;

    if (!decode(ak, VSM_TPM_KEY_AK, &entry->ak, error) ||
        !decode(rk, VSM_TPM_KEY_RK, &entry->rk, error) ||
        !check_name(host, "ak_name", entry->ak, error) ||
        !check_name(host, "rk_name", entry->rk, error)) {
        return false;
    }
    entry->ak_key = key_of(entry->ak, error);
    rk_key = entry->ak_key ? key_of(entry->rk, error) : NULL;
    jwk_key = rk_key ? vsm_jwk_to_key(stated, error) : NULL;
    if (!jwk_key) {
        return false;
    }
    if (!vsm_key_equal(rk_key, jwk_key)) {
        return bad(error, "rk_jwk is another key than rk_public");
    }
    if (vsm_key_equal(rk_key, entry->ak_key)) {
        return bad(error, "report key and attestation key are the same");
    }
    entry->rk_jwk = vsm_jwk_from_key(rk_key);
    entry->kid = vsm_jwk_thumbprint(rk_key);
    return true;
}

static bool read_pcrs(const json_t *host, VsmTrustEntry *entry, GError **error)
{
    const json_t *list = json_object_get(host, "approved_pcrs");
    size_t i;
    json_t *value;

    if (json_array_size(list) < 1 ||
        json_array_size(list) > VSM_TRUST_PCR_SETS_MAX) {
        return bad(error, "approved_pcrs holds no set, or more than 64");
    }
    entry->approved = g_array_new(FALSE, FALSE, sizeof(VsmTpmPcrs));
    json_array_foreach(list, i, value)
    {
        VsmTpmPcrs pcrs;

        if (!vsm_pcrs_read(value, "the trust file's 'approved_pcrs'", &pcrs,
                           error)) {
            return false;
        }
        g_array_append_val(entry->approved, pcrs);
    }
    return true;
}

/* A Name of nameAlg SHA-384, as the commit index has. */
static bool
read_commit_index(const json_t *host, VsmTrustEntry *entry, GError **error)
{
    const char *hex = vsm_json_text(host, "commit_index");
    guint8 name[2 + 48];

    if (!hex) {
        return true;
    }
    if (!vsm_codec_parse_hex(hex, name, sizeof(name))) {
        return bad(error, "commit_index is no Name of 50 bytes in hex");
    }
    entry->commit_index = g_bytes_new(name, sizeof(name));
    return true;
}

static VsmTrustEntry *read_host(const json_t *host, GError **error)
{
    g_autoptr(VsmTrustEntry) entry = g_new0(VsmTrustEntry, 1);
    const char *attester, *boot;

    if (!vsm_json_check(host, host_table, G_N_ELEMENTS(host_table),
                        "an entry of the trust file", error) ||
        !read_keys(host, entry, error) || !read_pcrs(host, entry, error) ||
        !read_commit_index(host, entry, error)) {
        return NULL;
    }
    attester = vsm_json_text(host, "attester");
    boot = vsm_json_text(host, "boot_policy");
    if (strcmp(attester, "in-process") != 0 &&
        strcmp(attester, "daemon") != 0) {
        bad(error, "attester is neither in-process nor daemon");
        return NULL;
    }
    if (strcmp(boot, "frozen") != 0 && strcmp(boot, "operator") != 0) {
        bad(error, "boot_policy is neither frozen nor operator");
        return NULL;
    }
    entry->host_id = g_strdup(vsm_json_text(host, "host_id"));
    entry->boot_policy = g_strdup(boot);
    entry->in_process = strcmp(attester, "in-process") == 0;
    entry->allow_in_process = vsm_json_bool(host, "allow_in_process");
    return g_steal_pointer(&entry);
}

VsmTrust *vsm_trust_load(const char *json, GError **error)
{
    json_auto_t *file =
        vsm_json_load(json, VSM_TRUST_BYTES_MAX, "the trust file", error);
    g_autoptr(VsmTrust) trust = g_new0(VsmTrust, 1);
    size_t i;
    json_t *host;

    trust->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                           (GDestroyNotify)entry_free);
    if (!file || !vsm_json_check(file, file_table, G_N_ELEMENTS(file_table),
                                 "the trust file", error)) {
        return NULL;
    }
    if (vsm_json_count(file, "version") != TRUST_VERSION) {
        bad(error, "its version is not 1; a newer vsmctl may know it");
        return NULL;
    }
    json_array_foreach(json_object_get(file, "hosts"), i, host)
    {
        VsmTrustEntry *entry = read_host(host, error);

        if (!entry) {
            return NULL;
        }
        if (g_hash_table_contains(trust->entries, entry->kid)) {
            entry_free(entry);
            bad(error, "two entries have the same report key");
            return NULL;
        }
        g_hash_table_insert(trust->entries, entry->kid, entry);
    }
    return g_steal_pointer(&trust);
}

const VsmTrustEntry *vsm_trust_find(const VsmTrust *trust, const char *kid)
{
    return g_hash_table_lookup(trust->entries, kid);
}

const VsmTrustEntry *vsm_trust_find_host(const VsmTrust *trust,
                                         const char *host_id)
{
    const VsmTrustEntry *found = NULL;
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, trust->entries);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const VsmTrustEntry *entry = value;

        if (strcmp(entry->host_id, host_id) == 0) {
            if (found) {
                return NULL;
            }
            found = entry;
        }
    }
    return found;
}

void vsm_trust_free(VsmTrust *trust)
{
    if (trust) {
        g_hash_table_unref(trust->entries);
        g_free(trust);
    }
}
