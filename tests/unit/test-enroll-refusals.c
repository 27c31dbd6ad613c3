/*
 * What an enrolment refuses of its documents, each with its exact error: late,
 * replayed, of another TPM, altered, garbage.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "enroll-refusals.h"

#include <string.h>
#include <vsm/error.h>

#include "report/json.h"

/* The altered response is refused, and the true one is not. */
static void altered_refused(
    Enrolment *e, const char *name, json_t *value, int code, const char *what)
{
    g_autofree char *sound = g_strdup(e->response);
    g_autoptr(GError) error = NULL;

    if (value) {
        document_set(&e->response, name, value);
    } else {
        document_flip(&e->response, name);
    }
    accept_refused(e, code, what);
    g_free(e->response);
    e->response = g_steal_pointer(&sound);
    enrolment_accept(e, &error);
    g_assert_no_error(error);
}

/* --- Time and order ------------------------------------------------------- */

static void test_late_answer_is_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    gint64 made = e->now;
    g_autoptr(GError) error = NULL;

    enrolment_until_respond(e);
    e->now = made + VSM_ENROLL_SECONDS + 1;
    accept_refused(e, VSM_ERROR_STALE, "10 minutes");
    e->now = made - 3600;
    accept_refused(e, VSM_ERROR_STALE, "10 minutes");
    e->now = made + VSM_ENROLL_SECONDS;
    enrolment_accept(e, &error);
    g_assert_no_error(error);
}

static void test_answer_to_another_challenge_is_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autofree char *old = NULL;

    enrolment_until_respond(e);
    old = g_strdup(e->response);
    enrolment_until_challenge(e);
    g_free(e->response);
    e->response = g_steal_pointer(&old); /* replayed */
    accept_refused(e, VSM_ERROR_STALE, "another challenge");
}

/* It names the new challenge, but opened the old one. */
static void test_replayed_answer_under_a_new_name_is_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autofree char *old = NULL;
    json_auto_t *state = NULL;

    enrolment_until_respond(e);
    old = g_strdup(e->response);
    enrolment_until_challenge(e);
    state = json_loads(e->state, 0, NULL);
    g_free(e->response);
    e->response = g_steal_pointer(&old);
    document_set(&e->response, "challenge",
                 json_incref(json_object_get(state, "challenge")));
    accept_refused(e, VSM_ERROR_UNTRUSTED, "does not come from the TPM");
}

/* --- Another TPM ---------------------------------------------------------- */

static void test_challenge_for_another_tpm_is_refused(void)
{
    g_autoptr(Enrolment) ours = enrolment_new("p-384");
    g_autoptr(Enrolment) theirs = enrolment_new("p-384");
    json_auto_t *own = NULL;

    enrolment_until_challenge(ours);
    enrolment_until_challenge(theirs);
    own = json_loads(theirs->challenge, 0, NULL);
    g_free(theirs->challenge);
    theirs->challenge = g_strdup(ours->challenge);
    respond_refused(theirs, VSM_ERROR_DENIED, "another attestation key");
    document_set(&theirs->challenge, "ak_name",
                 json_incref(json_object_get(own, "ak_name")));
    respond_refused(theirs, VSM_ERROR_DENIED, "another TPM");
    /* Names are only names: the TPM itself refuses. */
    document_set(&theirs->challenge, "ek_name",
                 json_incref(json_object_get(own, "ek_name")));
    respond_refused(theirs, VSM_ERROR_TAMPERED, "cannot open");
}

/* A sound EK in the request of a host whose keys live elsewhere. */
static void test_keys_of_another_tpm_are_refused(void)
{
    g_autoptr(Enrolment) good = enrolment_new("p-384");
    g_autoptr(Enrolment) bad = enrolment_new("p-384");
    static const char *const own[] = {"ek_public", "ek_certificates"};
    json_auto_t *request = NULL;
    g_autoptr(GError) error = NULL;

    enrolment_until_request(good);
    enrolment_until_request(bad);
    request = json_loads(good->request, 0, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(own); i++) {
        document_set(&bad->request, own[i],
                     json_incref(json_object_get(request, own[i])));
    }
    enrolment_challenge(bad, &error);
    g_assert_no_error(error);
    respond_refused(bad, VSM_ERROR_DENIED, "another TPM");
    /* The TPM with that EK has no such AK. */
    g_free(good->challenge);
    good->challenge = g_strdup(bad->challenge);
    respond_refused(good, VSM_ERROR_DENIED, "another attestation key");
}

/* --- Altered answers ------------------------------------------------------ */

static void test_altered_answers_are_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    json_auto_t *response = NULL;
    json_t *pcrs;
    g_autofree char *hex = g_strnfill(96, 'a');

    enrolment_until_respond(e);
    altered_refused(e, "hmac", NULL, VSM_ERROR_UNTRUSTED,
                    "does not come from the TPM");
    altered_refused(e, "rk_attest", NULL, VSM_ERROR_SIGNATURE,
                    "report key's certification");
    altered_refused(e, "rk_signature", NULL, VSM_ERROR_SIGNATURE,
                    "report key's certification");
    altered_refused(e, "quote_attest", NULL, VSM_ERROR_SIGNATURE,
                    "quote of the boot PCRs");
    altered_refused(e, "quote_signature", NULL, VSM_ERROR_SIGNATURE,
                    "quote of the boot PCRs");
    altered_refused(e, "request", NULL, VSM_ERROR_STALE, "another challenge");
    response = json_loads(e->response, 0, NULL);
    pcrs = json_deep_copy(json_object_get(response, "pcrs"));
    json_object_set_new(json_object_get(pcrs, "values"), "4", json_string(hex));
    altered_refused(e, "pcrs", pcrs, VSM_ERROR_SIGNATURE,
                    "quote of the boot PCRs");
    pcrs = json_deep_copy(json_object_get(response, "pcrs"));
    json_object_del(json_object_get(pcrs, "values"), "7");
    altered_refused(e, "pcrs", pcrs, VSM_ERROR_SIGNATURE,
                    "quote of the boot PCRs");
}

/* Certification and quote of another enrolment of the same host. */
static void test_evidence_of_another_enrolment_is_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    json_auto_t *old = NULL;
    g_autofree char *sound = NULL;

    enrolment_until_respond(e);
    old = json_loads(e->response, 0, NULL);
    enrolment_until_respond(e);
    sound = g_strdup(e->response);
    document_set(&e->response, "rk_attest",
                 json_incref(json_object_get(old, "rk_attest")));
    document_set(&e->response, "rk_signature",
                 json_incref(json_object_get(old, "rk_signature")));
    accept_refused(e, VSM_ERROR_SIGNATURE, "does not belong");
    g_free(e->response);
    e->response = g_steal_pointer(&sound);
    document_set(&e->response, "quote_attest",
                 json_incref(json_object_get(old, "quote_attest")));
    document_set(&e->response, "quote_signature",
                 json_incref(json_object_get(old, "quote_signature")));
    accept_refused(e, VSM_ERROR_SIGNATURE, "does not belong");
}

static void test_boot_that_was_not_measured_is_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autoptr(GError) error = NULL;

    store_close(e->store);
    swtpm_kill(e->store->swtpm);
    swtpm_start(e->store->swtpm);
    e->store->options.allow_unmeasured_boot = true;
    store_reopen(e->store);
    enrolment_until_respond(e);
    accept_refused(e, VSM_ERROR_POLICY, "not measured");
    vsm_enroll_accept(e->state, e->response, true, e->now, &e->trust, &e->jwks,
                      &error);
    g_assert_no_error(error);
}

/* --- Documents ------------------------------------------------------------ */

static bool read_challenge(Enrolment *e, const char *text, GError **error)
{
    g_free(e->request);
    e->request = g_strdup(text);
    return enrolment_challenge(e, error);
}

static bool read_respond(Enrolment *e, const char *text, GError **error)
{
    g_free(e->challenge);
    e->challenge = g_strdup(text);
    return enrolment_respond(e, error);
}

static bool read_accept(Enrolment *e, const char *text, GError **error)
{
    g_free(e->response);
    e->response = g_strdup(text);
    return enrolment_accept(e, error);
}

static bool read_state(Enrolment *e, const char *text, GError **error)
{
    g_free(e->state);
    e->state = g_strdup(text);
    return enrolment_accept(e, error);
}

static void garbage_refused(Enrolment *e,
                            const char *sound,
                            bool (*read)(Enrolment *, const char *, GError **))
{
    g_autofree char *huge = g_strnfill(3 * VSM_ENROLL_BYTES_MAX, ' ');
    g_autofree char *valid = g_strdup(sound);
    json_auto_t *object = json_loads(valid, 0, NULL);
    g_autofree char *cut = g_strndup(valid, strlen(valid) / 2);
    g_autofree char *unknown = NULL, *version = NULL, *lacking = NULL;
    const char *texts[] = {"", "[]", "{}", "null", cut, NULL, NULL, NULL};

    json_object_set_new(object, "more", json_true());
    texts[5] = unknown = vsm_json_dump(object);
    json_object_del(object, "more");
    json_object_set_new(object, "version", json_integer(2));
    texts[6] = version = vsm_json_dump(object);
    json_object_del(object, "version");
    texts[7] = lacking = vsm_json_dump(object);
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(read(e, texts[i], &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    }
    {
        g_autoptr(GError) error = NULL;

        g_assert_false(read(e, huge, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_LIMIT);
    }
}

static void test_garbage_is_refused_at_each_step(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autofree char *request = NULL, *challenge = NULL, *state = NULL;
    g_autofree char *response = NULL;
    g_autoptr(GError) error = NULL;

    enrolment_until_respond(e);
    request = g_strdup(e->request);
    challenge = g_strdup(e->challenge);
    state = g_strdup(e->state);
    response = g_strdup(e->response);
    garbage_refused(e, response, read_accept);
    g_free(e->response);
    e->response = g_strdup(response);
    garbage_refused(e, state, read_state);
    garbage_refused(e, challenge, read_respond);
    garbage_refused(e, request, read_challenge);
    /* One document is not another. */
    g_assert_false(read_challenge(e, response, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
}

/* Another program may print it with other line ends or none. */
static void test_white_space_at_the_end_changes_nothing(void)
{
    g_autoptr(Enrolment) e = enrolment_new(NULL);
    g_autoptr(GError) error = NULL;
    char *longer;

    enrolment_until_request(e);
    longer = g_strconcat(e->request, "\r\n", NULL);
    g_free(e->request);
    e->request = longer;
    enrolment_challenge(e, &error);
    g_assert_no_error(error);
    longer = g_strconcat(e->challenge, "\n\n", NULL);
    g_free(e->challenge);
    e->challenge = longer;
    enrolment_respond(e, &error);
    g_assert_no_error(error);
    enrolment_accept(e, &error);
    g_assert_no_error(error);
}

static void test_tpm_without_a_certificate_says_so(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(vsm_host_enroll_request(store->host, NULL, &text, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND);
    enroll_says(error, "ask its maker");
    g_clear_error(&error);
    g_assert_false(
        vsm_host_enroll_request(store->host, "rsa-512", &text, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
}

#define ADD(name, func) g_test_add_func("/enroll-refusals/" name, func)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("late-answer", test_late_answer_is_refused);
    ADD("answer-to-another-challenge",
        test_answer_to_another_challenge_is_refused);
    ADD("replayed-answer-under-a-new-name",
        test_replayed_answer_under_a_new_name_is_refused);
    ADD("challenge-for-another-tpm", test_challenge_for_another_tpm_is_refused);
    ADD("keys-of-another-tpm", test_keys_of_another_tpm_are_refused);
    ADD("altered-answers", test_altered_answers_are_refused);
    ADD("evidence-of-another-enrolment",
        test_evidence_of_another_enrolment_is_refused);
    ADD("boot-that-was-not-measured",
        test_boot_that_was_not_measured_is_refused);
    ADD("garbage-at-each-step", test_garbage_is_refused_at_each_step);
    ADD("white-space-at-the-end", test_white_space_at_the_end_changes_nothing);
    ADD("tpm-without-a-certificate", test_tpm_without_a_certificate_says_so);
    return g_test_run();
}
