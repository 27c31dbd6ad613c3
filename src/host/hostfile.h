/*
 * The store's `host` file: who this host is, under an HMAC by the secret.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/host.h>
#include "crypto/secret.h"
#include "tpm/keys.h"

/* @keys: NULL: set-up is not complete. */
typedef struct {
    char *id; /* 32 hex digits, random */
    VsmHostKind kind;
    VsmTpmKeys *keys;
} VsmHostFile;

void vsm_host_file_clear(VsmHostFile *file);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VsmHostFile, vsm_host_file_clear)

GBytes *vsm_host_file_encode(const VsmHostFile *file,
                             const VsmSecret *secret,
                             GError **error);

/* TAMPERED (altered, or made under another secret), FORMAT, LIMIT. */
bool vsm_host_file_decode(GBytes *bytes,
                          const VsmSecret *secret,
                          VsmHostFile *ret,
                          GError **error);

/* The part behind the HMAC; for tests. */
bool vsm_host_file_parse(GBytes *body, VsmHostFile *ret, GError **error);
