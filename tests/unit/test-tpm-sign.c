/*
 * What AK and RK sign holds before tpm2-tools and OpenSSL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm-fixture.h"

#include <string.h>
#include "crypto/keys.h"

static VsmKey *public_key(GBytes *public_area)
{
    g_autoptr(VsmTpmKey) key = NULL;
    g_autoptr(GError) error = NULL;
    VsmKey *made;

    g_assert_true(vsm_tpm_key_decode(public_area, &key, &error));
    g_assert_no_error(error);
    made = vsm_key_new(key->bytes == 48 ? VSM_CURVE_P384 : VSM_CURVE_P256,
                       key->x, key->bytes, key->y, key->bytes, &error);
    g_assert_no_error(error);
    return made;
}

static bool verifies(GBytes *public_area, const VsmTpmEvidence *evidence)
{
    g_autoptr(VsmKey) key = public_key(public_area);
    g_autoptr(GBytes) raw = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_tpm_signature_raw(evidence->signature, 48, &raw, &error));
    g_assert_no_error(error);
    return vsm_key_verify(
        key, VSM_HASH_SHA384, g_bytes_get_data(evidence->attest, NULL),
        g_bytes_get_size(evidence->attest), g_bytes_get_data(raw, NULL),
        g_bytes_get_size(raw), NULL);
}

/* The PCR file of `tpm2_quote -o`: the C structures as they lie in memory. */
static void put_pcr_file(Swtpm *swtpm, const VsmTpmPcrs *pcrs)
{
    GByteArray *file = g_byte_array_new();
    TPML_PCR_SELECTION selection = vsm_tpm_selection(pcrs->bank, pcrs->mask);
    TPML_DIGEST lists[3] = {0};
    guint32 n = 0;
    guint32 count;
    g_autoptr(GBytes) bytes = NULL;

    for (guint pcr = 0; pcr < VSM_TPM_PCRS; pcr++) {
        if (pcrs->mask & 1u << pcr) {
            TPML_DIGEST *list = &lists[n++ / 8];
            TPM2B_DIGEST *digest = &list->digests[list->count++];

            digest->size = vsm_tpm_bank_bytes(pcrs->bank);
            memcpy(digest->buffer, pcrs->value[pcr], digest->size);
        }
    }
    count = (n + 7) / 8;
    g_byte_array_append(file, (guint8 *)&selection, sizeof(selection));
    g_byte_array_append(file, (guint8 *)&count, sizeof(count));
    g_byte_array_append(file, (guint8 *)lists, count * sizeof(lists[0]));
    bytes = g_byte_array_free_to_bytes(file);
    swtpm_put(swtpm, "quote.pcrs", bytes);
}

static void put_pem(Swtpm *swtpm, const char *name, GBytes *public_area)
{
    g_autoptr(VsmKey) key = public_key(public_area);
    char *pem = vsm_key_pem(key, NULL);
    g_autoptr(GBytes) bytes = g_bytes_new_take(pem, strlen(pem));

    swtpm_put(swtpm, name, bytes);
}

static char *checkquote(const VsmDigest *extra, const char *pem)
{
    g_autofree char *hex = vsm_digest_hex(extra);

    return g_strdup_printf("tpm2_checkquote -u %s -m quote.attest -s quote.sig "
                           "-f quote.pcrs -g sha384 -q %s",
                           pem, hex);
}

static void test_quote_of_an_attest_passes_tpm2_checkquote(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmTpmBinding binding = host_binding(host);
    VsmTpmPcrs pcrs = binding.boot;
    VsmDigest digest = digest_of("digest");
    VsmDigest extra = digest_of("nonce and names");
    VsmDigest other = digest_of("another nonce");
    g_auto(VsmTpmObject) ssk = {0};
    g_auto(VsmTpmObject) sealed = {0};
    g_auto(VsmTpmEvidence) quote = {0};
    g_autofree char *good = checkquote(&extra, "ak.pem");
    g_autofree char *bad_nonce = checkquote(&other, "ak.pem");
    g_autofree char *bad_key = checkquote(&extra, "rk.pem");
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_tpm_ssk_create(host->tpm, &ssk, NULL));
    g_assert_true(
        vsm_tpm_seal(host->tpm, &ssk, &binding, &digest, &sealed, NULL));
    g_assert_true(vsm_tpm_unseal(host->tpm, &ssk, &sealed, &binding, &extra,
                                 &digest, &quote, &error));
    g_assert_no_error(error);

    swtpm_put(host->swtpm, "quote.attest", quote.attest);
    swtpm_put(host->swtpm, "quote.sig", quote.signature);
    put_pem(host->swtpm, "ak.pem", host->keys->ak_public);
    put_pem(host->swtpm, "rk.pem", host->keys->rk_public);
    vsm_tpm_pcr_vm(&pcrs, &binding.hypervisor, &binding.config);
    put_pcr_file(host->swtpm, &pcrs);
    g_free(swtpm_tool(host->swtpm, good));
    g_assert_cmpint(swtpm_try(host->swtpm, bad_nonce), !=, 0);
    g_assert_cmpint(swtpm_try(host->swtpm, bad_key), !=, 0);
    pcrs.value[23][0] ^= 1;
    put_pcr_file(host->swtpm, &pcrs);
    g_assert_cmpint(swtpm_try(host->swtpm, good), !=, 0);

    g_assert_true(verifies(host->keys->ak_public, &quote));
    g_assert_false(verifies(host->keys->rk_public, &quote));
}

static void test_rk_is_certified_by_the_ak(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest extra = digest_of("enrolment");
    g_auto(VsmTpmEvidence) certify = {0};
    const VsmTpmEvidence at_setup = {host->keys->rk_attest,
                                     host->keys->rk_signature};
    g_autoptr(GError) error = NULL;

    g_assert_true(verifies(host->keys->ak_public, &at_setup));
    g_assert_true(vsm_tpm_certify_rk(host->tpm, &extra, &certify, &error));
    g_assert_no_error(error);
    g_assert_true(verifies(host->keys->ak_public, &certify));
    g_assert_true(vsm_tpm_certify_check(certify.attest, host->keys->rk_name,
                                        &extra, &error));
    g_assert_no_error(error);
    g_assert_false(vsm_tpm_certify_check(certify.attest, host->keys->ak_name,
                                         &extra, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
}

static void test_rk_signs_reports(void)
{
    static const char text[] = "header.payload";
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(VsmKey) rk = public_key(host->keys->rk_public);
    VsmDigest digest = digest_of(text);
    g_autoptr(GBytes) bytes = g_bytes_new(digest.b, sizeof(digest.b));
    g_autoptr(GBytes) cut = g_bytes_new(digest.b, 32);
    g_autoptr(GError) error = NULL;

    /* More than one: a short r or s comes once in 128. */
    for (guint i = 0; i < 300; i++) {
        g_autoptr(GBytes) raw = vsm_tpm_sign(bytes, host->tpm, &error);

        g_assert_no_error(error);
        g_assert_cmpuint(g_bytes_get_size(raw), ==, 96);
        g_assert_true(vsm_key_verify(rk, VSM_HASH_SHA384, text, strlen(text),
                                     g_bytes_get_data(raw, NULL), 96, &error));
        g_assert_no_error(error);
    }
    g_assert_null(vsm_tpm_sign(cut, host->tpm, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
}

/* RK signs anything, also a forged quote: quotes count from the AK only. */
static void test_forged_quote_by_rk_does_not_verify_with_the_ak(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest extra = digest_of("nonce");
    g_auto(VsmTpmEvidence) quote = {0};
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA384);
    g_autoptr(VsmKey) ak = public_key(host->keys->ak_public);
    g_autoptr(VsmKey) rk = public_key(host->keys->rk_public);
    g_autoptr(GBytes) digest = NULL;
    g_autoptr(GBytes) raw = NULL;
    g_autoptr(GError) error = NULL;
    guint8 hash[48];
    gsize size = sizeof(hash);
    const void *attest;
    gsize attest_size;

    g_assert_true(vsm_tpm_quote(host->tpm, VSM_TPM_BANK_SHA384, 0xff, &extra,
                                &quote, NULL));
    attest = g_bytes_get_data(quote.attest, &attest_size);
    g_checksum_update(sum, attest, attest_size);
    g_checksum_get_digest(sum, hash, &size);
    digest = g_bytes_new(hash, sizeof(hash));
    raw = vsm_tpm_sign(digest, host->tpm, &error);
    g_assert_no_error(error);
    g_assert_true(vsm_key_verify(rk, VSM_HASH_SHA384, attest, attest_size,
                                 g_bytes_get_data(raw, NULL), 96, NULL));
    g_assert_false(vsm_key_verify(ak, VSM_HASH_SHA384, attest, attest_size,
                                  g_bytes_get_data(raw, NULL), 96, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE);
}

/* The AK is restricted: the TPM signs nothing with it that it did not make. */
static void test_tpm_refuses_to_sign_a_foreign_digest_with_the_ak(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_auto(VsmTpmHandle) session = VSM_TPM_NO_HANDLE;
    g_autofree TPMT_SIGNATURE *signature = NULL;
    TPM2B_DIGEST digest = {.size = 48};
    TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_NULL};
    TPMT_TK_HASHCHECK ticket = {TPM2_ST_HASHCHECK, TPM2_RH_NULL, {0}};
    TSS2_RC rc;

    vsm_tpm_lock(host->tpm);
    g_assert_true(vsm_tpm_session_hmac(host->tpm, false, &session, NULL));
    rc = Esys_Sign(host->tpm->esys, host->tpm->fixed[VSM_TPM_AK],
                   vsm_tpm_use(&session, VSM_TPM_PLAIN), ESYS_TR_NONE,
                   ESYS_TR_NONE, &digest, &scheme, &ticket, &signature);
    g_assert_true(vsm_tpm_is(rc, TPM2_RC_TICKET));
    vsm_tpm_handle_clear(&session);
    vsm_tpm_unlock(host->tpm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/tpm/sign/" path, test_##name)
    ADD("checkquote", quote_of_an_attest_passes_tpm2_checkquote);
    ADD("certify", rk_is_certified_by_the_ak);
    ADD("reports", rk_signs_reports);
    ADD("forged-quote", forged_quote_by_rk_does_not_verify_with_the_ak);
    ADD("restricted", tpm_refuses_to_sign_a_foreign_digest_with_the_ak);
    return g_test_run();
}
