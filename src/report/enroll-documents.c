/*
 * The documents of an enrolment: written, and read strictly.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/codec.h"
#include "base/limits.h"
#include "crypto/x509.h"
#include "report/claims-read.h"
#include "report/enroll.h"
#include "report/json.h"
#include "report/jwk.h"

#define VERSION 1

/* Holds a request as text: each of its characters may need an escape. */
#define STATE_BYTES_MAX (2 * VSM_ENROLL_BYTES_MAX + 4096)

static const VsmJsonMember request_table[] = {
    {"type", VSM_JSON_TEXT, false},
    {"version", VSM_JSON_COUNT, false},
    {"host_id", VSM_JSON_TEXT, false},
    {"attester", VSM_JSON_TEXT, false},
    {"boot_policy", VSM_JSON_TEXT, false},
    {"ek_public", VSM_JSON_B64URL, false},
    {"ek_certificates", VSM_JSON_LIST, false},
    {"ak_public", VSM_JSON_B64URL, false},
    {"rk_public", VSM_JSON_B64URL, false},
    {"srk_name", VSM_JSON_B64URL, false},
    {"commit_index", VSM_JSON_B64URL, false},
};

static const VsmJsonMember challenge_table[] = {
    {"type", VSM_JSON_TEXT, false},      {"version", VSM_JSON_COUNT, false},
    {"request", VSM_JSON_DIGEST, false}, {"ek_name", VSM_JSON_B64URL, false},
    {"ak_name", VSM_JSON_B64URL, false}, {"credential", VSM_JSON_B64URL, false},
    {"secret", VSM_JSON_B64URL, false},  {"nonce", VSM_JSON_B64URL, false},
};

static const VsmJsonMember response_table[] = {
    {"type", VSM_JSON_TEXT, false},
    {"version", VSM_JSON_COUNT, false},
    {"request", VSM_JSON_DIGEST, false},
    {"challenge", VSM_JSON_DIGEST, false},
    {"hmac", VSM_JSON_DIGEST, false},
    {"rk_attest", VSM_JSON_B64URL, false},
    {"rk_signature", VSM_JSON_B64URL, false},
    {"pcrs", VSM_JSON_OBJECT, false},
    {"quote_attest", VSM_JSON_B64URL, false},
    {"quote_signature", VSM_JSON_B64URL, false},
};

static const VsmJsonMember state_table[] = {
    {"type", VSM_JSON_TEXT, false},
    {"version", VSM_JSON_COUNT, false},
    {"request", VSM_JSON_TEXT, false},
    {"challenge", VSM_JSON_DIGEST, false},
    {"secret", VSM_JSON_B64URL, false},
    {"made", VSM_JSON_COUNT, false},
    {"allow_in_process", VSM_JSON_BOOL, false},
};

/* --- Reading -------------------------------------------------------------- */

static bool bad(GError **error, const char *what, const char *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, "%s: %s", what, why);
    return false;
}

static json_t *load(const char *text,
                    const char *type,
                    gsize max,
                    const VsmJsonMember *table,
                    guint n,
                    GError **error)
{
    json_auto_t *object = vsm_json_load(text, max, type, error);
    const char *said;

    if (!object) {
        return NULL;
    }
    said = vsm_json_text(object, "type");
    if (g_strcmp0(said, type) != 0) {
        bad(error, type, "its 'type' says that it is another document");
        return NULL;
    }
    if (!vsm_json_check(object, table, n, type, error)) {
        return NULL;
    }
    if (vsm_json_count(object, "version") != VERSION) {
        bad(error, type, "its version is not 1; a newer vsmctl may know it");
        return NULL;
    }
    return json_incref(object);
}

static bool is_host_id(const char *text)
{
    guint8 id[VSM_ID_DIGITS / 2];

    return vsm_codec_parse_hex(text, id, sizeof(id));
}

static bool one_of(const char *text, const char *a, const char *b)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

static bool
read_certificates(const json_t *list, GPtrArray *ret, GError **error)
{
    size_t i;
    json_t *value;

    if (json_array_size(list) < 1 ||
        json_array_size(list) > VSM_CERTIFICATES_MAX) {
        return bad(error, "ek_certificates", "1 to 8 certificates are allowed");
    }
    json_array_foreach(list, i, value)
    {
        GBytes *der = json_is_string(value)
                          ? vsm_b64url_decode(json_string_value(value),
                                              VSM_CERTIFICATE_BYTES_MAX, NULL)
                          : NULL;

        if (!der) {
            return bad(error, "ek_certificates",
                       "an entry is not base64url of at most 4,096 bytes");
        }
        g_ptr_array_add(ret, der);
    }
    return true;
}

static bool is_name(GBytes *name)
{
    gsize size = g_bytes_get_size(name);

    return size > 2 && size <= VSM_TPM_NAME_BYTES_MAX;
}

static bool check_request(const VsmEnrollRequest *request, GError **error)
{
    if (!is_host_id(request->host_id)) {
        return bad(error, "host_id", "not 32 lower-case hex digits");
    }
    if (!one_of(request->attester, "in-process", "daemon")) {
        return bad(error, "attester", "neither in-process nor daemon");
    }
    if (!one_of(request->boot_policy, "frozen", "operator")) {
        return bad(error, "boot_policy", "neither frozen nor operator");
    }
    if (!is_name(request->srk_name) || !is_name(request->commit_index)) {
        return bad(error, "srk_name, commit_index", "not a TPM's Name");
    }
    return true;
}

bool vsm_enroll_request_read(const char *text,
                             VsmEnrollRequest *ret,
                             GError **error)
{
    json_auto_t *object =
        load(text, "vsm-enroll-request", VSM_ENROLL_BYTES_MAX, request_table,
             G_N_ELEMENTS(request_table), error);
    g_auto(VsmEnrollRequest) request = {NULL};

    if (!object) {
        return false;
    }
    request.host_id = g_strdup(vsm_json_text(object, "host_id"));
    request.attester = g_strdup(vsm_json_text(object, "attester"));
    request.boot_policy = g_strdup(vsm_json_text(object, "boot_policy"));
    request.ek_public = vsm_json_bytes(object, "ek_public");
    request.ak_public = vsm_json_bytes(object, "ak_public");
    request.rk_public = vsm_json_bytes(object, "rk_public");
    request.srk_name = vsm_json_bytes(object, "srk_name");
    request.commit_index = vsm_json_bytes(object, "commit_index");
    request.ek_certificates =
        g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    if (!read_certificates(json_object_get(object, "ek_certificates"),
                           request.ek_certificates, error) ||
        !check_request(&request, error)) {
        return false;
    }
    *ret = request;
    memset(&request, 0, sizeof(request));
    return true;
}

bool vsm_enroll_challenge_read(const char *text,
                               VsmEnrollChallenge *ret,
                               GError **error)
{
    json_auto_t *object =
        load(text, "vsm-enroll-challenge", VSM_ENROLL_BYTES_MAX,
             challenge_table, G_N_ELEMENTS(challenge_table), error);
    g_auto(VsmEnrollChallenge) challenge = {0};

    if (!object) {
        return false;
    }
    vsm_json_digest(object, "request", &challenge.request);
    challenge.ek_name = vsm_json_bytes(object, "ek_name");
    challenge.ak_name = vsm_json_bytes(object, "ak_name");
    challenge.credential = vsm_json_bytes(object, "credential");
    challenge.secret = vsm_json_bytes(object, "secret");
    challenge.nonce = vsm_json_bytes(object, "nonce");
    if (g_bytes_get_size(challenge.nonce) != VSM_ENROLL_NONCE_BYTES) {
        return bad(error, "nonce", "not 32 bytes");
    }
    *ret = challenge;
    memset(&challenge, 0, sizeof(challenge));
    return true;
}

bool vsm_enroll_response_read(const char *text,
                              VsmEnrollResponse *ret,
                              GError **error)
{
    json_auto_t *object =
        load(text, "vsm-enroll-response", VSM_ENROLL_BYTES_MAX, response_table,
             G_N_ELEMENTS(response_table), error);
    g_auto(VsmEnrollResponse) response = {0};

    if (!object) {
        return false;
    }
    vsm_json_digest(object, "request", &response.request);
    vsm_json_digest(object, "challenge", &response.challenge);
    vsm_json_digest(object, "hmac", &response.hmac);
    response.rk_attest = vsm_json_bytes(object, "rk_attest");
    response.rk_signature = vsm_json_bytes(object, "rk_signature");
    response.quote_attest = vsm_json_bytes(object, "quote_attest");
    response.quote_signature = vsm_json_bytes(object, "quote_signature");
    if (!vsm_pcrs_read(json_object_get(object, "pcrs"), "the response's 'pcrs'",
                       &response.pcrs, error)) {
        return false;
    }
    *ret = response;
    memset(&response, 0, sizeof(response));
    return true;
}

/* The text of a JSON string is wiped as soon as it is decoded. */
static bool
take_secret(json_t *object, const char *name, VsmSecret **ret, GError **error)
{
    g_autoptr(GBytes) bytes = vsm_json_bytes(object, name);
    json_t *text = json_object_get(object, name);
    gsize size;
    gconstpointer data = g_bytes_get_data(bytes, &size);

    vsm_wipe((char *)json_string_value(text), json_string_length(text));
    if (size != VSM_CREDENTIAL_BYTES) {
        return bad(error, name, "not 32 bytes");
    }
    *ret = vsm_secret_new_copy(data, size, error);
    vsm_wipe((gpointer)data, size);
    return *ret != NULL;
}

bool vsm_enroll_state_read(const char *text,
                           VsmEnrollState *ret,
                           GError **error)
{
    json_auto_t *object = load(text, "vsm-enroll-state", STATE_BYTES_MAX,
                               state_table, G_N_ELEMENTS(state_table), error);
    g_auto(VsmEnrollState) state = {NULL};

    if (!object || !take_secret(object, "secret", &state.secret, error)) {
        return false;
    }
    state.request = g_strdup(vsm_json_text(object, "request"));
    vsm_json_digest(object, "challenge", &state.challenge);
    state.made = (gint64)vsm_json_count(object, "made");
    state.allow_in_process = vsm_json_bool(object, "allow_in_process");
    *ret = state;
    memset(&state, 0, sizeof(state));
    return true;
}

/* --- Writing -------------------------------------------------------------- */

static json_t *begin(const char *type)
{
    return json_pack("{s:s, s:i}", "type", type, "version", VERSION);
}

static void put_text(json_t *object, const char *name, const char *text)
{
    json_object_set_new(object, name, json_string(text));
}

static void put_bytes(json_t *object, const char *name, GBytes *bytes)
{
    gsize size;
    gconstpointer data = g_bytes_get_data(bytes, &size);
    g_autofree char *text = vsm_b64url_encode(data, size);

    put_text(object, name, text);
}

static void put_digest(json_t *object, const char *name, const VsmDigest *value)
{
    g_autofree char *hex = vsm_codec_hex(value->b, sizeof(value->b));

    put_text(object, name, hex);
}

char *vsm_enroll_request_write(const VsmEnrollRequest *request)
{
    json_auto_t *object = begin("vsm-enroll-request");
    json_t *list = json_array();

    put_text(object, "host_id", request->host_id);
    put_text(object, "attester", request->attester);
    put_text(object, "boot_policy", request->boot_policy);
    put_bytes(object, "ek_public", request->ek_public);
    put_bytes(object, "ak_public", request->ak_public);
    put_bytes(object, "rk_public", request->rk_public);
    put_bytes(object, "srk_name", request->srk_name);
    put_bytes(object, "commit_index", request->commit_index);
    for (guint i = 0; i < request->ek_certificates->len; i++) {
        gsize size;
        gconstpointer der =
            g_bytes_get_data(request->ek_certificates->pdata[i], &size);
        g_autofree char *text = vsm_b64url_encode(der, size);

        json_array_append_new(list, json_string(text));
    }
    json_object_set_new(object, "ek_certificates", list);
    return vsm_json_dump(object);
}

char *vsm_enroll_challenge_write(const VsmEnrollChallenge *challenge)
{
    json_auto_t *object = begin("vsm-enroll-challenge");

    put_digest(object, "request", &challenge->request);
    put_bytes(object, "ek_name", challenge->ek_name);
    put_bytes(object, "ak_name", challenge->ak_name);
    put_bytes(object, "credential", challenge->credential);
    put_bytes(object, "secret", challenge->secret);
    put_bytes(object, "nonce", challenge->nonce);
    return vsm_json_dump(object);
}

char *vsm_enroll_response_write(const VsmEnrollResponse *response)
{
    json_auto_t *object = begin("vsm-enroll-response");

    put_digest(object, "request", &response->request);
    put_digest(object, "challenge", &response->challenge);
    put_digest(object, "hmac", &response->hmac);
    put_bytes(object, "rk_attest", response->rk_attest);
    put_bytes(object, "rk_signature", response->rk_signature);
    put_bytes(object, "quote_attest", response->quote_attest);
    put_bytes(object, "quote_signature", response->quote_signature);
    json_object_set_new(object, "pcrs", vsm_pcrs_write(&response->pcrs));
    return vsm_json_dump(object);
}

char *vsm_enroll_state_write(const VsmEnrollState *state)
{
    json_auto_t *object = begin("vsm-enroll-state");
    char *secret = vsm_b64url_encode(vsm_secret_peek(state->secret),
                                     vsm_secret_bytes(state->secret));
    json_t *text = json_string(secret);
    char *ret;

    put_text(object, "request", state->request);
    put_digest(object, "challenge", &state->challenge);
    json_object_set_new(object, "made", json_integer(state->made));
    json_object_set_new(object, "allow_in_process",
                        json_boolean(state->allow_in_process));
    json_object_set_new(object, "secret", text);
    ret = vsm_json_dump(object);
    vsm_wipe((char *)json_string_value(text), json_string_length(text));
    vsm_wipe(secret, strlen(secret));
    g_free(secret);
    return ret;
}

/* --- Clearing ------------------------------------------------------------- */

void vsm_enroll_request_clear(VsmEnrollRequest *request)
{
    g_free(request->host_id);
    g_free(request->attester);
    g_free(request->boot_policy);
    g_clear_pointer(&request->ek_public, g_bytes_unref);
    g_clear_pointer(&request->ak_public, g_bytes_unref);
    g_clear_pointer(&request->rk_public, g_bytes_unref);
    g_clear_pointer(&request->srk_name, g_bytes_unref);
    g_clear_pointer(&request->commit_index, g_bytes_unref);
    g_clear_pointer(&request->ek_certificates, g_ptr_array_unref);
    memset(request, 0, sizeof(*request));
}

void vsm_enroll_challenge_clear(VsmEnrollChallenge *challenge)
{
    g_clear_pointer(&challenge->ek_name, g_bytes_unref);
    g_clear_pointer(&challenge->ak_name, g_bytes_unref);
    g_clear_pointer(&challenge->credential, g_bytes_unref);
    g_clear_pointer(&challenge->secret, g_bytes_unref);
    g_clear_pointer(&challenge->nonce, g_bytes_unref);
}

void vsm_enroll_response_clear(VsmEnrollResponse *response)
{
    g_clear_pointer(&response->rk_attest, g_bytes_unref);
    g_clear_pointer(&response->rk_signature, g_bytes_unref);
    g_clear_pointer(&response->quote_attest, g_bytes_unref);
    g_clear_pointer(&response->quote_signature, g_bytes_unref);
}

void vsm_enroll_state_clear(VsmEnrollState *state)
{
    g_clear_pointer(&state->request, g_free);
    g_clear_pointer(&state->secret, vsm_secret_free);
}
