/*
 * HMAC and the TPM's key derivations (TPM 2.0 Library, Part 1, 11.4.10).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "crypto/hash.h"
#include "crypto/secret.h"

/* HMAC (FIPS 198-1); @ret holds vsm_hash_bytes(@alg). */
bool vsm_hmac(VsmHashAlg alg,
              const VsmSecret *key,
              const void *data,
              gsize bytes,
              guint8 *ret,
              GError **error);

typedef struct {
    const void *data;
    gsize bytes;
} VsmKdfField;

/**
 * vsm_kdfa:
 * @label: without its terminating zero, which is added
 * @u, @v: contextU and contextV; may be empty
 * @bytes: of the key that is wanted, at most 1024
 *
 * SP 800-108 counter mode with HMAC, as TPM2 KDFa.  With an empty context:
 * a key of VSM's own from the host secret.
 */
VsmSecret *vsm_kdfa(VsmHashAlg alg,
                    const VsmSecret *key,
                    const char *label,
                    VsmKdfField u,
                    VsmKdfField v,
                    gsize bytes,
                    GError **error);

/* SP 800-56A concatenation form, as TPM2 KDFe; @z: x of the shared point. */
VsmSecret *vsm_kdfe(VsmHashAlg alg,
                    const VsmSecret *z,
                    const char *label,
                    VsmKdfField party_u,
                    VsmKdfField party_v,
                    gsize bytes,
                    GError **error);
