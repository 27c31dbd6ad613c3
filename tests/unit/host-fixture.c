/*
 * Test help: a store with its TPM, and an attester for the fake VM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <vsm/remote.h>

VsmAttester *store_local(Store *store, const char *uuid, GError **error)
{
    int proc = open(store->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    VsmHypervisor *hypervisor = vsm_hypervisor_measure(proc, error);

    close(proc);
    return hypervisor ? vsm_local_attester_new(store->host, uuid, hypervisor)
                      : NULL;
}

/* In the daemon's thread. */
static VsmAttester *local_of_connection(gpointer opaque)
{
    g_autoptr(GError) error = NULL;
    VsmAttester *attester = store_local(opaque, FAKE_UUID, &error);

    g_assert_no_error(error);
    return attester;
}

void store_start_daemon(Store *store)
{
    store->daemon = daemon_new(store->socket, local_of_connection, store);
}

void store_stop_daemon(Store *store)
{
    g_clear_pointer(&store->daemon, daemon_free);
}

static VsmAttester *new_attester(Store *store, GError **error)
{
    if (!g_getenv("VSM_TEST_REMOTE")) {
        return store_local(store, FAKE_UUID, error);
    }
    store_start_daemon(store);
    return vsm_remote_attester_new(store->socket, error);
}

bool store_open(Store *store, GError **error)
{
    VsmTpmTransport transport = tap_transport(store->tap);
    VsmTpm *tpm =
        vsm_tpm_open_over(store->swtpm->tcti, &transport, 10000, error);

    store->host =
        tpm ? vsm_host_open_with_tpm(&store->options, tpm, error) : NULL;
    store->attester = store->host ? new_attester(store, error) : NULL;
    return store->attester != NULL;
}

void store_close(Store *store)
{
    g_clear_object(&store->attester);
    store_stop_daemon(store);
    g_clear_object(&store->host);
}

void store_reopen(Store *store)
{
    g_autoptr(GError) error = NULL;

    store_close(store);
    store_open(store, &error);
    g_assert_no_error(error);
}

static Store *new_store(Swtpm *swtpm, const char *curve)
{
    Store *store = g_new0(Store, 1);
    g_autoptr(GError) error = NULL;

    store->dir = g_dir_make_tmp("vsm-host-XXXXXX", &error);
    g_assert_no_error(error);
    store->state = g_build_filename(store->dir, "state", NULL);
    store->secret = g_build_filename(store->dir, "secret", NULL);
    store->socket = g_build_filename(store->dir, "vsmd.sock", NULL);
    store->proc = g_build_filename(store->dir, "proc", NULL);
    store_shell(
        store, "P=${S%/state}/proc; mkdir $P; echo qemu > $P/exe; : > $P/maps");
    store->swtpm = swtpm;
    store->tap = tap_new();
    store->options.state_dir = store->state;
    store->options.secret_path = store->secret;
    store->options.tcti = store->swtpm->tcti;
    store->options.nv_burst = 100000;
    store->vm = fake_vm_new();
    store->options.allow_unmeasured_boot = false;
    if (curve) {
        store_make_operator(store, curve, "operator");
        store->operator_public =
            g_build_filename(store->dir, "operator.pub", NULL);
        store->options.operator_key_path = store->operator_public;
    }
    store_open(store, &error);
    g_assert_no_error(error);
    for (guint8 pcr = 0; pcr < 8; pcr++) {
        tap_extend_pcr(store->tap, pcr);
    }
    return store;
}

Store *store_new(void)
{
    return new_store(swtpm_new(), NULL);
}

Store *store_new_on(Swtpm *swtpm)
{
    return new_store(swtpm, NULL);
}

Store *store_new_operator(const char *curve)
{
    return new_store(swtpm_new(), curve);
}

void store_make_operator(Store *store, const char *curve, const char *name)
{
    g_autofree char *line =
        g_strdup_printf("cd ${S%%/state}; openssl ecparam -name %s -genkey "
                        "-noout -out %s.key; openssl ec -in %s.key -pubout "
                        "-out %s.pub 2>/dev/null",
                        curve, name, name, name);

    store_shell(store, line);
}

GBytes *store_sign(Store *store, GBytes *request, const char *name)
{
    g_autofree char *file = g_strconcat(name, ".key", NULL);
    g_autofree char *key = g_build_filename(store->dir, file, NULL);
    g_autoptr(GError) error = NULL;
    GBytes *signature = NULL;

    vsm_operator_sign(request, key, &signature, &error);
    g_assert_no_error(error);
    return signature;
}

void store_approve(Store *store, guint keep)
{
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GError) error = NULL;

    vsm_host_approve_begin(store->host, NULL, keep, &request, &error);
    g_assert_no_error(error);
    signature = store_sign(store, request, "operator");
    vsm_host_approve_finish(store->host, signature, &error);
    g_assert_no_error(error);
}

void store_free(Store *store)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", store->dir);

    store_close(store);
    fake_vm_free(store->vm);
    tap_free(store->tap);
    swtpm_free(store->swtpm);
    g_assert_cmpint(system(command), ==, 0);
    g_free(store->dir);
    g_free(store->state);
    g_free(store->secret);
    g_free(store->socket);
    g_free(store->proc);
    g_free(store->operator_public);
    g_free(store);
}

void store_shell(Store *store, const char *line)
{
    g_autofree char *command =
        g_strdup_printf("S='%s'\n%s", store->state, line);

    g_assert_cmpint(system(command), ==, 0);
}

char *store_save(Store *store, const char *tag, bool replace)
{
    g_autoptr(GError) error = NULL;
    char *id = NULL;

    fake_save(store->vm, store->attester, tag, replace, &id, &error);
    g_assert_no_error(error);
    return id;
}

guint store_count(Store *store, bool listed)
{
    g_autoptr(GPtrArray) records = NULL;
    g_autoptr(GError) error = NULL;
    guint n = 0;

    vsm_attester_list(store->attester, &records, NULL, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < records->len; i++) {
        const VsmRecord *record = records->pdata[i];

        n += record->listed == listed;
    }
    return n;
}

guint store_check(Store *store, VsmPurpose purpose, const char *snapshot)
{
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    fake_check(store->vm, store->attester, purpose, snapshot, NULL, &verdict,
               &error);
    g_assert_no_error(error);
    return verdict->result;
}

void store_assert_match(Store *store, const char *snapshot)
{
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, snapshot), ==,
                     VSM_RESULT_MATCH);
}

void store_assert_closed(Store *store, int code, const char *says)
{
    g_autoptr(GError) error = NULL;

    store_close(store);
    g_assert_false(store_open(store, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, says));
}

char *
store_refused(Store *store, VsmPurpose purpose, const char *snapshot, int code)
{
    g_autoptr(VsmCheck) check = NULL;
    g_autoptr(GError) error = NULL;

    check = fake_check_begin(store->vm, store->attester, purpose, snapshot,
                             NULL, &error);
    g_assert_null(check);
    g_assert_error(error, VSM_ERROR, code);
    g_test_message("%s", error->message);
    return g_strdup(error->message);
}
