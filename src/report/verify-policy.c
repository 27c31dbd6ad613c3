/*
 * Whether a genuine report is as strong as trust entry and policy want it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report/verify-policy.h"

#include <jansson.h>
#include <string.h>

#include "core/masks.h"
#include "crypto/hash.h"
#include "report/verify-reseal.h"

static bool refuse(GError **error, VsmError code, const char *what)
{
    g_set_error_literal(error, VSM_ERROR, code, what);
    return false;
}

static bool
approves(const VsmTpmPcrs *set, const VsmTpmPcrs *quoted, guint32 needed)
{
    gsize bytes = vsm_tpm_bank_bytes(quoted->bank);

    if (set->bank != quoted->bank || needed & ~set->mask ||
        set->mask & ~quoted->mask) {
        return false;
    }
    for (guint i = 0; i < VSM_TPM_PCRS; i++) {
        if (set->mask & 1u << i &&
            memcmp(set->value[i], quoted->value[i], bytes) != 0) {
            return false;
        }
    }
    return true;
}

/* PCR 23 stands for the VM. */
VsmTpmPcrs vsm_verify_boot_pcrs(const VsmClaims *claims)
{
    VsmTpmPcrs boot = claims->pcrs;

    boot.mask &= ~(1u << VSM_TPM_PCR_VM);
    return boot;
}

static bool check_boot_covered(const VsmClaims *claims,
                               const VsmReportPolicy *policy,
                               GError **error)
{
    VsmTpmPcrs boot = vsm_verify_boot_pcrs(claims);

    if (policy->pcrs & ~claims->pcrs.mask) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the quote does not cover all PCRs that the policy "
                      "names");
    }
    if (!policy->allow_unmeasured_boot &&
        (claims->unmeasured_boot || vsm_tpm_pcrs_zero(&boot))) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the host's boot was not measured (its PCRs are all "
                      "zero, or may be); the policy could allow it with "
                      "allow_unmeasured_boot");
    }
    return true;
}

bool vsm_verify_boot(const VsmClaims *claims,
                     const VsmTrustEntry *entry,
                     const VsmReportPolicy *policy,
                     GError **error)
{
    VsmTpmPcrs boot = vsm_verify_boot_pcrs(claims);

    for (guint i = 0; i < entry->approved->len; i++) {
        if (approves(&g_array_index(entry->approved, VsmTpmPcrs, i), &boot,
                     policy->pcrs)) {
            return true;
        }
    }
    return refuse(error, VSM_ERROR_POLICY,
                  "the host's boot PCRs are none that its trust entry "
                  "approves: after an intended update, approve them with "
                  "'vsmctl trust update --pcrs', or enrol the host again");
}

static bool check_attester(const VsmClaims *claims,
                           const VsmTrustEntry *entry,
                           const VsmReportPolicy *policy,
                           GError **error)
{
    if (strcmp(claims->host_id, entry->host_id) != 0) {
        return refuse(error, VSM_ERROR_UNTRUSTED,
                      "the report names another host than the trust entry of "
                      "its key");
    }
    if ((strcmp(claims->attester, "in-process") == 0) != entry->in_process ||
        strcmp(claims->boot_policy, entry->boot_policy) != 0) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the report's attester or boot policy is not the one "
                      "of the trust entry");
    }
    /* Who looked follows from the kind; nobody but QEMU sees the state. */
    if (strcmp(claims->hypervisor_measured_by,
               entry->in_process ? "self" : "daemon") != 0 ||
        strcmp(claims->state_measured_by, "self") != 0) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the report names another measurer of hypervisor or "
                      "state than this kind of attester has");
    }
    if (entry->in_process && !entry->allow_in_process &&
        !policy->allow_in_process) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the report comes from an attester inside the "
                      "hypervisor's process, which an escaped guest "
                      "controls; for tests and single VMs, make the trust "
                      "entry with 'vsmctl keys --allow-in-process'");
    }
    return true;
}

static bool has_digest(const GArray *list, const VsmDigest *digest)
{
    for (guint i = 0; i < list->len; i++) {
        if (vsm_digest_equal(&g_array_index(list, VsmDigest, i), digest)) {
            return true;
        }
    }
    return false;
}

static bool has_baseline(const GPtrArray *list, const VsmClaims *claims)
{
    for (guint i = 0; i < list->len; i++) {
        const VsmBaseline *entry = g_ptr_array_index(list, i);

        if (strcmp(entry->vm, claims->vm_uuid) == 0 &&
            strcmp(entry->id, claims->snapshot_id) == 0 &&
            vsm_digest_equal(&entry->state, &claims->state)) {
            return true;
        }
    }
    return false;
}

static bool check_lists(const VsmClaims *claims,
                        const VsmReportPolicy *policy,
                        GError **error)
{
    VsmDigest config;

    if (policy->hypervisors &&
        !has_digest(policy->hypervisors, &claims->hypervisor)) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the policy does not name this hypervisor");
    }
    if (!vsm_sha384(claims->config, strlen(claims->config), &config, error)) {
        return false;
    }
    if (policy->configs && !has_digest(policy->configs, &config)) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the policy does not name this VM configuration");
    }
    if (policy->baseline && !has_baseline(policy->baseline, claims)) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the policy's baseline does not name this snapshot of "
                      "this VM with this state");
    }
    return true;
}

/* No silent downgrade: each weaker form needs the policy's word. */
static bool check_strength(const VsmClaims *claims,
                           const VsmReportPolicy *policy,
                           GError **error)
{
    if (!claims->hypervisor_measured && !policy->allow_unmeasured_hypervisor) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the hypervisor was not measured, only stated");
    }
    if (!claims->require_sealed && !policy->allow_require_sealed_off) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the VM accepts snapshots that are not sealed "
                      "(require-sealed=off)");
    }
    if (!claims->unsealed && !policy->allow_not_unsealed) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the TPM did not release the snapshot's digest");
    }
    if (json_object_get(claims->json, "resealed") && !policy->allow_resealed) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the operator bound the snapshot to another hypervisor "
                      "or configuration after it was saved, which the policy "
                      "refuses");
    }
    if (policy->scope && strcmp(policy->scope, claims->scope) != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_POLICY,
                    "the policy takes reports of scope '%s' only, this one is "
                    "of scope '%s'",
                    policy->scope, claims->scope);
        return false;
    }
    if (json_array_size(claims->accepted) > 0 &&
        !policy->allow_accepted_forms) {
        return refuse(error, VSM_ERROR_POLICY,
                      "sections match only in the form right after a load, "
                      "which the policy refuses");
    }
    return true;
}

/* The runtime scope has weaker forms of its own. */
static bool check_runtime(const VsmClaims *claims,
                          const VsmReportPolicy *policy,
                          GError **error)
{
    if (strcmp(claims->scope, "runtime") != 0) {
        return true;
    }
    if (policy->profile && strcmp(policy->profile, "strict") == 0 &&
        strcmp(claims->profile, "strict") != 0) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the policy takes the profile strict only");
    }
    if (json_array_size(claims->unattested) > 0 && !policy->allow_unattested) {
        return refuse(error, VSM_ERROR_POLICY,
                      "the report leaves code unattested (see its "
                      "'unattested'); the policy could allow it with "
                      "allow_unattested, or ask for the profile strict");
    }
    return true;
}

static bool all_named(const json_t *list,
                      bool (*named)(const char *text),
                      const char *what,
                      GError **error)
{
    size_t i;
    json_t *value;

    json_array_foreach(list, i, value)
    {
        if (!named(json_string_value(value))) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_POLICY,
                        "the report %s that VSM's own table does not name: "
                        "'%s'",
                        what, json_string_value(value));
            return false;
        }
    }
    return true;
}

static bool check_masked(const VsmClaims *claims, GError **error)
{
    return all_named(claims->accepted, vsm_masks_names_accepted,
                     "accepts a form of a section", error) &&
           all_named(claims->host_clock, vsm_masks_names_field,
                     "leaves out bytes", error) &&
           (strcmp(claims->scope, "runtime") == 0 ||
            all_named(claims->unattested, vsm_masks_names_field,
                      "leaves out state", error));
}

bool vsm_verify_policy(const VsmClaims *claims,
                       const VsmTrustEntry *entry,
                       const VsmReportPolicy *policy,
                       GError **error)
{
    return check_boot_covered(claims, policy, error) &&
           check_attester(claims, entry, policy, error) &&
           check_strength(claims, policy, error) &&
           vsm_verify_reseal(claims, policy, error) &&
           check_runtime(claims, policy, error) &&
           check_masked(claims, error) && check_lists(claims, policy, error);
}
