/*
 * From a verdict to a signed report.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/local.h"
#include "report/claims.h"
#include "report/jwe.h"
#include "report/jwk.h"
#include "report/jws.h"

const char *vsm_local_op(VsmPurpose purpose)
{
    switch (purpose) {
    case VSM_PURPOSE_LOAD:
        return "rollback";
    case VSM_PURPOSE_STORED:
        return "verify";
    case VSM_PURPOSE_WATCH:
        return "watch";
    default:
        return "attest";
    }
}

const char *vsm_local_scope(VsmPurpose purpose)
{
    switch (purpose) {
    case VSM_PURPOSE_RUNTIME:
    case VSM_PURPOSE_WATCH:
        return "runtime";
    case VSM_PURPOSE_STORED:
        return "stored";
    default:
        return "full";
    }
}

static char *report_key_jwk(VsmLocal *self, GError **error)
{
    g_autoptr(VsmTpmKey) point = NULL;
    g_autoptr(VsmKey) key = NULL;

    if (!vsm_tpm_key_decode(vsm_tpm_keys(self->host->tpm)->rk_public, &point,
                            error)) {
        return NULL;
    }
    key = vsm_key_new(point->bytes == 48 ? VSM_CURVE_P384 : VSM_CURVE_P256,
                      point->x, point->bytes, point->y, point->bytes, error);
    return key ? vsm_jwk_from_key(key) : NULL;
}

static bool claims(VsmLocal *self,
                   const VsmMeasured *measured,
                   const VsmVerdict *verdict,
                   char **ret,
                   GError **error)
{
    const VsmLocalCheck *check = &self->check;
    const VsmVm vm = {
        .uuid = self->uuid,
        .name = self->vm.name,
        .version = self->vm.version,
        .config = self->vm.config,
        .require_sealed = self->vm.require_sealed,
    };
    const VsmClaimsInput input = {
        .op = vsm_local_op(check->purpose),
        .asked = check->asked,
        .scope = vsm_local_scope(check->purpose),
        .profile = check->profile,
        .recipient = check->thumbprint ? check->thumbprint : "",
        .nonce = check->nonce,
        .iat = g_get_real_time() / G_USEC_PER_SEC,
        .host_id = self->host->id,
        .attester = vsm_host_kind_name(self->host->kind),
        .hypervisor_measured_by = vsm_local_measured_by(self),
        .state_measured_by = "self",
        .vm = &vm,
        .record = check->record,
        .verdict = verdict,
        .measured = measured->unavailable ? NULL : measured,
        .hypervisor = &check->hypervisor,
        .hypervisor_measured = true,
        .boot_policy = check->metadata->boot_policy,
        .unmeasured_boot = check->unmeasured_boot,
        .pcrs = &check->pcrs,
        .quote_attest = check->quote.attest,
        .quote_signature = check->quote.signature,
        .reseal_request = check->metadata->reseal_request,
        .reseal_signature = check->metadata->reseal_signature,
    };

    return vsm_claims_build(&input, ret, error);
}

bool vsm_local_report(VsmLocal *self,
                      const VsmMeasured *measured,
                      const VsmVerdict *verdict,
                      char **ret,
                      GError **error)
{
    g_autofree char *jwk = report_key_jwk(self, error);
    g_autofree char *payload = NULL;
    g_autofree char *jws = NULL;

    if (!jwk || !claims(self, measured, verdict, &payload, error) ||
        !vsm_jws_sign(payload, jwk, vsm_tpm_sign, self->host->tpm, &jws,
                      error)) {
        return false;
    }
    if (self->check.recipient) {
        return vsm_jwe_encrypt(jws, self->check.recipient, ret, error);
    }
    *ret = g_steal_pointer(&jws);
    return true;
}
