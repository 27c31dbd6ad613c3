/*
 * Structures and digests computed here equal what tpm2-tools and the TPM make.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm-fixture.h"

#include <string.h>
#include "crypto/keys.h"
#include "tpm/structures.h"
#include "tpm/templates.h"

/* --- Policy digests against trial sessions of tpm2-tools ---------------- */

static VsmTpmPcrs read_all(Host *host, guint32 mask)
{
    g_autoptr(GError) error = NULL;
    VsmTpmPcrs pcrs;

    g_assert_true(
        vsm_tpm_read_pcrs(host->tpm, VSM_TPM_BANK_SHA384, mask, &pcrs, &error));
    g_assert_no_error(error);
    return pcrs;
}

static void
assert_policy(Swtpm *swtpm, const char *file, const VsmTpmPolicy *ours)
{
    g_autoptr(GBytes) theirs = swtpm_get(swtpm, file);

    g_assert_cmpmem(ours->b, sizeof(ours->b), g_bytes_get_data(theirs, NULL),
                    g_bytes_get_size(theirs));
}

static void test_frozen_policy_is_what_tools_compute(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmTpmPcrs boot = read_all(host, 0xff);
    VsmTpmPcrs vm = {.bank = VSM_TPM_BANK_SHA384};
    VsmTpmPolicy ours;
    VsmDigest hypervisor = digest_of("qemu");
    VsmDigest config = digest_of("config");
    g_autofree char *h = vsm_digest_hex(&hypervisor);
    g_autofree char *c = vsm_digest_hex(&config);
    g_autofree char *line = g_strdup_printf(
        "tpm2_pcrreset 23; tpm2_pcrextend 23:sha384=%s; "
        "tpm2_pcrextend 23:sha384=%s; tpm2_startauthsession -S s; "
        "tpm2_policypcr -S s -l sha384:0,1,2,3,4,5,6,7 -L boot; "
        "tpm2_policypcr -S s -l sha384:23; tpm2_policyauthvalue -S s -L all; "
        "tpm2_flushcontext s",
        h, c);

    host_close(host);
    g_free(swtpm_tool(host->swtpm, line));
    vsm_tpm_policy_boot(&boot, &ours);
    assert_policy(host->swtpm, "boot", &ours);
    vsm_tpm_pcr_vm(&vm, &hypervisor, &config);
    vsm_tpm_policy_sealed(&boot, NULL, &vm, &ours);
    assert_policy(host->swtpm, "all", &ours);
}

static void test_operator_policy_is_what_tools_compute(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmTpmPcrs boot = read_all(host, 0x91); /* 0, 4, 7 */
    VsmTpmPcrs vm = read_all(host, 1u << 23);
    VsmTpmPolicy policy;
    g_autoptr(GBytes) contents = NULL;
    g_autoptr(GBytes) name = NULL;
    g_autofree char *text = NULL;
    g_autofree guint8 *raw = g_new0(guint8, 34);

    vsm_tpm_policy_boot(&boot, &policy);
    contents = vsm_tpm_policy_to_index(&policy);
    host_close(host);
    swtpm_put(host->swtpm, "contents", contents);
    text = swtpm_tool(
        host->swtpm,
        "{ tpm2_nvdefine -C o -s 34 -a 'authread|authwrite' 0x1500001; "
        "tpm2_nvwrite -C 0x1500001 -i contents 0x1500001; "
        "tpm2_startauthsession --policy-session -S s; "
        "tpm2_policypcr -S s -l sha384:0,4,7; "
        "tpm2_policyauthorizenv -S s -C 0x1500001 0x1500001 -L nv; "
        "tpm2_policypcr -S s -l sha384:23; tpm2_policyauthvalue -S s -L all; "
        "tpm2_flushcontext s; } >&2; "
        "tpm2_nvreadpublic 0x1500001 | sed -n 's/^ *name: //p'");
    g_strstrip(text);
    g_assert_cmpuint(strlen(text), ==, 68);
    for (guint i = 0; i < 34; i++) {
        raw[i] = g_ascii_xdigit_value(text[2 * i]) << 4 |
                 g_ascii_xdigit_value(text[2 * i + 1]);
    }
    name = g_bytes_new(raw, 34);
    memset(&policy, 0x55, sizeof(policy)); /* what came before is discarded */
    vsm_tpm_policy_authorize_nv(&policy, name);
    assert_policy(host->swtpm, "nv", &policy);
    vsm_tpm_policy_sealed(&boot, name, &vm, &policy);
    assert_policy(host->swtpm, "all", &policy);
}

/* The operator's key: PEM, TPMT_PUBLIC, Name, PolicySigned. */
static void test_policy_signed_is_what_tools_compute(void)
{
    static const struct {
        const char *curve;
        guint bytes;
        const char *scheme;
    } curves[] = {{"prime256v1", 32, "sha256"}, {"secp384r1", 48, "sha384"}};
    g_autoptr(Swtpm) swtpm = swtpm_new();

    for (guint i = 0; i < G_N_ELEMENTS(curves); i++) {
        g_autofree char *line = g_strdup_printf(
            "openssl ecparam -name %s -genkey -noout -out key.pem; "
            "openssl ec -in key.pem -pubout -out pub.pem; "
            "tpm2_loadexternal -C n -G ecc:ecdsa-%s -u pub.pem -c key.ctx -n "
            "key.name -a 'userwithauth|sign'; tpm2_readpublic -c key.ctx -f "
            "tpmt -o key.tpmt; openssl dgst -%s -sign key.pem -out sig "
            "/dev/null; tpm2_startauthsession -S s; tpm2_policysigned -S s -c "
            "key.ctx -g %s -s sig -f ecdsa -L signed; tpm2_flushcontext s; "
            "tpm2_flushcontext -t",
            curves[i].curve, curves[i].scheme, curves[i].scheme,
            curves[i].scheme);
        VsmTpmPolicy policy = {0};
        g_autoptr(GBytes) pem = NULL;
        g_autoptr(GBytes) ours = NULL;
        g_autoptr(GBytes) our_name = NULL;
        g_autoptr(GBytes) theirs = NULL;
        g_autoptr(GBytes) their_name = NULL;
        g_autoptr(VsmKey) key = NULL;
        g_autoptr(GError) error = NULL;

        g_free(swtpm_tool(swtpm, line));
        pem = swtpm_get(swtpm, "pub.pem");
        key = vsm_key_new_pem(g_bytes_get_data(pem, NULL),
                              g_bytes_get_size(pem), &error);
        g_assert_no_error(error);
        ours = vsm_tpm_key_from_point(curves[i].bytes, vsm_key_x(key),
                                      vsm_key_y(key));
        theirs = swtpm_get(swtpm, "key.tpmt");
        g_assert_true(g_bytes_equal(ours, theirs));
        g_assert_true(vsm_tpm_public_name(ours, &our_name, &error));
        their_name = swtpm_get(swtpm, "key.name");
        g_assert_true(g_bytes_equal(our_name, their_name));
        vsm_tpm_policy_signed(&policy, our_name, NULL);
        assert_policy(swtpm, "signed", &policy);
    }
}

/* --- Names --------------------------------------------------------------- */

static void test_names_are_what_the_tpm_says(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autofree char *line = g_strdup_printf(
        "tpm2_readpublic -c 0x%x -n ak.name -f tpmt -o ak.tpmt; "
        "tpm2_readpublic -c 0x%x -n rk.name; "
        "tpm2_readpublic -c 0x81000001 -n srk.name",
        host->keys->ak, host->keys->rk);
    const char *files[] = {"ak.name", "rk.name", "srk.name"};
    GBytes *names[] = {host->keys->ak_name, host->keys->rk_name,
                       host->keys->srk_name};
    g_autoptr(GBytes) tpmt = NULL;

    host_close(host);
    g_free(swtpm_tool(host->swtpm, line));
    for (guint i = 0; i < 3; i++) {
        g_autoptr(GBytes) theirs = swtpm_get(host->swtpm, files[i]);

        g_assert_true(g_bytes_equal(theirs, names[i]));
    }
    tpmt = swtpm_get(host->swtpm, "ak.tpmt");
    g_assert_true(g_bytes_equal(tpmt, host->keys->ak_public));
}

/* --- Keys ---------------------------------------------------------------- */

static void test_kinds_of_keys_are_told_apart_exactly(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(VsmTpmKey) ak = NULL;
    g_autoptr(VsmTpmKey) rk = NULL;
    g_autoptr(GError) error = NULL;
    gsize size = g_bytes_get_size(host->keys->rk_public);

    g_assert_true(vsm_tpm_key_decode(host->keys->ak_public, &ak, &error));
    g_assert_true(vsm_tpm_key_decode(host->keys->rk_public, &rk, &error));
    g_assert_no_error(error);
    g_assert_cmpint(ak->kind, ==, VSM_TPM_KEY_AK);
    g_assert_cmpint(rk->kind, ==, VSM_TPM_KEY_RK);
    g_assert_cmpuint(ak->bytes, ==, 48);
    g_assert_cmpuint(rk->bytes, ==, 48);

    /* Any attribute more or less: another kind of key. */
    for (guint bit = 0; bit < 32; bit++) {
        g_autofree guint8 *data =
            g_memdup2(g_bytes_get_data(host->keys->rk_public, NULL), size);
        g_autoptr(GBytes) bytes = NULL;
        g_autoptr(VsmTpmKey) key = NULL;

        data[4 + bit / 8] ^= 1u << bit % 8; /* TPMT_PUBLIC.objectAttributes */
        bytes = g_bytes_new(data, size);
        if (vsm_tpm_key_decode(bytes, &key, NULL)) {
            g_assert_cmpint(key->kind, !=, VSM_TPM_KEY_RK);
        }
    }
}

static void assert_key_refused(const guint8 *data, gsize size)
{
    g_autoptr(GBytes) bytes = g_bytes_new(data, size);
    g_autoptr(GError) error = NULL;
    VsmTpmKey *key = NULL;

    g_assert_false(vsm_tpm_key_decode(bytes, &key, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    g_assert_null(key);
}

static void test_cut_or_long_keys_are_refused(void)
{
    static const guint8 x[48] = {0, 1};
    g_autoptr(GBytes) good = vsm_tpm_key_from_point(48, x, x);
    gsize size = g_bytes_get_size(good);
    g_autofree guint8 *data = g_malloc0(size + 1);

    memcpy(data, g_bytes_get_data(good, NULL), size);
    for (gsize cut = 0; cut < size; cut++) {
        assert_key_refused(data, cut);
    }
    assert_key_refused(data, size + 1);
}

static void test_points_are_padded(void)
{
    static const guint8 x[32] = {[31] = 7};
    g_autoptr(GBytes) area = vsm_tpm_key_from_point(32, x, x);
    gsize size = g_bytes_get_size(area);
    const guint8 *data = g_bytes_get_data(area, NULL);
    g_autoptr(VsmTpmKey) key = NULL;
    g_autoptr(GBytes) shorter = NULL;
    g_autofree guint8 *cut = g_memdup2(data, size);
    gsize point = size - 2 * (2 + 32); /* x, y: TPM2B of 32 bytes */

    /* The same point as a TPM may write it: x without leading zeros. */
    cut[point + 1] = 1;
    cut[point + 2] = 7;
    memcpy(cut + point + 3, data + point + 2 + 32, 2 + 32);
    shorter = g_bytes_new(cut, size - 31);
    g_assert_true(vsm_tpm_key_decode(shorter, &key, NULL));
    g_assert_cmpuint(key->bytes, ==, 32);
    g_assert_cmpmem(key->x, 32, x, 32);
    g_assert_cmpmem(key->y, 32, x, 32);
}

/* --- Signatures ------------------------------------------------------------
 */

static void test_signatures_are_padded_and_der_is_minimal(void)
{
    static const guint8 tpmt[] = {0, 0x18, 0,    0x0b, /* ECDSA, SHA-256 */
                                  0, 1,    0x7f, /* r */
                                  0, 2,    0x80, 0x01}; /* s */
    static const guint8 der[] = {0x30, 8, 2, 1, 0x7f, 2, 3, 0, 0x80, 1};
    g_autoptr(GBytes) signature = g_bytes_new_static(tpmt, sizeof(tpmt));
    g_autoptr(GBytes) raw = NULL;
    g_autoptr(GBytes) made = NULL;
    g_autoptr(GError) error = NULL;
    guint8 expected[64] = {[31] = 0x7f, [62] = 0x80, [63] = 1};
    GBytes *none = NULL;

    g_assert_true(vsm_tpm_signature_raw(signature, 32, &raw, &error));
    g_assert_cmpmem(g_bytes_get_data(raw, NULL), g_bytes_get_size(raw),
                    expected, 64);
    made = vsm_tpm_signature_der(raw);
    g_assert_cmpmem(g_bytes_get_data(made, NULL), g_bytes_get_size(made), der,
                    sizeof(der));
    g_assert_false(vsm_tpm_signature_raw(signature, 48, &none, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    for (gsize cut = 0; cut < sizeof(tpmt); cut++) {
        g_autoptr(GBytes) part = g_bytes_new(tpmt, cut);

        g_assert_false(vsm_tpm_signature_raw(part, 32, &none, NULL));
    }
}

/* --- Attestations ----------------------------------------------------------
 */

static void test_attestations_are_checked_field_by_field(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmTpmPcrs pcrs = read_all(host, 0x8000ff);
    VsmTpmPcrs other = pcrs;
    VsmDigest extra = digest_of("nonce");
    VsmDigest wrong = digest_of("other nonce");
    g_auto(VsmTpmEvidence) quote = {0};
    g_autoptr(GError) error = NULL;
    const guint16 sha384 = VSM_TPM_BANK_SHA384;
    VsmTpmAttest *none = NULL;

    g_assert_true(
        vsm_tpm_quote(host->tpm, pcrs.bank, pcrs.mask, &extra, &quote, &error));
    g_assert_true(
        vsm_tpm_quote_check(quote.attest, sha384, &extra, &pcrs, &error));
    g_assert_no_error(error);

    g_assert_false(
        vsm_tpm_quote_check(quote.attest, sha384, &wrong, &pcrs, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
    g_clear_error(&error);
    other.value[3][0] ^= 1;
    g_assert_false(
        vsm_tpm_quote_check(quote.attest, sha384, &extra, &other, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
    g_clear_error(&error);
    other = pcrs;
    other.mask &= ~1u;
    g_assert_false(
        vsm_tpm_quote_check(quote.attest, sha384, &extra, &other, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
    g_clear_error(&error);

    /* A quote is no NV_Certify, whoever signed it. */
    g_assert_false(
        vsm_tpm_attest_decode(quote.attest, VSM_TPM_ATTEST_NV, &none, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    g_clear_error(&error);
    for (gsize cut = 0; cut < g_bytes_get_size(quote.attest); cut++) {
        g_autoptr(GBytes) part = g_bytes_new_from_bytes(quote.attest, 0, cut);

        g_assert_false(
            vsm_tpm_attest_decode(part, VSM_TPM_ATTEST_QUOTE, &none, NULL));
    }
}

/* --- Structures of version 1 of our formats ------------------------------- */

static GBytes *fixture(const char *name)
{
    g_autofree char *path =
        g_test_build_filename(G_TEST_DIST, "..", "fixtures", name, NULL);
    g_autoptr(GError) error = NULL;
    char *data = NULL;
    gsize size;

    g_file_get_contents(path, &data, &size, &error);
    g_assert_no_error(error);
    return g_bytes_new_take(data, size);
}

/* What hosts stored and verifiers hold must be readable for ever. */
static void test_stored_structures_decode_as_ever(void)
{
    g_autoptr(GBytes) area = fixture("tpm-public-v1.bin");
    g_autoptr(GBytes) attest = fixture("tpm-quote-v1.bin");
    g_autoptr(GBytes) signature = fixture("tpm-signature-v1.bin");
    g_autoptr(GBytes) nv = fixture("tpm-nv-certify-v1.bin");
    g_autoptr(GBytes) raw = NULL;
    g_autoptr(VsmTpmKey) ak = NULL;
    g_autoptr(VsmKey) key = NULL;
    g_autoptr(VsmTpmAttest) quote = NULL;
    g_autoptr(VsmTpmAttest) certify = NULL;
    g_autoptr(GError) error = NULL;
    VsmDigest extra = digest_of("fixture");
    VsmDigest zero = {{0}};
    VsmDigest value;

    vsm_tpm_key_decode(area, &ak, &error);
    g_assert_no_error(error);
    g_assert_cmpint(ak->kind, ==, VSM_TPM_KEY_AK);
    vsm_tpm_attest_decode(attest, VSM_TPM_ATTEST_QUOTE, &quote, &error);
    g_assert_no_error(error);
    g_assert_cmphex(quote->bank, ==, VSM_TPM_BANK_SHA384);
    g_assert_cmphex(quote->pcrs, ==, 0x8000ff);
    g_assert_cmpmem(g_bytes_get_data(quote->extra_data, NULL),
                    g_bytes_get_size(quote->extra_data), extra.b, 48);
    vsm_tpm_signature_raw(signature, 48, &raw, &error);
    g_assert_no_error(error);
    key = vsm_key_new(VSM_CURVE_P384, ak->x, 48, ak->y, 48, &error);
    g_assert_no_error(error);
    g_assert_true(vsm_key_verify(
        key, VSM_HASH_SHA384, g_bytes_get_data(attest, NULL),
        g_bytes_get_size(attest), g_bytes_get_data(raw, NULL), 96, &error));

    vsm_tpm_attest_decode(nv, VSM_TPM_ATTEST_NV, &certify, &error);
    g_assert_no_error(error);
    g_assert_true(
        vsm_tpm_nv_check(nv, certify->nv_name, &extra, &value, &error));
    vsm_tpm_commit_next(&zero, &extra, &zero);
    g_assert_true(vsm_digest_equal(&value, &zero));
}

/* --- PCRs ------------------------------------------------------------------
 */

static void test_pcr_23_is_what_the_tpm_holds(void)
{
    static const guint16 banks[] = {VSM_TPM_BANK_SHA256, VSM_TPM_BANK_SHA384};
    VsmDigest hypervisor = digest_of("qemu");
    VsmDigest config = digest_of("config");
    g_autoptr(Swtpm) swtpm = swtpm_new();

    for (guint i = 0; i < G_N_ELEMENTS(banks); i++) {
        const char *bank = vsm_tpm_bank_name(banks[i]);
        gsize size = vsm_tpm_bank_bytes(banks[i]);
        VsmTpmPcrs ours = {.bank = banks[i]};
        g_autoptr(GBytes) theirs = NULL;
        g_autoptr(GBytes) packed = NULL;
        GString *line = g_string_new("tpm2_pcrreset 23; ");
        const VsmDigest *digests[] = {&hypervisor, &config};
        g_autofree char *text = NULL;

        for (guint j = 0; j < 2; j++) {
            guint8 event[48];

            vsm_tpm_pcr_event(banks[i], digests[j], event);
            g_string_append_printf(line, "tpm2_pcrextend 23:%s=", bank);
            for (gsize k = 0; k < size; k++) {
                g_string_append_printf(line, "%02x", event[k]);
            }
            g_string_append(line, "; ");
        }
        g_string_append_printf(line, "tpm2_pcrread %s:23 -o pcr", bank);
        text = g_string_free(line, FALSE);
        g_free(swtpm_tool(swtpm, text));
        theirs = swtpm_get(swtpm, "pcr");
        vsm_tpm_pcr_vm(&ours, &hypervisor, &config);
        packed = vsm_tpm_pcrs_pack(&ours);
        g_assert_true(g_bytes_equal(packed, theirs));
    }
}

static void test_pcr_values_pack_and_unpack(void)
{
    VsmTpmPcrs pcrs = {.bank = VSM_TPM_BANK_SHA384, .mask = 0x800091};
    VsmTpmPcrs back;
    g_autoptr(GBytes) packed = NULL;
    g_autofree char *same = NULL;
    g_autofree char *differ = NULL;
    g_autoptr(GError) error = NULL;

    memset(pcrs.value[4], 4, 48);
    memset(pcrs.value[23], 23, 48);
    packed = vsm_tpm_pcrs_pack(&pcrs);
    g_assert_cmpuint(g_bytes_get_size(packed), ==, 4 * 48);
    g_assert_true(
        vsm_tpm_pcrs_unpack(pcrs.bank, pcrs.mask, packed, &back, &error));
    same = vsm_tpm_pcrs_differ(&pcrs, &back);
    g_assert_null(same);
    back.value[4][47] = 0;
    back.value[7][0] = 1;
    differ = vsm_tpm_pcrs_differ(&pcrs, &back);
    g_assert_cmpstr(differ, ==, "PCR 4, 7 (sha384)");

    g_assert_false(vsm_tpm_pcrs_unpack(pcrs.bank, 0x91, packed, &back, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    g_clear_error(&error);
    g_assert_false(vsm_tpm_pcrs_unpack(VSM_TPM_BANK_SHA256, pcrs.mask, packed,
                                       &back, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    g_clear_error(&error);
    g_assert_false(vsm_tpm_pcrs_unpack(pcrs.bank, pcrs.mask | 1u << 31, packed,
                                       &back, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/tpm/structures/" path, test_##name)
    ADD("frozen-policy", frozen_policy_is_what_tools_compute);
    ADD("operator-policy", operator_policy_is_what_tools_compute);
    ADD("operator-key", policy_signed_is_what_tools_compute);
    ADD("names", names_are_what_the_tpm_says);
    ADD("kinds-of-keys", kinds_of_keys_are_told_apart_exactly);
    ADD("cut-keys", cut_or_long_keys_are_refused);
    ADD("padded-points", points_are_padded);
    ADD("signatures", signatures_are_padded_and_der_is_minimal);
    ADD("attestations", attestations_are_checked_field_by_field);
    ADD("stored", stored_structures_decode_as_ever);
    ADD("pcr-23", pcr_23_is_what_the_tpm_holds);
    ADD("pack", pcr_values_pack_and_unpack);
    return g_test_run();
}
