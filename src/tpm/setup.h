/*
 * Inside src/tpm: what the steps of a set-up share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "tpm/esys.h"
#include "tpm/templates.h"

typedef struct {
    VsmTpm *tpm;
    VsmTpmHandle session; /* encrypts: new auth values go to the TPM */
    VsmTpmKeys *keys; /* filled step by step */
} VsmTpmSetup;

/* Handles in use between @first and @last, ascending; of guint32; full. */
GArray *
vsm_tpm_list_handles(VsmTpm *tpm, guint32 first, guint32 last, GError **error);

/* The first handle from *@handle on that is free; NO_SPACE after @last. */
bool vsm_tpm_next_free(const GArray *handles,
                       guint32 *handle,
                       guint32 last,
                       GError **error);

/* vsm_tpm_ok() for commands that the owner hierarchy authorises. */
bool vsm_tpm_owner_ok(VsmTpm *tpm,
                      TSS2_RC rc,
                      const char *what,
                      GError **error);

/* Whether a trial with our auth value was refused for the value alone. */
bool vsm_tpm_is_other_auth(TSS2_RC rc);

/**
 * vsm_tpm_setup_key:
 * @kind: AK or RK
 * @auth: its auth value: proves a key that is there, goes into a new one
 */
bool vsm_tpm_setup_key(VsmTpmSetup *setup,
                       VsmTpmKeyKind kind,
                       const VsmSecret *auth,
                       guint32 *ret_handle,
                       GBytes **ret_public,
                       GBytes **ret_name,
                       GError **error);

/**
 * vsm_tpm_setup_index:
 * @template: without a handle; gets the one of the index
 * @ret_name: (out): its Name once it is written
 */
bool vsm_tpm_setup_index(VsmTpmSetup *setup,
                         TPM2B_NV_PUBLIC *template,
                         const VsmSecret *auth,
                         guint32 *ret_handle,
                         GBytes **ret_name,
                         GError **error);
