/*
 * The GMAC back ends of this build; for src/crypto alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "crypto/gmac.h"

#define GMAC_NONCE_BYTES 12

typedef struct {
    /* NULL with @error set: this back end cannot be used here. */
    void *(*create)(const guint8 key[VSM_GMAC_KEY_BYTES], GError **error);
    bool (*begin)(void *self,
                  const guint8 nonce[GMAC_NONCE_BYTES],
                  GError **error);
    bool (*update)(void *self, const void *data, gsize bytes, GError **error);
    bool (*end)(void *self, VsmGmacTag *ret, GError **error);
    void (*destroy)(void *self); /* wipes */
} VsmGmacOps;

extern const VsmGmacOps vsm_gmac_openssl;
#ifdef VSM_HAVE_IPSEC_MB
extern const VsmGmacOps vsm_gmac_ipsec_mb;
#endif
