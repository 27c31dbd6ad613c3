/*
 * Compact JWS with ES384 or ES256: signed elsewhere, verified by libjose.
 *
 * libjose signs only with keys that it holds, and the report key never leaves
 * the TPM: so the signing input is made here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/jws.h"

#include <jose/jws.h>
#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "report/json.h"
#include "report/jwk.h"

/* alg, kid of 43 characters and typ: about 100 bytes. */
#define HEADER_BYTES_MAX 512

static const char *alg_of(VsmCurve curve)
{
    return curve == VSM_CURVE_P384 ? "ES384" : "ES256";
}

static char *make_header(const VsmKey *key)
{
    g_autofree char *kid = vsm_jwk_thumbprint(key);
    g_autofree char *text =
        g_strdup_printf("{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"%s\"}",
                        alg_of(vsm_key_curve(key)), kid, VSM_JWS_TYPE);

    return vsm_b64url_encode(text, strlen(text));
}

bool vsm_jws_sign(const char *payload,
                  const char *jwk,
                  VsmJwsSigner signer,
                  gpointer opaque,
                  char **ret_jws,
                  GError **error)
{
    g_autoptr(VsmKey) key = vsm_jwk_to_key(jwk, error);
    g_autofree char *header = key ? make_header(key) : NULL;
    g_autofree char *body = NULL, *input = NULL, *sig_text = NULL;
    g_autoptr(GBytes) digest = NULL, sig = NULL;
    guint8 hash[VSM_HASH_BYTES_MAX];
    VsmHashAlg alg;

    if (!key) {
        return false;
    }
    if (strnlen(payload, VSM_REPORT_BYTES_MAX) >= VSM_REPORT_BYTES_MAX / 2) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "the claims are too long for a report of %u bytes",
                    VSM_REPORT_BYTES_MAX);
        return false;
    }
    body = vsm_b64url_encode(payload, strlen(payload));
    input = g_strconcat(header, ".", body, NULL);
    alg = vsm_curve_hash(vsm_key_curve(key));
    if (!vsm_hash(alg, input, strlen(input), hash, error)) {
        return false;
    }
    digest = g_bytes_new(hash, vsm_hash_bytes(alg));
    sig = signer(digest, opaque, error);
    if (!sig) {
        return false;
    }
    if (g_bytes_get_size(sig) != 2 * vsm_curve_bytes(vsm_key_curve(key))) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CRYPTO,
                    "the report key gave a signature of %" G_GSIZE_FORMAT
                    " bytes",
                    g_bytes_get_size(sig));
        return false;
    }
    sig_text =
        vsm_b64url_encode(g_bytes_get_data(sig, NULL), g_bytes_get_size(sig));
    *ret_jws = g_strconcat(input, ".", sig_text, NULL);
    return true;
}

/* Three strict base64url parts; no part is empty. */
static bool split(const char *jws, char ***ret, GError **error)
{
    g_auto(GStrv) part = NULL;

    if (strnlen(jws, VSM_REPORT_BYTES_MAX + 1) > VSM_REPORT_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "the report is larger than %u bytes", VSM_REPORT_BYTES_MAX);
        return false;
    }
    part = g_strsplit(jws, ".", 4);
    if (g_strv_length(part) != 3) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, "not a compact JWS: %s",
                    g_strv_length(part) < 3
                        ? "it has fewer than three parts"
                        : "it has more than three parts; a JWE is opened with "
                          "the recipient's private key first");
        return false;
    }
    for (guint i = 0; i < 3; i++) {
        g_autoptr(GBytes) bytes =
            vsm_b64url_decode(part[i], VSM_REPORT_BYTES_MAX, error);

        if (!bytes) {
            g_prefix_error(error, "part %u of the report: ", i + 1);
            return false;
        }
    }
    *ret = g_steal_pointer(&part);
    return true;
}

/* Decoded text of a part that split() has checked; NULL with a NUL inside. */
static char *part_text(const char *part)
{
    g_autoptr(GBytes) bytes =
        vsm_b64url_decode(part, VSM_REPORT_BYTES_MAX, NULL);
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);

    if (size > 0 && memchr(data, '\0', size)) {
        return NULL;
    }
    return g_strndup(data, size);
}

static json_t *header_of(const char *part, GError **error)
{
    static const VsmJsonMember table[] = {
        {"alg", VSM_JSON_TEXT, false},
        {"kid", VSM_JSON_TEXT, false},
        {"typ", VSM_JSON_TEXT, false},
    };
    g_autofree char *text = part_text(part);
    json_auto_t *header = vsm_json_load(text ? text : "", HEADER_BYTES_MAX,
                                        "the report's header", error);
    const char *alg;

    if (!header || !vsm_json_check(header, table, G_N_ELEMENTS(table),
                                   "the report's header", error)) {
        return NULL;
    }
    alg = vsm_json_text(header, "alg");
    if (strcmp(alg, "ES384") != 0 && strcmp(alg, "ES256") != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "the report is signed with another algorithm than ES384 "
                    "or ES256");
        return NULL;
    }
    if (strcmp(vsm_json_text(header, "typ"), VSM_JWS_TYPE) != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "the JWS is no report: its type is not " VSM_JWS_TYPE);
        return NULL;
    }
    return g_steal_pointer(&header);
}

bool vsm_jws_kid(const char *jws, char **ret_kid, GError **error)
{
    g_auto(GStrv) part = NULL;
    json_auto_t *header = NULL;

    if (!split(jws, &part, error)) {
        return false;
    }
    header = header_of(part[0], error);
    if (!header) {
        return false;
    }
    *ret_kid = g_strdup(vsm_json_text(header, "kid"));
    return true;
}

bool vsm_jws_verify(const char *jws,
                    const char *jwk,
                    char **ret_payload,
                    GError **error)
{
    g_auto(GStrv) part = NULL;
    g_autoptr(VsmKey) key = vsm_jwk_to_key(jwk, error);
    g_autofree char *plain = key ? vsm_jwk_from_key(key) : NULL;
    g_autofree char *payload = NULL;
    json_auto_t *header = NULL, *flat = NULL, *object = NULL;

    if (!key || !split(jws, &part, error)) {
        return false;
    }
    header = header_of(part[0], error);
    if (!header) {
        return false;
    }
    if (strcmp(vsm_json_text(header, "alg"), alg_of(vsm_key_curve(key))) != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE,
                    "the report's algorithm is not that of its key");
        return false;
    }
    object = vsm_json_load(plain, VSM_JWK_BYTES_MAX, "the report key", error);
    flat = json_pack("{s:s, s:s, s:s}", "protected", part[0], "payload",
                     part[1], "signature", part[2]);
    if (!object || !flat) {
        return false;
    }
    if (!jose_jws_ver(NULL, flat, NULL, object, true)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE,
                    "the report's signature does not verify: it was altered, "
                    "or another key signed it");
        return false;
    }
    payload = part_text(part[1]);
    if (!payload) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "the report's claims hold a NUL byte");
        return false;
    }
    *ret_payload = g_steal_pointer(&payload);
    return true;
}
