/*
 * AES-256-GMAC (NIST SP 800-38D) under a key that lives in this object only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/pool.h>

#define VSM_GMAC_TAG_BYTES 16
#define VSM_GMAC_KEY_BYTES 32

typedef struct {
    guint8 b[VSM_GMAC_TAG_BYTES];
} VsmGmacTag;

typedef struct _VsmGmac VsmGmac;

VsmGmac *vsm_gmac_new(GError **error); /* fresh random key, fastest back end */

/* With a key that is known: for tests, and for several threads. */
VsmGmac *vsm_gmac_new_with_key(VsmHashBackend backend,
                               const guint8 key[VSM_GMAC_KEY_BYTES],
                               GError **error);

/**
 * vsm_gmac_tag:
 * @index: the nonce: 4 zero bytes and @index, big-endian
 *
 * One thread at a time.  Tags are for comparison in this process alone: the
 * same @index is used again on the bytes that claim to be the same, which is
 * safe only while no tag leaves the process.
 */
bool vsm_gmac_tag(VsmGmac *gmac,
                  guint64 index,
                  const void *data,
                  gsize bytes,
                  VsmGmacTag *ret,
                  GError **error);

/* The same for a message in parts, one message at a time. */
bool vsm_gmac_begin(VsmGmac *gmac, guint64 index, GError **error);
bool vsm_gmac_update(VsmGmac *gmac,
                     const void *data,
                     gsize bytes,
                     GError **error);
bool vsm_gmac_end(VsmGmac *gmac, VsmGmacTag *ret, GError **error);
void vsm_gmac_free(VsmGmac *gmac); /* wipes the key */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmGmac, vsm_gmac_free)
