/*
 * Public EC keys as JWK, strictly; base64url.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/jwk.h"

#include <jose/b64.h>
#include <string.h>
#include <vsm/error.h>
#include <vsm/report.h>

#include "crypto/hash.h"
#include "report/json.h"

char *vsm_b64url_encode(gconstpointer bytes, gsize n_bytes)
{
    gsize size = jose_b64_enc_buf(NULL, n_bytes, NULL, 0);
    char *text = g_malloc(size + 1);

    if (n_bytes > 0) {
        jose_b64_enc_buf(bytes, n_bytes, text, size);
    }
    text[size] = '\0';
    return text;
}

GBytes *vsm_b64url_decode(const char *text, gsize max, GError **error)
{
    gsize size = strlen(text);
    gsize n_bytes = size / 4 * 3 + (size % 4 > 1 ? size % 4 - 1 : 0);
    g_autofree guint8 *bytes = NULL;
    g_autofree char *again = NULL;

    if (n_bytes > max) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "base64url text of %" G_GSIZE_FORMAT
                    " bytes, at most %" G_GSIZE_FORMAT " are allowed",
                    n_bytes, max);
        return NULL;
    }
    bytes = g_malloc(n_bytes + 1);
    if (size % 4 != 1 && (size == 0 || jose_b64_dec_buf(text, size, bytes,
                                                        n_bytes) == n_bytes)) {
        /* Stray bits at the end would give one value several texts. */
        again = vsm_b64url_encode(bytes, n_bytes);
    }
    if (g_strcmp0(again, text) != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "not base64url (RFC 4648, section 5, without padding)");
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&bytes), n_bytes);
}

char *vsm_jwk_from_key(const VsmKey *key)
{
    VsmCurve curve = vsm_key_curve(key);
    gsize size = vsm_curve_bytes(curve);
    g_autofree char *x = vsm_b64url_encode(vsm_key_x(key), size);
    g_autofree char *y = vsm_b64url_encode(vsm_key_y(key), size);

    /* None of these texts needs an escape. */
    return g_strdup_printf("{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\","
                           "\"y\":\"%s\"}",
                           vsm_curve_name(curve), x, y);
}

char *vsm_jwk_thumbprint(const VsmKey *key)
{
    g_autofree char *jwk = vsm_jwk_from_key(key);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    guint8 digest[32];
    gsize size = sizeof(digest);

    g_checksum_update(sum, (const guchar *)jwk, -1);
    g_checksum_get_digest(sum, digest, &size);
    return vsm_b64url_encode(digest, size);
}

static json_t *load(const char *jwk, GError **error)
{
    static const VsmJsonMember table[] = {
        {"kty", VSM_JSON_TEXT, false}, {"crv", VSM_JSON_TEXT, false},
        {"x", VSM_JSON_B64URL, false}, {"y", VSM_JSON_B64URL, false},
        {"kid", VSM_JSON_TEXT, true},  {"use", VSM_JSON_TEXT, true},
        {"alg", VSM_JSON_TEXT, true},  {"key_ops", VSM_JSON_LIST, true},
    };
    json_auto_t *object =
        vsm_json_load(jwk, VSM_JWK_BYTES_MAX, "the JWK", error);

    if (!object) {
        return NULL;
    }
    if (json_object_get(object, "d")) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "the JWK holds a private key ('d'): give the public one, "
                    "for instance by 'jose jwk pub'");
        return NULL;
    }
    if (!vsm_json_check(object, table, G_N_ELEMENTS(table), "the JWK", error)) {
        return NULL;
    }
    return g_steal_pointer(&object);
}

static VsmKey *key_of(const json_t *jwk, GError **error)
{
    g_autoptr(GBytes) x = vsm_json_bytes(jwk, "x");
    g_autoptr(GBytes) y = vsm_json_bytes(jwk, "y");
    VsmCurve curve;
    gsize size;

    if (strcmp(vsm_json_text(jwk, "kty"), "EC") != 0 ||
        !vsm_curve_from_name(vsm_json_text(jwk, "crv"), &curve)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "the JWK is no EC key on P-256 or P-384");
        return NULL;
    }
    size = vsm_curve_bytes(curve);
    if (g_bytes_get_size(x) != size || g_bytes_get_size(y) != size) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "x and y of a JWK on %s have %" G_GSIZE_FORMAT
                    " bytes each",
                    vsm_curve_name(curve), size);
        return NULL;
    }
    return vsm_key_new(curve, g_bytes_get_data(x, NULL), size,
                       g_bytes_get_data(y, NULL), size, error);
}

VsmKey *vsm_jwk_to_key(const char *jwk, GError **error)
{
    json_auto_t *object = load(jwk, error);

    return object ? key_of(object, error) : NULL;
}

static bool has_text(const json_t *list, const char *text)
{
    size_t i;
    json_t *value;

    json_array_foreach(list, i, value)
    {
        if (g_strcmp0(json_string_value(value), text) == 0) {
            return true;
        }
    }
    return false;
}

static bool allows_agreement(const json_t *jwk)
{
    const char *use = vsm_json_text(jwk, "use");
    const char *alg = vsm_json_text(jwk, "alg");
    const json_t *ops = json_object_get(jwk, "key_ops");

    /* RFC 7518 knows two words for it; jose writes "wrapKey" for ECDH-ES. */
    return (!use || strcmp(use, "enc") == 0) &&
           (!alg || strcmp(alg, "ECDH-ES") == 0) &&
           (!ops || json_array_size(ops) == 0 || has_text(ops, "deriveKey") ||
            has_text(ops, "deriveBits") || has_text(ops, "wrapKey"));
}

bool vsm_jwk_recipient(const char *jwk, char **ret_thumbprint, GError **error)
{
    json_auto_t *object = load(jwk, error);
    g_autoptr(VsmKey) key = object ? key_of(object, error) : NULL;

    if (!key) {
        g_prefix_error(error, "recipient: ");
        return false;
    }
    if (!allows_agreement(object)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "recipient: the JWK's use, alg or key_ops do not allow "
                    "ECDH-ES; make one for it, for instance by 'jose jwk gen "
                    "-i {\"kty\":\"EC\",\"crv\":\"P-384\"}'");
        return false;
    }
    *ret_thumbprint = vsm_jwk_thumbprint(key);
    return true;
}

bool vsm_report_recipient(const char *jwk,
                          char **ret_thumbprint,
                          GError **error)
{
    return vsm_jwk_recipient(jwk, ret_thumbprint, error);
}
