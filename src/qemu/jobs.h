/*
 * Background jobs of vsm-attest, vsm-verify and vsm-rollback
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_JOBS_H
#define VSM_JOBS_H

#include "check.h"
#include "object.h"
#include "qemu/job.h"

typedef struct VsmJob {
    Job common;
    VsmManager *m;
    VsmOperation operation;
    char *snapshot;
    GBytes *nonce;
    char *recipient;
    VsmScope scope; /* of an attestation */
    VsmRuntimeProfile profile; /* of the runtime scope */
    bool resume; /* a rollback lets the stopped VM run */
    bool runtime; /* and wants the runtime scope to match, too */
    QEMUTimer timer; /* progress */
    uint64_t hashed; /* of the pool, when progress was last told */
    uint64_t hashed_base; /* when the job began */
    uint64_t left; /* bytes that are expected, and were not told yet */
    bool changed; /* the VM is no longer what it was */
    bool committed; /* goes on to its end, a cancel comes too late */
    bool ended; /* the operation under way may be another's */
} VsmJob;

typedef struct VsmJobRequest {
    VsmOperation operation;
    const char *job_id;
    const char *snapshot;
    const char *nonce; /* base64url; NULL: no report */
    const char *recipient; /* NULL: none */
    VsmScope scope; /* of an attestation */
    VsmRuntimeProfile profile; /* of the runtime scope */
    bool resume; /* a rollback lets the stopped VM run */
    bool runtime; /* and wants the runtime scope to match, too */
    bool dismiss; /* nobody will ask for its end */
} VsmJobRequest;

/* Refused when the request is bad or another operation is under way.  */
void vsm_job_start(const VsmJobRequest *request, Error **errp);

/* The part of @job that a check is begun with; borrowed.  */
VsmChallenge vsm_job_challenge(const VsmJob *job);

/* How much there is to be hashed, in bytes; once known.  */
void vsm_job_expect(VsmJob *job, uint64_t bytes);

#endif /* VSM_JOBS_H */
