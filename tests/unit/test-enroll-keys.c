/*
 * Keys that an enrolment refuses: what may do more than they say, or live
 * elsewhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "enroll-refusals.h"

#include <tss2/tss2_mu.h>

static GBytes *with_attributes(GBytes *area, guint32 set, guint32 clear)
{
    TPMT_PUBLIC public;
    guint8 buffer[sizeof(public)];
    size_t used = 0, written = 0;

    g_assert_cmpint(Tss2_MU_TPMT_PUBLIC_Unmarshal(g_bytes_get_data(area, NULL),
                                                  g_bytes_get_size(area), &used,
                                                  &public),
                    ==, 0);
    public.objectAttributes = (public.objectAttributes | set) & ~clear;
    g_assert_cmpint(
        Tss2_MU_TPMT_PUBLIC_Marshal(&public, buffer, sizeof(buffer), &written),
        ==, 0);
    return g_bytes_new(buffer, written);
}

static void key_refused(Enrolment *e,
                        const char *name,
                        guint32 set,
                        guint32 clear,
                        const char *what)
{
    g_autofree char *sound = g_strdup(e->request);
    g_autoptr(GBytes) area = document_bytes(e->request, name);
    g_autoptr(GBytes) altered = with_attributes(area, set, clear);

    document_set(&e->request, name, json_b64url(altered));
    challenge_refused(e, VSM_ERROR_UNTRUSTED, what);
    g_free(e->request);
    e->request = g_steal_pointer(&sound);
}

static void test_unrestricted_attestation_key_is_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);

    enrolment_until_request(e);
    key_refused(e, "ak_public", 0, TPMA_OBJECT_RESTRICTED, "attestation key");
}

static void test_keys_with_other_attributes_are_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);

    enrolment_until_request(e);
    key_refused(e, "ak_public", 0, TPMA_OBJECT_FIXEDTPM, "attestation key");
    key_refused(e, "ak_public", 0, TPMA_OBJECT_SENSITIVEDATAORIGIN,
                "attestation key");
    key_refused(e, "ak_public", TPMA_OBJECT_DECRYPT, 0, "attestation key");
    key_refused(e, "rk_public", TPMA_OBJECT_RESTRICTED, 0, "report key");
    key_refused(e, "rk_public", TPMA_OBJECT_DECRYPT, 0, "report key");
    key_refused(e, "rk_public", 0, TPMA_OBJECT_FIXEDPARENT, "report key");
    key_refused(e, "ek_public", 0, TPMA_OBJECT_RESTRICTED, "endorsement key");
    key_refused(e, "ek_public", 0, TPMA_OBJECT_FIXEDTPM, "endorsement key");
    key_refused(e, "ek_public", TPMA_OBJECT_SIGN_ENCRYPT, 0, "endorsement key");
}

static void test_report_key_in_place_of_the_attestation_key_is_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    json_auto_t *request = NULL;

    enrolment_until_request(e);
    request = json_loads(e->request, 0, NULL);
    document_set(&e->request, "ak_public",
                 json_incref(json_object_get(request, "rk_public")));
    challenge_refused(e, VSM_ERROR_UNTRUSTED, "attestation key");
    document_set(&e->request, "ak_public",
                 json_incref(json_object_get(request, "ak_public")));
    document_set(&e->request, "rk_public",
                 json_incref(json_object_get(request, "ak_public")));
    challenge_refused(e, VSM_ERROR_UNTRUSTED, "report key");
}

/* A challenge for a request with this key of another host in its place. */
static Enrolment *challenged_with_anothers(const char *key)
{
    Enrolment *e = enrolment_new(NULL);
    g_autoptr(Enrolment) other = enrolment_new(NULL);
    json_auto_t *request = NULL;
    g_autoptr(GError) error = NULL;

    enrolment_until_request(e);
    enrolment_until_request(other);
    request = json_loads(other->request, 0, NULL);
    document_set(&e->request, key, json_incref(json_object_get(request, key)));
    enrolment_challenge(e, &error);
    g_assert_no_error(error);
    return e;
}

/* Another point: the Name is another one, and no TPM has such a key. */
static void test_altered_attestation_key_is_not_activated(void)
{
    g_autoptr(Enrolment) e = challenged_with_anothers("ak_public");

    respond_refused(e, VSM_ERROR_DENIED, "another attestation key");
}

/* The AK certified its own host's RK, not the one that the request named. */
static void test_altered_report_key_is_refused(void)
{
    g_autoptr(Enrolment) e = challenged_with_anothers("rk_public");
    g_autoptr(GError) error = NULL;

    enrolment_respond(e, &error);
    g_assert_no_error(error);
    accept_refused(e, VSM_ERROR_SIGNATURE, "report key's certification");
}

static void test_keys_in_process_need_the_verifiers_word(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);

    enrolment_until_request(e);
    e->allow_in_process = false;
    challenge_refused(e, VSM_ERROR_POLICY, "--allow-in-process");
}

#define ADD(name, func) g_test_add_func("/enroll-refusals/" name, func)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("unrestricted-attestation-key",
        test_unrestricted_attestation_key_is_refused);
    ADD("keys-with-other-attributes",
        test_keys_with_other_attributes_are_refused);
    ADD("report-key-in-place-of-the-attestation-key",
        test_report_key_in_place_of_the_attestation_key_is_refused);
    ADD("altered-attestation-key",
        test_altered_attestation_key_is_not_activated);
    ADD("altered-report-key", test_altered_report_key_is_refused);
    ADD("keys-in-process", test_keys_in_process_need_the_verifiers_word);
    return g_test_run();
}
