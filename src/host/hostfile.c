/*
 * The store's `host` file: who this host is, under an HMAC by the secret.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/hostfile.h"
#include <string.h>
#include "base/codec.h"
#include "base/limits.h"
#include "base/text.h"
#include "crypto/kdf.h"

#define MAGIC "VSM-HOST"
#define VERSION 1
#define WHAT "host file of the store"
#define LABEL "VSM-HOST-1"

static const VsmCodecField fields[] = {
    {"id", "s", true},
    {"attester", "s", false}, /* absent: in-process */
    {"srk", "u", false},
    {"ak", "u", false},
    {"rk", "u", false},
    {"commit-index", "u", false},
    {"boot-index", "u", false},
    {"srk-name", "ay", false},
    {"ak-name", "ay", false},
    {"rk-name", "ay", false},
    {"commit-index-name", "ay", false},
    {"boot-index-name", "ay", false},
    {"ak-public", "ay", false},
    {"rk-public", "ay", false},
    {"rk-attest", "ay", false},
    {"rk-signature", "ay", false},
    {"operator-public", "ay", false},
};

typedef struct {
    const char *key;
    guint32 *value;
} Number;

typedef struct {
    const char *key;
    GBytes **value;
    bool optional;
} Blob;

#define NUMBERS 5
#define BLOBS 10

static void list(VsmTpmKeys *keys, Number *numbers, Blob *blobs)
{
    const Number n[NUMBERS] = {
        {"srk", &keys->srk},
        {"ak", &keys->ak},
        {"rk", &keys->rk},
        {"commit-index", &keys->commit_index},
        {"boot-index", &keys->boot_index},
    };
    const Blob b[BLOBS] = {
        {"srk-name", &keys->srk_name, false},
        {"ak-name", &keys->ak_name, false},
        {"rk-name", &keys->rk_name, false},
        {"commit-index-name", &keys->commit_index_name, false},
        {"boot-index-name", &keys->boot_index_name, true},
        {"ak-public", &keys->ak_public, false},
        {"rk-public", &keys->rk_public, false},
        {"rk-attest", &keys->rk_attest, false},
        {"rk-signature", &keys->rk_signature, false},
        {"operator-public", &keys->operator_public, true},
    };

    memcpy(numbers, n, sizeof(n));
    memcpy(blobs, b, sizeof(b));
}

void vsm_host_file_clear(VsmHostFile *file)
{
    g_clear_pointer(&file->id, g_free);
    g_clear_pointer(&file->keys, vsm_tpm_keys_free);
}

static bool
mac(const VsmSecret *secret, GBytes *body, VsmDigest *ret, GError **error)
{
    VsmKdfField none = {NULL, 0};
    g_autoptr(VsmSecret) key = vsm_kdfa(VSM_HASH_SHA384, secret, LABEL, none,
                                        none, VSM_DIGEST_BYTES, error);
    gsize bytes;
    gconstpointer data = g_bytes_get_data(body, &bytes);

    return key && vsm_hmac(VSM_HASH_SHA384, key, data, bytes, ret->b, error);
}

static void add_keys(GVariantBuilder *dict, VsmTpmKeys *keys)
{
    Number numbers[NUMBERS];
    Blob blobs[BLOBS];

    list(keys, numbers, blobs);
    for (guint i = 0; i < NUMBERS; i++) {
        g_variant_builder_add(dict, "{sv}", numbers[i].key,
                              g_variant_new_uint32(*numbers[i].value));
    }
    for (guint i = 0; i < BLOBS; i++) {
        if (*blobs[i].value) {
            g_variant_builder_add(dict, "{sv}", blobs[i].key,
                                  vsm_codec_new_bytes(*blobs[i].value));
        }
    }
}

GBytes *vsm_host_file_encode(const VsmHostFile *file,
                             const VsmSecret *secret,
                             GError **error)
{
    GVariantBuilder dict;
    g_autoptr(GBytes) body = NULL;
    VsmDigest tag;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&dict, "{sv}", "id", g_variant_new_string(file->id));
    if (file->kind == VSM_HOST_DAEMON) {
        g_variant_builder_add(
            &dict, "{sv}", "attester",
            g_variant_new_string(vsm_host_kind_name(file->kind)));
    }
    if (file->keys) {
        add_keys(&dict, file->keys);
    }
    body = vsm_codec_encode(
        g_variant_new("(sqa{sv})", MAGIC, (guint16)VERSION, &dict),
        VSM_HOST_FILE_BYTES_MAX, WHAT, error);
    if (!body || !mac(secret, body, &tag, error)) {
        return NULL;
    }
    return vsm_codec_encode(g_variant_new("(@ay@ay)", vsm_codec_new_bytes(body),
                                          vsm_codec_new_digest(&tag)),
                            VSM_HOST_FILE_BYTES_MAX, WHAT, error);
}

static bool missing(GError **error, const char *key)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, WHAT ": \"%s\" is missing",
                key);
    return false;
}

static bool parse_keys(GVariant *dict, VsmTpmKeys *keys, GError **error)
{
    Number numbers[NUMBERS];
    Blob blobs[BLOBS];

    list(keys, numbers, blobs);
    for (guint i = 0; i < NUMBERS; i++) {
        if (!g_variant_lookup(dict, numbers[i].key, "u", numbers[i].value)) {
            return missing(error, numbers[i].key);
        }
    }
    for (guint i = 0; i < BLOBS; i++) {
        g_autoptr(GVariant) ay =
            g_variant_lookup_value(dict, blobs[i].key, G_VARIANT_TYPE("ay"));

        if (!ay && !blobs[i].optional) {
            return missing(error, blobs[i].key);
        }
        if (ay) {
            *blobs[i].value =
                vsm_codec_get_bytes(ay, VSM_TPM_OBJECT_BYTES_MAX, WHAT, error);
            if (!*blobs[i].value) {
                return false;
            }
        }
    }
    return true;
}

/* The one word there is: in process, the key is left out. */
static bool parse_kind(GVariant *dict, VsmHostKind *ret, GError **error)
{
    const char *word = NULL;

    *ret = VSM_HOST_IN_PROCESS;
    if (!g_variant_lookup(dict, "attester", "&s", &word)) {
        return true;
    }
    if (strcmp(word, vsm_host_kind_name(VSM_HOST_DAEMON))) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    WHAT ": of an unknown attester");
        return false;
    }
    *ret = VSM_HOST_DAEMON;
    return true;
}

bool vsm_host_file_parse(GBytes *body, VsmHostFile *ret, GError **error)
{
    g_autoptr(GVariant) value =
        vsm_codec_decode(body, "(sqa{sv})", MAGIC, VERSION,
                         VSM_HOST_FILE_BYTES_MAX, WHAT, error);
    g_autoptr(GVariant) dict = NULL;
    g_auto(VsmHostFile) file = {NULL};

    if (!value) {
        return false;
    }
    dict = g_variant_get_child_value(value, 2);
    if (!vsm_codec_check_dict(dict, fields, G_N_ELEMENTS(fields), WHAT,
                              error)) {
        return false;
    }
    g_variant_lookup(dict, "id", "s", &file.id);
    if (!vsm_text_is_id(file.id)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    WHAT ": its id is not 32 hex digits");
        return false;
    }
    if (!parse_kind(dict, &file.kind, error)) {
        return false;
    }
    if (g_variant_n_children(dict) > 1u + (file.kind == VSM_HOST_DAEMON)) {
        file.keys = g_new0(VsmTpmKeys, 1);
        if (!parse_keys(dict, file.keys, error)) {
            return false;
        }
    }
    *ret = file;
    file = (VsmHostFile){NULL};
    return true;
}

bool vsm_host_file_decode(GBytes *bytes,
                          const VsmSecret *secret,
                          VsmHostFile *ret,
                          GError **error)
{
    g_autoptr(GVariant) value = vsm_codec_decode(
        bytes, "(ayay)", NULL, 0, VSM_HOST_FILE_BYTES_MAX, WHAT, error);
    g_autoptr(GVariant) first = NULL;
    g_autoptr(GVariant) second = NULL;
    g_autoptr(GBytes) body = NULL;
    VsmDigest stated, computed;

    if (!value) {
        return false;
    }
    first = g_variant_get_child_value(value, 0);
    second = g_variant_get_child_value(value, 1);
    body = vsm_codec_get_bytes(first, VSM_HOST_FILE_BYTES_MAX, WHAT, error);
    if (!body || !vsm_codec_get_digest(second, &stated, WHAT, error) ||
        !mac(secret, body, &computed, error)) {
        return false;
    }
    if (!vsm_digest_equal(&stated, &computed)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    WHAT ": altered, or made with another host secret; give "
                         "the secret of this store, or restore the file");
        return false;
    }
    return vsm_host_file_parse(body, ret, error);
}
