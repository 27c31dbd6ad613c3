/*
 * The list of approved boot states, as bytes and as GVariants.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/codec.h"
#include "base/limits.h"
#include "host/pending.h"

#define MAGIC "VSM-APPROVED"
#define VERSION 1
#define TYPE "(sqa(xsuay))"
#define WHAT "approved boot states"

GVariant *vsm_approved_values(const VsmTpmPcrs *pcrs)
{
    g_autoptr(GBytes) packed = vsm_tpm_pcrs_pack(pcrs);

    return vsm_codec_new_bytes(packed);
}

void vsm_approved_add(GVariantBuilder *builder, const GArray *list)
{
    g_variant_builder_init(builder, G_VARIANT_TYPE("a(xsuay)"));
    for (guint i = 0; i < list->len; i++) {
        const VsmApproved *one = &g_array_index(list, VsmApproved, i);

        g_variant_builder_add(builder, "(xsu@ay)", one->time,
                              vsm_tpm_bank_name(one->pcrs.bank), one->pcrs.mask,
                              vsm_approved_values(&one->pcrs));
    }
}

GBytes *vsm_approved_encode(const GArray *list, GError **error)
{
    GVariantBuilder states;

    vsm_approved_add(&states, list);
    return vsm_codec_encode(
        g_variant_new("(sqa(xsuay))", MAGIC, (guint16)VERSION, &states),
        VSM_HOST_FILE_BYTES_MAX, WHAT, error);
}

bool vsm_approved_state(const char *bank,
                        guint32 mask,
                        GVariant *ay,
                        VsmTpmPcrs *ret,
                        GError **error)
{
    g_autoptr(GBytes) bytes =
        vsm_codec_get_bytes(ay, VSM_TPM_PCRS * VSM_DIGEST_BYTES, WHAT, error);

    return bytes && vsm_tpm_pcrs_unpack(vsm_tpm_bank_from_name(bank), mask,
                                        bytes, ret, error);
}

GArray *vsm_approved_decode(GBytes *bytes, GError **error)
{
    g_autoptr(GVariant) value = vsm_codec_decode(
        bytes, TYPE, MAGIC, VERSION, VSM_HOST_FILE_BYTES_MAX, WHAT, error);
    g_autoptr(GVariant) list = NULL;
    g_autoptr(GArray) states = g_array_new(FALSE, TRUE, sizeof(VsmApproved));

    if (!value) {
        return NULL;
    }
    list = g_variant_get_child_value(value, 2);
    if (g_variant_n_children(list) > VSM_TPM_STATES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    WHAT ": more than %u states", VSM_TPM_STATES_MAX);
        return NULL;
    }
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) ay = NULL;
        VsmApproved one;
        const char *bank;
        guint32 mask;

        g_variant_get_child(list, i, "(x&su@ay)", &one.time, &bank, &mask, &ay);
        if (!vsm_approved_state(bank, mask, ay, &one.pcrs, error)) {
            return NULL;
        }
        g_array_append_val(states, one);
    }
    return g_steal_pointer(&states);
}
