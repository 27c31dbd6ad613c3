/*
 * Sealing and unsealing on a TPM that others use too, in few commands.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "seal-fixture.h"

#include <string.h>

/* --- Others on the same TPM -------------------------------------------- */

static void test_unseal_survives_extends_by_others(void)
{
    /*
     * PCR 10 is IMA's and no boot PCR here; 23 is ours, and anyone's.  Twice
     * before a PolicyPCR is also once between the two of a policy.
     */
    Meddler meddlers[] = {
        {TPM2_CC_PolicyPCR, 23, 3},
        {TPM2_CC_PolicyPCR, 10, 2},
        {TPM2_CC_Unseal, 10, 3},
        {TPM2_CC_PolicyAuthValue, 10, 3},
    };
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);

    for (guint i = 0; i < G_N_ELEMENTS(meddlers); i++) {
        assert_unseals_beside(host, s, &meddlers[i]);
    }
    assert_no_leftovers(host);
}

static void test_unseal_gives_up_when_pcr_23_never_stands_still(void)
{
    Meddler meddler = {TPM2_CC_PolicyAuthValue, 10, G_MAXUINT};
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);

    host->tap->hook = meddle;
    host->tap->opaque = &meddler;
    assert_not_unsealed(host, s, VSM_ERROR_BUSY, "try again");
    g_assert_cmpuint(tap_count(host->tap, TPM2_CC_Unseal), ==, 8);
    host->tap->hook = NULL;
    assert_unseals(host, s);
}

static bool
unseal_and_quote(Host *host, Snapshot *s, VsmTpmEvidence *quote, GError **error)
{
    VsmDigest got;

    return vsm_tpm_unseal(host->tpm, &s->ssk, &s->sealed, &s->binding,
                          &s->extra, &got, quote, error);
}

static void assert_quote_is_good(Host *host, Snapshot *s, VsmTpmEvidence *quote)
{
    g_autoptr(GError) error = NULL;
    VsmTpmPcrs pcrs = s->binding.boot;

    vsm_tpm_pcr_vm(&pcrs, &s->binding.hypervisor, &s->binding.config);
    g_assert_true(vsm_tpm_quote_check(quote->attest, VSM_TPM_BANK_SHA384,
                                      &s->extra, &pcrs, &error));
    g_assert_no_error(error);
    g_assert_true(host->tpm != NULL);
}

static void test_quote_is_made_again_when_pcr_23_moved(void)
{
    Meddler meddler = {TPM2_CC_Quote, 23, 2};
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);
    g_auto(VsmTpmEvidence) quote = {NULL, NULL};
    g_autoptr(GError) error = NULL;

    host->tap->hook = meddle;
    host->tap->opaque = &meddler;
    g_assert_true(unseal_and_quote(host, s, &quote, &error));
    g_assert_no_error(error);
    assert_quote_is_good(host, s, &quote);
}

static void test_no_quote_when_a_boot_pcr_moved(void)
{
    Meddler meddler = {TPM2_CC_Quote, 7, 1};
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);
    g_auto(VsmTpmEvidence) quote = {NULL, NULL};
    g_autoptr(GError) error = NULL;

    host->tap->hook = meddle;
    host->tap->opaque = &meddler;
    g_assert_false(unseal_and_quote(host, s, &quote, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BOOT);
    g_assert_nonnull(strstr(error->message, "PCR 7"));
    g_assert_null(quote.attest);
    host->tap->hook = NULL;
    assert_no_leftovers(host);
}

/* --- Cost: on a real chip a command takes 10 ms and more --------------- */

static void assert_commands(Host *host, guint expected)
{
    if (host->tap->codes->len != expected) {
        g_autofree char *text = tap_text(host->tap);

        g_error("%u commands, not %u:%s", host->tap->codes->len, expected,
                text);
    }
    tap_reset(host->tap);
}

static void test_commands_of_a_seal(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_auto(VsmTpmObject) ssk = {0};
    g_auto(VsmTpmObject) sealed = {0};
    g_auto(VsmTpmEvidence) evidence = {0};
    VsmTpmBinding binding = host_binding(host);
    VsmDigest digest = digest_of("digest");
    VsmDigest zero = {{0}};
    VsmDigest after;

    /* The first commit is set-up's; NV_Certify wants a written index. */
    g_assert_true(vsm_tpm_nv_extend(host->tpm, &zero, &digest, &after, NULL));
    tap_reset(host->tap);

    /* Early, while RAM is hashed. */
    g_assert_true(
        vsm_tpm_read_boot(host->tpm, 0xff, false, &binding.boot, NULL));
    g_assert_true(vsm_tpm_boot_check(host->tpm, &binding.boot, NULL, NULL));
    g_assert_true(vsm_tpm_ssk_create(host->tpm, &ssk, NULL));
    assert_commands(host, 1 + 2);

    /* Late: session, Load, Create, FlushContext. */
    g_assert_true(
        vsm_tpm_seal(host->tpm, &ssk, &binding, &digest, &sealed, NULL));
    assert_commands(host, 4);

    /* Commit: two sessions, NV_Certify, NV_Extend. */
    vsm_tpm_lock(host->tpm);
    g_assert_true(vsm_tpm_nv_certify(host->tpm, &digest, &evidence, NULL));
    g_assert_true(vsm_tpm_nv_extend(host->tpm, &after, &digest, &after, NULL));
    vsm_tpm_unlock(host->tpm);
    assert_commands(host, 4);
    assert_no_leftovers(host);
}

static void test_commands_of_an_attest(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);
    g_auto(VsmTpmEvidence) quote = {0};
    g_autoptr(GBytes) hash = g_bytes_new(s->digest.b, sizeof(s->digest.b));
    g_autoptr(GBytes) signature = NULL;
    VsmTpmPcrs boot;

    /* Early: 16 as the design has it, one of them reads the boot PCRs. */
    g_assert_true(vsm_tpm_read_boot(host->tpm, 0xff, false, &boot, NULL));
    g_assert_true(unseal_and_quote(host, s, &quote, NULL));
    assert_commands(host, 1 + 15);

    /* Late: session, Sign. */
    signature = vsm_tpm_sign(hash, host->tpm, NULL);
    g_assert_nonnull(signature);
    assert_commands(host, 2);
    assert_no_leftovers(host);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/tpm/seal/" path, test_##name)
    ADD("survives-extends", unseal_survives_extends_by_others);
    ADD("gives-up", unseal_gives_up_when_pcr_23_never_stands_still);
    ADD("quote-again", quote_is_made_again_when_pcr_23_moved);
    ADD("no-quote-of-another-boot", no_quote_when_a_boot_pcr_moved);
    ADD("commands-of-a-seal", commands_of_a_seal);
    ADD("commands-of-an-attest", commands_of_an_attest);
    return g_test_run();
}
