/*
 * What follows from an operator's request: what is signed, and what it says.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/operator.h"

#include <string.h>
#include "base/codec.h"
#include "crypto/private.h"

GBytes *vsm_operator_contents(const VsmOperatorRequest *request)
{
    VsmTpmPolicy policy;

    vsm_tpm_policy_states((const VsmTpmPcrs *)(void *)request->states->data,
                          request->states->len, &policy);
    return vsm_tpm_policy_to_index(&policy);
}

static GBytes *approval_message(const VsmOperatorRequest *request)
{
    static const guint8 no_expiration[4];
    g_autoptr(GBytes) contents = vsm_operator_contents(request);
    g_autoptr(GBytes) ref = vsm_tpm_approval_ref(request->host);
    GByteArray *message = g_byte_array_new();
    guint8 hash[VSM_TPM_POLICY_BYTES];

    vsm_tpm_approval_hash(request->index_name, contents, hash);
    g_byte_array_append(message, g_bytes_get_data(request->nonce, NULL),
                        g_bytes_get_size(request->nonce));
    g_byte_array_append(message, no_expiration, sizeof(no_expiration));
    g_byte_array_append(message, hash, sizeof(hash));
    g_byte_array_append(message, g_bytes_get_data(ref, NULL),
                        g_bytes_get_size(ref));
    return g_byte_array_free_to_bytes(message);
}

bool vsm_operator_to_sign(GBytes *request, GBytes **ret, GError **error)
{
    g_autoptr(VsmOperatorRequest) decoded =
        vsm_operator_request_decode(request, error);

    if (!decoded) {
        return false;
    }
    *ret = decoded->op == VSM_OPERATOR_APPROVE ? approval_message(decoded)
                                               : g_bytes_ref(request);
    return true;
}

bool vsm_operator_sign(GBytes *request,
                       const char *key,
                       GBytes **ret_signature,
                       GError **error)
{
    g_autoptr(GBytes) message = NULL;

    return vsm_operator_to_sign(request, &message, error) &&
           vsm_private_sign(key, message, ret_signature, error);
}

bool vsm_operator_check_key(const VsmKey *key,
                            GBytes *request,
                            GBytes *signature,
                            GBytes **ret_raw,
                            GError **error)
{
    VsmCurve curve = vsm_key_curve(key);
    g_autoptr(GBytes) message = NULL;
    g_autoptr(GBytes) raw = NULL;
    gsize bytes, size;
    const guint8 *der = g_bytes_get_data(signature, &bytes);
    const void *data;

    if (!vsm_operator_to_sign(request, &message, error)) {
        return false;
    }
    data = g_bytes_get_data(message, &size);
    raw = vsm_ecdsa_der_to_raw(curve, der, bytes, NULL);
    if (!raw || !vsm_key_verify(key, vsm_curve_hash(curve), data, size,
                                g_bytes_get_data(raw, NULL),
                                g_bytes_get_size(raw), NULL)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE,
                    "not the signature of this host's operator over this very "
                    "request: sign it with the key of the set-up");
        return false;
    }
    if (ret_raw) {
        *ret_raw = g_steal_pointer(&raw);
    }
    return true;
}

bool vsm_operator_check(GBytes *operator_public,
                        GBytes *request,
                        GBytes *signature,
                        GBytes **ret_raw,
                        GError **error)
{
    g_autoptr(VsmTpmKey) point = NULL;
    g_autoptr(VsmKey) key = NULL;

    if (!operator_public) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                    "the boot policy is frozen: this store was set up without "
                    "an operator's key");
        return false;
    }
    if (!vsm_tpm_key_decode(operator_public, &point, error)) {
        return false;
    }
    key = vsm_key_new(point->bytes == 48 ? VSM_CURVE_P384 : VSM_CURVE_P256,
                      point->x, point->bytes, point->y, point->bytes, error);
    return key &&
           vsm_operator_check_key(key, request, signature, ret_raw, error);
}

bool vsm_operator_reseals(const VsmOperatorRequest *request,
                          const char *vm,
                          const char *id)
{
    if (request->op != VSM_OPERATOR_RESEAL || strcmp(request->vm, vm)) {
        return false;
    }
    for (guint i = 0; i < request->snapshots->len; i++) {
        if (!strcmp(
                g_array_index(request->snapshots, VsmOperatorSnapshot, i).id,
                id)) {
            return true;
        }
    }
    return false;
}

/* --- For people ------------------------------------------------------- */

static void line(GString *text, const char *label, const char *value)
{
    g_string_append_printf(text, "%s\t%s\n", label, value);
}

static void
digest_line(GString *text, const char *label, const VsmDigest *digest)
{
    g_autofree char *hex = vsm_digest_hex(digest);

    line(text, label, hex);
}

static void describe_state(GString *text, guint number, const VsmTpmPcrs *pcrs)
{
    for (guint pcr = 0; pcr < VSM_TPM_PCRS; pcr++) {
        if (pcrs->mask & 1u << pcr) {
            g_autofree char *label =
                g_strdup_printf("state %u PCR %u", number, pcr);
            g_autofree char *hex =
                vsm_codec_hex(pcrs->value[pcr], vsm_tpm_bank_bytes(pcrs->bank));
            g_autofree char *value =
                g_strdup_printf("%s %s", vsm_tpm_bank_name(pcrs->bank), hex);

            line(text, label, value);
        }
    }
}

static void describe_approve(GString *text, const VsmOperatorRequest *request)
{
    g_autofree char *number = g_strdup_printf("%u", request->states->len);

    line(text, "boot states", number);
    for (guint i = 0; i < request->states->len; i++) {
        describe_state(text, i + 1,
                       &g_array_index(request->states, VsmTpmPcrs, i));
    }
    if (!request->states->len) {
        line(text, "effect", "no boot state is approved any more");
    }
}

static void describe_reseal(GString *text, const VsmOperatorRequest *request)
{
    line(text, "VM", request->vm);
    digest_line(text, "new hypervisor", &request->hypervisor);
    digest_line(text, "new config", &request->config);
    for (guint i = 0; i < request->snapshots->len; i++) {
        const VsmOperatorSnapshot *one =
            &g_array_index(request->snapshots, VsmOperatorSnapshot, i);

        line(text, "snapshot", one->id);
        digest_line(text, "metadata now", &one->metadata);
    }
    digest_line(text, "commit value", &request->value);
}

static void describe_adopt(GString *text, const VsmOperatorRequest *request)
{
    g_autofree char *number = g_strdup_printf("%u", request->entries);

    digest_line(text, "catalogue", &request->catalogue);
    line(text, "snapshots", number);
    digest_line(text, "commit value", &request->value);
}

bool vsm_operator_describe(GBytes *request, char **ret, GError **error)
{
    g_autoptr(VsmOperatorRequest) decoded =
        vsm_operator_request_decode(request, error);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *time = NULL;

    if (!decoded) {
        return false;
    }
    time = g_strdup_printf("%" G_GINT64_FORMAT, decoded->time);
    line(text, "operation", vsm_operator_op_name(decoded->op));
    line(text, "host", decoded->host);
    line(text, "asked at", time);
    if (decoded->op == VSM_OPERATOR_APPROVE) {
        describe_approve(text, decoded);
    } else if (decoded->op == VSM_OPERATOR_RESEAL) {
        describe_reseal(text, decoded);
    } else {
        describe_adopt(text, decoded);
    }
    *ret = g_strdup(text->str);
    return true;
}
