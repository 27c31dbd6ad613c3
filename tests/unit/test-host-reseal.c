/*
 * Reseal: by the operator alone, all or none, and what is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"
#include "kill-steps.h"

#include <string.h>
#include "host/pending.h"
#include "host/reseal.h"

#define NEW_CONFIG FAKE_CONFIG "device virtio-rng\n"

static void set_qemu(Store *store, const char *content)
{
    g_autofree char *line =
        g_strdup_printf("echo %s > ${S%%/state}/proc/exe", content);

    store_close(store);
    store_shell(store, line);
    store_reopen(store);
}

static VsmDigest hypervisor_now(Store *store)
{
    g_autoptr(VsmStatus) status = NULL;
    g_autoptr(GError) error = NULL;
    VsmVm vm = fake_vm_describe(store->vm);

    vsm_attester_status(store->attester, &vm, &status, NULL, &error);
    g_assert_no_error(error);
    return status->hypervisor;
}

static GBytes *
begin(Store *store, const char *const *snapshots, const char *config)
{
    VsmDigest hypervisor = hypervisor_now(store);
    g_autoptr(GError) error = NULL;
    GBytes *request = NULL;

    vsm_host_reseal_begin(store->host, FAKE_UUID, snapshots, &hypervisor,
                          config, &request, &error);
    g_assert_no_error(error);
    return request;
}

static void
reseal(Store *store, const char *const *snapshots, const char *config, guint n)
{
    g_autoptr(GBytes) request = begin(store, snapshots, config);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");
    g_autoptr(GError) error = NULL;
    guint done = 0;

    vsm_host_reseal_finish(store->host, signature, &done, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(done, ==, n);
}

static void assert_finish_refused(Store *store, GBytes *signature, int code)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(
        vsm_host_reseal_finish(store->host, signature, NULL, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_test_message("%s", error->message);
}

static void assert_match(Store *store, const char *snapshot)
{
    store_assert_match(store, snapshot);
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_STORED, snapshot), ==,
                     VSM_RESULT_MATCH);
}

/* Two snapshots, then another build of QEMU. */
static Store *updated_store(void)
{
    Store *store = store_new_operator("prime256v1");

    store_approve(store, 0);
    g_free(store_save(store, "one", false));
    g_free(store_save(store, "two", false));
    set_qemu(store, "qemu-2");
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_HYPERVISOR));
    return store;
}

static void test_new_hypervisor_is_resealed_as_one_commit(void)
{
    g_autoptr(Store) store = updated_store();
    VsmDigest before = store->host->value;

    reseal(store, NULL, FAKE_CONFIG, 2);
    g_assert_false(vsm_digest_equal(&before, &store->host->value));
    store_shell(store, "test $(ls $S/vm/*/*/signature | wc -l) = 2");
    assert_match(store, "one");
    assert_match(store, "two");
    store_reopen(store);
    assert_match(store, "one");
    assert_match(store, "two");
    store_shell(store, "! ls $S/vm/*/*/*.next 2>/dev/null");
    set_qemu(store, "qemu");
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_HYPERVISOR));
}

static void test_named_snapshots_alone_and_another_configuration(void)
{
    static const char *const one[] = {"tag:one", NULL};
    g_autoptr(Store) store = updated_store();

    store->vm->config = NEW_CONFIG;
    reseal(store, one, NEW_CONFIG, 1);
    assert_match(store, "one");
    g_free(store_refused(store, VSM_PURPOSE_FULL, "two", VSM_ERROR_HYPERVISOR));
    /* And once more: the last word counts. */
    set_qemu(store, "qemu-3");
    reseal(store, NULL, NEW_CONFIG, 2);
    assert_match(store, "one");
    assert_match(store, "two");
}

/* The TPM's policy moved, too: not only what the software compares. */
static void test_tpm_holds_the_new_binding_and_not_the_old(void)
{
    g_autoptr(Store) store = updated_store();

    reseal(store, NULL, FAKE_CONFIG, 2);
    vsm_local_trust_tpm_alone = true;
    assert_match(store, "one");
    set_qemu(store, "qemu");
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_CONFIG));
    vsm_local_trust_tpm_alone = false;
}

static void test_another_key_reseals_nothing(void)
{
    g_autoptr(Store) store = updated_store();
    g_autoptr(GBytes) request = begin(store, NULL, FAKE_CONFIG);
    g_autoptr(GBytes) signature = NULL;

    store_make_operator(store, "prime256v1", "other");
    signature = store_sign(store, request, "other");
    assert_finish_refused(store, signature, VSM_ERROR_SIGNATURE);
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_HYPERVISOR));
}

static void test_signature_over_another_request_reseals_nothing(void)
{
    g_autoptr(Store) store = updated_store();
    g_autoptr(GBytes) request = begin(store, NULL, FAKE_CONFIG);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");
    g_autoptr(GBytes) other = NULL;

    vsm_host_operator_abort(store->host);
    other = begin(store, NULL, NEW_CONFIG);
    assert_finish_refused(store, signature, VSM_ERROR_SIGNATURE);
}

static void test_signature_serves_one_commit(void)
{
    g_autoptr(Store) store = updated_store();
    g_autoptr(GBytes) request = begin(store, NULL, FAKE_CONFIG);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");

    g_free(store_save(store, "three", false));
    assert_finish_refused(store, signature, VSM_ERROR_STALE);
    assert_finish_refused(store, signature, VSM_ERROR_STALE);
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_HYPERVISOR));
    assert_match(store, "three");
}

static void test_boot_that_is_not_approved_reseals_nothing(void)
{
    g_autoptr(Store) store = updated_store();
    VsmDigest hypervisor = hypervisor_now(store);
    g_autoptr(GBytes) request = begin(store, NULL, FAKE_CONFIG);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) second = NULL;

    tap_extend_pcr(store->tap, 4);
    assert_finish_refused(store, signature, VSM_ERROR_BOOT);
    vsm_host_operator_abort(store->host);
    g_assert_false(vsm_host_reseal_begin(store->host, FAKE_UUID, NULL,
                                         &hypervisor, FAKE_CONFIG, &second,
                                         &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BOOT);
}

static void test_frozen_store_reseals_nothing(void)
{
    g_autoptr(Store) store = store_new();
    VsmDigest hypervisor = {{1}};
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GError) error = NULL;

    g_free(store_save(store, "one", false));
    g_assert_false(vsm_host_reseal_begin(store->host, FAKE_UUID, NULL,
                                         &hypervisor, FAKE_CONFIG, &request,
                                         &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED);
    g_assert_nonnull(strstr(error->message, "frozen"));
}

/*
 * Whoever has the host secret and the TPM, but not the operator's key, can make
 * such a record; each open finds that the operator did not sign for it.
 */
static void test_binding_that_the_operator_did_not_sign_is_refused(void)
{
    g_autoptr(Store) store = updated_store();
    const VsmEntry *entry =
        &g_array_index(store->host->catalogue->entries, VsmEntry, 0);
    g_autoptr(VsmMetadata) metadata = NULL;
    g_autoptr(GError) error = NULL;

    reseal(store, NULL, FAKE_CONFIG, 2);
    entry = &g_array_index(store->host->catalogue->entries, VsmEntry, 0);
    g_assert_true(vsm_host_metadata(store->host, FAKE_UUID, entry->id, entry,
                                    &metadata, NULL, NULL));
    g_assert_true(vsm_reseal_check(store->host, metadata, NULL));
    metadata->hypervisor.b[0] ^= 1;
    g_assert_false(vsm_reseal_check(store->host, metadata, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
    metadata->hypervisor.b[0] ^= 1;
    g_free(metadata->config);
    metadata->config = g_strdup(NEW_CONFIG);
    g_assert_false(vsm_reseal_check(store->host, metadata, NULL));
    g_free(metadata->config);
    metadata->config = g_strdup(FAKE_CONFIG);
    g_free(metadata->id);
    metadata->id = g_strdup("0123456789abcdef0123456789abcdef");
    g_assert_false(vsm_reseal_check(store->host, metadata, NULL));
}

/* The store of before, put back: the commit index knows. */
static void test_store_from_before_a_reseal_is_refused(void)
{
    g_autoptr(Store) store = updated_store();
    g_autoptr(GError) error = NULL;

    store_close(store);
    store_shell(store, "cp -a $S $S.before");
    store_reopen(store);
    reseal(store, NULL, FAKE_CONFIG, 2);
    store_close(store);
    store_shell(store, "mv $S $S.after; mv $S.before $S");
    g_assert_false(store_open(store, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_REPLAYED);
    store_close(store);
    /* One record of before in the store of after. */
    store_shell(store,
                "rm -r $S; cp -a $S.after $S; for f in $S/vm/*/*/metadata; do "
                "cp $f $f.kept; done");
    store_reopen(store);
    assert_match(store, "one");
}

/* --- kill -9 at every step -------------------------------------------- */

static bool reseal_both(Store *store, G_GNUC_UNUSED gconstpointer data)
{
    if (!store_open(store, NULL)) {
        return false;
    }
    kill_steps_count();
    reseal(store, NULL, FAKE_CONFIG, 2);
    return true;
}

static void test_killed_reseal_leaves_all_old_or_all_new(void)
{
    g_autoptr(Store) store = updated_store();
    bool killed = true;
    guint n = 0;

    for (; killed; n++) {
        g_autofree char *name = g_strdup_printf("qemu-x%u", n);
        bool committed;

        g_assert_cmpuint(n, <, 200);
        set_qemu(store, name);
        killed =
            kill_steps_at(store, reseal_both, NULL, n, "extend", &committed);
        store_reopen(store);
        store_shell(store, "! ls $S/vm/*/*/*.next 2>/dev/null");
        if (!committed) {
            g_free(store_refused(store, VSM_PURPOSE_FULL, "one",
                                 VSM_ERROR_HYPERVISOR));
            g_free(store_refused(store, VSM_PURPOSE_FULL, "two",
                                 VSM_ERROR_HYPERVISOR));
            reseal(store, NULL, FAKE_CONFIG, 2);
        }
        g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
                         VSM_RESULT_MATCH);
        g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "two"), ==,
                         VSM_RESULT_MATCH);
    }
    g_test_message("%u steps", n);
    g_assert_cmpuint(n, >, 15);
}

/* --- Debris ------------------------------------------------------------ */

/* Whoever writes the store cannot make the sweep delete disk entries. */
static void test_forged_record_is_dropped_and_never_swept(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");

    store_approve(store, 0);
    g_free(store_save(store, "one", false));
    store_close(store);
    store_shell(store, "cd $S/vm/*/; cp -a * "
                       "ffffffffffffffffffffffffffffffff");
    store_reopen(store);
    g_assert_cmpuint(store_count(store, false), ==, 0);
    g_assert_cmpuint(store_count(store, true), ==, 1);
    store_shell(store, "! ls -d $S/vm/*/ffff*  2>/dev/null");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/host-reseal/" path, test_##name)
    ADD("new-hypervisor-is-resealed-as-one-commit",
        new_hypervisor_is_resealed_as_one_commit);
    ADD("named-snapshots-alone-and-another-configuration",
        named_snapshots_alone_and_another_configuration);
    ADD("tpm-holds-the-new-binding-and-not-the-old",
        tpm_holds_the_new_binding_and_not_the_old);
    ADD("another-key-reseals-nothing", another_key_reseals_nothing);
    ADD("signature-over-another-request-reseals-nothing",
        signature_over_another_request_reseals_nothing);
    ADD("signature-serves-one-commit", signature_serves_one_commit);
    ADD("boot-that-is-not-approved-reseals-nothing",
        boot_that_is_not_approved_reseals_nothing);
    ADD("frozen-store-reseals-nothing", frozen_store_reseals_nothing);
    ADD("binding-that-the-operator-did-not-sign-is-refused",
        binding_that_the_operator_did_not_sign_is_refused);
    ADD("store-from-before-a-reseal-is-refused",
        store_from_before_a_reseal_is_refused);
    ADD("killed-reseal-leaves-all-old-or-all-new",
        killed_reseal_leaves_all_old_or_all_new);
    ADD("forged-record-is-dropped-and-never-swept",
        forged_record_is_dropped_and_never_swept);
    return g_test_run();
}
