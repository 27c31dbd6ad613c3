/*
 * Save, finish, commit, list, check, remove: a whole life of snapshots against
 * a fake hypervisor and a real software TPM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"
#include <string.h>
#include <vsm/report.h>

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

/* Leaves of more than one message. */
static void test_record_longer_than_a_message_matches(void)
{
    g_autoptr(Store) store = store_new();

    fake_vm_free(store->vm);
    store->vm = fake_vm_new_with(2 * 24000); /* half of it is not zero */
    g_free(store_save(store, "one", false));
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_STORED, "one"), ==,
                     VSM_RESULT_MATCH);
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
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

/* The report of a check with @nonce, for @recipient (NULL: anybody). */
static char *report_of(Store *store,
                       VsmPurpose purpose,
                       GBytes *nonce,
                       const char *recipient)
{
    g_autoptr(VsmCheck) check = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;
    VsmCheckRequest request = {
        .vm = fake_vm_describe(store->vm),
        .purpose = purpose,
        .snapshot = "tag:one",
        .nonce = nonce,
        .recipient = recipient,
    };

    check = vsm_check_begin(store->attester, store->vm->pool, &request, NULL,
                            &error);
    g_assert_no_error(error);
    fake_check_finish(store->vm, check, purpose, &verdict, &error);
    g_assert_no_error(error);
    g_assert_nonnull(verdict->report);
    return g_steal_pointer(&verdict->report);
}

/* Offline, by nothing but the host's trust file and what was asked. */
static void assert_verifies(Store *store,
                            const char *jws,
                            GBytes *nonce,
                            const char *op,
                            const char *scope,
                            const char *recipient,
                            const char *result)
{
    g_autofree char *json = NULL;
    g_autoptr(VsmTrust) trust = NULL;
    g_autoptr(VsmReportPolicy) policy = NULL;
    g_autoptr(VsmReport) report = NULL;
    g_autoptr(GError) error = NULL;
    VsmExpectation expectation = {
        .nonce = nonce,
        .op = op,
        .snapshot = "tag:one",
        .scope = scope,
        .vm_uuid = FAKE_UUID,
        .recipient = recipient,
    };

    vsm_host_keys(store->host, &json, &error);
    g_assert_no_error(error);
    trust = vsm_trust_load(json, &error);
    g_assert_no_error(error);
    policy = vsm_report_policy_load("{\"version\":1,\"allow_in_process\":true}",
                                    &error);
    g_assert_no_error(error);
    vsm_report_verify(jws, trust, policy, &expectation,
                      g_get_real_time() / G_USEC_PER_SEC, &report, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(report->result, ==, result);
}

static void test_reports_verify_offline_by_the_hosts_keys(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GBytes) nonce = g_bytes_new_static("0123456789abcdef", 16);
    g_autofree char *attest = NULL;
    g_autofree char *verify = NULL;
    g_autofree char *rollback = NULL;
    g_autofree char *changed = NULL;

    g_free(store_save(store, "one", false));
    attest = report_of(store, VSM_PURPOSE_FULL, nonce, NULL);
    assert_verifies(store, attest, nonce, "attest", "full", "", "match");
    verify = report_of(store, VSM_PURPOSE_STORED, nonce, NULL);
    assert_verifies(store, verify, nonce, "verify", "stored", "", "match");
    rollback = report_of(store, VSM_PURPOSE_LOAD, nonce, NULL);
    assert_verifies(store, rollback, nonce, "rollback", "full", "", "match");
    store->vm->ram[0][0] ^= 1;
    changed = report_of(store, VSM_PURPOSE_FULL, nonce, NULL);
    assert_verifies(store, changed, nonce, "attest", "full", "", "mismatch");
}

#define POINT                                                                  \
    "\"kty\":\"EC\",\"crv\":\"P-256\","                                        \
    "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","                   \
    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\""
#define PRIVATE "\"d\":\"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE\""

static void test_report_for_a_recipient_is_for_it_alone(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GBytes) nonce = g_bytes_new_static("0123456789abcdef", 16);
    g_autofree char *jwe = NULL;
    g_autofree char *jws = NULL;
    g_autofree char *thumbprint = NULL;
    g_autoptr(GError) error = NULL;

    g_free(store_save(store, "one", false));
    jwe = report_of(store, VSM_PURPOSE_FULL, nonce, "{" POINT "}");
    vsm_report_recipient("{" POINT "}", &thumbprint, &error);
    g_assert_no_error(error);
    vsm_report_open(jwe, "{" POINT "," PRIVATE "}", &jws, &error);
    g_assert_no_error(error);
    assert_verifies(store, jws, nonce, "attest", "full", thumbprint, "match");
}

/* vsmctl verify-snapshot without the VM: all bytes, and no unsealing. */
static void test_stored_bytes_are_checked_without_the_vm(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GBytes) nonce = g_bytes_new_static("0123456789abcdef", 16);
    g_autoptr(VsmVerdict) good = NULL;
    g_autoptr(VsmVerdict) bad = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) reported = NULL;

    g_free(store_save(store, "one", false));
    store->vm->config = NULL;
    fake_check(store->vm, store->attester, VSM_PURPOSE_STORED, "one", NULL,
               &good, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(good->result, ==, VSM_RESULT_MATCH);
    g_assert_false(good->unsealed);
    g_assert_null(fake_check_begin(store->vm, store->attester,
                                   VSM_PURPOSE_STORED, "one", nonce,
                                   &reported));
    g_assert_error(reported, VSM_ERROR, VSM_ERROR_INVALID);
    store->vm->disk->data[1000] ^= 1;
    fake_check(store->vm, store->attester, VSM_PURPOSE_STORED, "one", NULL,
               &bad, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(bad->result, ==, VSM_RESULT_MISMATCH);
}

/* A section of the accept table re-derives itself right after a load. */
static void test_accepted_form_matches_only_after_a_verified_load(void)
{
    g_autoptr(Store) store = store_new();
    FakeVm *vm = store->vm;
    g_autoptr(VsmCheck) load = NULL;
    g_autoptr(VsmCheck) attest = NULL;
    g_autoptr(VsmVerdict) loaded = NULL;
    g_autoptr(VsmVerdict) attested = NULL;
    g_autoptr(VsmAccepted) accepted = NULL;
    g_autoptr(GBytes) derived = NULL;
    g_autoptr(GError) error = NULL;

    vm->sections[2].idstr = "0000:00:03.0/e1000e";
    g_free(store_save(store, "one", false));
    vm->payload[2][7] ^= 1; /* what its post_load makes of it */
    derived = g_bytes_new(vm->payload[2], sizeof(vm->payload[2]));
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
                     VSM_RESULT_MISMATCH);
    load = fake_check_begin(vm, store->attester, VSM_PURPOSE_LOAD, "one", NULL,
                            &error);
    g_assert_no_error(error);
    g_assert_true(vsm_check_accept(load, &vm->sections[2], derived, &error));
    fake_check_finish(vm, load, VSM_PURPOSE_LOAD, &loaded, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(loaded->result, ==, VSM_RESULT_MATCH);
    g_assert_cmpuint(loaded->accepted->len, ==, 1);
    accepted = vsm_check_take_accepted(load);
    attest = fake_check_begin(vm, store->attester, VSM_PURPOSE_FULL, "one",
                              NULL, &error);
    vsm_check_use_accepted(attest, accepted);
    fake_check_finish(vm, attest, VSM_PURPOSE_FULL, &attested, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(attested->result, ==, VSM_RESULT_MATCH);
    vm->payload[2][8] ^= 1; /* any other form is a change */
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
                     VSM_RESULT_MISMATCH);
}

static void test_section_outside_the_table_is_never_accepted(void)
{
    g_autoptr(Store) store = store_new();
    FakeVm *vm = store->vm;
    g_autoptr(VsmCheck) load = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GBytes) derived = NULL;
    g_autoptr(GError) error = NULL;

    g_free(store_save(store, "one", false));
    vm->payload[2][7] ^= 1;
    derived = g_bytes_new(vm->payload[2], sizeof(vm->payload[2]));
    load = fake_check_begin(vm, store->attester, VSM_PURPOSE_LOAD, "one", NULL,
                            &error);
    g_assert_true(vsm_check_accept(load, &vm->sections[2], derived, &error));
    fake_check_finish(vm, load, VSM_PURPOSE_LOAD, &verdict, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(verdict->result, ==, VSM_RESULT_MISMATCH);
}

/* With an operator nothing is sealed before the first approval. */
static void test_operator_policy_refuses_until_a_boot_is_approved(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *state = g_build_filename(store->dir, "operated", NULL);
    g_autofree char *pem = g_build_filename(store->dir, "operator.pem", NULL);
    g_autoptr(VsmStatus) status = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) saving = NULL;
    VsmVm vm = fake_vm_describe(store->vm);

    store_close(store);
    store->options.state_dir = state;
    store->options.operator_key_path = pem;
    g_assert_false(store_open(store, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    store_shell(store, "cd $S/.. && openssl ecparam -name secp384r1 -genkey "
                       "-noout -out key.pem && openssl ec -in key.pem -pubout "
                       "-out operator.pem 2> /dev/null");
    store_reopen(store);
    vsm_attester_status(store->attester, &vm, &status, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(status->boot_policy, ==, "operator");
    g_assert_false(status->boot_approved);
    g_assert_false(
        fake_save(store->vm, store->attester, "one", false, NULL, &saving));
    g_assert_error(saving, VSM_ERROR, VSM_ERROR_BOOT);
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
    g_test_add_func("/local-attester/record-longer-than-a-message-matches",
                    test_record_longer_than_a_message_matches);
    g_test_add_func("/local-attester/changed-page-is-found-with-its-place",
                    test_changed_page_is_found_with_its_place);
    g_test_add_func("/local-attester/changed-section-is-found-by-name",
                    test_changed_section_is_found_by_name);
    g_test_add_func("/local-attester/flipped-stored-byte-is-a-mismatch",
                    test_flipped_stored_byte_is_a_mismatch);
    g_test_add_func("/local-attester/reports-verify-offline-by-the-hosts-keys",
                    test_reports_verify_offline_by_the_hosts_keys);
    g_test_add_func("/local-attester/report-for-a-recipient-is-for-it-alone",
                    test_report_for_a_recipient_is_for_it_alone);
    g_test_add_func("/local-attester/stored-bytes-are-checked-without-the-vm",
                    test_stored_bytes_are_checked_without_the_vm);
    g_test_add_func(
        "/local-attester/accepted-form-matches-only-after-a-verified-load",
        test_accepted_form_matches_only_after_a_verified_load);
    g_test_add_func(
        "/local-attester/section-outside-the-table-is-never-accepted",
        test_section_outside_the_table_is_never_accepted);
    g_test_add_func(
        "/local-attester/operator-policy-refuses-until-a-boot-is-approved",
        test_operator_policy_refuses_until_a_boot_is_approved);
    g_test_add_func("/local-attester/status-says-what-holds",
                    test_status_says_what_holds);
    return g_test_run();
}
