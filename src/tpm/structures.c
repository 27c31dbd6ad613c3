/*
 * TPM structures without a TPM: keys, Names, signatures, attestations.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/structures.h"

#include <string.h>
#include <vsm/error.h>
#include <tss2/tss2_mu.h>

#define KEY_ATTRIBUTES                                                         \
    (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |                          \
     TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |              \
     TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT)

/*
 * tpm2-tss writes every refused command and malformed structure to stderr.
 * They are our daily bread and are reported through GError, so its log is off
 * unless asked for.  Done when the library is loaded: later, setenv() could
 * race with getenv().  Stands here because whatever uses tpm2-tss uses this
 * file.
 */
__attribute__((constructor)) static void silence_tss_log(void)
{
    g_setenv("TSS2_LOG", "all+none", FALSE);
}

static bool format_error(GError **error, const char *what)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                "%s is not what a TPM makes for VSM", what);
    return false;
}

static bool tampered(GError **error, const char *what)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED, "%s", what);
    return false;
}

/* --- Names and public areas ------------------------------------------- */

static bool public_decode(GBytes *public_area, TPMT_PUBLIC *ret)
{
    gsize size, used = 0;
    const guint8 *data = g_bytes_get_data(public_area, &size);

    return Tss2_MU_TPMT_PUBLIC_Unmarshal(data, size, &used, ret) ==
               TSS2_RC_SUCCESS &&
           used == size;
}

bool vsm_tpm_public_name(GBytes *public_area, GBytes **ret, GError **error)
{
    TPMT_PUBLIC public;
    guint8 name[2 + 48];
    gsize hash_bytes, size;
    const guint8 *data = g_bytes_get_data(public_area, &size);
    g_autoptr(GChecksum) sum = NULL;

    if (!public_decode(public_area, &public)) {
        return format_error(error, "TPMT_PUBLIC");
    }
    hash_bytes = vsm_tpm_bank_bytes(public.nameAlg);
    if (hash_bytes == 0) {
        return format_error(error, "nameAlg of TPMT_PUBLIC");
    }
    sum = g_checksum_new(hash_bytes == 48 ? G_CHECKSUM_SHA384
                                          : G_CHECKSUM_SHA256);
    g_checksum_update(sum, data, size);
    name[0] = public.nameAlg >> 8;
    name[1] = public.nameAlg & 0xff;
    g_checksum_get_digest(sum, name + 2, &hash_bytes);
    *ret = g_bytes_new(name, 2 + hash_bytes);
    return true;
}

/* Copies a big-endian number into @bytes bytes; false when it is longer. */
static bool pad(const TPM2B_ECC_PARAMETER *number, guint bytes, guint8 *ret)
{
    if (number->size > bytes) {
        return false;
    }
    memset(ret, 0, bytes);
    memcpy(ret + bytes - number->size, number->buffer, number->size);
    return true;
}

static VsmTpmKeyKind key_kind(TPMA_OBJECT attributes)
{
    if (attributes == (KEY_ATTRIBUTES | TPMA_OBJECT_RESTRICTED)) {
        return VSM_TPM_KEY_AK;
    }
    return attributes == KEY_ATTRIBUTES ? VSM_TPM_KEY_RK : VSM_TPM_KEY_OTHER;
}

bool vsm_tpm_key_decode(GBytes *public_area, VsmTpmKey **ret, GError **error)
{
    g_autoptr(VsmTpmKey) key = g_new0(VsmTpmKey, 1);
    TPMT_PUBLIC public;
    const TPMS_ECC_PARMS *ecc = &public.parameters.eccDetail;
    const TPMT_ECC_SCHEME *scheme = &ecc->scheme;
    TPM2_ALG_ID hash;

    if (!public_decode(public_area, &public)) {
        return format_error(error, "TPMT_PUBLIC");
    }
    if (public.type != TPM2_ALG_ECC || (ecc->curveID != TPM2_ECC_NIST_P256 &&
                                        ecc->curveID != TPM2_ECC_NIST_P384)) {
        return format_error(error, "key type or curve of TPMT_PUBLIC");
    }
    key->bytes = ecc->curveID == TPM2_ECC_NIST_P384 ? 48 : 32;
    hash = key->bytes == 48 ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256;
    if (scheme->scheme != TPM2_ALG_ECDSA ||
        scheme->details.ecdsa.hashAlg != hash ||
        ecc->symmetric.algorithm != TPM2_ALG_NULL ||
        ecc->kdf.scheme != TPM2_ALG_NULL) {
        return format_error(error, "signature scheme of TPMT_PUBLIC");
    }
    if (!pad(&public.unique.ecc.x, key->bytes, key->x) ||
        !pad(&public.unique.ecc.y, key->bytes, key->y)) {
        return format_error(error, "point of TPMT_PUBLIC");
    }
    key->attributes = public.objectAttributes;
    /* An authPolicy would be a second way to use the key: none is ours. */
    if (public.authPolicy.size == 0) {
        key->kind = key_kind(public.objectAttributes);
    }
    if (!vsm_tpm_public_name(public_area, &key->name, error)) {
        return false;
    }
    *ret = g_steal_pointer(&key);
    return true;
}

void vsm_tpm_key_free(VsmTpmKey *key)
{
    if (key) {
        g_clear_pointer(&key->name, g_bytes_unref);
        g_free(key);
    }
}

GBytes *vsm_tpm_key_from_point(guint bytes, const guint8 *x, const guint8 *y)
{
    TPMT_PUBLIC public = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT,
        .parameters.eccDetail =
            {
                .symmetric.algorithm = TPM2_ALG_NULL,
                .scheme.scheme = TPM2_ALG_ECDSA,
                .scheme.details.ecdsa.hashAlg =
                    bytes == 48 ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256,
                .curveID =
                    bytes == 48 ? TPM2_ECC_NIST_P384 : TPM2_ECC_NIST_P256,
                .kdf.scheme = TPM2_ALG_NULL,
            },
        .unique.ecc = {.x.size = bytes, .y.size = bytes},
    };
    guint8 buffer[sizeof(public)];
    size_t used = 0;
    TSS2_RC rc;

    g_assert(bytes == 32 || bytes == 48);
    memcpy(public.unique.ecc.x.buffer, x, bytes);
    memcpy(public.unique.ecc.y.buffer, y, bytes);
    rc = Tss2_MU_TPMT_PUBLIC_Marshal(&public, buffer, sizeof(buffer), &used);
    g_assert(rc == TSS2_RC_SUCCESS);
    return g_bytes_new(buffer, used);
}

/* --- Signatures ------------------------------------------------------- */

bool vsm_tpm_signature_raw(GBytes *signature,
                           guint bytes,
                           GBytes **ret,
                           GError **error)
{
    TPMT_SIGNATURE decoded;
    const TPMS_SIGNATURE_ECDSA *ecdsa = &decoded.signature.ecdsa;
    gsize size, used = 0;
    const guint8 *data = g_bytes_get_data(signature, &size);
    TPM2_ALG_ID hash = bytes == 48 ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256;
    guint8 raw[2 * 48];

    g_assert(bytes == 32 || bytes == 48);
    if (Tss2_MU_TPMT_SIGNATURE_Unmarshal(data, size, &used, &decoded) !=
            TSS2_RC_SUCCESS ||
        used != size || decoded.sigAlg != TPM2_ALG_ECDSA ||
        ecdsa->hash != hash || !pad(&ecdsa->signatureR, bytes, raw) ||
        !pad(&ecdsa->signatureS, bytes, raw + bytes)) {
        return format_error(error, "TPMT_SIGNATURE");
    }
    *ret = g_bytes_new(raw, 2 * bytes);
    return true;
}

/* An INTEGER: no leading zeros but the one that keeps it positive. */
static void der_integer(GByteArray *der, const guint8 *number, gsize bytes)
{
    guint8 head[] = {0x02, 0, 0};
    bool sign;

    while (bytes > 1 && *number == 0) {
        number++;
        bytes--;
    }
    sign = *number & 0x80;
    head[1] = bytes + sign;
    g_byte_array_append(der, head, sign ? 3 : 2);
    g_byte_array_append(der, number, bytes);
}

GBytes *vsm_tpm_signature_der(GBytes *raw)
{
    GByteArray *der = g_byte_array_new();
    gsize size;
    const guint8 *data = g_bytes_get_data(raw, &size);
    guint8 head[] = {0x30, 0};

    g_assert(size == 64 || size == 96);
    der_integer(der, data, size / 2);
    der_integer(der, data + size / 2, size / 2);
    /* Two integers of 49 bytes and their heads: the short form is enough. */
    head[1] = der->len;
    g_byte_array_prepend(der, head, sizeof(head));
    return g_byte_array_free_to_bytes(der);
}

/* --- Attestations ----------------------------------------------------- */

/* Every sized buffer of the TPM starts with its size. */
#define BYTES_OF(b, field) g_bytes_new((b)->field, (b)->size)

static bool quote_decode(const TPMS_QUOTE_INFO *quote, VsmTpmAttest *ret)
{
    const TPMS_PCR_SELECTION *s = &quote->pcrSelect.pcrSelections[0];

    if (quote->pcrSelect.count != 1 || s->sizeofSelect != VSM_TPM_PCRS / 8 ||
        vsm_tpm_bank_bytes(s->hash) == 0) {
        return false;
    }
    ret->bank = s->hash;
    ret->pcrs = s->pcrSelect[0] | s->pcrSelect[1] << 8 | s->pcrSelect[2] << 16;
    ret->pcr_digest = BYTES_OF(&quote->pcrDigest, buffer);
    return true;
}

static bool attested_decode(const TPMS_ATTEST *attest, VsmTpmAttest *ret)
{
    const TPMS_NV_CERTIFY_INFO *nv = &attest->attested.nv;

    switch (attest->type) {
    case TPM2_ST_ATTEST_QUOTE:
        ret->kind = VSM_TPM_ATTEST_QUOTE;
        return quote_decode(&attest->attested.quote, ret);
    case TPM2_ST_ATTEST_NV:
        ret->kind = VSM_TPM_ATTEST_NV;
        ret->nv_name = BYTES_OF(&nv->indexName, name);
        ret->nv_contents = BYTES_OF(&nv->nvContents, buffer);
        ret->nv_offset = nv->offset;
        return true;
    case TPM2_ST_ATTEST_CERTIFY:
        ret->kind = VSM_TPM_ATTEST_CERTIFY;
        ret->certified_name = BYTES_OF(&attest->attested.certify.name, name);
        return true;
    default:
        return false;
    }
}

bool vsm_tpm_attest_decode(GBytes *attest,
                           VsmTpmAttestKind kind,
                           VsmTpmAttest **ret,
                           GError **error)
{
    g_autoptr(VsmTpmAttest) result = g_new0(VsmTpmAttest, 1);
    TPMS_ATTEST decoded;
    gsize size, used = 0;
    const guint8 *data = g_bytes_get_data(attest, &size);

    if (Tss2_MU_TPMS_ATTEST_Unmarshal(data, size, &used, &decoded) !=
            TSS2_RC_SUCCESS ||
        used != size || decoded.magic != TPM2_GENERATED_VALUE) {
        return format_error(error, "TPMS_ATTEST");
    }
    if (!attested_decode(&decoded, result) || result->kind != kind) {
        return format_error(error, "kind or contents of TPMS_ATTEST");
    }
    result->qualified_signer = BYTES_OF(&decoded.qualifiedSigner, name);
    result->extra_data = BYTES_OF(&decoded.extraData, buffer);
    result->clock_ms = decoded.clockInfo.clock;
    result->reset_count = decoded.clockInfo.resetCount;
    result->restart_count = decoded.clockInfo.restartCount;
    result->clock_safe = decoded.clockInfo.safe == TPM2_YES;
    result->firmware_version = decoded.firmwareVersion;
    *ret = g_steal_pointer(&result);
    return true;
}

void vsm_tpm_attest_free(VsmTpmAttest *attest)
{
    if (attest) {
        g_clear_pointer(&attest->qualified_signer, g_bytes_unref);
        g_clear_pointer(&attest->extra_data, g_bytes_unref);
        g_clear_pointer(&attest->pcr_digest, g_bytes_unref);
        g_clear_pointer(&attest->nv_name, g_bytes_unref);
        g_clear_pointer(&attest->nv_contents, g_bytes_unref);
        g_clear_pointer(&attest->certified_name, g_bytes_unref);
        g_free(attest);
    }
}

/* --- Checks of what was attested -------------------------------------- */

static bool holds(GBytes *bytes, const guint8 *expected, gsize expected_size)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    /* Nothing here is secret: digests of public values. */
    return size == expected_size && memcmp(data, expected, size) == 0;
}

static bool decode_with_extra(GBytes *attest,
                              VsmTpmAttestKind kind,
                              const VsmDigest *extra_data,
                              VsmTpmAttest **ret,
                              GError **error)
{
    g_autoptr(VsmTpmAttest) decoded = NULL;

    if (!vsm_tpm_attest_decode(attest, kind, &decoded, error)) {
        return false;
    }
    if (!holds(decoded->extra_data, extra_data->b, sizeof(extra_data->b))) {
        return tampered(error, "attestation was made for something else: its "
                               "extraData differs");
    }
    *ret = g_steal_pointer(&decoded);
    return true;
}

bool vsm_tpm_quote_check(GBytes *attest,
                         guint16 hash,
                         const VsmDigest *extra_data,
                         const VsmTpmPcrs *pcrs,
                         GError **error)
{
    g_autoptr(VsmTpmAttest) quote = NULL;
    guint8 digest[48];

    if (!decode_with_extra(attest, VSM_TPM_ATTEST_QUOTE, extra_data, &quote,
                           error)) {
        return false;
    }
    if (quote->bank != pcrs->bank || quote->pcrs != pcrs->mask) {
        return tampered(error, "quote covers other PCRs than stated");
    }
    vsm_tpm_pcrs_digest(pcrs, hash, digest);
    if (!holds(quote->pcr_digest, digest, vsm_tpm_bank_bytes(hash))) {
        return tampered(error, "PCR values are not the quoted ones");
    }
    return true;
}

bool vsm_tpm_nv_check(GBytes *attest,
                      GBytes *nv_name,
                      const VsmDigest *extra_data,
                      VsmDigest *ret_value,
                      GError **error)
{
    g_autoptr(VsmTpmAttest) nv = NULL;
    gsize size;
    const guint8 *value;

    if (!decode_with_extra(attest, VSM_TPM_ATTEST_NV, extra_data, &nv, error)) {
        return false;
    }
    if (!g_bytes_equal(nv->nv_name, nv_name)) {
        return tampered(error, "attestation is of another NV index");
    }
    value = g_bytes_get_data(nv->nv_contents, &size);
    if (nv->nv_offset != 0 || size != sizeof(ret_value->b)) {
        return tampered(error, "attestation covers a part of the NV index");
    }
    memcpy(ret_value->b, value, size);
    return true;
}

bool vsm_tpm_certify_check(GBytes *attest,
                           GBytes *name,
                           const VsmDigest *extra_data,
                           GError **error)
{
    g_autoptr(VsmTpmAttest) certify = NULL;

    if (!decode_with_extra(attest, VSM_TPM_ATTEST_CERTIFY, extra_data, &certify,
                           error)) {
        return false;
    }
    if (!g_bytes_equal(certify->certified_name, name)) {
        return tampered(error, "attestation is of another key");
    }
    return true;
}
