/*
 * A verifier's policy: how weak a report may be and still be trusted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/report.h>

G_BEGIN_DECLS

/* Seconds.  A report is made on demand, so minutes are plenty. */
#define VSM_POLICY_MAX_AGE_S 300
#define VSM_POLICY_MAX_AHEAD_S 60 /* clocks of host and verifier differ */

/* A snapshot that is known to be good: nothing else says which one is. */
typedef struct {
    char *vm, *id;
    VsmDigest state;
} VsmBaseline;

/**
 * VsmReportPolicy:
 * @allow_unattested: whether a runtime report may leave things unattested
 * @scope: the only one that is taken; NULL: the one that was asked for
 * @profile: the weakest that is taken in the runtime scope; NULL: any
 * @pcrs: bit mask; the quote must cover these and PCR 23
 * @hypervisors, @configs: of VsmDigest; NULL: any
 * @baseline: of VsmBaseline; NULL: any snapshot
 * @operators: of VsmKey: who may have resealed a snapshot; NULL: whom its host
 *             takes for its operator
 */
struct _VsmReportPolicy {
    guint64 max_age_s, max_ahead_s;
    bool allow_in_process, allow_unmeasured_boot, allow_unmeasured_hypervisor;
    bool allow_require_sealed_off, allow_not_unsealed, allow_accepted_forms;
    bool allow_resealed;
    bool allow_unattested;
    char *scope, *profile;
    guint32 pcrs;
    GArray *hypervisors, *configs;
    GPtrArray *baseline, *operators;
};

/* Names of the members of a policy file, from 0 on; NULL: there is no more. */
const char *vsm_policy_member(guint i);

G_END_DECLS
