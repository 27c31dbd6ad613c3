/*
 * A SHA-384 digest as a value.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

#define VSM_DIGEST_BYTES 48 /* SHA-384, FIPS 180-4 */

typedef struct {
    guint8 b[VSM_DIGEST_BYTES];
} VsmDigest;

/**
 * vsm_digest_equal:
 * @a: not NULL, borrowed
 * @b: not NULL, borrowed
 *
 * Returns: whether both are equal; takes the same time for any content.
 */
bool vsm_digest_equal(const VsmDigest *a, const VsmDigest *b);

/**
 * vsm_digest_hex:
 * @digest: not NULL, borrowed
 *
 * Returns: (transfer full): 96 lower-case hex digits; free with g_free()
 */
char *vsm_digest_hex(const VsmDigest *digest);

#pragma GCC visibility pop
G_END_DECLS
