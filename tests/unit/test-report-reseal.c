/*
 * Reports of snapshots that were sealed again: by an operator of the policy,
 * and as it was signed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report-verify.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "report/json.h"
#include "report/operator.h"

static EVP_PKEY *operator_new(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-384");

    g_assert_nonnull(key);
    return key;
}

/* A policy with that operator alone. */
static char *policy_of(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data, *text, *copy;
    long bytes;
    json_t *policy;

    g_assert_cmpint(PEM_write_bio_PUBKEY(bio, key), ==, 1);
    bytes = BIO_get_mem_data(bio, &data);
    text = g_strndup(data, bytes);
    policy = json_pack("{s:i, s:[s]}", "version", 1, "operators", text);
    copy = vsm_json_dump(policy);
    json_decref(policy);
    g_free(text);
    BIO_free(bio);
    return copy;
}

static VsmOperatorRequest *reseal_of(Fixture *fixture)
{
    VsmOperatorRequest *request =
        vsm_operator_request_new(VSM_OPERATOR_RESEAL, fixture->claims.host_id);
    VsmOperatorSnapshot one = {.id = FIXTURE_ID};

    request->vm = g_strdup(FIXTURE_UUID);
    g_array_append_val(request->snapshots, one);
    request->hypervisor = fixture->hypervisor;
    g_assert_true(vsm_sha384(fixture->vm.config, strlen(fixture->vm.config),
                             &request->config, NULL));
    return request;
}

/* The report of the snapshot as @request (consumed) had it resealed. */
static char *
resealed_report(Fixture *fixture, VsmOperatorRequest *request, EVP_PKEY *key)
{
    g_autoptr(VsmOperatorRequest) own = request;
    g_autoptr(GBytes) bytes = vsm_operator_request_encode(own, NULL);
    g_autoptr(GBytes) signature = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    guint8 der[VSM_SIGNATURE_DER_BYTES_MAX];
    size_t size = sizeof(der);
    gsize bytes_size;
    const guint8 *data = g_bytes_get_data(bytes, &bytes_size);
    char *jws;

    g_assert_cmpint(EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, key), ==,
                    1);
    g_assert_cmpint(EVP_DigestSign(ctx, der, &size, data, bytes_size), ==, 1);
    EVP_MD_CTX_free(ctx);
    signature = g_bytes_new(der, size);
    fixture->claims.reseal_request = bytes;
    fixture->claims.reseal_signature = signature;
    jws = fixture_report(fixture);
    fixture->claims.reseal_request = fixture->claims.reseal_signature = NULL;
    return jws;
}

static void test_reseal_is_by_an_operator_of_the_policy(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    EVP_PKEY *key = operator_new(), *other = operator_new();
    g_autofree char *jws = resealed_report(fixture, reseal_of(fixture), key);
    g_autofree char *plain = fixture_report(fixture);
    g_autofree char *right = policy_of(key), *wrong = policy_of(other);

    report_trusted(fixture, jws, NULL, "match");
    report_trusted(fixture, jws, right, "match");
    report_refused(fixture, jws, wrong, VSM_ERROR_SIGNATURE, "operators");
    report_refused(fixture, jws, "{\"version\":1,\"operators\":[]}",
                   VSM_ERROR_SIGNATURE, "operators");
    report_trusted(fixture, plain, wrong, "match"); /* nothing was resealed */
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void test_reseal_of_something_else_is_refused(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    EVP_PKEY *key = operator_new();
    g_autofree char *policy = policy_of(key);

    for (guint i = 0; i < 5; i++) {
        VsmOperatorRequest *request = reseal_of(fixture);
        g_autofree char *jws = NULL;

        if (i == 0) {
            request->host[0] ^= 1;
        } else if (i == 1) {
            request->vm[0] ^= 1;
        } else if (i == 2) {
            g_array_index(request->snapshots, VsmOperatorSnapshot, 0).id[0] =
                'f';
        } else if (i == 3) {
            request->hypervisor.b[0] ^= 1;
        } else {
            request->config.b[0] ^= 1;
        }
        jws = resealed_report(fixture, request, key);
        report_refused(fixture, jws, policy, VSM_ERROR_POLICY,
                       "another host, VM");
    }
    EVP_PKEY_free(key);
}

static void test_policy_with_no_key_for_an_operator_is_refused(void)
{
    static const char *const bad[] = {"{\"version\":1,\"operators\":[7]}",
                                      "{\"version\":1,\"operators\":[\"me\"]}",
                                      "{\"version\":1,\"operators\":\"me\"}"};

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(vsm_report_policy_load(bad[i], &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/report/reseal-is-by-an-operator-of-the-policy",
                    test_reseal_is_by_an_operator_of_the_policy);
    g_test_add_func("/report/reseal-of-something-else-is-refused",
                    test_reseal_of_something_else_is_refused);
    g_test_add_func("/report/policy-with-no-key-for-an-operator-is-refused",
                    test_policy_with_no_key_for_an_operator_is_refused);
    return g_test_run();
}
