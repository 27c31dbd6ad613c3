/*
 * What a VsmKey holds; for src/crypto alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>

#include "crypto/keys.h"

struct _VsmKey {
    VsmCurve curve;
    EVP_PKEY *pkey;
    guint8 x[VSM_CURVE_BYTES_MAX], y[VSM_CURVE_BYTES_MAX]; /* left-padded */
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free_all)
