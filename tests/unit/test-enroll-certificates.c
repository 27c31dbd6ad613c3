/*
 * Endorsement certificates that do not count in an enrolment.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "enroll-refusals.h"

#include <string.h>

static void shell(Swtpm *swtpm, const char *line)
{
    g_free(swtpm_tool(swtpm, line));
}

/* An authority of our own, and its certificate for the EK in ek.pem. */
static void make_authority(Enrolment *e)
{
    g_autoptr(GBytes) pem = NULL;
    Swtpm *swtpm = e->store->swtpm;

    store_close(e->store);
    shell(swtpm, "tpm2_readpublic -Q -c 0x81010001 -f pem -o ek.pem");
    store_reopen(e->store);
    shell(swtpm,
          "openssl req -quiet -x509 -newkey ec -pkeyopt "
          "ec_paramgen_curve:P-256 -nodes -subj /CN=other -days 30 "
          "-addext basicConstraints=critical,CA:TRUE "
          "-keyout other.key -out other.pem 2>/dev/null || "
          "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
          "-nodes -subj /CN=other -days 30 "
          "-addext basicConstraints=critical,CA:TRUE "
          "-keyout other.key -out other.pem 2>/dev/null; "
          "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
          "-subj /CN=ek -keyout csr.key -out csr.pem 2>/dev/null; "
          "openssl pkey -in csr.key -pubout -out csr.pub.pem");
    pem = swtpm_get(swtpm, "other.pem");
    g_free(e->ca);
    e->ca = g_strndup(g_bytes_get_data(pem, NULL), g_bytes_get_size(pem));
}

/* Puts a certificate of @key with these extensions into the request. */
static void certify(Enrolment *e, const char *key, const char *extensions)
{
    Swtpm *swtpm = e->store->swtpm;
    g_autofree char *line = g_strdup_printf(
        "printf '%%b' '%s' > ext.cnf; "
        "openssl x509 -req -in csr.pem -force_pubkey %s -CA other.pem "
        "-CAkey other.key -CAcreateserial -days 30 -extfile ext.cnf "
        "-outform DER -out made.der 2>/dev/null",
        extensions, key);
    g_autoptr(GBytes) der = NULL;
    json_t *list = json_array();

    shell(swtpm, line);
    der = swtpm_get(swtpm, "made.der");
    json_array_append_new(list, json_b64url(der));
    document_set(&e->request, "ek_certificates", list);
}

#define SOUND "basicConstraints=CA:FALSE\\nextendedKeyUsage=2.23.133.8.1\\n"

static void test_certificates_that_do_not_count_are_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new("rsa-2048");
    gint64 now;
    g_autoptr(GError) error = NULL;

    enrolment_until_request(e);
    make_authority(e);
    e->now = now = e->now + 300; /* what is made below is valid by then */
    /* The maker's certificate, but another authority is trusted. */
    challenge_refused(e, VSM_ERROR_UNTRUSTED, "leads to none that is trusted");
    certify(e, "ek.pem", SOUND);
    enrolment_challenge(e, &error);
    g_assert_no_error(error);
    e->now = now + 40 * 86400;
    challenge_refused(e, VSM_ERROR_UNTRUSTED, "expired");
    e->now = now - 40 * 86400;
    challenge_refused(e, VSM_ERROR_UNTRUSTED, "not yet valid");
    e->now = now;
    certify(e, "ek.pem", "basicConstraints=CA:FALSE\\n");
    challenge_refused(e, VSM_ERROR_UNTRUSTED, "extended key usage");
    certify(e, "ek.pem",
            "basicConstraints=CA:FALSE\\nextendedKeyUsage=serverAuth\\n");
    challenge_refused(e, VSM_ERROR_UNTRUSTED, "extended key usage");
    certify(e, "ek.pem",
            "basicConstraints=critical,CA:TRUE\\n"
            "extendedKeyUsage=2.23.133.8.1\\n");
    challenge_refused(e, VSM_ERROR_UNTRUSTED, "authority's");
    certify(e, "csr.pub.pem", SOUND);
    challenge_refused(e, VSM_ERROR_UNTRUSTED, "another key's");
}

static void test_certificate_of_another_maker_is_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new("p-384");
    g_autofree char *sound = g_strdup(e->ca);

    enrolment_until_request(e);
    make_authority(e);
    challenge_refused(e, VSM_ERROR_UNTRUSTED, "leads to none that is trusted");
    g_free(e->ca);
    e->ca = g_strdup("no certificate");
    challenge_refused(e, VSM_ERROR_INVALID, "PEM");
    g_free(e->ca);
    e->ca = g_strconcat(sound,
                        "-----BEGIN CERTIFICATE-----\nAAAA\n"
                        "-----END CERTIFICATE-----\n",
                        NULL);
    challenge_refused(e, VSM_ERROR_INVALID, "PEM");
}

static void test_altered_certificate_is_refused(void)
{
    g_autoptr(Enrolment) e = enrolment_new("p-384");
    json_auto_t *request = NULL;
    g_autofree char *one = NULL;
    json_t *list = json_array();

    enrolment_until_request(e);
    request = json_loads(e->request, 0, NULL);
    one = g_strdup(json_string_value(
        json_array_get(json_object_get(request, "ek_certificates"), 0)));
    one[strlen(one) - 20] = one[strlen(one) - 20] == 'A' ? 'B' : 'A';
    json_array_append_new(list, json_string(one)); /* the signature */
    document_set(&e->request, "ek_certificates", list);
    challenge_refused(e, VSM_ERROR_UNTRUSTED, "leads to none that is trusted");
    list = json_array();
    json_array_append_new(list, json_string("AAAA"));
    document_set(&e->request, "ek_certificates", list);
    challenge_refused(e, VSM_ERROR_FORMAT, "certificate");
}

#define ADD(name, func) g_test_add_func("/enroll-refusals/" name, func)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("certificates-that-do-not-count",
        test_certificates_that_do_not_count_are_refused);
    ADD("certificate-of-another-maker",
        test_certificate_of_another_maker_is_refused);
    ADD("altered-certificate", test_altered_certificate_is_refused);
    return g_test_run();
}
