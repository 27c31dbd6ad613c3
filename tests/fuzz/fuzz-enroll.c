/*
 * Fuzz target: the four documents of an enrolment, a snapshot's evidence, the
 * endorsement key's public area, and certificates.
 *
 * The first byte chooses the parser.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/enroll.h>

#include "crypto/x509.h"
#include "report/enroll.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/* What was read can be written, and reads as the same again. */
static void fuzz_request(const char *text)
{
    g_auto(VsmEnrollRequest) request = {NULL};
    g_auto(VsmEnrollRequest) again = {NULL};
    g_autoptr(GError) error = NULL;
    g_autofree char *written = NULL;
    g_autofree char *challenge = NULL, *state = NULL;

    g_assert_true(vsm_enroll_request_read(text, &request, &error) == !error);
    if (error) {
        return;
    }
    written = vsm_enroll_request_write(&request);
    g_assert_true(vsm_enroll_request_read(written, &again, NULL));
    g_assert_false(
        vsm_enroll_challenge(text, "", true, 0, &challenge, &state, NULL));
}

static void fuzz_challenge(const char *text)
{
    g_auto(VsmEnrollChallenge) challenge = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_enroll_challenge_read(text, &challenge, &error) ==
                  !error);
}

static void fuzz_response(const char *text)
{
    g_auto(VsmEnrollResponse) response = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_enroll_response_read(text, &response, &error) == !error);
}

static void fuzz_state(const char *text)
{
    g_auto(VsmEnrollState) state = {NULL};
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_enroll_state_read(text, &state, &error) == !error);
}

static void fuzz_evidence(const char *text)
{
    g_autoptr(VsmTrust) trust =
        vsm_trust_load("{\"version\":1,\"hosts\":[]}", NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *json = NULL;

    g_assert_false(vsm_snapshot_evidence_verify(text, trust, &json, &error));
    g_assert_nonnull(error);
}

static void fuzz_trust(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *after = NULL, *twice = NULL;

    g_assert_true(vsm_trust_merge(NULL, text, false, 1, &after, &error) ==
                  !error);
    if (after) {
        /* The same hosts once more change nothing but the sets' order. */
        g_assert_true(vsm_trust_merge(after, text, true, 64, &twice, NULL));
    }
}

static void fuzz_ek(GBytes *bytes)
{
    g_autoptr(VsmTpmEk) ek = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_tpm_ek_decode(bytes, &ek, &error) == !error);
}

static void fuzz_certificate(GBytes *bytes)
{
    g_autoptr(GPtrArray) chain = g_ptr_array_new();
    g_autoptr(GBytes) modulus = g_bytes_new_static("\x80\x01", 2);
    const VsmEkKey key = {.hash = VSM_HASH_SHA256,
                          .aes_bytes = 16,
                          .modulus = modulus,
                          .exponent = 65537};
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    g_assert_cmpuint(vsm_x509_length(data, size), <=, size);
    g_ptr_array_add(chain, bytes);
    g_assert_false(vsm_x509_check(chain, "", "2.23.133.8.1", 0, &key, NULL));
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static void (*const texts[])(const char *text) = {
        fuzz_request, fuzz_challenge, fuzz_response,
        fuzz_state,   fuzz_evidence,  fuzz_trust,
    };
    guint which;

    if (size == 0) {
        return 0;
    }
    which = data[0] % (G_N_ELEMENTS(texts) + 2);
    if (which < G_N_ELEMENTS(texts)) {
        g_autofree char *text = g_strndup((const char *)data + 1, size - 1);

        texts[which](text);
    } else {
        g_autoptr(GBytes) bytes = g_bytes_new(data + 1, size - 1);

        (which == G_N_ELEMENTS(texts) ? fuzz_ek : fuzz_certificate)(bytes);
    }
    return 0;
}
