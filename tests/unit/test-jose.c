/*
 * base64url, JWK, JWS and JWE: strict on the way in, and Debian's own `jose`
 * reads what goes out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report-fixture.h"

#include <glib/gstdio.h>
#include <jansson.h>
#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "report/json.h"
#include "report/jwe.h"
#include "report/jwk.h"

/* RFC 7638 has no EC example; this pair is of RFC 7517, appendix A.1. */
#define P256_X "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
#define P256_Y "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
#define P256_D "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"

static void test_base64url_round_trip(void)
{
    for (gsize size = 0; size < 70; size++) {
        guint8 bytes[70];
        g_autofree char *text = NULL;
        g_autoptr(GBytes) back = NULL;
        g_autoptr(GError) error = NULL;

        memset(bytes, (int)(0xa5 + size), sizeof(bytes));
        text = vsm_b64url_encode(bytes, size);
        back = vsm_b64url_decode(text, size, &error);
        g_assert_no_error(error);
        g_assert_cmpmem(bytes, size, g_bytes_get_data(back, NULL),
                        g_bytes_get_size(back));
    }
}

static void test_base64url_refuses_other_texts(void)
{
    const char *const bad[] = {"A",  "AAAAA", "AA==", "A A",   "AA\n",
                               "AB", "AAB",   "+/+/", "AAAA=", "\xc3\xa4"};
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_null(vsm_b64url_decode(bad[i], 100, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
        g_clear_error(&error);
    }
    g_assert_null(vsm_b64url_decode("AAAA", 2, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_LIMIT);
}

/* Thumbprint computed with `jose jwk thp -a S256`, and by hand in Python. */
static void test_thumbprint_is_rfc7638(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *thumbprint = NULL;

    g_assert_true(vsm_report_recipient(
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y
        "\",\"use\":\"enc\",\"kid\":\"1\"}",
        &thumbprint, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(thumbprint, ==,
                    "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
}

static void recipient_refused(const char *jwk, VsmError code)
{
    g_autoptr(GError) error = NULL;
    char *thumbprint = NULL, *jwe = NULL;

    g_assert_false(vsm_jwk_recipient(jwk, &thumbprint, &error));
    g_assert_error(error, VSM_ERROR, (int)code);
    g_clear_error(&error);
    g_assert_false(vsm_jwe_encrypt("a.b.c", jwk, &jwe, &error));
    g_assert_error(error, VSM_ERROR, (int)code);
    g_assert_null(thumbprint);
    g_assert_null(jwe);
}

#define JWK(x, y, more)                                                        \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" x "\",\"y\":\"" y "\"" more "}"

static void test_refuses_unfit_recipients(void)
{
    g_autofree char *padding = g_strnfill(1100, ' ');
    g_autofree char *large =
        g_strconcat(JWK(P256_X, P256_Y, ""), padding, NULL);

    recipient_refused(JWK(P256_X, P256_Y, ",\"d\":\"" P256_D "\""),
                      VSM_ERROR_FORMAT);
    /* Not on the curve: x and y swapped. */
    recipient_refused(JWK(P256_Y, P256_X, ""), VSM_ERROR_FORMAT);
    /* Shorter and longer coordinates. */
    recipient_refused(JWK("AAAA", P256_Y, ""), VSM_ERROR_FORMAT);
    recipient_refused(JWK("AAAA" P256_X, P256_Y, ""), VSM_ERROR_FORMAT);
    recipient_refused(JWK(P256_X, P256_Y, ",\"use\":\"sig\""),
                      VSM_ERROR_INVALID);
    recipient_refused(JWK(P256_X, P256_Y, ",\"alg\":\"ES256\""),
                      VSM_ERROR_INVALID);
    recipient_refused(JWK(P256_X, P256_Y, ",\"key_ops\":[\"verify\"]"),
                      VSM_ERROR_INVALID);
    recipient_refused(JWK(P256_X, P256_Y, ",\"x5u\":\"http://a\""),
                      VSM_ERROR_FORMAT);
    recipient_refused(JWK(P256_X, P256_Y, ",\"crv\":\"P-256\""),
                      VSM_ERROR_FORMAT);
    recipient_refused("{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"" P256_X
                      "\",\"y\":\"" P256_Y "\"}",
                      VSM_ERROR_FORMAT);
    recipient_refused("{\"kty\":\"oct\",\"k\":\"AAAA\"}", VSM_ERROR_FORMAT);
    recipient_refused("{\"kty\":\"RSA\",\"n\":\"AAAA\",\"e\":\"AQAB\"}",
                      VSM_ERROR_FORMAT);
    recipient_refused("[]", VSM_ERROR_FORMAT);
    recipient_refused("", VSM_ERROR_FORMAT);
    recipient_refused(large, VSM_ERROR_LIMIT);
}

/* --- Stock jose --------------------------------------------------------- */

static char *scratch;

static char *write_file(const char *name, const char *text)
{
    char *path = g_build_filename(scratch, name, NULL);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
    return path;
}

/* Runs `jose`; true if it succeeds. */
static bool jose(char **out, ...)
{
    g_autoptr(GPtrArray) args = g_ptr_array_new();
    g_autofree char *err = NULL;
    g_autoptr(GError) error = NULL;
    const char *arg;
    va_list list;
    int status;

    g_ptr_array_add(args, (char *)"jose");
    va_start(list, out);
    while ((arg = va_arg(list, const char *))) {
        g_ptr_array_add(args, (char *)arg);
    }
    va_end(list);
    g_ptr_array_add(args, NULL);
    g_spawn_sync(NULL, (char **)args->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL,
                 NULL, out, &err, &status, &error);
    g_assert_no_error(error);
    return g_spawn_check_wait_status(status, NULL);
}

static void stock_verifies(guint bytes)
{
    g_autoptr(Fixture) fixture = fixture_new(bytes);
    g_autoptr(Fixture) other = fixture_new(bytes);
    g_autofree char *jws = fixture_report(fixture);
    g_autofree char *claims = fixture_claims(fixture);
    g_autofree char *key = write_file("rk.jwk", fixture->rk_jwk);
    g_autofree char *other_key = write_file("other.jwk", other->rk_jwk);
    g_autofree char *path = write_file("report.jws", jws);
    g_autofree char *payload = NULL, *none = NULL;

    g_assert_true(
        jose(&payload, "jws", "ver", "-i", path, "-k", key, "-O-", NULL));
    g_assert_cmpstr(payload, ==, claims);
    g_assert_false(
        jose(&none, "jws", "ver", "-i", path, "-k", other_key, "-O-", NULL));
}

static void test_stock_jose_verifies_reports(void)
{
    stock_verifies(48);
    stock_verifies(32);
}

static void stock_opens(const char *curve)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *jws = fixture_report(fixture);
    g_autofree char *request =
        g_strdup_printf("{\"kty\":\"EC\",\"crv\":\"%s\"}", curve);
    g_autofree char *key = NULL, *public = NULL, *other = NULL, *jwe = NULL;
    g_autofree char *key_path = NULL, *other_path = NULL, *jwe_path = NULL;
    g_autofree char *opened = NULL, *ours = NULL, *none = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(jose(&key, "jwk", "gen", "-i", request, "-o-", NULL));
    g_assert_true(jose(&other, "jwk", "gen", "-i", request, "-o-", NULL));
    key_path = write_file("key.jwk", key);
    other_path = write_file("other.jwk", other);
    g_assert_true(jose(&public, "jwk", "pub", "-i", key_path, "-o-", NULL));

    vsm_jwe_encrypt(jws, public, &jwe, &error);
    g_assert_no_error(error);
    g_assert_null(strstr(jwe, jws));
    jwe_path = write_file("report.jwe", jwe);
    g_assert_true(
        jose(&opened, "jwe", "dec", "-i", jwe_path, "-k", key_path, NULL));
    g_assert_cmpstr(opened, ==, jws);
    g_assert_false(
        jose(&none, "jwe", "dec", "-i", jwe_path, "-k", other_path, NULL));

    vsm_report_open(jwe, key, &ours, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(ours, ==, jws);
    g_free(g_steal_pointer(&none));
    g_assert_false(vsm_report_open(jwe, other, &none, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE);
}

static void test_stock_jose_opens_encrypted_reports(void)
{
    stock_opens("P-384");
    stock_opens("P-256");
}

static void test_opens_what_stock_jose_encrypts(void)
{
    static const char request[] = "{\"kty\":\"EC\",\"crv\":\"P-384\"}";
    static const char header[] =
        "{\"protected\":{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\"}}";
    g_autofree char *key = NULL, *key_path = NULL, *jwe = NULL;
    g_autofree char *plain_path = NULL, *opened = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(jose(&key, "jwk", "gen", "-i", request, "-o-", NULL));
    key_path = write_file("key.jwk", key);
    plain_path = write_file("plain", "a.b.c");
    g_assert_true(jose(&jwe, "jwe", "enc", "-I", plain_path, "-k", key_path,
                       "-i", header, "-c", "-o-", NULL));
    vsm_report_open(jwe, key, &opened, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(opened, ==, "a.b.c");
}

/* --- JWE refusals ------------------------------------------------------- */

#define PRIVATE JWK(P256_X, P256_Y, ",\"d\":\"" P256_D "\"")

static char *sealed_report(void)
{
    g_autoptr(GError) error = NULL;
    char *jwe = NULL;

    vsm_jwe_encrypt("aa.bb.cc", JWK(P256_X, P256_Y, ""), &jwe, &error);
    g_assert_no_error(error);
    return jwe;
}

static void open_refused(const char *jwe, VsmError code)
{
    g_autoptr(GError) error = NULL;
    char *jws = NULL;

    g_assert_false(vsm_report_open(jwe, PRIVATE, &jws, &error));
    g_assert_error(error, VSM_ERROR, (int)code);
    g_assert_null(jws);
}

static void test_refuses_every_flipped_bit_of_a_jwe(void)
{
    g_autofree char *jwe = sealed_report();
    g_autofree char *opened = NULL;
    g_auto(GStrv) parts = g_strsplit(jwe, ".", 5);
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_report_open(jwe, PRIVATE, &opened, &error));
    g_assert_cmpstr(opened, ==, "aa.bb.cc");
    for (guint part = 2; part < 5; part++) {
        g_autoptr(GBytes) bytes = vsm_b64url_decode(parts[part], 4096, NULL);
        gsize size;
        const guint8 *data = g_bytes_get_data(bytes, &size);

        for (gsize bit = 0; bit < size * 8; bit++) {
            g_autofree guint8 *copy = g_memdup2(data, size);
            g_autofree char *old = parts[part], *bad = NULL;

            copy[bit / 8] ^= 1u << bit % 8;
            parts[part] = vsm_b64url_encode(copy, size);
            bad = g_strjoinv(".", parts);
            open_refused(bad, VSM_ERROR_SIGNATURE);
            g_free(parts[part]);
            parts[part] = g_steal_pointer(&old);
        }
    }
}

static char *with_member(const char *jwe, const char *name, json_t *value)
{
    g_auto(GStrv) parts = g_strsplit(jwe, ".", 5);
    g_autoptr(GBytes) bytes = vsm_b64url_decode(parts[0], 4096, NULL);
    json_auto_t *header = json_loadb(g_bytes_get_data(bytes, NULL),
                                     g_bytes_get_size(bytes), 0, NULL);
    g_autofree char *text = NULL;

    json_object_set_new(header, name, value);
    text = vsm_json_dump(header);
    g_free(parts[0]);
    parts[0] = vsm_b64url_encode(text, strlen(text));
    return g_strjoinv(".", parts);
}

static void test_refuses_other_jwe_headers(void)
{
    g_autofree char *jwe = sealed_report();
    const struct {
        const char *name;
        json_t *value;
        VsmError code;
    } cases[] = {
        {"alg", json_string("dir"), VSM_ERROR_FORMAT},
        {"alg", json_string("ECDH-ES+A256KW"), VSM_ERROR_FORMAT},
        {"enc", json_string("A128GCM"), VSM_ERROR_FORMAT},
        {"zip", json_string("DEF"), VSM_ERROR_FORMAT},
        {"crit", json_array(), VSM_ERROR_FORMAT},
        {"epk", json_string("x"), VSM_ERROR_FORMAT},
        {"kid", json_string("another"), VSM_ERROR_SIGNATURE},
        {"epk",
         json_pack("{s:s,s:s,s:s,s:s}", "kty", "EC", "crv", "P-256", "x",
                   P256_Y, "y", P256_X),
         VSM_ERROR_SIGNATURE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *bad = with_member(jwe, cases[i].name, cases[i].value);

        open_refused(bad, cases[i].code);
    }
}

static void test_refuses_what_is_no_jwe(void)
{
    g_autofree char *jwe = sealed_report();
    g_autofree char *six = g_strconcat(jwe, ".AAAA", NULL);
    g_autofree char *blank = g_strconcat(jwe, " ", NULL);
    g_autofree char *huge = g_strnfill(VSM_REPORT_BYTES_MAX + 1, 'A');

    open_refused("", VSM_ERROR_FORMAT);
    open_refused("a.b.c", VSM_ERROR_FORMAT);
    open_refused("....", VSM_ERROR_FORMAT);
    open_refused(six, VSM_ERROR_FORMAT);
    open_refused(blank, VSM_ERROR_FORMAT);
    open_refused(huge, VSM_ERROR_LIMIT);
}

/* A signer that breaks its promise must not make a report. */
static GBytes *short_signer(GBytes *digest, gpointer opaque, GError **error)
{
    (void)opaque;
    (void)error;
    return g_bytes_ref(digest);
}

static GBytes *failing_signer(GBytes *digest, gpointer opaque, GError **error)
{
    (void)digest;
    (void)opaque;
    g_set_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT, "the TPM is slow");
    return NULL;
}

static void test_signer_failures_reach_the_caller(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autoptr(GError) error = NULL;
    g_autofree char *long_text = g_strnfill(VSM_REPORT_BYTES_MAX, 'x');
    char *jws = NULL;

    g_assert_false(
        vsm_jws_sign("{}", fixture->rk_jwk, short_signer, NULL, &jws, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CRYPTO);
    g_clear_error(&error);
    g_assert_false(vsm_jws_sign("{}", fixture->rk_jwk, failing_signer, NULL,
                                &jws, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT);
    g_clear_error(&error);
    g_assert_false(vsm_jws_sign(long_text, fixture->rk_jwk, fixture_sign,
                                fixture->rk, &jws, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_LIMIT);
    g_assert_null(jws);
}

static void remove_scratch(void)
{
    const char *name;
    GDir *dir = g_dir_open(scratch, 0, NULL);

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(scratch, name, NULL);

        g_unlink(path);
    }
    g_dir_close(dir);
    g_rmdir(scratch);
    g_free(scratch);
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    scratch = g_dir_make_tmp("vsm-jose-XXXXXX", NULL);
    g_test_add_func("/jose/base64url-round-trip", test_base64url_round_trip);
    g_test_add_func("/jose/base64url-refuses-other-texts",
                    test_base64url_refuses_other_texts);
    g_test_add_func("/jose/thumbprint-is-rfc7638", test_thumbprint_is_rfc7638);
    g_test_add_func("/jose/refuses-unfit-recipients",
                    test_refuses_unfit_recipients);
    g_test_add_func("/jose/stock-jose-verifies-reports",
                    test_stock_jose_verifies_reports);
    g_test_add_func("/jose/stock-jose-opens-encrypted-reports",
                    test_stock_jose_opens_encrypted_reports);
    g_test_add_func("/jose/opens-what-stock-jose-encrypts",
                    test_opens_what_stock_jose_encrypts);
    g_test_add_func("/jose/refuses-every-flipped-bit-of-a-jwe",
                    test_refuses_every_flipped_bit_of_a_jwe);
    g_test_add_func("/jose/refuses-other-jwe-headers",
                    test_refuses_other_jwe_headers);
    g_test_add_func("/jose/refuses-what-is-no-jwe",
                    test_refuses_what_is_no_jwe);
    g_test_add_func("/jose/signer-failures-reach-the-caller",
                    test_signer_failures_reach_the_caller);
    rc = g_test_run();
    remove_scratch();
    return rc;
}
