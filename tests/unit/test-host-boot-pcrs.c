/*
 * Which PCRs stand for the boot where nobody names them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include "host-fixture.h"

static guint32 boot_pcrs(Store *store)
{
    g_autoptr(VsmStatus) status = NULL;
    g_autoptr(GError) error = NULL;
    VsmVm vm = {.uuid = FAKE_UUID};

    store_reopen(store); /* the choice is made there */
    g_assert_true(
        vsm_attester_status(store->attester, &vm, &status, NULL, &error));
    g_assert_no_error(error);
    return status->boot_pcrs;
}

static void test_loaders_pcrs_count_where_they_have_a_value(void)
{
    g_autoptr(Store) store = store_new();

    g_assert_cmphex(boot_pcrs(store), ==, 0xff);
    tap_extend_pcr(store->tap, 10); /* IMA's, for ever growing */
    tap_extend_pcr(store->tap, 12);
    g_assert_cmphex(boot_pcrs(store), ==, 0xff);
    tap_extend_pcr(store->tap, 8);
    tap_extend_pcr(store->tap, 9);
    g_assert_cmphex(boot_pcrs(store), ==, 0x3ff);
    tap_extend_pcr(store->tap, 11);
    g_assert_cmphex(boot_pcrs(store), ==, 0xbff);
}

static void test_named_pcrs_are_taken_as_they_are(void)
{
    g_autoptr(Store) store = store_new();

    tap_extend_pcr(store->tap, 9);
    store->options.boot_pcrs = 0x91;
    g_assert_cmphex(boot_pcrs(store), ==, 0x91);
}

/* Another kernel, told by the boot loader alone */
static void test_other_kernel_is_refused(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *text = NULL;

    tap_extend_pcr(store->tap, 8);
    tap_extend_pcr(store->tap, 9);
    store_reopen(store);
    g_free(store_save(store, "one", false));
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
                     VSM_RESULT_MATCH);
    tap_extend_pcr(store->tap, 9);
    store_reopen(store);
    text = store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT);
    g_assert_nonnull(strstr(text, "PCR 9"));
}

/* A boot that has one more, or leaves one out, is none that was approved. */
static void test_other_choice_is_not_the_approved_boot(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");

    store_approve(store, 0);
    g_free(store_save(store, "one", false));
    tap_extend_pcr(store->tap, 9);
    store_reopen(store);
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT));
    store_approve(store, 0);
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
                     VSM_RESULT_MATCH);
}

/* A state that says less would serve for ever. */
static void test_state_of_fewer_pcrs_is_not_kept(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GError) error = NULL;

    store_approve(store, 0);
    tap_extend_pcr(store->tap, 9);
    store_reopen(store);
    g_assert_false(
        vsm_host_approve_begin(store->host, NULL, 1, &request, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_POLICY);
    store_approve(store, 0);
    tap_extend_pcr(store->tap, 9);
    store_approve(store, 1); /* one of as many is kept */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host-boot-pcrs/"
                    "loaders-pcrs-count-where-they-have-a-value",
                    test_loaders_pcrs_count_where_they_have_a_value);
    g_test_add_func("/host-boot-pcrs/named-pcrs-are-taken-as-they-are",
                    test_named_pcrs_are_taken_as_they_are);
    g_test_add_func("/host-boot-pcrs/other-kernel-is-refused",
                    test_other_kernel_is_refused);
    g_test_add_func("/host-boot-pcrs/other-choice-is-not-the-approved-boot",
                    test_other_choice_is_not_the_approved_boot);
    g_test_add_func("/host-boot-pcrs/state-of-fewer-pcrs-is-not-kept",
                    test_state_of_fewer_pcrs_is_not_kept);
    return g_test_run();
}
