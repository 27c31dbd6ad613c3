/*
 * What is sealed comes back under the same state, and under no other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "seal-fixture.h"

#include "tpm/templates.h"

static void test_unseal_gives_what_was_sealed(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);

    assert_unseals(host, s);
    assert_unseals(host, s); /* again: the first one left the TPM as it was */
    assert_no_leftovers(host);
}

static void test_unseal_survives_a_restart_of_the_tpm(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);

    host_close(host);
    swtpm_kill(host->swtpm);
    swtpm_start(host->swtpm);
    host_open(host);
    for (guint8 pcr = 0; pcr < 8; pcr++) {
        tap_extend_pcr(host->tap, pcr); /* the same boot again */
    }
    assert_unseals(host, s);
}

/* --- The TPM's own refusals: nothing is compared in software ----------- */

static void test_tpm_refuses_another_hypervisor(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);

    s->binding.hypervisor = digest_of("another qemu");
    assert_not_unsealed(host, s, VSM_ERROR_CONFIG, "0x99d");
    assert_no_leftovers(host);
}

static void test_tpm_refuses_another_configuration(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);

    s->binding.config = digest_of("another config");
    assert_not_unsealed(host, s, VSM_ERROR_CONFIG, "0x99d");
}

static void test_tpm_refuses_another_boot(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);

    tap_extend_pcr(host->tap, 4);
    s->binding.boot = host_binding(host).boot; /* as it is now */
    assert_not_unsealed(host, s, VSM_ERROR_CONFIG, "0x99d");
}

static void test_tpm_refuses_boot_pcrs_that_are_not_as_stated(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);

    tap_extend_pcr(host->tap, 4); /* the binding states the old value */
    assert_not_unsealed(host, s, VSM_ERROR_BOOT, "0x1c4");
}

static void test_tpm_refuses_another_host_secret(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);
    g_autoptr(GError) error = NULL;
    VsmSecret *other = vsm_secret_new_random(VSM_TPM_SECRET_BYTES, &error);

    vsm_secret_free(host->tpm->snapshot_auth);
    host->tpm->snapshot_auth = other;
    assert_not_unsealed(host, s, VSM_ERROR_TPM, "auth");
}

static void test_unseal_refuses_changed_objects(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);
    VsmTpmObject *objects[] = {&s->ssk, &s->sealed};

    for (guint i = 0; i < G_N_ELEMENTS(objects); i++) {
        GBytes **fields[] = {&objects[i]->public_area,
                             &objects[i]->private_area, &objects[i]->name};

        for (guint j = 0; j < G_N_ELEMENTS(fields); j++) {
            GBytes *good = *fields[j];
            gsize size = g_bytes_get_size(good);
            g_autofree guint8 *data =
                g_memdup2(g_bytes_get_data(good, NULL), size);
            g_autoptr(GBytes) flipped = NULL;
            g_autoptr(GBytes) cut = g_bytes_new(data, size - 1);

            data[size - 1] ^= 1;
            flipped = g_bytes_new(data, size);
            *fields[j] = flipped;
            assert_not_unsealed(host, s, VSM_ERROR_TAMPERED, "");
            *fields[j] = cut;
            assert_not_unsealed(host, s, VSM_ERROR_TAMPERED, "");
            *fields[j] = good;
        }
    }
    assert_no_leftovers(host);
    assert_unseals(host, s);
}

/* --- Traps ------------------------------------------------------------- */

/* After a refusal ESYS would send the next secret unencrypted. */
static void test_no_secret_on_the_wire_also_after_a_refusal(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);
    g_autoptr(GError) error = NULL;
    VsmTpmObject again = {0};
    const VsmDigest config = s->binding.config;
    const VsmSecret *const *auth = (const VsmSecret *const *)host->tpm->auth;

    s->binding.config = digest_of("another config");
    assert_not_unsealed(host, s, VSM_ERROR_CONFIG, "0x99d");
    s->binding.config = config;
    g_assert_true(vsm_tpm_seal(host->tpm, &s->ssk, &s->binding, &s->digest,
                               &again, &error));
    g_assert_no_error(error);
    vsm_tpm_object_clear(&again);
    assert_unseals(host, s);

    g_assert_true(tap_saw(host->tap, s->binding.config.b, 48)); /* sees all */
    g_assert_false(tap_saw(host->tap, s->digest.b, 16));
    g_assert_false(
        tap_saw(host->tap, vsm_secret_peek(host->tpm->snapshot_auth), 16));
    for (guint i = VSM_TPM_AK; i < VSM_TPM_FIXED; i++) {
        g_assert_false(tap_saw(host->tap, vsm_secret_peek(auth[i]), 16));
    }
}

/* The session's own trap, without the care that the rest of src/tpm takes. */
static void test_a_session_encrypts_again_after_a_refused_unseal(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(GError) error = NULL;
    g_auto(VsmTpmHandle) session = VSM_TPM_NO_HANDLE;
    g_autofree TPM2B_SENSITIVE_DATA *data = NULL;
    TPMA_SESSION attributes = 0;
    ESYS_TR tr;

    vsm_tpm_lock(host->tpm);
    g_assert_true(vsm_tpm_session_hmac(host->tpm, true, &session, &error));
    /* The AK is no sealed object: refused. */
    g_assert_cmphex(Esys_Unseal(host->tpm->esys, host->tpm->fixed[VSM_TPM_AK],
                                vsm_tpm_use(&session, VSM_TPM_OUT),
                                ESYS_TR_NONE, ESYS_TR_NONE, &data),
                    !=, 0);
    tr = vsm_tpm_use(&session, VSM_TPM_IN | VSM_TPM_OUT);
    g_assert_cmphex(Esys_TRSess_GetAttributes(host->tpm->esys, tr, &attributes),
                    ==, 0);
    g_assert_cmphex(attributes, ==,
                    TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT |
                        TPMA_SESSION_CONTINUESESSION);
    vsm_tpm_handle_clear(&session);
    vsm_tpm_unlock(host->tpm);
}

static void test_seal_refuses_an_all_zero_policy(void)
{
    VsmTpmPolicy zero = {0};
    g_autoptr(GError) error = NULL;
    TPM2B_PUBLIC public;

    g_assert_false(vsm_tpm_template_sealed(&zero, &public, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
}

static void test_pcrs_are_always_expected(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = seal(host);
    /* TPM2_PolicyPCR with an expected digest of 32 bytes, after the handle. */
    VsmTpmPcrs vm = {.bank = VSM_TPM_BANK_SHA384};
    guint8 expected[2][34] = {{0, 32}, {0, 32}};

    vsm_tpm_pcr_vm(&vm, &s->binding.hypervisor, &s->binding.config);
    vsm_tpm_pcrs_digest(&s->binding.boot, VSM_TPM_BANK_SHA256, expected[0] + 2);
    vsm_tpm_pcrs_digest(&vm, VSM_TPM_BANK_SHA256, expected[1] + 2);
    assert_unseals(host, s);
    g_assert_cmpuint(tap_count(host->tap, TPM2_CC_PolicyPCR), ==, 2);
    g_assert_true(tap_saw(host->tap, expected[0], sizeof(expected[0])));
    g_assert_true(tap_saw(host->tap, expected[1], sizeof(expected[1])));
}

/* --- Fallback ----------------------------------------------------------- */

static guint32 no_symmetric_parent(Tap *tap, guint32 code, gpointer opaque)
{
    guint *left = opaque;

    (void)tap;
    if (code == TPM2_CC_Create && *left) {
        --*left;
        return TPM2_RC_FMT1 | TPM2_RC_P | TPM2_RC_2 | 0x0a; /* TPM_RC_TYPE */
    }
    return 0;
}

static void test_seal_works_without_symmetric_parents(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(Snapshot) s = NULL;
    guint left = 1;

    host->tap->hook = no_symmetric_parent;
    host->tap->opaque = &left;
    s = seal(host);
    g_assert_cmpuint(left, ==, 0);
    /* TPMT_PUBLIC.type: TPM_ALG_ECC. */
    g_assert_cmpmem(g_bytes_get_data(s->ssk.public_area, NULL), 2, "\0\x23", 2);
    assert_unseals(host, s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/tpm/seal/" path, test_##name)
    ADD("unseal-gives-what-was-sealed", unseal_gives_what_was_sealed);
    ADD("survives-restart", unseal_survives_a_restart_of_the_tpm);
    ADD("refuses-hypervisor", tpm_refuses_another_hypervisor);
    ADD("refuses-configuration", tpm_refuses_another_configuration);
    ADD("refuses-boot", tpm_refuses_another_boot);
    ADD("refuses-stated-boot", tpm_refuses_boot_pcrs_that_are_not_as_stated);
    ADD("refuses-secret", tpm_refuses_another_host_secret);
    ADD("refuses-changed-objects", unseal_refuses_changed_objects);
    ADD("no-secret-on-the-wire", no_secret_on_the_wire_also_after_a_refusal);
    ADD("session-encrypts-again",
        a_session_encrypts_again_after_a_refused_unseal);
    ADD("refuses-zero-policy", seal_refuses_an_all_zero_policy);
    ADD("pcrs-expected", pcrs_are_always_expected);
    ADD("without-symmetric-parents", seal_works_without_symmetric_parents);
    return g_test_run();
}
