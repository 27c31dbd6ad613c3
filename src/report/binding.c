/*
 * What a quote binds: canonical request and extraData.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/binding.h"

#include <string.h>
#include <vsm/error.h>

#include "base/codec.h"
#include "crypto/hash.h"

static bool
add_field(GByteArray *to, gconstpointer bytes, gsize n, GError **error)
{
    if (n > G_MAXUINT16) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "a field of the request has %" G_GSIZE_FORMAT
                    " bytes, at most 65535 are allowed",
                    n);
        return false;
    }
    vsm_codec_append_field(to, bytes, n);
    return true;
}

static bool add_text(GByteArray *to, const char *text, GError **error)
{
    return add_field(to, text, strlen(text), error);
}

static bool add_bytes(GByteArray *to, GBytes *bytes, GError **error)
{
    gsize n;
    gconstpointer data = g_bytes_get_data(bytes, &n);

    return add_field(to, data, n, error);
}

bool vsm_binding_request(const VsmRequestText *request,
                         VsmDigest *ret,
                         GError **error)
{
    g_autoptr(GByteArray) to = g_byte_array_new();

    if (!add_text(to, "VSM-REQUEST-1", error) ||
        !add_text(to, request->op, error) ||
        !add_text(to, request->asked, error) ||
        !add_text(to, request->scope, error) ||
        !add_text(to, request->profile, error) ||
        !add_text(to, request->recipient, error) ||
        !add_text(to, request->vm_uuid, error)) {
        return false;
    }
    return vsm_sha384(to->data, to->len, ret, error);
}

bool vsm_binding_quote(GBytes *nonce,
                       GBytes *rk_name,
                       GBytes *sealed_name,
                       const VsmRequestText *request,
                       VsmDigest *ret,
                       GError **error)
{
    g_autoptr(GByteArray) to = g_byte_array_new();
    VsmDigest digest;

    if (!vsm_binding_request(request, &digest, error) ||
        !add_text(to, "VSM-QUOTE-1", error) || !add_bytes(to, nonce, error) ||
        !add_bytes(to, rk_name, error) || !add_bytes(to, sealed_name, error) ||
        !add_field(to, digest.b, sizeof(digest.b), error) ||
        !add_text(to, request->vm_uuid, error)) {
        return false;
    }
    return vsm_sha384(to->data, to->len, ret, error);
}

bool vsm_binding_seal(const VsmDigest *metadata,
                      const VsmDigest *body,
                      VsmDigest *ret,
                      GError **error)
{
    g_autoptr(GByteArray) to = g_byte_array_new();

    vsm_codec_append_text(to, "VSM-SEAL-1");
    vsm_codec_append_field(to, metadata->b, sizeof(metadata->b));
    vsm_codec_append_field(to, body->b, sizeof(body->b));
    return vsm_sha384(to->data, to->len, ret, error);
}
