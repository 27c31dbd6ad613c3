/*
 * A SHA-384 digest as a value: constant-time comparison, hex.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/digest.h>

#include "crypto/hash.h"

bool vsm_digest_equal(const VsmDigest *a, const VsmDigest *b)
{
    return vsm_equal(a->b, b->b, VSM_DIGEST_BYTES);
}

char *vsm_digest_hex(const VsmDigest *digest)
{
    GString *hex = g_string_sized_new(2 * VSM_DIGEST_BYTES);

    for (guint i = 0; i < VSM_DIGEST_BYTES; i++) {
        g_string_append_printf(hex, "%02x", digest->b[i]);
    }
    return g_string_free(hex, FALSE);
}
