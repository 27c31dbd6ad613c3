/*
 * The claims of a report: verdict, record, request and quote as one JSON text.
 *
 * docs/formats.md lists the claims.  The same input gives the same text: keys
 * are sorted, no blanks, no floating point.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/attester.h>

#include "tpm/structures.h"

G_BEGIN_DECLS

/* Value of `eat_profile` (RFC 9711, section 4.3.2): names this claim set. */
#define VSM_CLAIMS_PROFILE "urn:x-vsm:report:1"

/* Entries of one list in a report; the rest is counted in `*_left_out`. */
#define VSM_CLAIMS_LIST_MAX 256

/**
 * VsmClaimsInput: all that a report says; everything is borrowed
 *
 * @op: "attest", "verify", "rollback", or "watch": unsolicited
 * @asked: the snapshot text as it was asked
 * @scope: "full", "runtime" or "stored"
 * @profile: of the runtime scope; "" otherwise
 * @recipient: thumbprint from vsm_jwk_recipient(), "" without one
 * @nonce: 8 to 64 bytes
 * @iat: when the report was made, seconds since 1970
 * @host_id: `iss`
 * @attester: "in-process" or "daemon"
 * @hypervisor_measured_by, @state_measured_by: who looked: "self" (the
 *         hypervisor's own process) or "daemon"
 * @vm: as stated at the begin; name and version need not be UTF-8
 * @record: the snapshot that was compared with
 * @verdict: its report is ignored; masks of the reason "external" become the
 *         claim `unattested`, the others `host_clock`; in the runtime scope
 *         the verdict's own list is `unattested`
 * @measured: NULL: nothing was measured (UNAVAILABLE)
 * @hypervisor: digest of the running hypervisor's files
 * @hypervisor_measured: whether @hypervisor was measured, not only stated
 * @boot_policy: "frozen" or "operator"
 * @unmeasured_boot: whether boot PCRs that are all zero were let pass
 * @pcrs: exactly the selection and values that the quote covers, PCR 23 as it
 *         was then among them
 * @quote_attest: TPMS_ATTEST as the TPM returned it
 * @quote_signature: TPMT_SIGNATURE by the AK, marshalled
 *
 * @reseal_request, @reseal_signature: (nullable): what the operator signed when
 *         the snapshot was bound to this hypervisor and configuration, and the
 *         signature, DER
 *
 * The sealed object's Name comes from @record.
 */
typedef struct {
    const char *op, *asked, *scope, *profile, *recipient;
    GBytes *nonce;
    gint64 iat;
    const char *host_id;
    const char *attester, *hypervisor_measured_by, *state_measured_by;
    const VsmVm *vm;
    const VsmRecord *record;
    const VsmVerdict *verdict;
    const VsmMeasured *measured;
    const VsmDigest *hypervisor;
    bool hypervisor_measured;
    const char *boot_policy;
    bool unmeasured_boot;
    const VsmTpmPcrs *pcrs;
    GBytes *quote_attest, *quote_signature;
    GBytes *reseal_request, *reseal_signature;
} VsmClaimsInput;

/**
 * vsm_claims_generation:
 * @config: the VM's configuration as in a report
 *
 * Whether its guest learns that it was rolled back: "renewed" with a vmgenid
 * device, which then gets a fresh GUID, else "unchanged".
 */
const char *vsm_claims_generation(const char *config);

/**
 * vsm_claims_build:
 * @ret_json: (out) (transfer full): the payload for vsm_jws_sign(); g_free()
 *
 * Errors: VSM_ERROR_INVALID for an unknown word, a missing PCR 23, a
 *         configuration text that is not UTF-8, a verdict that contradicts
 *         itself (match with findings);
 *         VSM_ERROR_LIMIT when the text would not fit into a report.
 * Thread safety: any thread.
 */
bool vsm_claims_build(const VsmClaimsInput *input,
                      char **ret_json,
                      GError **error);

G_END_DECLS
