/*
 * What an operator signs: the request as bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/operator.h"

#include <string.h>
#include "base/codec.h"
#include "base/limits.h"
#include "base/text.h"

#define MAGIC "VSM-OPERATOR"
#define VERSION 2 /* 1: an approval did not sign the host */
#define TYPE "(sqa{sv})"
#define WHAT "operator request"

#define STATES_TYPE "a(suay)"
#define SNAPSHOTS_TYPE "a(say)"

#define NONCE_BYTES_MIN 16 /* TPM 2.0 Part 1: a nonce is at least that */

static const char *const ops[] = {
    [VSM_OPERATOR_APPROVE] = "approve",
    [VSM_OPERATOR_RESEAL] = "reseal",
    [VSM_OPERATOR_ADOPT] = "adopt",
};

static const VsmCodecField fields[] = {
    {"op", "s", true},           {"host", "s", true},
    {"time", "x", true},         {"nonce", "ay", false},
    {"index-name", "ay", false}, {"states", STATES_TYPE, false},
    {"vm", "s", false},          {"snapshots", SNAPSHOTS_TYPE, false},
    {"hypervisor", "ay", false}, {"config", "ay", false},
    {"value", "ay", false},      {"catalogue", "ay", false},
    {"entries", "u", false},
};

const char *vsm_operator_op_name(VsmOperatorOp op)
{
    return ops[op];
}

#define COMMON_KEYS 3 /* of every operation */

VsmOperatorRequest *vsm_operator_request_new(VsmOperatorOp op, const char *host)
{
    VsmOperatorRequest *request = g_new0(VsmOperatorRequest, 1);

    request->op = op;
    request->host = g_strdup(host);
    request->time = g_get_real_time() / G_USEC_PER_SEC;
    request->states = g_array_new(FALSE, TRUE, sizeof(VsmTpmPcrs));
    request->snapshots = g_array_new(FALSE, TRUE, sizeof(VsmOperatorSnapshot));
    return request;
}

void vsm_operator_request_free(VsmOperatorRequest *request)
{
    if (request) {
        g_free(request->host);
        g_free(request->vm);
        g_clear_pointer(&request->nonce, g_bytes_unref);
        g_clear_pointer(&request->index_name, g_bytes_unref);
        g_array_unref(request->states);
        g_array_unref(request->snapshots);
        g_free(request);
    }
}

/* --- As bytes --------------------------------------------------------- */

static void add(GVariantBuilder *dict, const char *key, GVariant *value)
{
    g_variant_builder_add(dict, "{sv}", key, value);
}

static void add_approve(GVariantBuilder *dict,
                        const VsmOperatorRequest *request)
{
    GVariantBuilder states;

    g_variant_builder_init(&states, G_VARIANT_TYPE(STATES_TYPE));
    for (guint i = 0; i < request->states->len; i++) {
        const VsmTpmPcrs *pcrs = &g_array_index(request->states, VsmTpmPcrs, i);
        g_autoptr(GBytes) values = vsm_tpm_pcrs_pack(pcrs);

        g_variant_builder_add(&states, "(su@ay)", vsm_tpm_bank_name(pcrs->bank),
                              pcrs->mask, vsm_codec_new_bytes(values));
    }
    add(dict, "nonce", vsm_codec_new_bytes(request->nonce));
    add(dict, "index-name", vsm_codec_new_bytes(request->index_name));
    add(dict, "states", g_variant_builder_end(&states));
}

static void add_reseal(GVariantBuilder *dict, const VsmOperatorRequest *request)
{
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE(SNAPSHOTS_TYPE));
    for (guint i = 0; i < request->snapshots->len; i++) {
        const VsmOperatorSnapshot *one =
            &g_array_index(request->snapshots, VsmOperatorSnapshot, i);

        g_variant_builder_add(&list, "(s@ay)", one->id,
                              vsm_codec_new_digest(&one->metadata));
    }
    add(dict, "vm", g_variant_new_string(request->vm));
    add(dict, "snapshots", g_variant_builder_end(&list));
    add(dict, "hypervisor", vsm_codec_new_digest(&request->hypervisor));
    add(dict, "config", vsm_codec_new_digest(&request->config));
    add(dict, "value", vsm_codec_new_digest(&request->value));
}

static void add_adopt(GVariantBuilder *dict, const VsmOperatorRequest *request)
{
    add(dict, "value", vsm_codec_new_digest(&request->value));
    add(dict, "catalogue", vsm_codec_new_digest(&request->catalogue));
    add(dict, "entries", g_variant_new_uint32(request->entries));
}

GBytes *vsm_operator_request_encode(const VsmOperatorRequest *request,
                                    GError **error)
{
    GVariantBuilder dict;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(VsmOperatorRequest) again = NULL;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    add(&dict, "op", g_variant_new_string(ops[request->op]));
    add(&dict, "host", g_variant_new_string(request->host));
    add(&dict, "time", g_variant_new_int64(request->time));
    if (request->op == VSM_OPERATOR_APPROVE) {
        add_approve(&dict, request);
    } else if (request->op == VSM_OPERATOR_RESEAL) {
        add_reseal(&dict, request);
    } else {
        add_adopt(&dict, request);
    }
    bytes =
        vsm_codec_encode(g_variant_new(TYPE, MAGIC, (guint16)VERSION, &dict),
                         VSM_OPERATOR_BYTES_MAX, WHAT, error);
    again = bytes ? vsm_operator_request_decode(bytes, error) : NULL;
    return again ? g_steal_pointer(&bytes) : NULL;
}

static bool bad(GError **error, const char *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, WHAT ": %s", why);
    return false;
}

static bool get_bytes(
    GVariant *dict, const char *key, gsize max, GBytes **ret, GError **error)
{
    g_autoptr(GVariant) value =
        g_variant_lookup_value(dict, key, G_VARIANT_TYPE_BYTESTRING);

    if (!value) {
        return bad(error, "a member of its operation is missing");
    }
    *ret = vsm_codec_get_bytes(value, max, WHAT, error);
    return *ret != NULL;
}

static bool
get_digest(GVariant *dict, const char *key, VsmDigest *ret, GError **error)
{
    g_autoptr(GVariant) value =
        g_variant_lookup_value(dict, key, G_VARIANT_TYPE_BYTESTRING);

    if (!value) {
        return bad(error, "a digest of its operation is missing");
    }
    return vsm_codec_get_digest(value, ret, WHAT, error);
}

static bool get_states(GVariant *dict, VsmOperatorRequest *ret, GError **error)
{
    g_autoptr(GVariant) list =
        g_variant_lookup_value(dict, "states", G_VARIANT_TYPE(STATES_TYPE));
    gsize n = list ? g_variant_n_children(list) : 0;

    if (!list || n > VSM_TPM_STATES_MAX) {
        return bad(error, "not 0 to 8 boot states");
    }
    for (gsize i = 0; i < n; i++) {
        g_autoptr(GVariant) value = NULL;
        g_autoptr(GBytes) bytes = NULL;
        const char *bank;
        guint32 mask;
        VsmTpmPcrs pcrs;

        g_variant_get_child(list, i, "(&su@ay)", &bank, &mask, &value);
        bytes = vsm_codec_get_bytes(value, VSM_TPM_PCRS * VSM_DIGEST_BYTES,
                                    WHAT, error);
        if (!bytes || !vsm_tpm_pcrs_unpack(vsm_tpm_bank_from_name(bank), mask,
                                           bytes, &pcrs, error)) {
            return false;
        }
        if (mask == 0 || mask & (1u << 16 | 1u << 23)) {
            return bad(error, "a boot state without PCRs, or with PCR 16 or "
                              "23, which anyone can reset");
        }
        g_array_append_val(ret->states, pcrs);
    }
    return true;
}

static bool
get_snapshots(GVariant *dict, VsmOperatorRequest *ret, GError **error)
{
    g_autoptr(GVariant) list = g_variant_lookup_value(
        dict, "snapshots", G_VARIANT_TYPE(SNAPSHOTS_TYPE));
    gsize n = list ? g_variant_n_children(list) : 0;

    if (n == 0 || n > VSM_RESEAL_MAX) {
        return bad(error, "no snapshots, or too many");
    }
    for (gsize i = 0; i < n; i++) {
        g_autoptr(GVariant) digest = NULL;
        VsmOperatorSnapshot one;
        const char *id;

        g_variant_get_child(list, i, "(&s@ay)", &id, &digest);
        if (!vsm_text_is_id(id) ||
            (i > 0 && strcmp(id, g_array_index(ret->snapshots,
                                               VsmOperatorSnapshot, i - 1)
                                     .id) <= 0)) {
            return bad(error, "ids of snapshots are no ids, or not ascending");
        }
        g_strlcpy(one.id, id, sizeof(one.id));
        if (!vsm_codec_get_digest(digest, &one.metadata, WHAT, error)) {
            return false;
        }
        g_array_append_val(ret->snapshots, one);
    }
    return true;
}

static bool get_approve(GVariant *dict, VsmOperatorRequest *ret, GError **error)
{
    if (!get_bytes(dict, "nonce", 64, &ret->nonce, error) ||
        !get_bytes(dict, "index-name", VSM_TPM_NAME_BYTES_MAX, &ret->index_name,
                   error)) {
        return false;
    }
    if (g_bytes_get_size(ret->nonce) < NONCE_BYTES_MIN) {
        return bad(error, "a nonce too short to be a TPM's");
    }
    return get_states(dict, ret, error);
}

static bool get_reseal(GVariant *dict, VsmOperatorRequest *ret, GError **error)
{
    g_variant_lookup(dict, "vm", "s", &ret->vm);
    if (!ret->vm || !vsm_text_is_uuid(ret->vm)) {
        return bad(error, "no VM");
    }
    return get_snapshots(dict, ret, error) &&
           get_digest(dict, "hypervisor", &ret->hypervisor, error) &&
           get_digest(dict, "config", &ret->config, error) &&
           get_digest(dict, "value", &ret->value, error);
}

static bool get_adopt(GVariant *dict, VsmOperatorRequest *ret, GError **error)
{
    return (g_variant_lookup(dict, "entries", "u", &ret->entries) ||
            bad(error, "no number of entries")) &&
           get_digest(dict, "value", &ret->value, error) &&
           get_digest(dict, "catalogue", &ret->catalogue, error);
}

static VsmOperatorOp get_op(GVariant *dict)
{
    const char *name = NULL;

    g_variant_lookup(dict, "op", "&s", &name);
    for (guint i = VSM_OPERATOR_APPROVE; i < G_N_ELEMENTS(ops); i++) {
        if (!strcmp(name, ops[i])) {
            return i;
        }
    }
    return 0;
}

/* Members that belong to the operation, beside the common ones. */
static guint members(VsmOperatorOp op)
{
    return op == VSM_OPERATOR_RESEAL ? 5 : 3;
}

VsmOperatorRequest *vsm_operator_request_decode(GBytes *bytes, GError **error)
{
    g_autoptr(GVariant) value = vsm_codec_decode(
        bytes, TYPE, MAGIC, VERSION, VSM_OPERATOR_BYTES_MAX, WHAT, error);
    g_autoptr(GVariant) dict = NULL;
    g_autoptr(VsmOperatorRequest) request = NULL;
    bool ok;

    if (!value) {
        return NULL;
    }
    dict = g_variant_get_child_value(value, 2);
    if (!vsm_codec_check_dict(dict, fields, G_N_ELEMENTS(fields), WHAT,
                              error)) {
        return NULL;
    }
    request = vsm_operator_request_new(get_op(dict), NULL);
    g_variant_lookup(dict, "host", "s", &request->host);
    g_variant_lookup(dict, "time", "x", &request->time);
    if (!request->op || !vsm_text_is_id(request->host) ||
        g_variant_n_children(dict) != COMMON_KEYS + members(request->op)) {
        bad(error, "an unknown operation, or members that it does not have");
        return NULL;
    }
    ok = request->op == VSM_OPERATOR_APPROVE ? get_approve(dict, request, error)
         : request->op == VSM_OPERATOR_RESEAL ? get_reseal(dict, request, error)
                                              : get_adopt(dict, request, error);
    return ok ? g_steal_pointer(&request) : NULL;
}
