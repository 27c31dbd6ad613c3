/*
 * Boot PCRs, PCR 23 and the policy session.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/policy.h"

#include <string.h>
#include "tpm/approve.h"
#include "tpm/policy-run.h"
#include "tpm/templates.h"

/* Readings that an extend tore apart, before giving up. */
#define READ_TRIES_MAX 8

/* Anyone can reset these: they say nothing about the boot. */
#define RESETTABLE_PCRS (1u << 16 | 1u << 23)

/* --- Reading ---------------------------------------------------------- */

/* Takes the values of one answer; false when it is not what was asked. */
static bool take_values(const TPML_PCR_SELECTION *selection,
                        const TPML_DIGEST *values,
                        VsmTpmPcrs *pcrs,
                        guint32 *left)
{
    const TPMS_PCR_SELECTION *s = &selection->pcrSelections[0];
    guint next = 0;

    if (selection->count != 1 || s->hash != pcrs->bank ||
        s->sizeofSelect < VSM_TPM_PCRS / 8) {
        return false;
    }
    for (guint pcr = 0; pcr < VSM_TPM_PCRS; pcr++) {
        const TPM2B_DIGEST *value;

        if (!(s->pcrSelect[pcr / 8] & 1u << pcr % 8)) {
            continue;
        }
        if (next == values->count || !(*left & 1u << pcr)) {
            return false;
        }
        value = &values->digests[next++];
        if (value->size != vsm_tpm_bank_bytes(pcrs->bank)) {
            return false;
        }
        memcpy(pcrs->value[pcr], value->buffer, value->size);
        *left &= ~(1u << pcr);
    }
    return next == values->count && next > 0;
}

/* One pass over @pcrs->mask; an answer holds at most eight values. */
static bool
read_once(VsmTpm *tpm, VsmTpmPcrs *pcrs, bool *ret_torn, GError **error)
{
    guint32 left = pcrs->mask;
    guint32 first_counter = 0;
    bool first = true;

    *ret_torn = false;
    while (left) {
        TPML_PCR_SELECTION asked = vsm_tpm_selection(pcrs->bank, left);
        g_autofree TPML_PCR_SELECTION *got = NULL;
        g_autofree TPML_DIGEST *values = NULL;
        guint32 counter;
        TSS2_RC rc =
            Esys_PCR_Read(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                          &asked, &counter, &got, &values);

        if (!vsm_tpm_ok(tpm, rc, "read PCRs", error)) {
            return false;
        }
        if (!take_values(got, values, pcrs, &left)) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                        "the TPM has no PCR bank %s with PCRs 0x%x",
                        vsm_tpm_bank_name(pcrs->bank), left);
            return false;
        }
        *ret_torn = *ret_torn || (!first && counter != first_counter);
        first_counter = first ? counter : first_counter;
        first = false;
    }
    return true;
}

bool vsm_tpm_read_pcrs(
    VsmTpm *tpm, guint16 bank, guint32 mask, VsmTpmPcrs *ret, GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter(tpm, error);
    VsmTpmPcrs pcrs = {.bank = bank, .mask = mask}, before;
    bool torn = true;

    if (!entered) {
        return false;
    }
    if (!mask || mask >> VSM_TPM_PCRS || !vsm_tpm_bank_bytes(bank)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "PCR mask 0x%x of bank 0x%x is not valid", mask, bank);
        return false;
    }
    for (guint i = 0; torn; i++) {
        if (i == READ_TRIES_MAX) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                        "the TPM's PCRs are extended faster than they can be "
                        "read; try again later");
            return false;
        }
        before = pcrs;
        if (!read_once(tpm, &pcrs, &torn, error)) {
            return false;
        }
        /*
         * Another PCR than these may be extended all the time (IMA's 10).  No
         * PCR of a boot comes back to an old value: what two passes agree in
         * was there between them, all at once.
         */
        torn = torn && (i == 0 || memcmp(before.value, pcrs.value,
                                         sizeof(pcrs.value)) != 0);
    }
    *ret = pcrs;
    return true;
}

bool vsm_tpm_read_boot(
    VsmTpm *tpm, guint32 mask, bool allow_zero, VsmTpmPcrs *ret, GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter(tpm, error);
    g_autoptr(GError) why = NULL;
    VsmTpmPcrs pcrs;

    if (!entered) {
        return false;
    }
    if (mask & RESETTABLE_PCRS) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "PCR 16 and 23 cannot stand for the boot: anyone can reset "
                    "them; leave them out of pcrs=");
        return false;
    }
    if (!vsm_tpm_read_pcrs(tpm, VSM_TPM_BANK_SHA384, mask, &pcrs, &why)) {
        if (!g_error_matches(why, VSM_ERROR, VSM_ERROR_UNSUPPORTED)) {
            g_propagate_error(error, g_steal_pointer(&why));
            return false;
        }
        if (!vsm_tpm_read_pcrs(tpm, VSM_TPM_BANK_SHA256, mask, &pcrs, error)) {
            return false;
        }
    }
    if (vsm_tpm_pcrs_zero(&pcrs) && !allow_zero) {
        g_set_error(
            error, VSM_ERROR, VSM_ERROR_BOOT,
            "boot PCRs 0x%x (%s): those of PCR 0 to 7 are all zero: the "
            "firmware does not "
            "measure the boot into this bank; choose PCRs that it "
            "extends, or set allow-unmeasured-boot=on for tests",
            mask, vsm_tpm_bank_name(pcrs.bank));
        return false;
    }
    *ret = pcrs;
    return true;
}

/* GRUB's commands, the files that it read; a unified kernel image. */
#define LOADERS_MASK (1u << 8 | 1u << 9 | 1u << 11)

bool vsm_tpm_boot_mask(VsmTpm *tpm, guint32 *ret_mask, GError **error)
{
    VsmTpmPcrs pcrs;

    if (!vsm_tpm_read_boot(tpm, LOADERS_MASK, true, &pcrs, error)) {
        return false;
    }
    *ret_mask =
        VSM_TPM_FIRMWARE_MASK | vsm_tpm_pcrs_with_value(&pcrs, LOADERS_MASK);
    return true;
}

/* --- Approval --------------------------------------------------------- */

static bool not_approved(VsmTpm *tpm, const VsmTpmPcrs *boot, GError **error)
{
    g_autofree char *changes = vsm_tpm_approved_nearest(tpm, boot);

    if (changes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BOOT,
                    "the operator has not approved this boot state: %s; if "
                    "this is an intended update, approve it (vsmctl policy "
                    "approve --current), else boot the approved state",
                    changes);
    } else {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BOOT,
                    "the operator has not approved this boot state: no "
                    "approved state is known; approve it (vsmctl policy "
                    "approve --current)");
    }
    return false;
}

static bool check_index(VsmTpm *tpm, const VsmTpmPcrs *boot, GError **error)
{
    g_autoptr(GBytes) wanted = NULL;
    g_autoptr(GBytes) held = NULL;
    VsmTpmPolicy policy;

    if (!vsm_tpm_boot_index_read(tpm, &held, error)) {
        return false;
    }
    if (!held) {
        return not_approved(tpm, boot, error);
    }
    if (vsm_tpm_approved_has(tpm, boot)) {
        vsm_tpm_policy_states(tpm->approved, tpm->n_approved, &policy);
    } else {
        vsm_tpm_policy_boot(boot, &policy);
    }
    wanted = vsm_tpm_policy_to_index(&policy);
    return g_bytes_equal(wanted, held) || not_approved(tpm, boot, error);
}

bool vsm_tpm_boot_check(VsmTpm *tpm,
                        const VsmTpmPcrs *boot,
                        const VsmTpmPcrs *sealed,
                        GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    g_autofree char *differ = NULL;

    if (!entered) {
        return false;
    }
    if (tpm->keys->boot_index) {
        return check_index(tpm, boot, error);
    }
    differ = sealed ? vsm_tpm_pcrs_changes(sealed, boot) : NULL;
    if (differ) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BOOT,
                    "the host was booted differently when this snapshot was "
                    "sealed: %s; boot that state, or take a new snapshot "
                    "(boot policy is frozen: set up without an operator's "
                    "key, so no update can be approved)",
                    differ);
        return false;
    }
    return true;
}

/* --- PCR 23 ----------------------------------------------------------- */

bool vsm_tpm_pcr_vm_reset(VsmTpm *tpm, GError **error)
{
    TSS2_RC rc = Esys_PCR_Reset(tpm->esys, ESYS_TR_PCR23, ESYS_TR_PASSWORD,
                                ESYS_TR_NONE, ESYS_TR_NONE);

    return vsm_tpm_ok(tpm, rc, "reset PCR 23", error);
}

static bool
extend(VsmTpm *tpm, guint16 bank, const VsmDigest *digest, GError **error)
{
    TPML_DIGEST_VALUES values = {.count = 1, .digests[0].hashAlg = bank};
    TSS2_RC rc;

    vsm_tpm_pcr_event(bank, digest, (guint8 *)&values.digests[0].digest);
    rc = Esys_PCR_Extend(tpm->esys, ESYS_TR_PCR23, ESYS_TR_PASSWORD,
                         ESYS_TR_NONE, ESYS_TR_NONE, &values);
    return vsm_tpm_ok(tpm, rc, "extend PCR 23", error);
}

bool vsm_tpm_pcr_vm_set(VsmTpm *tpm,
                        const VsmTpmBinding *binding,
                        GError **error)
{
    return vsm_tpm_pcr_vm_reset(tpm, error) &&
           extend(tpm, binding->boot.bank, &binding->hypervisor, error) &&
           extend(tpm, binding->boot.bank, &binding->config, error);
}

/* --- The policy session ----------------------------------------------- */

static TSS2_RC policy_pcr(VsmTpm *tpm, ESYS_TR policy, const VsmTpmPcrs *pcrs)
{
    TPML_PCR_SELECTION selection = vsm_tpm_selection(pcrs->bank, pcrs->mask);
    TPM2B_DIGEST expected = {.size = VSM_TPM_POLICY_BYTES};

    /*
     * With the expected digest a PCR that differs is refused here (0x1c4).
     * Without it PCR 23 could change unseen: it does not move the counter by
     * which the TPM notices changes of the others.
     */
    vsm_tpm_pcrs_digest(pcrs, VSM_TPM_BANK_SHA256, expected.buffer);
    return Esys_PolicyPCR(tpm->esys, policy, ESYS_TR_NONE, ESYS_TR_NONE,
                          ESYS_TR_NONE, &expected, &selection);
}

/* Where several states are approved: is this one of them? */
static TSS2_RC policy_or(VsmTpm *tpm, ESYS_TR policy)
{
    TPML_DIGEST branches = {.count = tpm->n_approved};

    for (guint i = 0; i < tpm->n_approved; i++) {
        VsmTpmPolicy branch;

        vsm_tpm_policy_boot(&tpm->approved[i], &branch);
        branches.digests[i].size = sizeof(branch.b);
        memcpy(branches.digests[i].buffer, branch.b, sizeof(branch.b));
    }
    return Esys_PolicyOR(tpm->esys, policy, ESYS_TR_NONE, ESYS_TR_NONE,
                         ESYS_TR_NONE, &branches);
}

/* The boot part; @session gives the authorisation to read the index. */
static VsmTpmRun run_boot(VsmTpm *tpm,
                          ESYS_TR policy,
                          VsmTpmHandle *session,
                          const VsmTpmPcrs *boot,
                          GError **error)
{
    ESYS_TR index = tpm->fixed[VSM_TPM_BOOT_INDEX];
    TSS2_RC rc = policy_pcr(tpm, policy, boot);

    if (vsm_tpm_is(rc, TPM2_RC_PCR_CHANGED)) {
        return VSM_TPM_RUN_AGAIN;
    }
    if (vsm_tpm_is(rc, TPM2_RC_VALUE)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BOOT,
                    "boot PCRs 0x%x (%s) were extended since they were read "
                    "(0x%x); try again, and see what extends them",
                    boot->mask, vsm_tpm_bank_name(boot->bank),
                    vsm_tpm_code(rc));
        return VSM_TPM_RUN_FAILED;
    }
    if (!vsm_tpm_ok(tpm, rc, "check the boot PCRs", error)) {
        return VSM_TPM_RUN_FAILED;
    }
    if (!tpm->keys->boot_index) {
        return VSM_TPM_RUN_DONE;
    }
    if (tpm->n_approved > 1) {
        rc = policy_or(tpm, policy);
    }
    if (rc == TSS2_RC_SUCCESS) {
        rc = Esys_PolicyAuthorizeNV(tpm->esys, index, index, policy,
                                    vsm_tpm_use(session, VSM_TPM_PLAIN),
                                    ESYS_TR_NONE, ESYS_TR_NONE);
    }
    if (vsm_tpm_is(rc, TPM2_RC_POLICY_FAIL) || vsm_tpm_is(rc, TPM2_RC_VALUE) ||
        vsm_tpm_is(rc, TPM2_RC_NV_UNINITIALIZED)) {
        not_approved(tpm, boot, error);
        return VSM_TPM_RUN_FAILED;
    }
    return vsm_tpm_ok(tpm, rc, "check the boot's approval", error)
               ? VSM_TPM_RUN_DONE
               : VSM_TPM_RUN_FAILED;
}

VsmTpmRun vsm_tpm_policy_run(VsmTpm *tpm,
                             ESYS_TR policy,
                             VsmTpmHandle *session,
                             const VsmTpmBinding *binding,
                             GError **error)
{
    VsmTpmPcrs vm = {.bank = binding->boot.bank};
    VsmTpmRun run = run_boot(tpm, policy, session, &binding->boot, error);
    TSS2_RC rc;

    if (run != VSM_TPM_RUN_DONE) {
        return run;
    }
    vsm_tpm_pcr_vm(&vm, &binding->hypervisor, &binding->config);
    rc = policy_pcr(tpm, policy, &vm);
    /* 0x1c4 here: somebody else moved PCR 23. */
    if (vsm_tpm_is(rc, TPM2_RC_VALUE) || vsm_tpm_is(rc, TPM2_RC_PCR_CHANGED)) {
        return VSM_TPM_RUN_AGAIN;
    }
    if (!vsm_tpm_ok(tpm, rc, "check PCR 23", error)) {
        return VSM_TPM_RUN_FAILED;
    }
    rc = Esys_PolicyAuthValue(tpm->esys, policy, ESYS_TR_NONE, ESYS_TR_NONE,
                              ESYS_TR_NONE);
    return vsm_tpm_ok(tpm, rc, "ask for the host secret", error)
               ? VSM_TPM_RUN_DONE
               : VSM_TPM_RUN_FAILED;
}
