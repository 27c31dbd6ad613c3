/*
 * PCR values and what is computed from them: policy digests, PCR 23.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/pcrs.h"

#include <string.h>
#include <vsm/error.h>
#include <tss2/tss2_tpm2_types.h>

/* TPMS_PCR_SELECTION.sizeofSelect: three bytes hold 24 PCRs. */
#define SELECT_BYTES (VSM_TPM_PCRS / 8)

static GChecksum *hash_new(guint16 hash)
{
    return g_checksum_new(hash == VSM_TPM_BANK_SHA384 ? G_CHECKSUM_SHA384
                                                      : G_CHECKSUM_SHA256);
}

static void hash_end(GChecksum *sum, guint8 *ret, gsize bytes)
{
    g_checksum_get_digest(sum, ret, &bytes);
}

static void hash_u32(GChecksum *sum, guint32 value)
{
    guint32 be = GUINT32_TO_BE(value);

    g_checksum_update(sum, (const guint8 *)&be, sizeof(be));
}

static void hash_bytes(GChecksum *sum, GBytes *bytes)
{
    gsize n;
    const guint8 *data = g_bytes_get_data(bytes, &n);

    g_checksum_update(sum, data, n);
}

gsize vsm_tpm_bank_bytes(guint16 bank)
{
    switch (bank) {
    case VSM_TPM_BANK_SHA256:
        return 32;
    case VSM_TPM_BANK_SHA384:
        return 48;
    default:
        return 0;
    }
}

const char *vsm_tpm_bank_name(guint16 bank)
{
    switch (bank) {
    case VSM_TPM_BANK_SHA256:
        return "sha256";
    case VSM_TPM_BANK_SHA384:
        return "sha384";
    default:
        return NULL;
    }
}

guint16 vsm_tpm_bank_from_name(const char *name)
{
    if (g_strcmp0(name, "sha256") == 0) {
        return VSM_TPM_BANK_SHA256;
    }
    return g_strcmp0(name, "sha384") == 0 ? VSM_TPM_BANK_SHA384 : 0;
}

static bool has_pcr(const VsmTpmPcrs *pcrs, guint pcr)
{
    return pcrs->mask & (1u << pcr);
}

GBytes *vsm_tpm_pcrs_pack(const VsmTpmPcrs *pcrs)
{
    GByteArray *packed = g_byte_array_new();

    for (guint pcr = 0; pcr < VSM_TPM_PCRS; pcr++) {
        if (has_pcr(pcrs, pcr)) {
            g_byte_array_append(packed, pcrs->value[pcr],
                                vsm_tpm_bank_bytes(pcrs->bank));
        }
    }
    return g_byte_array_free_to_bytes(packed);
}

bool vsm_tpm_pcrs_unpack(
    guint16 bank, guint32 mask, GBytes *values, VsmTpmPcrs *ret, GError **error)
{
    VsmTpmPcrs pcrs = {.bank = bank, .mask = mask};
    gsize size = vsm_tpm_bank_bytes(bank);
    gsize n_bytes;
    const guint8 *next = g_bytes_get_data(values, &n_bytes);

    if (size == 0 || mask >> VSM_TPM_PCRS ||
        n_bytes != size * __builtin_popcount(mask)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "PCR values: %zu bytes do not fit mask 0x%x of bank 0x%x",
                    n_bytes, mask, bank);
        return false;
    }
    for (guint pcr = 0; pcr < VSM_TPM_PCRS; pcr++) {
        if (has_pcr(&pcrs, pcr)) {
            memcpy(pcrs.value[pcr], next, size);
            next += size;
        }
    }
    *ret = pcrs;
    return true;
}

guint32 vsm_tpm_pcrs_with_value(const VsmTpmPcrs *pcrs, guint32 mask)
{
    static const guint8 zero[sizeof(pcrs->value[0])];
    guint32 found = 0;

    for (guint pcr = 0; pcr < VSM_TPM_PCRS; pcr++) {
        if (mask & 1u << pcr && has_pcr(pcrs, pcr) &&
            memcmp(pcrs->value[pcr], zero, vsm_tpm_bank_bytes(pcrs->bank))) {
            found |= 1u << pcr;
        }
    }
    return found;
}

bool vsm_tpm_pcrs_zero(const VsmTpmPcrs *pcrs)
{
    return vsm_tpm_pcrs_with_value(pcrs, VSM_TPM_FIRMWARE_MASK) == 0;
}

char *vsm_tpm_pcrs_differ(const VsmTpmPcrs *a, const VsmTpmPcrs *b)
{
    g_autoptr(GString) text = g_string_new("PCR");
    guint found = 0;

    if (a->bank != b->bank || a->mask != b->mask) {
        return g_strdup_printf("PCR selection %s:0x%x, not %s:0x%x",
                               vsm_tpm_bank_name(a->bank) ?: "?", a->mask,
                               vsm_tpm_bank_name(b->bank) ?: "?", b->mask);
    }
    for (guint pcr = 0; pcr < VSM_TPM_PCRS; pcr++) {
        if (has_pcr(a, pcr) &&
            memcmp(a->value[pcr], b->value[pcr], vsm_tpm_bank_bytes(a->bank))) {
            g_string_append_printf(text, found++ ? ", %u" : " %u", pcr);
        }
    }
    if (found == 0) {
        return NULL;
    }
    g_string_append_printf(text, " (%s)", vsm_tpm_bank_name(a->bank));
    return g_strdup(text->str);
}

guint vsm_tpm_pcrs_distance(const VsmTpmPcrs *a, const VsmTpmPcrs *b)
{
    guint n = 0;

    if (a->bank != b->bank || a->mask != b->mask) {
        return VSM_TPM_PCRS;
    }
    for (guint pcr = 0; pcr < VSM_TPM_PCRS; pcr++) {
        n += has_pcr(a, pcr) &&
             memcmp(a->value[pcr], b->value[pcr], vsm_tpm_bank_bytes(a->bank));
    }
    return n;
}

/* As many bytes of a value as tell two apart for a reader. */
#define SHOWN_BYTES 8

static void append_hex(GString *text, const guint8 *value)
{
    for (guint i = 0; i < SHOWN_BYTES; i++) {
        g_string_append_printf(text, "%02x", value[i]);
    }
    g_string_append(text, "...");
}

char *vsm_tpm_pcrs_changes(const VsmTpmPcrs *was, const VsmTpmPcrs *is)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (was->bank != is->bank || was->mask != is->mask) {
        return vsm_tpm_pcrs_differ(is, was);
    }
    for (guint pcr = 0; pcr < VSM_TPM_PCRS; pcr++) {
        if (!has_pcr(was, pcr) || !memcmp(was->value[pcr], is->value[pcr],
                                          vsm_tpm_bank_bytes(was->bank))) {
            continue;
        }
        g_string_append_printf(text, "%sPCR %u (%s): was ",
                               text->len ? "; " : "", pcr,
                               vsm_tpm_bank_name(was->bank));
        append_hex(text, was->value[pcr]);
        g_string_append(text, ", is ");
        append_hex(text, is->value[pcr]);
    }
    return text->len ? g_strdup(text->str) : NULL;
}

void vsm_tpm_pcrs_digest(const VsmTpmPcrs *pcrs, guint16 hash, guint8 *ret)
{
    g_autoptr(GChecksum) sum = hash_new(hash);
    g_autoptr(GBytes) packed = vsm_tpm_pcrs_pack(pcrs);

    hash_bytes(sum, packed);
    hash_end(sum, ret, vsm_tpm_bank_bytes(hash));
}

void vsm_tpm_pcr_event(guint16 bank, const VsmDigest *digest, guint8 *ret)
{
    if (bank == VSM_TPM_BANK_SHA384) {
        memcpy(ret, digest->b, sizeof(digest->b));
    } else {
        g_autoptr(GChecksum) sum = hash_new(bank);

        g_checksum_update(sum, digest->b, sizeof(digest->b));
        hash_end(sum, ret, vsm_tpm_bank_bytes(bank));
    }
}

void vsm_tpm_pcr_vm(VsmTpmPcrs *pcrs,
                    const VsmDigest *hypervisor,
                    const VsmDigest *config)
{
    const VsmDigest *events[] = {hypervisor, config};
    gsize size = vsm_tpm_bank_bytes(pcrs->bank);
    guint8 *value = pcrs->value[VSM_TPM_PCR_VM];

    memset(value, 0, sizeof(pcrs->value[0]));
    for (guint i = 0; i < G_N_ELEMENTS(events); i++) {
        g_autoptr(GChecksum) sum = hash_new(pcrs->bank);
        guint8 event[48];

        vsm_tpm_pcr_event(pcrs->bank, events[i], event);
        g_checksum_update(sum, value, size);
        g_checksum_update(sum, event, size);
        hash_end(sum, value, size);
    }
    pcrs->mask |= 1u << VSM_TPM_PCR_VM;
}

/* Each assertion: new = SHA-256(old || command code || its arguments). */
static GChecksum *policy_begin(const VsmTpmPolicy *policy, guint32 command)
{
    GChecksum *sum = hash_new(VSM_TPM_BANK_SHA256);

    g_checksum_update(sum, policy->b, sizeof(policy->b));
    hash_u32(sum, command);
    return sum;
}

void vsm_tpm_policy_pcr(VsmTpmPolicy *policy, const VsmTpmPcrs *pcrs)
{
    g_autoptr(GChecksum) sum = policy_begin(policy, TPM2_CC_PolicyPCR);
    const guint8 selection[] = {
        pcrs->bank >> 8,   pcrs->bank & 0xff,      SELECT_BYTES,
        pcrs->mask & 0xff, pcrs->mask >> 8 & 0xff, pcrs->mask >> 16 & 0xff,
    };
    guint8 values[VSM_TPM_POLICY_BYTES];

    vsm_tpm_pcrs_digest(pcrs, VSM_TPM_BANK_SHA256, values);
    hash_u32(sum, 1); /* TPML_PCR_SELECTION.count */
    g_checksum_update(sum, selection, sizeof(selection));
    g_checksum_update(sum, values, sizeof(values));
    hash_end(sum, policy->b, sizeof(policy->b));
}

void vsm_tpm_policy_auth_value(VsmTpmPolicy *policy)
{
    g_autoptr(GChecksum) sum = policy_begin(policy, TPM2_CC_PolicyAuthValue);

    hash_end(sum, policy->b, sizeof(policy->b));
}

void vsm_tpm_policy_authorize_nv(VsmTpmPolicy *policy, GBytes *nv_name)
{
    VsmTpmPolicy empty = {0};
    g_autoptr(GChecksum) sum = policy_begin(&empty, TPM2_CC_PolicyAuthorizeNV);

    hash_bytes(sum, nv_name);
    hash_end(sum, policy->b, sizeof(policy->b));
}

void vsm_tpm_policy_signed(VsmTpmPolicy *policy,
                           GBytes *key_name,
                           GBytes *policy_ref)
{
    g_autoptr(GChecksum) sum = policy_begin(policy, TPM2_CC_PolicySigned);
    g_autoptr(GChecksum) ref = hash_new(VSM_TPM_BANK_SHA256);

    hash_bytes(sum, key_name);
    hash_end(sum, policy->b, sizeof(policy->b));
    /* policyRef is hashed in a second step, also when it is empty. */
    g_checksum_update(ref, policy->b, sizeof(policy->b));
    if (policy_ref) {
        hash_bytes(ref, policy_ref);
    }
    hash_end(ref, policy->b, sizeof(policy->b));
}

void vsm_tpm_policy_boot(const VsmTpmPcrs *boot, VsmTpmPolicy *ret)
{
    *ret = (VsmTpmPolicy){0};
    vsm_tpm_policy_pcr(ret, boot);
}

void vsm_tpm_policy_states(const VsmTpmPcrs *states, guint n, VsmTpmPolicy *ret)
{
    static const char none[] = "VSM-NO-BOOT-STATE-1";
    VsmTpmPolicy policy = {0};
    g_autoptr(GChecksum) sum = NULL;

    g_assert(n <= VSM_TPM_STATES_MAX);
    if (n == 1) {
        vsm_tpm_policy_boot(states, ret);
        return;
    }
    if (n == 0) {
        sum = hash_new(VSM_TPM_BANK_SHA256);
        g_checksum_update(sum, (const guint8 *)none, sizeof(none) - 1);
    } else {
        /* PolicyOR begins anew: zero bytes, command, all branches. */
        sum = policy_begin(&policy, TPM2_CC_PolicyOR);
        for (guint i = 0; i < n; i++) {
            vsm_tpm_policy_boot(&states[i], &policy);
            g_checksum_update(sum, policy.b, sizeof(policy.b));
        }
    }
    hash_end(sum, ret->b, sizeof(ret->b));
}

static void hash_u16(GChecksum *sum, guint16 value)
{
    guint16 be = GUINT16_TO_BE(value);

    g_checksum_update(sum, (const guint8 *)&be, sizeof(be));
}

void vsm_tpm_approval_hash(GBytes *index_name,
                           GBytes *contents,
                           guint8 ret[VSM_TPM_POLICY_BYTES])
{
    g_autoptr(GChecksum) sum = hash_new(VSM_TPM_BANK_SHA256);

    hash_u32(sum, TPM2_CC_NV_Write);
    hash_bytes(sum, index_name); /* authHandle: the index itself */
    hash_bytes(sum, index_name);
    hash_u16(sum, g_bytes_get_size(contents)); /* TPM2B_MAX_NV_BUFFER */
    hash_bytes(sum, contents);
    hash_u16(sum, 0); /* offset */
    hash_end(sum, ret, VSM_TPM_POLICY_BYTES);
}

GBytes *vsm_tpm_approval_ref(const char *host_id)
{
    static const char label[] = "VSM-APPROVAL-1";
    g_autoptr(GChecksum) sum = hash_new(VSM_TPM_BANK_SHA256);
    guint8 ref[VSM_TPM_POLICY_BYTES];

    hash_u16(sum, sizeof(label) - 1);
    g_checksum_update(sum, (const guint8 *)label, sizeof(label) - 1);
    hash_u16(sum, strlen(host_id));
    g_checksum_update(sum, (const guint8 *)host_id, strlen(host_id));
    hash_end(sum, ref, sizeof(ref));
    return g_bytes_new(ref, sizeof(ref));
}

void vsm_tpm_policy_sealed(const VsmTpmPcrs *boot,
                           GBytes *boot_index_name,
                           const VsmTpmPcrs *vm,
                           VsmTpmPolicy *ret)
{
    VsmTpmPolicy policy = {0};

    if (boot_index_name) {
        vsm_tpm_policy_authorize_nv(&policy, boot_index_name);
    } else {
        vsm_tpm_policy_pcr(&policy, boot);
    }
    vsm_tpm_policy_pcr(&policy, vm);
    vsm_tpm_policy_auth_value(&policy);
    *ret = policy;
}

GBytes *vsm_tpm_policy_to_index(const VsmTpmPolicy *policy)
{
    guint8 contents[2 + VSM_TPM_POLICY_BYTES] = {TPM2_ALG_SHA256 >> 8,
                                                 TPM2_ALG_SHA256 & 0xff};

    memcpy(contents + 2, policy->b, sizeof(policy->b));
    return g_bytes_new(contents, sizeof(contents));
}

void vsm_tpm_commit_next(const VsmDigest *before,
                         const VsmDigest *body,
                         VsmDigest *ret)
{
    g_autoptr(GChecksum) sum = hash_new(VSM_TPM_BANK_SHA384);

    g_checksum_update(sum, before->b, sizeof(before->b));
    g_checksum_update(sum, body->b, sizeof(body->b));
    hash_end(sum, ret->b, sizeof(ret->b));
}
