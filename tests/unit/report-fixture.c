/*
 * A host made of software keys that writes sound reports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report-fixture.h"

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#include "crypto/hash.h"
#include "crypto/keys.h"
#include "report/binding.h"
#include "report/json.h"
#include "report/jwk.h"
#include "report/trust.h"

#define RK_ATTRIBUTES                                                          \
    (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |                          \
     TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |              \
     TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT)

static void coordinate(EVP_PKEY *key,
                       const char *name,
                       guint bytes,
                       TPM2B_ECC_PARAMETER *ret)
{
    BIGNUM *number = NULL;

    g_assert_cmpint(EVP_PKEY_get_bn_param(key, name, &number), ==, 1);
    ret->size = bytes;
    g_assert_cmpint(BN_bn2binpad(number, ret->buffer, bytes), ==, bytes);
    BN_free(number);
}

GBytes *fixture_public(EVP_PKEY *key, guint bytes, guint32 attributes)
{
    TPMT_PUBLIC area = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = attributes,
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
    };
    guint8 out[512];
    size_t used = 0;

    coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, bytes, &area.unique.ecc.x);
    coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, bytes, &area.unique.ecc.y);
    g_assert_cmpuint(
        Tss2_MU_TPMT_PUBLIC_Marshal(&area, out, sizeof(out), &used), ==, 0);
    return g_bytes_new(out, used);
}

GBytes *fixture_sign(GBytes *digest, gpointer key, GError **error)
{
    g_autoptr(GBytes) der = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    guint8 out[256];
    size_t size = sizeof(out);
    gsize digest_size;
    const guint8 *data = g_bytes_get_data(digest, &digest_size);

    g_assert_cmpint(EVP_PKEY_sign_init(ctx), ==, 1);
    g_assert_cmpint(EVP_PKEY_sign(ctx, out, &size, data, digest_size), ==, 1);
    EVP_PKEY_CTX_free(ctx);
    return vsm_ecdsa_der_to_raw(
        digest_size == 48 ? VSM_CURVE_P384 : VSM_CURVE_P256, out, size, error);
}

GBytes *fixture_tpm_sign(EVP_PKEY *key, guint bytes, GBytes *message)
{
    TPMT_SIGNATURE signature = {
        .sigAlg = TPM2_ALG_ECDSA,
        .signature.ecdsa.hash = bytes == 48 ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256,
    };
    TPMS_SIGNATURE_ECC *ecc = &signature.signature.ecdsa;
    g_autoptr(GBytes) digest = NULL, raw = NULL;
    guint8 hash[48], out[512];
    size_t used = 0;
    gsize size;
    const guint8 *data = g_bytes_get_data(message, &size);

    g_assert_true(vsm_hash(bytes == 48 ? VSM_HASH_SHA384 : VSM_HASH_SHA256,
                           data, size, hash, NULL));
    digest = g_bytes_new(hash, bytes);
    raw = fixture_sign(digest, key, NULL);
    g_assert_nonnull(raw);
    data = g_bytes_get_data(raw, NULL);
    ecc->signatureR.size = ecc->signatureS.size = bytes;
    memcpy(ecc->signatureR.buffer, data, bytes);
    memcpy(ecc->signatureS.buffer, data + bytes, bytes);
    g_assert_cmpuint(
        Tss2_MU_TPMT_SIGNATURE_Marshal(&signature, out, sizeof(out), &used), ==,
        0);
    return g_bytes_new(out, used);
}

GBytes *
fixture_attest(guint bytes, const VsmDigest *extra, const VsmTpmPcrs *pcrs)
{
    TPMS_ATTEST attest = {
        .magic = TPM2_GENERATED_VALUE,
        .type = TPM2_ST_ATTEST_QUOTE,
        .qualifiedSigner.size = 34,
        .extraData.size = sizeof(extra->b),
        .attested.quote.pcrSelect.count = 1,
        .attested.quote.pcrDigest.size = bytes,
    };
    TPMS_PCR_SELECTION *select =
        &attest.attested.quote.pcrSelect.pcrSelections[0];
    guint8 out[1024];
    size_t used = 0;

    memcpy(attest.extraData.buffer, extra->b, sizeof(extra->b));
    select->hash = pcrs->bank;
    select->sizeofSelect = 3;
    for (guint i = 0; i < 3; i++) {
        select->pcrSelect[i] = pcrs->mask >> 8 * i & 0xff;
    }
    vsm_tpm_pcrs_digest(pcrs,
                        bytes == 48 ? VSM_TPM_BANK_SHA384 : VSM_TPM_BANK_SHA256,
                        attest.attested.quote.pcrDigest.buffer);
    g_assert_cmpuint(
        Tss2_MU_TPMS_ATTEST_Marshal(&attest, out, sizeof(out), &used), ==, 0);
    return g_bytes_new(out, used);
}

void fixture_pcr23(Fixture *fixture)
{
    VsmDigest config;

    g_assert_true(vsm_sha384(fixture->vm.config, strlen(fixture->vm.config),
                             &config, NULL));
    fixture->pcrs = fixture->boot;
    vsm_tpm_pcr_vm(&fixture->pcrs, &fixture->hypervisor, &config);
}

void fixture_quote(Fixture *fixture)
{
    const VsmClaimsInput *in = &fixture->claims;
    VsmRequestText request = {
        .op = in->op,
        .asked = in->asked,
        .scope = in->scope,
        .profile = in->profile,
        .recipient = in->recipient,
        .vm_uuid = in->vm->uuid,
    };
    g_autoptr(GError) error = NULL;
    VsmDigest extra;

    vsm_binding_quote(in->nonce, fixture->rk_key->name, in->record->sealed_name,
                      &request, &extra, &error);
    g_assert_no_error(error);
    g_clear_pointer(&fixture->claims.quote_attest, g_bytes_unref);
    g_clear_pointer(&fixture->claims.quote_signature, g_bytes_unref);
    fixture->claims.quote_attest =
        fixture_attest(fixture->bytes, &extra, &fixture->pcrs);
    fixture->claims.quote_signature = fixture_tpm_sign(
        fixture->ak, fixture->bytes, fixture->claims.quote_attest);
}

char *fixture_claims(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    char *json = NULL;

    vsm_claims_build(&fixture->claims, &json, &error);
    g_assert_no_error(error);
    return json;
}

char *fixture_jws(Fixture *fixture, const char *payload)
{
    g_autoptr(GError) error = NULL;
    char *jws = NULL;

    vsm_jws_sign(payload, fixture->rk_jwk, fixture_sign, fixture->rk, &jws,
                 &error);
    g_assert_no_error(error);
    return jws;
}

char *fixture_report(Fixture *fixture)
{
    g_autofree char *json = NULL;

    fixture_pcr23(fixture);
    fixture_quote(fixture);
    json = fixture_claims(fixture);
    return fixture_jws(fixture, json);
}

char *fixture_trust_json(Fixture *fixture)
{
    VsmTrustInput in = {
        .host_id = fixture->claims.host_id,
        .attester = "in-process",
        .ak_public = fixture->ak_public,
        .rk_public = fixture->rk_public,
        .pcrs = &fixture->boot,
        .boot_policy = "frozen",
    };
    g_autoptr(GError) error = NULL;
    char *json = NULL;

    vsm_trust_build(&in, &json, &error);
    g_assert_no_error(error);
    return json;
}

char *fixture_allow_in_process(const char *trust_json)
{
    json_auto_t *file = json_loads(trust_json, 0, NULL);

    json_object_set_new(json_array_get(json_object_get(file, "hosts"), 0),
                        "allow_in_process", json_true());
    return vsm_json_dump(file);
}

VsmTrust *fixture_trust(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *plain = fixture_trust_json(fixture);
    g_autofree char *json = fixture_allow_in_process(plain);
    VsmTrust *trust = vsm_trust_load(json, &error);

    g_assert_no_error(error);
    return trust;
}

static void make_keys(Fixture *fixture)
{
    const char *curve = fixture->bytes == 48 ? "P-384" : "P-256";
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmKey) key = NULL;

    fixture->ak = EVP_EC_gen(curve);
    fixture->rk = EVP_EC_gen(curve);
    fixture->ak_public = fixture_public(fixture->ak, fixture->bytes,
                                        RK_ATTRIBUTES | TPMA_OBJECT_RESTRICTED);
    fixture->rk_public =
        fixture_public(fixture->rk, fixture->bytes, RK_ATTRIBUTES);
    vsm_tpm_key_decode(fixture->ak_public, &fixture->ak_key, &error);
    g_assert_no_error(error);
    vsm_tpm_key_decode(fixture->rk_public, &fixture->rk_key, &error);
    g_assert_no_error(error);
    key = vsm_key_new(fixture->bytes == 48 ? VSM_CURVE_P384 : VSM_CURVE_P256,
                      fixture->rk_key->x, fixture->bytes, fixture->rk_key->y,
                      fixture->bytes, &error);
    g_assert_no_error(error);
    fixture->rk_jwk = vsm_jwk_from_key(key);
}

static void fill_digest(VsmDigest *digest, guint8 value)
{
    memset(digest->b, value, sizeof(digest->b));
}

static void make_record(Fixture *fixture)
{
    VsmRecord *record = &fixture->record;
    guint8 name[34] = {0x00, 0x0b};

    record->id = g_strdup(FIXTURE_ID);
    record->tag = g_strdup("clean");
    record->time = FIXTURE_NOW - 3600;
    fill_digest(&record->state, 0x11);
    fill_digest(&record->stream, 0x22);
    fill_digest(&record->metadata, 0x33);
    fill_digest(&record->commit, 0x44);
    memset(name + 2, 0x55, 32);
    record->ssk_name = g_bytes_new(name, sizeof(name));
    memset(name + 2, 0x66, 32);
    record->sealed_name = g_bytes_new(name, sizeof(name));
}

static void make_claims(Fixture *fixture)
{
    static const guint8 nonce[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                     8, 9, 10, 11, 12, 13, 14, 15};

    fixture->claims = (VsmClaimsInput){
        .op = "attest",
        .asked = "tag:clean",
        .scope = "full",
        .profile = "",
        .recipient = "",
        .nonce = g_bytes_new(nonce, sizeof(nonce)),
        .iat = FIXTURE_NOW,
        .host_id = "0123456789abcdef0123456789abcdef",
        .attester = "in-process",
        .hypervisor_measured_by = "self",
        .state_measured_by = "self",
        .vm = &fixture->vm,
        .record = &fixture->record,
        .verdict = &fixture->verdict,
        .measured = &fixture->measured,
        .hypervisor = &fixture->hypervisor,
        .hypervisor_measured = true,
        .boot_policy = "frozen",
        .pcrs = &fixture->pcrs,
    };
    fixture->expected = (VsmExpectation){
        .nonce = fixture->claims.nonce,
        .op = "attest",
        .snapshot = "tag:clean",
        .scope = "full",
        .vm_uuid = FIXTURE_UUID,
        .recipient = "",
    };
}

Fixture *fixture_new(guint bytes)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->bytes = bytes;
    make_keys(fixture);
    fixture->vm = (VsmVm){
        .uuid = FIXTURE_UUID,
        .name = "vm1",
        .version = "10.0.13",
        .config = "machine: pc-q35-10.0\nram: 268435456\n",
        .require_sealed = true,
    };
    make_record(fixture);
    fixture->verdict.result = VSM_RESULT_MATCH;
    fixture->verdict.unsealed = true;
    fixture->verdict.measured = fixture->record.state;
    fixture->verdict.findings =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_finding_free);
    fixture->verdict.host_clock = g_ptr_array_new_with_free_func(g_free);
    fixture->verdict.accepted = g_ptr_array_new_with_free_func(g_free);
    fixture->measured.bytes_hashed = 268435456;
    fixture->measured.pause_ms = 212;
    fill_digest(&fixture->hypervisor, 0x77);
    fixture->boot.bank = VSM_TPM_BANK_SHA384;
    fixture->boot.mask = 0xff;
    for (guint i = 0; i < 8; i++) {
        memset(fixture->boot.value[i], 0x80 + i, 48);
    }
    make_claims(fixture);
    fixture_pcr23(fixture);
    return fixture;
}

void fixture_free(Fixture *fixture)
{
    EVP_PKEY_free(fixture->ak);
    EVP_PKEY_free(fixture->rk);
    g_bytes_unref(fixture->ak_public);
    g_bytes_unref(fixture->rk_public);
    vsm_tpm_key_free(fixture->ak_key);
    vsm_tpm_key_free(fixture->rk_key);
    g_free(fixture->rk_jwk);
    g_free(fixture->record.id);
    g_free(fixture->record.tag);
    g_bytes_unref(fixture->record.ssk_name);
    g_bytes_unref(fixture->record.sealed_name);
    g_ptr_array_unref(fixture->verdict.findings);
    g_ptr_array_unref(fixture->verdict.host_clock);
    g_ptr_array_unref(fixture->verdict.accepted);
    g_bytes_unref(fixture->claims.nonce);
    g_clear_pointer(&fixture->claims.quote_attest, g_bytes_unref);
    g_clear_pointer(&fixture->claims.quote_signature, g_bytes_unref);
    g_free(fixture);
}
