/*
 * Save, finish, commit, list, check, remove: a whole life of snapshots against
 * a fake hypervisor and a real software TPM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"
#include <string.h>
#include "report/jws.h"

static void test_saved_snapshot_is_listed_with_all_it_was_sealed_with(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(GError) error = NULL;
    const VsmRecord *record;
    VsmDigest zero = {{0}};

    vsm_attester_list(store->attester, &records, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(records->len, ==, 1);
    record = records->pdata[0];
    g_assert_cmpstr(record->id, ==, id);
    g_assert_cmpstr(record->tag, ==, "one");
    g_assert_cmpstr(record->vm_uuid, ==, FAKE_UUID);
    g_assert_cmpstr(record->config, ==, FAKE_CONFIG);
    g_assert_cmpstr(record->pcr_bank, ==, "sha384");
    g_assert_cmpuint(record->boot_pcrs, ==, 0xff);
    g_assert_true(record->listed);
    g_assert_true(record->has_mark);
    g_assert_null(record->damaged);
    g_assert_false(vsm_digest_equal(&record->commit, &zero));
    g_assert_false(vsm_digest_equal(&record->state, &zero));
    g_assert_cmpuint(record->container.disks->len, ==, 1);
}

static void test_unchanged_vm_matches(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
                     VSM_RESULT_MATCH);
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_STORED, "tag:one"), ==,
                     VSM_RESULT_MATCH);
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_LOAD, "one"), ==,
                     VSM_RESULT_MATCH);
}

static void test_snapshot_matches_after_a_restart(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autofree char *asked = g_strdup_printf("id:%s", id);

    store_reopen(store);
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, asked), ==,
                     VSM_RESULT_MATCH);
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, id), ==,
                     VSM_RESULT_MATCH);
}

static void test_changed_page_is_found_with_its_place(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;
    const VsmFinding *finding;

    g_free(store_save(store, "one", false));
    store->vm->ram[0][5 * VSM_PAGE_BYTES + 17] ^= 1;
    fake_check(store->vm, store->attester, VSM_PURPOSE_FULL, "one", NULL,
               &verdict, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(verdict->result, ==, VSM_RESULT_MISMATCH);
    g_assert_true(verdict->unsealed);
    g_assert_cmpuint(verdict->findings->len, ==, 1);
    finding = verdict->findings->pdata[0];
    g_assert_cmpstr(finding->kind, ==, "ram");
    g_assert_cmpstr(finding->where, ==, "pc.ram");
    g_assert_cmpuint(finding->offset, ==, 5 * VSM_PAGE_BYTES);
    g_assert_cmpuint(finding->bytes, ==, VSM_PAGE_BYTES);
}

static void test_changed_section_is_found_by_name(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;
    const VsmFinding *finding;

    g_free(store_save(store, "one", false));
    store->vm->payload[1][3] ^= 1;
    fake_check(store->vm, store->attester, VSM_PURPOSE_FULL, "one", NULL,
               &verdict, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(verdict->result, ==, VSM_RESULT_MISMATCH);
    g_assert_cmpuint(verdict->findings->len, ==, 1);
    finding = verdict->findings->pdata[0];
    g_assert_cmpstr(finding->kind, ==, "vcpu");
    g_assert_cmpstr(finding->where, ==, "cpu/1");
}

static void test_flipped_stored_byte_is_a_mismatch(void)
{
    g_autoptr(Store) store = store_new();
    guint positions[] = {0, 9, 4200, 400000};

    g_free(store_save(store, "one", false));
    for (guint i = 0; i < G_N_ELEMENTS(positions); i++) {
        g_autoptr(VsmVerdict) verdict = NULL;
        g_autoptr(GError) error = NULL;

        store->vm->disk->data[positions[i]] ^= 0x40;
        fake_check(store->vm, store->attester, VSM_PURPOSE_STORED, "one", NULL,
                   &verdict, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(verdict->result, ==, VSM_RESULT_MISMATCH);
        g_assert_cmpuint(verdict->findings->len, ==, 1);
        store->vm->disk->data[positions[i]] ^= 0x40;
    }
}

static void test_report_is_signed_for_the_nonce(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GBytes) nonce = g_bytes_new_static("0123456789abcdef", 16);
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(VsmStatus) status = NULL;
    g_autofree char *payload = NULL;
    g_autoptr(GError) error = NULL;
    VsmVm vm = fake_vm_describe(store->vm);

    g_free(store_save(store, "one", false));
    fake_check(store->vm, store->attester, VSM_PURPOSE_FULL, "one", nonce,
               &verdict, &error);
    g_assert_no_error(error);
    g_assert_nonnull(verdict->report);
    vsm_attester_status(store->attester, &vm, &status, NULL, &error);
    g_assert_no_error(error);
    vsm_jws_verify(verdict->report, status->rk_jwk, &payload, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(payload, "\"result\":\"match\""));
}

static void test_status_says_what_holds(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmStatus) status = NULL;
    g_autoptr(GError) error = NULL;
    VsmVm vm = fake_vm_describe(store->vm);

    vsm_attester_status(store->attester, &vm, &status, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(status->kind, ==, "in-process");
    g_assert_cmpstr(status->boot_policy, ==, "frozen");
    g_assert_true(status->boot_measured);
    g_assert_true(status->boot_approved);
    g_assert_true(status->hypervisor_measured);
    g_assert_nonnull(strstr(status->tpm, "firmware"));
}

static void test_keys_are_a_trust_file(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *json = NULL;
    g_autoptr(GError) error = NULL;

    vsm_host_keys(store->host, &json, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(json, "P-384"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/local-attester/saved-snapshot-is-listed-with-all-it-was-"
                    "sealed-with",
                    test_saved_snapshot_is_listed_with_all_it_was_sealed_with);
    g_test_add_func("/local-attester/unchanged-vm-matches",
                    test_unchanged_vm_matches);
    g_test_add_func("/local-attester/snapshot-matches-after-a-restart",
                    test_snapshot_matches_after_a_restart);
    g_test_add_func("/local-attester/changed-page-is-found-with-its-place",
                    test_changed_page_is_found_with_its_place);
    g_test_add_func("/local-attester/changed-section-is-found-by-name",
                    test_changed_section_is_found_by_name);
    g_test_add_func("/local-attester/flipped-stored-byte-is-a-mismatch",
                    test_flipped_stored_byte_is_a_mismatch);
    g_test_add_func("/local-attester/report-is-signed-for-the-nonce",
                    test_report_is_signed_for_the_nonce);
    g_test_add_func("/local-attester/status-says-what-holds",
                    test_status_says_what_holds);
    g_test_add_func("/local-attester/keys-are-a-trust-file",
                    test_keys_are_a_trust_file);
    return g_test_run();
}
