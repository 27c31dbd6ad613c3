/*
 * Compact JWE with ECDH-ES and A256GCM around a report, by libjose.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/jwe.h"

#include <jose/jwe.h>
#include <string.h>
#include <vsm/error.h>
#include <vsm/report.h>

#include "base/limits.h"
#include "report/json.h"
#include "report/jwk.h"

/* alg, enc, epk of P-384, cty, kid: about 350 bytes. */
#define HEADER_BYTES_MAX 1024

/* A private key adds `d` to what a public one may have. */
#define PRIVATE_JWK_BYTES_MAX (2 * VSM_JWK_BYTES_MAX)

/*
 * libjose puts the ephemeral key into the unprotected header, which the
 * compact form does not have: it is moved into the protected one before the
 * content is encrypted, which then authenticates it.
 */
static bool protect_ephemeral(json_t *jwe)
{
    json_t *epk = json_object_get(json_object_get(jwe, "header"), "epk");
    json_t *header = json_object_get(jwe, "protected");

    return json_is_object(epk) && json_is_object(header) &&
           json_object_set(header, "epk", epk) == 0 &&
           json_object_del(jwe, "header") == 0;
}

static char *compact(const json_t *jwe)
{
    const char *header = vsm_json_text(jwe, "protected");
    const char *iv = vsm_json_text(jwe, "iv");
    const char *content = vsm_json_text(jwe, "ciphertext");
    const char *tag = vsm_json_text(jwe, "tag");

    if (!header || !iv || !content || !tag) {
        return NULL;
    }
    /* The second part is empty: ECDH-ES agrees on the content key itself. */
    return g_strdup_printf("%s..%s.%s.%s", header, iv, content, tag);
}

bool vsm_jwe_encrypt(const char *jws,
                     const char *recipient,
                     char **ret_jwe,
                     GError **error)
{
    g_autofree char *kid = NULL, *plain = NULL, *text = NULL;
    g_autoptr(VsmKey) key = NULL;
    json_auto_t *jwk = NULL, *jwe = NULL, *cek = json_object();

    if (!vsm_jwk_recipient(recipient, &kid, error)) {
        return false;
    }
    key = vsm_jwk_to_key(recipient, error);
    plain = key ? vsm_jwk_from_key(key) : NULL;
    jwk = plain ? vsm_json_load(plain, VSM_JWK_BYTES_MAX, "recipient", error)
                : NULL;
    if (!jwk) {
        return false;
    }
    jwe = json_pack("{s:{s:s, s:s, s:s, s:s}}", "protected", "alg", "ECDH-ES",
                    "enc", "A256GCM", "cty", "JWT", "kid", kid);
    if (jwe && jose_jwe_enc_jwk(NULL, jwe, NULL, jwk, cek) &&
        protect_ephemeral(jwe) &&
        jose_jwe_enc_cek(NULL, jwe, cek, jws, strlen(jws))) {
        text = compact(jwe);
    }
    if (!text) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CRYPTO,
                    "the report could not be encrypted for its recipient");
        return false;
    }
    *ret_jwe = g_steal_pointer(&text);
    return true;
}

/* Refuses what we never make: another algorithm, `zip` bombs, `crit`. */
static bool check_header(const char *part, GError **error)
{
    static const VsmJsonMember table[] = {
        {"alg", VSM_JSON_TEXT, false},   {"enc", VSM_JSON_TEXT, false},
        {"epk", VSM_JSON_OBJECT, false}, {"kid", VSM_JSON_TEXT, true},
        {"cty", VSM_JSON_TEXT, true},
    };
    g_autoptr(GBytes) bytes = vsm_b64url_decode(part, HEADER_BYTES_MAX, error);
    g_autofree char *text = NULL;
    json_auto_t *header = NULL;

    if (!bytes) {
        g_prefix_error(error, "the JWE's header: ");
        return false;
    }
    text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    header = vsm_json_load(text, HEADER_BYTES_MAX, "the JWE's header", error);
    if (!header || !vsm_json_check(header, table, G_N_ELEMENTS(table),
                                   "the JWE's header", error)) {
        return false;
    }
    if (strcmp(vsm_json_text(header, "alg"), "ECDH-ES") != 0 ||
        strcmp(vsm_json_text(header, "enc"), "A256GCM") != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "the JWE uses other algorithms than ECDH-ES and A256GCM");
        return false;
    }
    return true;
}

static json_t *parse(const char *jwe, GError **error)
{
    g_auto(GStrv) part = NULL;

    if (strnlen(jwe, VSM_REPORT_BYTES_MAX + 1) > VSM_REPORT_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "the JWE is larger than %u bytes", VSM_REPORT_BYTES_MAX);
        return NULL;
    }
    part = g_strsplit(jwe, ".", 6);
    if (g_strv_length(part) != 5 || *part[1]) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "not a compact JWE with ECDH-ES");
        return NULL;
    }
    if (!check_header(part[0], error)) {
        return NULL;
    }
    for (guint i = 2; i < 5; i++) {
        g_autoptr(GBytes) bytes =
            vsm_b64url_decode(part[i], VSM_REPORT_BYTES_MAX, error);

        if (!bytes) {
            g_prefix_error(error, "part %u of the JWE: ", i + 1);
            return NULL;
        }
    }
    return json_pack("{s:s, s:s, s:s, s:s}", "protected", part[0], "iv",
                     part[2], "ciphertext", part[3], "tag", part[4]);
}

bool vsm_report_open(const char *jwe,
                     const char *key_jwk,
                     char **ret_jws,
                     GError **error)
{
    json_auto_t *flat = parse(jwe, error);
    json_auto_t *key = NULL;
    char *plain;
    size_t size = 0;

    if (!flat) {
        return false;
    }
    key =
        vsm_json_load(key_jwk, PRIVATE_JWK_BYTES_MAX, "the private key", error);
    if (!key) {
        return false;
    }
    plain = jose_jwe_dec(NULL, flat, NULL, key, &size);
    if (!plain || memchr(plain, '\0', size)) {
        free(plain);
        g_set_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE,
                    "the JWE does not open: it was altered, or it is for "
                    "another recipient");
        return false;
    }
    *ret_jws = g_strndup(plain, size);
    free(plain);
    return true;
}
