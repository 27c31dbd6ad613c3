/*
 * Public keys as OpenSSL has them; for src/crypto alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "crypto/credential.h"
#include "crypto/keys-internal.h"

/* Transfer full; NULL with @error: FORMAT when @ek is no key of its kind. */
EVP_PKEY *vsm_ek_pkey(const VsmEkKey *ek, GError **error);
