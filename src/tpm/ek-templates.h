/*
 * TCG's templates of endorsement keys, and their policies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <tss2/tss2_tpm2_types.h>
#include "tpm/enroll.h"

/*
 * TCG EK Credential Profile 2.5: template L-1 (RSA-2048, SHA-256, AES-128) and
 * H-3 (P-384, SHA-384, AES-256).
 */
TPM2B_PUBLIC vsm_tpm_template_ek(VsmTpmEkKind kind);

/* The branches of H-3's PolicyOR: PolicySecret (endorsement), or PolicyC. */
TPML_DIGEST vsm_tpm_ek_branches(void);

/* NV index of the key's certificate; enroll.c. */
guint32 vsm_tpm_ek_index(VsmTpmEkKind kind);
