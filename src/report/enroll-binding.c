/*
 * What an enrolment binds, computed alike by host and verifier.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/codec.h"
#include "crypto/kdf.h"
#include "report/enroll.h"

bool vsm_enroll_digest(const char *text, VsmDigest *ret, GError **error)
{
    gsize size = strlen(text);

    while (size > 0 && g_ascii_isspace(text[size - 1])) {
        size--;
    }
    return vsm_sha384(text, size, ret, error);
}

bool vsm_enroll_bind(const char *tag,
                     const VsmDigest *request,
                     const VsmDigest *challenge,
                     VsmDigest *ret,
                     GError **error)
{
    g_autoptr(GByteArray) fields = g_byte_array_new();

    vsm_codec_append_text(fields, tag);
    vsm_codec_append_field(fields, request->b, sizeof(request->b));
    vsm_codec_append_field(fields, challenge->b, sizeof(challenge->b));
    return vsm_sha384(fields->data, fields->len, ret, error);
}

bool vsm_enroll_hmac(const VsmSecret *secret,
                     const VsmDigest *request,
                     const VsmDigest *challenge,
                     VsmDigest *ret,
                     GError **error)
{
    VsmDigest bound;

    return vsm_enroll_bind(VSM_ENROLL_HMAC, request, challenge, &bound,
                           error) &&
           vsm_hmac(VSM_HASH_SHA384, secret, bound.b, sizeof(bound.b), ret->b,
                    error);
}

bool vsm_enroll_key(GBytes *area,
                    VsmTpmKeyKind kind,
                    VsmTpmKey **ret,
                    GError **error)
{
    const char *name =
        kind == VSM_TPM_KEY_AK ? "attestation key" : "report key";
    g_autoptr(VsmTpmKey) key = NULL;

    if (!vsm_tpm_key_decode(area, &key, error)) {
        g_prefix_error(error, "the %s: ", name);
        return false;
    }
    if (key->kind != kind) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNTRUSTED,
                    "the %s has other attributes (0x%08x) than VSM makes it "
                    "with, so it may do more than it should",
                    name, key->attributes);
        return false;
    }
    *ret = g_steal_pointer(&key);
    return true;
}
