/*
 * With an operator's key the boot state is what the operator approved last.
 *
 * Approval itself is done here by hand, as `vsmctl policy approve` will do it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "seal-fixture.h"

#include <string.h>

#include "crypto/keys.h"
#include "tpm/templates.h"

/* The operator's key never is on the host: here it lies in the test's folder */
static Host *host_with_operator(void)
{
    g_autoptr(Swtpm) folder = swtpm_new();
    g_autoptr(GBytes) pem = NULL;
    g_autoptr(GBytes) private = NULL;
    g_autoptr(GBytes) public = NULL;
    g_autoptr(VsmKey) key = NULL;
    g_autoptr(GError) error = NULL;
    Host *host;

    g_free(swtpm_tool(folder, "openssl ecparam -name prime256v1 -genkey -noout "
                              "-out key.pem; "
                              "openssl ec -in key.pem -pubout -out pub.pem"));
    pem = swtpm_get(folder, "pub.pem");
    private = swtpm_get(folder, "key.pem");
    key = vsm_key_new_pem(g_bytes_get_data(pem, NULL), g_bytes_get_size(pem),
                          &error);
    g_assert_no_error(error);
    public = vsm_tpm_key_from_point(32, vsm_key_x(key), vsm_key_y(key));
    host = host_new(public);
    swtpm_put(host->swtpm, "key.pem", private);
    return host;
}

/* The operator signs SHA-256(nonceTPM || expiration 0 || policyRef). */
static TPMT_SIGNATURE operator_signs(Host *host, const TPM2B_NONCE *nonce)
{
    TPMT_SIGNATURE signature = {.sigAlg = TPM2_ALG_ECDSA};
    TPMS_SIGNATURE_ECC *ecdsa = &signature.signature.ecdsa;
    guint8 message[64 + 4 + 32] = {0};
    g_autoptr(GBytes) to_sign = NULL;
    g_autoptr(GBytes) der = NULL;
    g_autoptr(GBytes) raw = NULL;

    memcpy(message, nonce->buffer, nonce->size);
    memcpy(message + nonce->size + 4,
           g_bytes_get_data(host->tpm->approval_ref, NULL), 32);
    to_sign = g_bytes_new(message, nonce->size + 4 + 32);
    swtpm_put(host->swtpm, "to-sign", to_sign);
    g_free(swtpm_tool(host->swtpm,
                      "openssl dgst -sha256 -sign key.pem -out sig to-sign"));
    der = swtpm_get(host->swtpm, "sig");
    raw = vsm_ecdsa_der_to_raw(VSM_CURVE_P256, g_bytes_get_data(der, NULL),
                               g_bytes_get_size(der), NULL);
    g_assert_nonnull(raw);
    ecdsa->hash = TPM2_ALG_SHA256;
    ecdsa->signatureR.size = ecdsa->signatureS.size = 32;
    memcpy(ecdsa->signatureR.buffer, g_bytes_get_data(raw, NULL), 32);
    memcpy(ecdsa->signatureS.buffer,
           (const guint8 *)g_bytes_get_data(raw, NULL) + 32, 32);
    return signature;
}

static TSS2_RC policy_signed(Host *host, ESYS_TR policy)
{
    ESYS_CONTEXT *esys = host->tpm->esys;
    g_autofree TPM2B_NONCE *nonce = NULL;
    g_autofree TPM2B_TIMEOUT *timeout = NULL;
    g_autofree TPMT_TK_AUTH *ticket = NULL;
    g_auto(VsmTpmHandle) key = VSM_TPM_NO_HANDLE;
    TPM2B_DIGEST no_cp_hash = {0};
    TPM2B_NONCE ref = {.size = 32};
    TPM2B_PUBLIC public;
    TPMT_SIGNATURE signature;
    ESYS_TR tr;

    g_assert_true(
        vsm_tpm_public_from_bytes(host->keys->operator_public, &public));
    g_assert_cmphex(Esys_LoadExternal(esys, ESYS_TR_NONE, ESYS_TR_NONE,
                                      ESYS_TR_NONE, NULL, &public,
                                      ESYS_TR_RH_NULL, &tr),
                    ==, 0);
    key = vsm_tpm_handle(host->tpm, tr);
    g_assert_cmphex(Esys_TRSess_GetNonceTPM(esys, policy, &nonce), ==, 0);
    memcpy(ref.buffer, g_bytes_get_data(host->tpm->approval_ref, NULL), 32);
    signature = operator_signs(host, nonce);
    return Esys_PolicySigned(esys, key.tr, policy, ESYS_TR_NONE, ESYS_TR_NONE,
                             ESYS_TR_NONE, nonce, &no_cp_hash, &ref, 0,
                             &signature, &timeout, &ticket);
}

static void approve(Host *host, const VsmTpmPcrs *boot)
{
    g_auto(VsmTpmHandle) policy = VSM_TPM_NO_HANDLE;
    ESYS_TR index = host->tpm->fixed[VSM_TPM_BOOT_INDEX];
    TPM2B_MAX_NV_BUFFER data = {0};
    g_autoptr(GBytes) contents = NULL;
    VsmTpmPolicy digest;

    vsm_tpm_policy_boot(boot, &digest);
    contents = vsm_tpm_policy_to_index(&digest);
    data.size = g_bytes_get_size(contents);
    memcpy(data.buffer, g_bytes_get_data(contents, NULL), data.size);
    vsm_tpm_lock(host->tpm);
    g_assert_true(vsm_tpm_session_policy(host->tpm, &policy, NULL));
    g_assert_cmphex(policy_signed(host, policy.tr), ==, 0);
    g_assert_cmphex(Esys_NV_Write(host->tpm->esys, index, index,
                                  vsm_tpm_use(&policy, VSM_TPM_LAST),
                                  ESYS_TR_NONE, ESYS_TR_NONE, &data, 0),
                    ==, 0);
    vsm_tpm_used_up(&policy);
    vsm_tpm_unlock(host->tpm);
}

static void assert_boot_refused(Host *host, Snapshot *s)
{
    g_autoptr(GError) error = NULL;

    s->binding.boot = host_binding(host).boot;
    g_assert_false(
        vsm_tpm_boot_check(host->tpm, &s->binding.boot, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BOOT);
    g_clear_error(&error);
    /* And by the TPM itself, whatever software says. */
    g_assert_false(unseal(host, s, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BOOT);
    g_assert_nonnull(strstr(error->message, "approve"));
}

static void assert_boot_accepted(Host *host, Snapshot *s)
{
    g_autoptr(GError) error = NULL;

    s->binding.boot = host_binding(host).boot;
    vsm_tpm_boot_check(host->tpm, &s->binding.boot, NULL, &error);
    g_assert_no_error(error);
    unseal(host, s, &error);
    g_assert_no_error(error);
}

static void test_nothing_is_released_before_the_first_approval(void)
{
    g_autoptr(Host) host = host_with_operator();
    g_autoptr(Snapshot) s = seal(host);

    assert_boot_refused(host, s);
    approve(host, &s->binding.boot);
    assert_boot_accepted(host, s);
}

/* A host update: approve the new state; nothing is sealed again. */
static void test_approval_moves_and_the_old_one_dies(void)
{
    g_autoptr(Host) host = host_with_operator();
    g_autoptr(Snapshot) s = seal(host);
    VsmTpmPcrs old = s->binding.boot;

    approve(host, &old);
    assert_boot_accepted(host, s);
    tap_extend_pcr(host->tap, 4);
    assert_boot_refused(host, s);
    s->binding.boot = host_binding(host).boot;
    approve(host, &s->binding.boot);
    assert_boot_accepted(host, s);
    approve(host, &old);
    assert_boot_refused(host, s);
}

static void test_hypervisor_counts_also_with_an_operator(void)
{
    g_autoptr(Host) host = host_with_operator();
    g_autoptr(Snapshot) s = seal(host);
    g_autoptr(GError) error = NULL;

    approve(host, &s->binding.boot);
    s->binding.hypervisor = digest_of("another qemu");
    g_assert_false(unseal(host, s, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CONFIG);
}

static void test_set_up_finds_the_index_before_and_after_approval(void)
{
    g_autoptr(Host) host = host_with_operator();

    for (guint i = 0; i < 2; i++) {
        g_autoptr(VsmTpmKeys) keys = NULL;
        g_autoptr(GError) error = NULL;
        VsmTpmBinding binding = host_binding(host);

        vsm_tpm_keys_setup(host->tpm, host->secret, host_id,
                           host->keys->operator_public, &keys, &error);
        g_assert_no_error(error);
        g_assert_cmphex(keys->boot_index, ==, host->keys->boot_index);
        g_assert_true(
            g_bytes_equal(keys->boot_index_name, host->keys->boot_index_name));
        approve(host, &binding.boot);
        host_close(host);
        host_open(host);
    }
}

/*
 * The owner can define the index again under the same Name.  Without the
 * operator's signature nobody writes it, and unseal fails closed.
 */
static void test_owner_cannot_approve(void)
{
    g_autoptr(Host) host = host_with_operator();
    g_autoptr(Snapshot) s = seal(host);
    ESYS_CONTEXT *esys = host->tpm->esys;
    TPM2B_AUTH empty = {0};
    TPM2B_MAX_NV_BUFFER data = {.size = VSM_TPM_BOOT_INDEX_BYTES};
    g_autoptr(GBytes) operator_name = NULL;
    g_autoptr(GError) error = NULL;
    TPM2B_NV_PUBLIC template;
    ESYS_TR forged;
    TSS2_RC rc;

    approve(host, &s->binding.boot);
    assert_boot_accepted(host, s);
    g_assert_true(
        vsm_tpm_public_name(host->keys->operator_public, &operator_name, NULL));
    template = vsm_tpm_template_boot(host->keys->boot_index, operator_name,
                                     host->tpm->approval_ref);
    g_assert_cmphex(Esys_NV_UndefineSpace(esys, ESYS_TR_RH_OWNER,
                                          host->tpm->fixed[VSM_TPM_BOOT_INDEX],
                                          ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                          ESYS_TR_NONE),
                    ==, 0);
    g_assert_cmphex(Esys_NV_DefineSpace(
                        esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                        ESYS_TR_NONE, &empty, &template, &forged),
                    ==, 0);
    rc = Esys_NV_Write(esys, forged, forged, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                       ESYS_TR_NONE, &data, 0);
    g_assert_true(vsm_tpm_code(rc) == TPM2_RC_AUTH_UNAVAILABLE ||
                  vsm_tpm_code(rc) == TPM2_RC_NV_AUTHORIZATION);
    rc = Esys_NV_Write(esys, ESYS_TR_RH_OWNER, forged, ESYS_TR_PASSWORD,
                       ESYS_TR_NONE, ESYS_TR_NONE, &data, 0);
    g_assert_cmphex(vsm_tpm_code(rc), ==, TPM2_RC_NV_AUTHORIZATION);
    host_close(host);
    host_open(host);
    s->binding.boot = host_binding(host).boot;
    g_assert_false(unseal(host, s, &error));
    g_assert_true(g_error_matches(error, VSM_ERROR, VSM_ERROR_BOOT) ||
                  g_error_matches(error, VSM_ERROR, VSM_ERROR_TPM));
}

/* As the design counts it: 16, with PolicyAuthorizeNV. */
static void test_commands_of_an_attest_with_an_operator(void)
{
    g_autoptr(Host) host = host_with_operator();
    g_autoptr(Snapshot) s = seal(host);
    VsmDigest extra = digest_of("nonce");
    VsmDigest got;
    g_auto(VsmTpmEvidence) quote = {0};
    g_autoptr(GError) error = NULL;

    approve(host, &s->binding.boot);
    tap_reset(host->tap);
    vsm_tpm_unseal(host->tpm, &s->ssk, &s->sealed, &s->binding, &extra, &got,
                   &quote, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(host->tap->codes->len, ==, 16);
}

/* As without an operator, and inside of the longer policy. */
static void test_unseal_survives_extends_by_others(void)
{
    Meddler meddlers[] = {
        {TPM2_CC_PolicyPCR, 10, 2},
        {TPM2_CC_PolicyAuthorizeNV, 10, 1},
        {TPM2_CC_PolicyAuthorizeNV, 23, 1},
        {TPM2_CC_Unseal, 10, 2},
    };
    g_autoptr(Host) host = host_with_operator();
    g_autoptr(Snapshot) s = seal(host);

    approve(host, &s->binding.boot);
    for (guint i = 0; i < G_N_ELEMENTS(meddlers); i++) {
        assert_unseals_beside(host, s, &meddlers[i]);
    }
    assert_no_leftovers(host);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/tpm/operator/" path, test_##name)
    ADD("first-approval", nothing_is_released_before_the_first_approval);
    ADD("approval-moves", approval_moves_and_the_old_one_dies);
    ADD("hypervisor", hypervisor_counts_also_with_an_operator);
    ADD("set-up", set_up_finds_the_index_before_and_after_approval);
    ADD("owner", owner_cannot_approve);
    ADD("survives-extends", unseal_survives_extends_by_others);
    ADD("commands", commands_of_an_attest_with_an_operator);
    return g_test_run();
}
