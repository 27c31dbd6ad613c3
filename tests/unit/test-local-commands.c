/*
 * How many commands a save and an attestation send to the TPM.
 *
 * A TPM chip is slow, so their number is what a user waits for; this fails when
 * one is added unawares.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"
#include <string.h>

/* What a step sent, one code after the other; forgets it. */
static void assert_sent(Store *store, const guint32 *codes, guint n)
{
    g_autofree char *text = tap_text(store->tap);
    bool same = store->tap->codes->len == n;

    for (guint i = 0; i < n && same; i++) {
        same = g_array_index(store->tap->codes, guint32, i) == codes[i];
    }
    if (!same) {
        g_error("%u commands, not the %u expected:%s", store->tap->codes->len,
                n, text);
    }
    tap_reset(store->tap);
}

#define ASSERT_SENT(store, ...)                                                \
    do {                                                                       \
        const guint32 codes[] = {__VA_ARGS__};                                 \
        assert_sent(store, codes, G_N_ELEMENTS(codes));                        \
    } while (0)

static void test_a_save_sends_the_commands_of_the_design(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmSealing) sealing = NULL;
    g_autoptr(VsmRecord) record = NULL;
    g_autoptr(GError) error = NULL;
    VsmContainer container;

    g_free(store_save(store, "first", false));
    tap_reset(store->tap);

    /* With the VM running: is this boot approved?  And the seal key. */
    sealing = fake_save_begin(store->vm, store->attester, "one", false, &error);
    g_assert_no_error(error);
    ASSERT_SENT(store, TPM2_CC_PCR_Read, TPM2_CC_StartAuthSession,
                TPM2_CC_Create);

    /* While it is paused: nothing while RAM is hashed. */
    g_assert_true(fake_save_stream(store->vm, sealing, NULL));
    assert_sent(store, NULL, 0);

    container = fake_container(store->vm, "one", 5);
    g_assert_true(vsm_sealing_finish(sealing, &container, &error));
    vsm_container_clear(&container);
    ASSERT_SENT(store, TPM2_CC_PCR_Read, TPM2_CC_StartAuthSession, TPM2_CC_Load,
                TPM2_CC_Create, TPM2_CC_FlushContext);

    g_assert_true(vsm_sealing_commit(sealing, &record, &error));
    ASSERT_SENT(store, TPM2_CC_StartAuthSession, TPM2_CC_StartAuthSession,
                TPM2_CC_NV_Certify, TPM2_CC_NV_Extend);
}

static void test_an_attestation_sends_the_commands_of_the_design(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GBytes) nonce = g_bytes_new_static("0123456789abcdef", 16);
    g_autoptr(VsmCheck) check = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    g_free(store_save(store, "one", false));
    tap_reset(store->tap);

    /* With the VM running. */
    check = fake_check_begin(store->vm, store->attester, VSM_PURPOSE_FULL,
                             "one", nonce, &error);
    g_assert_no_error(error);
    ASSERT_SENT(store, TPM2_CC_PCR_Read, TPM2_CC_PCR_Reset, TPM2_CC_PCR_Extend,
                TPM2_CC_PCR_Extend, TPM2_CC_StartAuthSession, TPM2_CC_Load,
                TPM2_CC_Load, TPM2_CC_FlushContext, TPM2_CC_StartAuthSession,
                TPM2_CC_PolicyPCR, TPM2_CC_PolicyPCR, TPM2_CC_PolicyAuthValue,
                TPM2_CC_Unseal, TPM2_CC_FlushContext, TPM2_CC_Quote,
                TPM2_CC_PCR_Reset);

    /* Nothing while it is paused; after that the report is signed. */
    g_assert_true(fake_check_finish(store->vm, check, VSM_PURPOSE_FULL,
                                    &verdict, &error));
    ASSERT_SENT(store, TPM2_CC_StartAuthSession, TPM2_CC_Sign);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/local-commands/a-save-sends-the-commands-of-the-design",
                    test_a_save_sends_the_commands_of_the_design);
    g_test_add_func(
        "/local-commands/an-attestation-sends-the-commands-of-the-design",
        test_an_attestation_sends_the_commands_of_the_design);
    return g_test_run();
}
