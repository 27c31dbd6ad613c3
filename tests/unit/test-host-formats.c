/*
 * Known answers of what a host stores and no other test program has: a
 * record's signature, the budget of NV writes, the daemon's secret.
 *
 * The files were made from docs/formats.md, not by this code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"

#include <string.h>

#include "base/codec.h"
#include "host/evidence.h"
#include "host/secret.h"
#include "known-answer.h"

/* --- A record's signature --------------------------------------------- */

static void test_signature(void)
{
    g_autoptr(GBytes) file = known_answer("signature-v1.bin");
    g_autoptr(GBytes) attest = known_answer("tpm-nv-certify-v1.bin");
    g_autoptr(GBytes) signature = known_answer("tpm-signature-v1.bin");
    g_auto(VsmTpmEvidence) evidence = {NULL};
    g_autoptr(GError) error = NULL;
    VsmDigest body, meant;

    memset(meant.b, 0xe0, sizeof(meant.b));
    vsm_evidence_decode(file, &body, &evidence, &error);
    g_assert_no_error(error);
    g_assert_true(vsm_digest_equal(&body, &meant));
    assert_bytes(evidence.attest, attest);
    assert_bytes(evidence.signature, signature);
}

/* The other way: a store's own has just these three. */
static void test_signature_of_a_store(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autofree char *path =
        g_build_filename(store->state, "vm", FAKE_UUID, id, "signature", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) value = NULL, child = NULL;
    g_auto(VsmTpmEvidence) evidence = {NULL};
    g_autoptr(GBytes) bytes = NULL;
    VsmDigest body;
    char *data;
    gsize n;

    g_file_get_contents(path, &data, &n, &error);
    g_assert_no_error(error);
    bytes = g_bytes_new_take(data, n);
    vsm_evidence_decode(bytes, &body, &evidence, &error);
    g_assert_no_error(error);
    value = g_variant_ref_sink(
        g_variant_new_from_bytes(G_VARIANT_TYPE("(ayayay)"), bytes, FALSE));
    g_assert_true(g_variant_is_normal_form(value));
    child = g_variant_get_child_value(value, 0);
    g_assert_cmpmem(g_variant_get_data(child), g_variant_get_size(child),
                    body.b, sizeof(body.b));
}

/* --- Budget ----------------------------------------------------------- */

static guint nv_left(Store *store)
{
    g_autoptr(VsmHostStatus) status = NULL;
    g_autoptr(GError) error = NULL;

    vsm_host_status(store->host, &status, &error);
    g_assert_no_error(error);
    return status->nv_left;
}

/* 7 writes of 10 s each, told at a time to come: nothing was gained since. */
static void test_budget(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *path = g_build_filename(store->state, "budget", NULL);
    g_autoptr(GBytes) file = known_answer("budget-v1.bin");
    g_autoptr(GBytes) written = NULL;
    g_autoptr(GVariant) value = NULL;
    g_autoptr(GError) error = NULL;
    gint64 left_us, before_us = g_get_real_time(), at_us;
    char *data;
    gsize n;

    store_close(store);
    store->options.nv_burst = 20;
    store->options.nv_interval_ms = 10000;
    g_file_set_contents(path, g_bytes_get_data(file, NULL),
                        g_bytes_get_size(file), &error);
    g_assert_no_error(error);
    store_reopen(store);
    g_assert_cmpuint(nv_left(store), ==, 7);

    g_free(store_save(store, "one", false));
    g_file_get_contents(path, &data, &n, &error);
    g_assert_no_error(error);
    written = g_bytes_new_take(data, n);
    g_assert_cmpuint(n, ==, g_bytes_get_size(file));
    value = vsm_codec_decode(written, "(sqxx)", "VSM-BUDGET", 1, 64, "budget",
                             &error);
    g_assert_no_error(error);
    g_variant_get_child(value, 2, "x", &left_us);
    g_variant_get_child(value, 3, "x", &at_us);
    g_assert_cmpint(left_us, >=, 6 * 10 * G_USEC_PER_SEC);
    g_assert_cmpint(left_us, <, 7 * 10 * G_USEC_PER_SEC);
    g_assert_cmpint(at_us, >=, before_us);
    g_assert_cmpint(at_us, <=, g_get_real_time());
}

/* --- The daemon's secret ---------------------------------------------- */

static VsmSecret *
load_secret(Store *store, GBytes *content, VsmHostKind kind, GError **error)
{
    g_autofree char *path = g_build_filename(store->dir, "copy", NULL);

    g_assert_true(g_file_set_contents_full(
        path, g_bytes_get_data(content, NULL), g_bytes_get_size(content),
        G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    return vsm_host_secret_load(path, kind, store->host->store, false, error);
}

static void test_secret_of_the_daemon(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GBytes) file = known_answer("secret-daemon-v1.bin");
    g_autoptr(GBytes) made = vsm_host_new_secret(VSM_HOST_DAEMON, NULL);
    g_autoptr(VsmSecret) secret = NULL;
    g_autoptr(GError) error = NULL;
    const guint8 *bytes;

    secret = load_secret(store, file, VSM_HOST_DAEMON, &error);
    g_assert_no_error(error);
    bytes = vsm_secret_peek(secret);
    for (guint i = 0; i < VSM_TPM_SECRET_BYTES; i++) {
        g_assert_cmpuint(bytes[i], ==, i);
    }
    g_assert_null(load_secret(store, file, VSM_HOST_IN_PROCESS, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_DENIED);
    /* A new one has the same form. */
    g_assert_cmpuint(g_bytes_get_size(made), ==, g_bytes_get_size(file));
    g_assert_cmpmem(g_bytes_get_data(made, NULL), 13,
                    g_bytes_get_data(file, NULL), 13);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host-formats/signature", test_signature);
    g_test_add_func("/host-formats/signature-of-a-store",
                    test_signature_of_a_store);
    g_test_add_func("/host-formats/budget", test_budget);
    g_test_add_func("/host-formats/secret-of-the-daemon",
                    test_secret_of_the_daemon);
    return g_test_run();
}
