/*
 * Whether the operator signed for a resealed snapshot.
 *
 * The host checks this, too; a verifier who has the operator's key need not
 * take its word.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/verify-reseal.h"

#include <string.h>

#include "crypto/hash.h"
#include "report/json.h"
#include "report/operator.h"

static bool
is_signed(const VsmReportPolicy *policy, GBytes *request, GBytes *signature)
{
    for (guint i = 0; i < policy->operators->len; i++) {
        if (vsm_operator_check_key(policy->operators->pdata[i], request,
                                   signature, NULL, NULL)) {
            return true;
        }
    }
    return false;
}

static bool is_for(const VsmOperatorRequest *request,
                   const VsmClaims *claims,
                   const VsmDigest *config)
{
    return vsm_operator_reseals(request, claims->vm_uuid,
                                claims->snapshot_id) &&
           strcmp(request->host, claims->host_id) == 0 &&
           vsm_digest_equal(&request->hypervisor, &claims->hypervisor) &&
           vsm_digest_equal(&request->config, config);
}

bool vsm_verify_reseal(const VsmClaims *claims,
                       const VsmReportPolicy *policy,
                       GError **error)
{
    const json_t *resealed = json_object_get(claims->json, "resealed");
    g_autoptr(VsmOperatorRequest) request = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GBytes) signature = NULL;
    VsmDigest config;

    if (!resealed || !policy->operators) {
        return true;
    }
    bytes = vsm_json_bytes(resealed, "request");
    signature = vsm_json_bytes(resealed, "signature");
    if (!is_signed(policy, bytes, signature)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_SIGNATURE,
                    "the snapshot was bound to another hypervisor or "
                    "configuration, and none of the policy's operators signed "
                    "for that");
        return false;
    }
    request = vsm_operator_request_decode(bytes, error);
    if (!request ||
        !vsm_sha384(claims->config, strlen(claims->config), &config, error)) {
        return false;
    }
    if (!is_for(request, claims, &config)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_POLICY,
                    "what the operator signed when the snapshot was resealed "
                    "is for another host, VM, snapshot, hypervisor or "
                    "configuration");
        return false;
    }
    return true;
}
