/*
 * Requests to the operator: known answers, what is signed, what is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/pending.h"

#include <string.h>
#include "base/limits.h"

#define HOST "00112233445566778899aabbccddeeff"
#define UUID "01234567-89ab-cdef-0123-456789abcdef"

static VsmTpmPcrs state(guint8 fill)
{
    VsmTpmPcrs pcrs = {.bank = VSM_TPM_BANK_SHA384, .mask = 0x91};

    memset(pcrs.value, fill, sizeof(pcrs.value));
    return pcrs;
}

static GBytes *filled(guint8 fill, gsize bytes)
{
    guint8 data[128];

    memset(data, fill, bytes);
    return g_bytes_new(data, bytes);
}

static VsmDigest digest(guint8 fill)
{
    VsmDigest d;

    memset(d.b, fill, sizeof(d.b));
    return d;
}

static VsmOperatorRequest *approve_request(guint n)
{
    VsmOperatorRequest *request =
        vsm_operator_request_new(VSM_OPERATOR_APPROVE, HOST);

    request->time = 1700000000;
    request->nonce = filled(1, 32);
    request->index_name = filled(2, 34);
    for (guint i = 0; i < n; i++) {
        VsmTpmPcrs pcrs = state(3 + i);

        g_array_append_val(request->states, pcrs);
    }
    return request;
}

static VsmOperatorRequest *reseal_request(void)
{
    VsmOperatorRequest *request =
        vsm_operator_request_new(VSM_OPERATOR_RESEAL, HOST);
    VsmOperatorSnapshot one = {.id = HOST, .metadata = digest(4)};

    request->time = 1700000000;
    request->vm = g_strdup(UUID);
    g_array_append_val(request->snapshots, one);
    request->hypervisor = digest(5);
    request->config = digest(6);
    request->value = digest(7);
    return request;
}

static VsmOperatorRequest *adopt_request(void)
{
    VsmOperatorRequest *request =
        vsm_operator_request_new(VSM_OPERATOR_ADOPT, HOST);

    request->time = 1700000000;
    request->value = digest(8);
    request->catalogue = digest(9);
    request->entries = 2;
    return request;
}

static GBytes *encode(VsmOperatorRequest *request)
{
    g_autoptr(VsmOperatorRequest) own = request;
    g_autoptr(GError) error = NULL;
    GBytes *bytes = vsm_operator_request_encode(own, &error);

    g_assert_no_error(error);
    return bytes;
}

static void assert_fixture(const char *name, GBytes *made)
{
    g_autofree char *path =
        g_test_build_filename(G_TEST_DIST, "..", "fixtures", name, NULL);
    g_autofree char *data = NULL;
    g_autoptr(GError) error = NULL;
    gsize bytes;

    g_file_get_contents(path, &data, &bytes, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(data, bytes, g_bytes_get_data(made, NULL),
                    g_bytes_get_size(made));
}

static void test_requests_have_their_known_answers(void)
{
    g_autoptr(GBytes) approve = encode(approve_request(2));
    g_autoptr(GBytes) reseal = encode(reseal_request());
    g_autoptr(GBytes) adopt = encode(adopt_request());

    assert_fixture("operator-approve-v2.bin", approve);
    assert_fixture("operator-reseal-v2.bin", reseal);
    assert_fixture("operator-adopt-v2.bin", adopt);
}

static void test_approved_states_have_their_known_answer(void)
{
    GVariantBuilder list;
    g_autoptr(GVariant) value = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GArray) states = NULL;

    g_variant_builder_init(&list, G_VARIANT_TYPE("a(xsuay)"));
    for (guint i = 0; i < 2; i++) {
        VsmTpmPcrs pcrs = state(3 + i);
        g_autoptr(GBytes) values = vsm_tpm_pcrs_pack(&pcrs);

        g_variant_builder_add(
            &list, "(xsu@ay)", (gint64)1700000000, "sha384", pcrs.mask,
            g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, values, TRUE));
    }
    value = g_variant_ref_sink(
        g_variant_new("(sqa(xsuay))", "VSM-APPROVED", 1, &list));
    bytes = g_variant_get_data_as_bytes(value);
    assert_fixture("approved-v1.bin", bytes);
    states = vsm_approved_decode(bytes, NULL);
    g_assert_cmpuint(states->len, ==, 2);
    g_assert_cmpuint(g_array_index(states, VsmApproved, 1).pcrs.value[7][0], ==,
                     4);
}

/* TPM 2.0 Part 3, TPM2_PolicySigned: nonceTPM, expiration, cpHash, policyRef.
 */
static void test_an_approval_signs_nonce_command_and_host(void)
{
    static const guint8 head[] = {0, 0, 0x01, 0x37}; /* TPM_CC_NV_Write */
    static const guint8 size_be[] = {0, 34};
    static const guint8 offset_be[] = {0, 0};
    static const char host[] = "\0\016VSM-APPROVAL-1\0\040" HOST;
    g_autoptr(VsmOperatorRequest) request = approve_request(1);
    g_autoptr(GBytes) bytes = encode(approve_request(1));
    g_autoptr(GBytes) contents = vsm_operator_contents(request);
    g_autoptr(GBytes) message = NULL;
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autoptr(GChecksum) ref = g_checksum_new(G_CHECKSUM_SHA256);
    guint8 expected[32 + 4 + 32 + 32] = {0};
    gsize hash_bytes = 32;

    g_assert_true(vsm_operator_to_sign(bytes, &message, NULL));
    memset(expected, 1, 32);
    g_checksum_update(sum, head, sizeof(head));
    for (guint i = 0; i < 2; i++) {
        g_checksum_update(sum, g_bytes_get_data(request->index_name, NULL), 34);
    }
    g_checksum_update(sum, size_be, sizeof(size_be));
    g_checksum_update(sum, g_bytes_get_data(contents, NULL), 34);
    g_checksum_update(sum, offset_be, sizeof(offset_be));
    g_checksum_get_digest(sum, expected + 36, &hash_bytes);
    g_checksum_update(ref, (const guint8 *)host, sizeof(host) - 1);
    g_checksum_get_digest(ref, expected + 68, &hash_bytes);
    g_assert_cmpmem(expected, sizeof(expected), g_bytes_get_data(message, NULL),
                    g_bytes_get_size(message));
}

static void test_other_acts_sign_the_request_itself(void)
{
    g_autoptr(GBytes) reseal = encode(reseal_request());
    g_autoptr(GBytes) message = NULL;

    g_assert_true(vsm_operator_to_sign(reseal, &message, NULL));
    g_assert_true(g_bytes_equal(reseal, message));
}

static void assert_refused(VsmOperatorRequest *request)
{
    g_autoptr(VsmOperatorRequest) own = request;
    g_autoptr(GError) error = NULL;

    g_assert_null(vsm_operator_request_encode(own, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
}

static void test_requests_that_mean_nothing_are_refused(void)
{
    VsmOperatorRequest *resettable = approve_request(1);
    VsmOperatorRequest *short_nonce = approve_request(1);
    VsmOperatorRequest *no_vm = reseal_request();
    VsmOperatorRequest *twice = reseal_request();
    VsmOperatorRequest *none = reseal_request();
    VsmOperatorSnapshot same =
        g_array_index(twice->snapshots, VsmOperatorSnapshot, 0);

    g_array_index(resettable->states, VsmTpmPcrs, 0).mask |= 1u << 23;
    assert_refused(resettable);
    g_bytes_unref(short_nonce->nonce);
    short_nonce->nonce = filled(1, 15);
    assert_refused(short_nonce);
    g_free(no_vm->vm);
    no_vm->vm = g_strdup("vm");
    assert_refused(no_vm);
    g_array_append_val(twice->snapshots, same);
    assert_refused(twice);
    g_array_set_size(none->snapshots, 0);
    assert_refused(none);
}

static void test_every_flipped_byte_changes_what_is_signed(void)
{
    g_autoptr(GBytes) bytes = encode(approve_request(2));
    g_autoptr(GBytes) message = NULL;
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    guint told = 0;

    g_assert_true(vsm_operator_to_sign(bytes, &message, NULL));
    for (gsize i = 0; i < size; i++) {
        g_autofree guint8 *copy = g_memdup2(data, size);
        g_autoptr(GBytes) flipped = NULL;
        g_autoptr(GBytes) other = NULL;

        copy[i] ^= 1;
        flipped = g_bytes_new(copy, size);
        if (vsm_operator_to_sign(flipped, &other, NULL) &&
            g_bytes_equal(message, other)) {
            told++; /* the time: a note to the operator */
        }
    }
    g_assert_cmpuint(told, <=, 8);
}

static void test_most_snapshots_fit_into_a_request(void)
{
    g_autoptr(VsmOperatorRequest) request = reseal_request();
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) error = NULL;

    g_array_set_size(request->snapshots, 0);
    for (guint i = 0; i <= VSM_RESEAL_MAX; i++) {
        VsmOperatorSnapshot one = {.metadata = digest(1)};

        g_snprintf(one.id, sizeof(one.id), "%032x", i);
        if (i == VSM_RESEAL_MAX) {
            bytes = vsm_operator_request_encode(request, &error);
            g_assert_no_error(error);
            g_assert_cmpuint(g_bytes_get_size(bytes), <,
                             VSM_METADATA_BYTES_MAX - VSM_CONFIG_BYTES_MAX);
        }
        g_array_append_val(request->snapshots, one);
    }
    g_assert_null(vsm_operator_request_encode(request, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/operator/" path, test_##name)
    ADD("requests-have-their-known-answers", requests_have_their_known_answers);
    ADD("approved-states-have-their-known-answer",
        approved_states_have_their_known_answer);
    ADD("an-approval-signs-nonce-command-and-host",
        an_approval_signs_nonce_command_and_host);
    ADD("other-acts-sign-the-request-itself",
        other_acts_sign_the_request_itself);
    ADD("requests-that-mean-nothing-are-refused",
        requests_that_mean_nothing_are_refused);
    ADD("every-flipped-byte-changes-what-is-signed",
        every_flipped_byte_changes_what_is_signed);
    ADD("most-snapshots-fit-into-a-request", most_snapshots_fit_into_a_request);
    return g_test_run();
}
