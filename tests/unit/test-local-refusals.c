/*
 * What the attester refuses, with which error, and what that leaves as it was.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <string.h>
#include <unistd.h>

#define OTHER_CONFIG "machine pc-i440fx-10.0\nsmp 4\nmemory 1 MiB\n"

static void
assert_refused(Store *store, const char *snapshot, int code, const char *says)
{
    static const VsmPurpose all[] = {VSM_PURPOSE_LOAD, VSM_PURPOSE_FULL,
                                     VSM_PURPOSE_STORED};

    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autofree char *why = store_refused(store, all[i], snapshot, code);

        g_assert_nonnull(strstr(why, says));
    }
}

static void test_changed_boot_pcr_is_refused_by_number(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    tap_extend_pcr(store->tap, 4);
    assert_refused(store, "one", VSM_ERROR_BOOT, "PCR 4");
}

static void test_unbound_pcr_may_change(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    tap_extend_pcr(store->tap, 10);
    store_assert_match(store, "one");
}

static void test_other_configuration_is_refused_with_its_lines(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    store->vm->config = OTHER_CONFIG;
    assert_refused(store, "one", VSM_ERROR_CONFIG,
                   "sealed with \"smp 2\", now \"smp 4\"");
    store->vm->config = FAKE_CONFIG;
    store_assert_match(store, "one");
}

/* Another file mapped executable is another hypervisor. */
static void measure_self(Store *store)
{
    g_free(store->proc);
    store->proc = g_strdup("/proc/self");
    store_reopen(store);
}

static gpointer map_executable(Store *store, gsize *ret_bytes)
{
    g_autofree char *path = g_build_filename(store->dir, "plugin", NULL);
    g_autofree char *content = g_strnfill(4096, 'x');
    gpointer at;
    int fd;

    g_assert_true(g_file_set_contents(path, content, 4096, NULL));
    fd = open(path, O_RDONLY);
    at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    g_assert_true(at != MAP_FAILED);
    close(fd);
    *ret_bytes = 4096;
    return at;
}

static void test_other_hypervisor_is_refused(void)
{
    g_autoptr(Store) store = store_new();
    gsize bytes;
    gpointer at;

    measure_self(store);
    g_free(store_save(store, "one", false));
    at = map_executable(store, &bytes);
    assert_refused(store, "one", VSM_ERROR_HYPERVISOR, "hypervisor's files");
    munmap(at, bytes);
    /* its code may have changed the process before it went */
    assert_refused(store, "one", VSM_ERROR_HYPERVISOR, "plugin");
    store_reopen(store);
    store_assert_match(store, "one");
}

static void test_file_mapped_during_a_check_gives_no_verdict(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmCheck) check = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;
    gsize bytes;
    gpointer at;

    measure_self(store);
    g_free(store_save(store, "one", false));
    check = fake_check_begin(store->vm, store->attester, VSM_PURPOSE_FULL,
                             "one", NULL, &error);
    g_assert_no_error(error);
    at = map_executable(store, &bytes);
    g_assert_false(fake_check_finish(store->vm, check, VSM_PURPOSE_FULL,
                                     &verdict, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR);
    g_assert_nonnull(strstr(error->message, "plugin"));
    munmap(at, bytes);
    g_clear_pointer(&check, vsm_check_free);
    store_reopen(store);
    store_assert_match(store, "one");
}

static void test_file_mapped_after_the_seal_commits_nothing(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmSealing) sealing = NULL;
    g_autoptr(VsmRecord) record = NULL;
    g_autoptr(GError) error = NULL;
    VsmContainer container;
    gsize bytes;
    gpointer at;

    measure_self(store);
    sealing = fake_save_begin(store->vm, store->attester, "one", false, &error);
    g_assert_true(fake_save_stream(store->vm, sealing, &error));
    container = fake_container(store->vm, "one", 77);
    g_assert_true(vsm_sealing_finish(sealing, &container, &error));
    vsm_container_clear(&container);
    at = map_executable(store, &bytes);
    g_assert_false(vsm_sealing_commit(sealing, &record, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR);
    g_assert_nonnull(strstr(error->message, "plugin"));
    munmap(at, bytes);
    g_clear_pointer(&sealing, vsm_sealing_free);
    g_assert_cmpuint(store_count(store, true), ==, 0);
    g_free(store_save(store, "one", false));
    store_assert_match(store, "one");
}

static void assert_tpm_refuses(Store *store)
{
    g_autofree char *why =
        store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_CONFIG);

    g_assert_nonnull(strstr(why, "0x99d")); /* TPM_RC_POLICY_FAIL */
}

/* The attester's comparison off: the TPM's policy must refuse by itself. */
static void test_tpm_refuses_by_itself(void)
{
    g_autoptr(Store) store = store_new();
    gsize bytes;
    gpointer at;

    measure_self(store);
    g_free(store_save(store, "one", false));
    vsm_local_trust_tpm_alone = true;
    store_assert_match(store, "one");
    store->vm->config = OTHER_CONFIG;
    assert_tpm_refuses(store);
    store->vm->config = FAKE_CONFIG;
    at = map_executable(store, &bytes);
    assert_tpm_refuses(store);
    munmap(at, bytes);
    store_reopen(store); /* the set of measured files begins anew */
    store_assert_match(store, "one");
    tap_extend_pcr(store->tap, 4);
    assert_tpm_refuses(store);
    vsm_local_trust_tpm_alone = false;
}

static void test_unmeasured_boot_is_refused_unless_allowed(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;

    store_close(store);
    store->options.boot_pcrs = 0x300; /* nobody extended 8 and 9 */
    store_reopen(store);
    g_assert_false(
        fake_save(store->vm, store->attester, "one", false, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BOOT);
    store->options.allow_unmeasured_boot = true;
    store_reopen(store);
    g_free(store_save(store, "one", false));
    store_assert_match(store, "one");
    store->options.allow_unmeasured_boot = false;
    store_reopen(store);
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT));
}

static void test_unknown_snapshot_is_not_found(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    assert_refused(store, "two", VSM_ERROR_NOT_FOUND, "\"two\"");
    assert_refused(store, "id:one", VSM_ERROR_INVALID, "");
    assert_refused(store, "tag:two", VSM_ERROR_NOT_FOUND, "two");
    assert_refused(store, "00000000000000000000000000000000",
                   VSM_ERROR_NOT_FOUND, "0000");
}

static void test_runtime_scope_wants_a_profile(void)
{
    g_autoptr(Store) store = store_new();

    g_free(store_save(store, "one", false));
    g_free(store_refused(store, VSM_PURPOSE_RUNTIME, "one", VSM_ERROR_INVALID));
    g_free(store_refused(store, VSM_PURPOSE_WATCH, "one", VSM_ERROR_INVALID));
    store_assert_match(store, "one");
}

static void test_wrong_nonce_size_is_invalid(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GBytes) small = g_bytes_new_static("1234567", 7);
    g_autoptr(GBytes) big = g_bytes_new_take(g_malloc0(65), 65);
    g_autoptr(GError) one = NULL;
    g_autoptr(GError) two = NULL;

    g_free(store_save(store, "one", false));
    g_assert_null(fake_check_begin(store->vm, store->attester, VSM_PURPOSE_FULL,
                                   "one", small, &one));
    g_assert_error(one, VSM_ERROR, VSM_ERROR_INVALID);
    g_assert_null(fake_check_begin(store->vm, store->attester, VSM_PURPOSE_FULL,
                                   "one", big, &two));
    g_assert_error(two, VSM_ERROR, VSM_ERROR_INVALID);
}

static void test_existing_tag_is_refused_without_replace(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;

    g_free(store_save(store, "one", false));
    g_assert_false(
        fake_save(store->vm, store->attester, "one", false, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_assert_cmpuint(store_count(store, true), ==, 1);
    g_assert_cmpuint(store_count(store, false), ==, 0);
}

static void test_tag_that_looks_like_an_id_is_refused(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;

    g_assert_false(fake_save(store->vm, store->attester,
                             "000102030405060708090A0b0c0d0e0f", false, NULL,
                             &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
}

static void test_another_vm_is_refused(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;
    char *id = NULL;
    VsmSealRequest request = {.vm = fake_vm_describe(store->vm), .tag = "one"};
    int code = store->daemon ? VSM_ERROR_DENIED : VSM_ERROR_INVALID;

    request.vm.uuid = "ffffffff-4455-6677-8899-aabbccddeeff";
    g_assert_false(
        vsm_attester_seal_begin(store->attester, &request, &id, NULL, &error));
    g_assert_error(error, VSM_ERROR, code);
}

static void put_text(Store *store, VsmPart part, const char *text)
{
    g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

    g_assert_true(
        vsm_attester_put(store->attester, part, 0, bytes, NULL, NULL));
}

static void test_store_that_gives_other_bytes_back_has_nothing_sealed(void)
{
    static const char *const attacks[] = {
        "for f in $S/vm/*/*/manifest; do printf abd > $f; done",
        "for f in $S/vm/*/*/stream; do printf dfe > $f; done"};

    for (guint i = 0; i < G_N_ELEMENTS(attacks); i++) {
        g_autoptr(Store) store = store_new();
        g_autoptr(GError) error = NULL;
        g_autofree char *id = NULL;
        VsmSealRequest request = {.vm = fake_vm_describe(store->vm),
                                  .tag = "one",
                                  .expect_bytes = 1 << 20};
        VsmContainer container = fake_container(store->vm, "one", 1);

        g_assert_true(vsm_attester_seal_begin(store->attester, &request, &id,
                                              NULL, NULL));
        put_text(store, VSM_PART_MANIFEST, "abc");
        put_text(store, VSM_PART_STREAM, "def");
        store_shell(store, attacks[i]);
        g_assert_false(vsm_attester_seal_finish(store->attester, &container,
                                                "none", NULL, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
        vsm_container_clear(&container);
        vsm_attester_abort(store->attester);
    }
}

static void test_transport_that_runs_other_code_is_refused(void)
{
    static const char *const tctis[] = {"cmd:touch /tmp/x", "/tmp/evil.so", "",
                                        "libtss2-tcti-cmd.so.0:x", "devicex:y"};
    g_autoptr(Store) store = store_new();

    store_close(store);
    for (guint i = 0; i < G_N_ELEMENTS(tctis); i++) {
        g_autoptr(GError) error = NULL;
        VsmHostOptions options = store->options;

        options.tcti = tctis[i];
        g_assert_null(vsm_host_open(&options, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/local-refusals/" path, func)
    ADD("changed-boot-pcr-is-refused-by-number",
        test_changed_boot_pcr_is_refused_by_number);
    ADD("unbound-pcr-may-change", test_unbound_pcr_may_change);
    ADD("other-configuration-is-refused-with-its-lines",
        test_other_configuration_is_refused_with_its_lines);
    ADD("other-hypervisor-is-refused", test_other_hypervisor_is_refused);
    ADD("file-mapped-during-a-check-gives-no-verdict",
        test_file_mapped_during_a_check_gives_no_verdict);
    ADD("file-mapped-after-the-seal-commits-nothing",
        test_file_mapped_after_the_seal_commits_nothing);
    ADD("tpm-refuses-by-itself", test_tpm_refuses_by_itself);
    ADD("unmeasured-boot-is-refused-unless-allowed",
        test_unmeasured_boot_is_refused_unless_allowed);
    ADD("unknown-snapshot-is-not-found", test_unknown_snapshot_is_not_found);
    ADD("runtime-scope-wants-a-profile", test_runtime_scope_wants_a_profile);
    ADD("wrong-nonce-size-is-invalid", test_wrong_nonce_size_is_invalid);
    ADD("existing-tag-is-refused-without-replace",
        test_existing_tag_is_refused_without_replace);
    ADD("tag-that-looks-like-an-id-is-refused",
        test_tag_that_looks_like_an_id_is_refused);
    ADD("another-vm-is-refused", test_another_vm_is_refused);
    ADD("store-that-gives-other-bytes-back-has-nothing-sealed",
        test_store_that_gives_other_bytes_back_has_nothing_sealed);
    ADD("transport-that-runs-other-code-is-refused",
        test_transport_that_runs_other_code_is_refused);
    return g_test_run();
}
