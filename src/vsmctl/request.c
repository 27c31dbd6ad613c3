/*
 * Requests: what a verifier asks for, on file between asking and checking.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/request.h"

#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <jansson.h>
#include <jose/b64.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <vsm/error.h>
#include <vsm/report.h>

#include "vsmctl/output.h"
#include "vsmctl/vsmctl.h"

#define NONCE_BYTES 32 /* 8 to 64 are allowed */
#define REQUEST_VERSION 1

static bool invalid(GError **error, const char *what)
{
    g_set_error_literal(error, VSM_ERROR, VSM_ERROR_INVALID, what);
    return false;
}

/* --- Files ---------------------------------------------------------------- */

static GBytes *read_stream(GInputStream *stream, gsize max, GError **error)
{
    g_autofree char *buffer = g_malloc(max + 1);
    gsize size = 0;

    if (!g_input_stream_read_all(stream, buffer, max + 1, &size, NULL, error)) {
        return NULL;
    }
    return g_bytes_new(buffer, size);
}

static GBytes *read_file(const char *path, gsize max, GError **error)
{
    g_autoptr(GFile) file = g_file_new_for_path(path);
    g_autoptr(GInputStream) stream =
        strcmp(path, "-") == 0 ? g_unix_input_stream_new(STDIN_FILENO, FALSE)
                               : G_INPUT_STREAM(g_file_read(file, NULL, error));

    return stream ? read_stream(stream, max, error) : NULL;
}

char *read_text_file(const char *path, gsize max, GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(GBytes) bytes = read_file(path, max, &why);
    char *text;
    gsize size;
    const char *data;

    if (!bytes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID, "cannot read '%s': %s",
                    path, why->message);
        return NULL;
    }
    data = g_bytes_get_data(bytes, &size);
    if (size > max) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "'%s' is larger than %" G_GSIZE_FORMAT " bytes", path, max);
        return NULL;
    }
    if (size > 0 && memchr(data, '\0', size)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, "'%s' is no text",
                    path);
        return NULL;
    }
    text = g_strndup(size > 0 ? data : "", size); /* NULL data when empty */
    if (g_str_has_suffix(text, "\n")) {
        text[strlen(text) - 1] = '\0';
    }
    return text;
}

bool write_text_file(const char *path, const char *text, GError **error)
{
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    g_autoptr(GError) why = NULL;

    if (strcmp(path, "-") == 0) {
        fputs(line, stdout);
        return true;
    }
    if (!g_file_set_contents(path, line, -1, &why)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE, "cannot write '%s': %s",
                    path, why->message);
        return false;
    }
    return true;
}

/* --- Parts of a request --------------------------------------------------- */

const char *request_scope(const char *op)
{
    return strcmp(op, "verify") == 0 ? "stored" : "full";
}

bool request_scope_fits(const char *op, const char *scope, GError **error)
{
    bool attest = strcmp(op, "attest") == 0;

    if (!attest && strcmp(op, "verify") != 0 && strcmp(op, "rollback") != 0) {
        return invalid(error, "an operation is attest, verify or rollback");
    }
    if (strcmp(scope, request_scope(op)) != 0 &&
        !(attest && strcmp(scope, "runtime") == 0)) {
        return invalid(error, "attest has the scope full or runtime, verify "
                              "stored, rollback full");
    }
    return true;
}

bool request_set_profile(Request *request, const char *profile, GError **error)
{
    bool runtime = strcmp(request->scope, "runtime") == 0;

    if (profile && !runtime) {
        return invalid(error, "a profile belongs to the scope runtime");
    }
    if (profile && strcmp(profile, "standard") != 0 &&
        strcmp(profile, "strict") != 0) {
        return invalid(error, "a profile is standard or strict");
    }
    g_free(request->profile);
    request->profile =
        runtime ? g_strdup(profile ? profile : "standard") : NULL;
    return true;
}

char *request_new_nonce(void)
{
    guint8 bytes[NONCE_BYTES];
    char text[2 * NONCE_BYTES];
    gsize size;

    /* Never a predictable one: without randomness there is no nonce. */
    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
        g_error("the system gives no random bytes");
    }
    size = jose_b64_enc_buf(bytes, sizeof(bytes), text, sizeof(text));
    return g_strndup(text, size);
}

GBytes *request_nonce_bytes(const char *nonce, GError **error)
{
    guint8 bytes[64];
    char again[96];
    gsize text_size = strlen(nonce), size = 0, again_size = 0;

    if (text_size >= 11 && text_size <= 86) {
        size = jose_b64_dec_buf(nonce, text_size, bytes, sizeof(bytes));
    }
    if (size != SIZE_MAX && size >= 8 && size <= 64) {
        again_size = jose_b64_enc_buf(bytes, size, again, sizeof(again));
    }
    if (again_size != text_size || memcmp(again, nonce, text_size) != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a nonce is base64url without padding of 8 to 64 bytes");
        return NULL;
    }
    return g_bytes_new(bytes, size);
}

char *request_uuid(const char *text, GError **error)
{
    if (!g_uuid_string_is_valid(text)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "the VM is named by its UUID (QEMU's -uuid), such as "
                    "8d2b4d7e-5a59-4b39-a4bc-a4ad1e5ac21c");
        return NULL;
    }
    return g_ascii_strdown(text, -1);
}

VsmExpectation request_expectation(const Request *request,
                                   GBytes *nonce,
                                   const char *recipient)
{
    return (VsmExpectation){
        .nonce = nonce,
        .op = request->op,
        .snapshot = request->snapshot,
        .scope = request->scope,
        .profile = request->profile,
        .vm_uuid = request->vm,
        .recipient = recipient,
    };
}

void request_free(Request *request)
{
    if (!request) {
        return;
    }
    g_free(request->nonce);
    g_free(request->op);
    g_free(request->snapshot);
    g_free(request->scope);
    g_free(request->profile);
    g_free(request->vm);
    g_free(request->recipient);
    g_free(request);
}

/* --- Files of requests ---------------------------------------------------- */

char *request_to_json(const Request *request)
{
    json_auto_t *object = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:s, s:s*, s:o*}", "version",
        REQUEST_VERSION, "nonce", request->nonce, "op", request->op, "snapshot",
        request->snapshot, "scope", request->scope, "vm", request->vm,
        "profile", request->profile, "recipient",
        request->recipient ? json_loads(request->recipient, 0, NULL) : NULL);
    char *text = json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
    char *copy = g_strdup(text);

    free(text);
    return copy;
}

static char *dump_recipient(const json_t *recipient)
{
    char *text = json_dumps(recipient, JSON_COMPACT);
    char *copy = g_strdup(text);

    free(text);
    return copy;
}

static Request *request_parse(const json_t *object)
{
    g_autoptr(Request) request = g_new0(Request, 1);
    const char *nonce, *op, *snapshot, *scope, *vm, *profile = NULL;
    json_t *recipient = NULL;
    int version;

    if (json_unpack((json_t *)object,
                    "{s:i, s:s, s:s, s:s, s:s, s:s, s?s, s?o !}", "version",
                    &version, "nonce", &nonce, "op", &op, "snapshot", &snapshot,
                    "scope", &scope, "vm", &vm, "profile", &profile,
                    "recipient", &recipient) < 0 ||
        version != REQUEST_VERSION || !request_scope_fits(op, scope, NULL)) {
        return NULL;
    }
    request->nonce = g_strdup(nonce);
    request->op = g_strdup(op);
    request->snapshot = g_strdup(snapshot);
    request->scope = g_strdup(scope);
    request->vm = g_strdup(vm);
    request->recipient = recipient ? dump_recipient(recipient) : NULL;
    if (!request_set_profile(request, profile, NULL)) {
        return NULL;
    }
    return g_steal_pointer(&request);
}

Request *request_load(const char *path, GError **error)
{
    g_autofree char *text = read_text_file(path, REQUEST_BYTES_MAX, error);
    json_auto_t *object =
        text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    g_autoptr(Request) request = NULL;
    g_autoptr(GBytes) nonce = NULL;

    if (!text) {
        return NULL;
    }
    request = object ? request_parse(object) : NULL;
    if (!request) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "'%s' is no request: 'vsmctl request' writes one", path);
        return NULL;
    }
    nonce = request_nonce_bytes(request->nonce, error);
    return nonce ? g_steal_pointer(&request) : NULL;
}

/* Takes the recipient's file; refuses early what the attester would refuse. */
static bool take_recipient(Request *request, const char *path, GError **error)
{
    g_autofree char *text = read_text_file(path, REQUEST_BYTES_MAX, error);
    g_autofree char *thumbprint = NULL;

    if (!text || !vsm_report_recipient(text, &thumbprint, error)) {
        return false;
    }
    request->recipient = g_steal_pointer(&text);
    return true;
}

static Request *from_file(const char *op,
                          const char *scope,
                          const char *profile,
                          const char *snapshot,
                          GError **error)
{
    g_autoptr(Request) request = NULL;

    if (vsmctl_options.nonce || vsmctl_options.recipient) {
        invalid(error, "--request has nonce and recipient: give it, or "
                       "--nonce and --recipient");
        return NULL;
    }
    request = request_load(vsmctl_options.request, error);
    if (!request) {
        return NULL;
    }
    if (strcmp(request->op, op) != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "the request asks for '%s', not for '%s'", request->op, op);
        return NULL;
    }
    if ((snapshot && strcmp(snapshot, request->snapshot) != 0) ||
        (scope && strcmp(scope, request->scope) != 0) ||
        (profile && g_strcmp0(profile, request->profile) != 0)) {
        invalid(error, "the request asks for another snapshot, scope or "
                       "profile: leave them out beside --request");
        return NULL;
    }
    return g_steal_pointer(&request);
}

Request *request_from_options(const char *op,
                              const char *scope,
                              const char *profile,
                              const char *snapshot,
                              GError **error)
{
    g_autoptr(Request) request = NULL;
    g_autoptr(GBytes) nonce = NULL;

    if (vsmctl_options.request) {
        return from_file(op, scope, profile, snapshot, error);
    }
    if (!snapshot) {
        invalid(error, "which snapshot? name it (tag:NAME or id:HEX), or give "
                       "--request FILE");
        return NULL;
    }
    request = g_new0(Request, 1);
    request->op = g_strdup(op);
    request->snapshot = g_strdup(snapshot);
    request->scope = g_strdup(scope ? scope : request_scope(op));
    if (!request_scope_fits(op, request->scope, error) ||
        !request_set_profile(request, profile, error)) {
        return NULL;
    }
    request->nonce = vsmctl_options.nonce ? g_strdup(vsmctl_options.nonce)
                                          : request_new_nonce();
    nonce = request_nonce_bytes(request->nonce, error);
    if (!nonce || (vsmctl_options.recipient &&
                   !take_recipient(request, vsmctl_options.recipient, error))) {
        return NULL;
    }
    return g_steal_pointer(&request);
}
