/*
 * Test help: TPMs that came from a maker, and an enrolment that a test can
 * alter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "enroll-fixture.h"

#include <stdlib.h>
#include <string.h>
#include "report/json.h"
#include "report/jwk.h"

/* --- The maker ------------------------------------------------------------ */

static char *made_dir;

static void remove_maker(void)
{
    g_autofree char *line = g_strdup_printf("rm -rf '%s'", made_dir);

    g_assert_cmpint(system(line), ==, 0);
}

const char *maker_dir(void)
{
    g_autofree char *line = NULL;

    if (made_dir) {
        return made_dir;
    }
    made_dir = g_dir_make_tmp("vsm-maker-XXXXXX", NULL);
    g_assert_nonnull(made_dir);
    atexit(remove_maker);
    line = g_strdup_printf(
        "cd '%s'\n"
        "for k in statedir= signingkey=/signkey.pem "
        "issuercert=/issuercert.pem certserial=/certserial; do\n"
        "  echo \"${k%%%%=*} = $PWD${k#*=}\"; done > localca.conf\n"
        "printf '%%s\\n' '--platform-manufacturer VSM' "
        "'--platform-version 1' '--platform-model test' > options\n"
        "printf '%%s\\n' create_certs_tool=/usr/bin/swtpm_localca "
        "create_certs_tool_config=$PWD/localca.conf "
        "create_certs_tool_options=$PWD/options > setup.conf\n",
        made_dir);
    g_assert_cmpint(system(line), ==, 0);
    return made_dir;
}

char *maker_ca(void)
{
    g_autofree char *issuer =
        g_build_filename(maker_dir(), "issuercert.pem", NULL);
    g_autofree char *root =
        g_build_filename(maker_dir(), "swtpm-localca-rootca-cert.pem", NULL);
    g_autofree char *a = NULL, *b = NULL;

    g_assert_true(g_file_get_contents(issuer, &a, NULL, NULL));
    g_assert_true(g_file_get_contents(root, &b, NULL, NULL));
    return g_strconcat(a, b, NULL);
}

/* As it leaves the maker; making one takes seconds, so each is made once. */
static GBytes *manufacture(Swtpm *swtpm)
{
    g_autofree char *line = g_strdup_printf(
        "swtpm_setup --tpm2 --config '%s/setup.conf' --tpmstate \"$PWD\" "
        "--overwrite --create-ek-cert --create-platform-cert --lock-nvram "
        "--pcr-banks sha256,sha384 >setup.log 2>&1",
        maker_dir());

    g_free(swtpm_tool(swtpm, line));
    return swtpm_get(swtpm, "tpm2-00.permall");
}

Swtpm *swtpm_new_from_maker(guint which)
{
    static GBytes *made[2];
    Swtpm *swtpm = swtpm_new();

    g_assert_cmpuint(which, <, G_N_ELEMENTS(made));
    swtpm_kill(swtpm);
    if (!made[which]) {
        made[which] = manufacture(swtpm);
    }
    swtpm_put(swtpm, "tpm2-00.permall", made[which]);
    swtpm_start(swtpm);
    return swtpm;
}

/* --- The enrolment -------------------------------------------------------- */

static guint alive;

Enrolment *enrolment_new(const char *ek)
{
    Enrolment *enrolment = g_new0(Enrolment, 1);

    enrolment->store = store_new_on(swtpm_new_from_maker(alive++));
    enrolment->ek = ek;
    enrolment->ca = maker_ca();
    enrolment->allow_in_process = true;
    enrolment->now = g_get_real_time() / G_USEC_PER_SEC;
    return enrolment;
}

void enrolment_free(Enrolment *enrolment)
{
    if (enrolment) {
        alive--;
        store_free(enrolment->store);
        g_free(enrolment->ca);
        g_free(enrolment->request);
        g_free(enrolment->challenge);
        g_free(enrolment->state);
        g_free(enrolment->response);
        g_free(enrolment->trust);
        g_free(enrolment->jwks);
        g_free(enrolment);
    }
}

bool enrolment_request(Enrolment *e, GError **error)
{
    g_clear_pointer(&e->request, g_free);
    return vsm_host_enroll_request(e->store->host, e->ek, &e->request, error);
}

bool enrolment_challenge(Enrolment *e, GError **error)
{
    g_clear_pointer(&e->challenge, g_free);
    g_clear_pointer(&e->state, g_free);
    return vsm_enroll_challenge(e->request, e->ca, e->allow_in_process, e->now,
                                &e->challenge, &e->state, error);
}

bool enrolment_respond(Enrolment *e, GError **error)
{
    g_clear_pointer(&e->response, g_free);
    return vsm_host_enroll_respond(e->store->host, e->challenge, &e->response,
                                   error);
}

bool enrolment_accept(Enrolment *e, GError **error)
{
    g_clear_pointer(&e->trust, g_free);
    g_clear_pointer(&e->jwks, g_free);
    return vsm_enroll_accept(e->state, e->response, false, e->now, &e->trust,
                             &e->jwks, error);
}

void enrolment_until_request(Enrolment *e)
{
    g_autoptr(GError) error = NULL;

    enrolment_request(e, &error);
    g_assert_no_error(error);
}

void enrolment_until_challenge(Enrolment *e)
{
    g_autoptr(GError) error = NULL;

    enrolment_until_request(e);
    enrolment_challenge(e, &error);
    g_assert_no_error(error);
}

void enrolment_until_respond(Enrolment *e)
{
    g_autoptr(GError) error = NULL;

    enrolment_until_challenge(e);
    enrolment_respond(e, &error);
    g_assert_no_error(error);
}

void enrolment_until_accept(Enrolment *e)
{
    g_autoptr(GError) error = NULL;

    enrolment_until_respond(e);
    enrolment_accept(e, &error);
    g_assert_no_error(error);
}

/* --- Documents ------------------------------------------------------------ */

void document_set(char **text, const char *name, json_t *value)
{
    json_auto_t *object = json_loads(*text, 0, NULL);

    g_assert_nonnull(object);
    g_assert_nonnull(json_object_get(object, name));
    json_object_set_new(object, name, value);
    g_free(*text);
    *text = vsm_json_dump(object);
}

GBytes *document_bytes(const char *text, const char *name)
{
    json_auto_t *object = json_loads(text, 0, NULL);
    g_autoptr(GError) error = NULL;
    GBytes *bytes = vsm_b64url_decode(
        json_string_value(json_object_get(object, name)), 65536, &error);

    g_assert_no_error(error);
    return bytes;
}

json_t *json_b64url(GBytes *bytes)
{
    gsize size;
    gconstpointer data = g_bytes_get_data(bytes, &size);
    g_autofree char *text = vsm_b64url_encode(data, size);

    return json_string(text);
}

void document_flip(char **text, const char *name)
{
    json_auto_t *object = json_loads(*text, 0, NULL);
    g_autofree char *value =
        g_strdup(json_string_value(json_object_get(object, name)));
    char *last;

    g_assert_nonnull(value);
    /* Not the very last: its low bits may be none of the value. */
    last = value + strlen(value) - 2;
    *last = *last == 'a' ? 'b' : 'a';
    document_set(text, name, json_string(value));
}
