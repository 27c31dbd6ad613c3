/*
 * A snapshot's evidence, as it leaves the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/enroll.h>

G_BEGIN_DECLS

/**
 * VsmSnapshotEvidence: borrowed
 * @metadata: as stored
 * @catalogue: SHA-384 of the body of the commit's catalogue
 * @attest, @signature: TPM2_NV_Certify of the commit index by the AK
 */
typedef struct {
    const char *host_id;
    GBytes *metadata;
    VsmDigest catalogue;
    GBytes *attest, *signature;
} VsmSnapshotEvidence;

/* One line of JSON; transfer full. */
char *vsm_snapshot_evidence_write(const VsmSnapshotEvidence *evidence);

G_END_DECLS
