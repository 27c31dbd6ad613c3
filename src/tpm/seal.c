/*
 * Seal a digest under a snapshot's own key, and unseal it under policy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/seal.h"

#include <string.h>
#include "tpm/policy-run.h"
#include "tpm/templates.h"

/* Restarts of one policy; each for an extend by somebody else. */
#define RUNS_MAX 8
#define RUN_PAUSE_MS 5 /* doubled and jittered at each restart */

void vsm_tpm_object_clear(VsmTpmObject *object)
{
    g_clear_pointer(&object->public_area, g_bytes_unref);
    g_clear_pointer(&object->private_area, g_bytes_unref);
    g_clear_pointer(&object->name, g_bytes_unref);
}

static bool object_take(const TPM2B_PUBLIC *public,
                        const TPM2B_PRIVATE *private,
                        VsmTpmObject *ret,
                        GError **error)
{
    g_auto(VsmTpmObject) object = {NULL, NULL, NULL};

    object.public_area = vsm_tpm_public_to_bytes(public);
    object.private_area = g_bytes_new(private->buffer, private->size);
    if (!vsm_tpm_public_name(object.public_area, &object.name, error)) {
        return false;
    }
    *ret = object;
    object = (VsmTpmObject){NULL, NULL, NULL};
    return true;
}

/* --- Seal ------------------------------------------------------------- */

/* Create under @parent, whose auth value @session proves. */
static TSS2_RC create(VsmTpm *tpm,
                      ESYS_TR parent,
                      VsmTpmHandle *session,
                      const VsmDigest *data,
                      const TPM2B_PUBLIC *template,
                      TPM2B_PRIVATE **ret_private,
                      TPM2B_PUBLIC **ret_public)
{
    TPM2B_SENSITIVE_CREATE sensitive = {0};
    TPM2B_DATA outside = {0};
    TPML_PCR_SELECTION pcrs = {0};
    TSS2_RC rc;

    sensitive.sensitive.userAuth = vsm_tpm_auth(tpm->snapshot_auth);
    if (data) {
        sensitive.sensitive.data.size = sizeof(data->b);
        memcpy(sensitive.sensitive.data.buffer, data->b, sizeof(data->b));
    }
    rc = Esys_Create(tpm->esys, parent,
                     vsm_tpm_use(session, VSM_TPM_IN | VSM_TPM_LAST),
                     ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, template, &outside,
                     &pcrs, ret_private, ret_public, NULL, NULL, NULL);
    vsm_wipe(&sensitive, sizeof(sensitive));
    if (rc == TSS2_RC_SUCCESS) {
        vsm_tpm_used_up(session);
    }
    return rc;
}

/* Whether a TPM refuses a symmetric parent as such. */
static bool is_no_such_parent(TSS2_RC rc)
{
    return vsm_tpm_is(rc, TPM2_RC_TYPE) || vsm_tpm_is(rc, TPM2_RC_SYMMETRIC) ||
           vsm_tpm_is(rc, TPM2_RC_ATTRIBUTES) || vsm_tpm_is(rc, TPM2_RC_VALUE);
}

bool vsm_tpm_ssk_create(VsmTpm *tpm, VsmTpmObject *ret, GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    g_auto(VsmTpmHandle) session = VSM_TPM_NO_HANDLE;
    g_autofree TPM2B_PRIVATE *private = NULL;
    g_autofree TPM2B_PUBLIC *public = NULL;
    TPM2B_PUBLIC template = vsm_tpm_template_ssk(false);
    TSS2_RC rc;

    if (!entered || !vsm_tpm_session_hmac(tpm, true, &session, error)) {
        return false;
    }
    rc = create(tpm, tpm->fixed[VSM_TPM_SRK], &session, NULL, &template,
                &private, &public);
    if (is_no_such_parent(rc)) {
        template = vsm_tpm_template_ssk(true);
        rc = create(tpm, tpm->fixed[VSM_TPM_SRK], &session, NULL, &template,
                    &private, &public);
    }
    return vsm_tpm_ok(tpm, rc, "create the snapshot's seal key", error) &&
           object_take(public, private, ret, error);
}

/* Loads @object under @parent and proves that it has the Name it should. */
static bool load(VsmTpm *tpm,
                 ESYS_TR parent,
                 VsmTpmHandle *session,
                 const VsmTpmObject *object,
                 const char *what,
                 VsmTpmHandle *ret,
                 GError **error)
{
    TPM2B_PRIVATE private = {.size = g_bytes_get_size(object->private_area)};
    g_autofree TPM2B_NAME *name = NULL;
    TPM2B_PUBLIC public;
    ESYS_TR tr = ESYS_TR_NONE;
    TSS2_RC rc;

    if (private.size == 0 || private.size > sizeof(private.buffer) ||
        !vsm_tpm_public_from_bytes(object->public_area, &public)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "%s in the snapshot's metadata is not a TPM object", what);
        return false;
    }
    memcpy(private.buffer, g_bytes_get_data(object->private_area, NULL),
           private.size);
    rc = Esys_Load(tpm->esys, parent, vsm_tpm_use(session, VSM_TPM_PLAIN),
                   ESYS_TR_NONE, ESYS_TR_NONE, &private, &public, &tr);
    /* Format 1 of a parameter: the blob is not one of this parent's. */
    if (vsm_tpm_code(rc) & TPM2_RC_FMT1 && vsm_tpm_code(rc) & TPM2_RC_P) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "%s does not load (0x%x): it was changed, or made by "
                    "another TPM",
                    what, vsm_tpm_code(rc));
        return false;
    }
    if (!vsm_tpm_ok(tpm, rc, "load a sealed object", error)) {
        return false;
    }
    *ret = vsm_tpm_handle(tpm, tr);
    rc = Esys_TR_GetName(tpm->esys, tr, &name);
    if (!vsm_tpm_ok(tpm, rc, "read a Name", error)) {
        return false;
    }
    if (name->size != g_bytes_get_size(object->name) ||
        memcmp(name->name, g_bytes_get_data(object->name, NULL), name->size)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "%s has another Name than the metadata says", what);
        return false;
    }
    return vsm_tpm_set_auth(tpm, tr, tpm->snapshot_auth, error);
}

bool vsm_tpm_seal(VsmTpm *tpm,
                  const VsmTpmObject *ssk,
                  const VsmTpmBinding *binding,
                  const VsmDigest *digest,
                  VsmTpmObject *ret,
                  GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    g_auto(VsmTpmHandle) session = VSM_TPM_NO_HANDLE;
    g_auto(VsmTpmHandle) parent = VSM_TPM_NO_HANDLE;
    g_autofree TPM2B_PRIVATE *private = NULL;
    g_autofree TPM2B_PUBLIC *public = NULL;
    VsmTpmPcrs vm = {.bank = binding->boot.bank};
    TPM2B_PUBLIC template;
    VsmTpmPolicy policy;
    TSS2_RC rc;

    if (!entered) {
        return false;
    }
    vsm_tpm_pcr_vm(&vm, &binding->hypervisor, &binding->config);
    vsm_tpm_policy_sealed(&binding->boot, tpm->keys->boot_index_name, &vm,
                          &policy);
    if (!vsm_tpm_template_sealed(&policy, &template, error) ||
        !vsm_tpm_session_hmac(tpm, true, &session, error) ||
        !load(tpm, tpm->fixed[VSM_TPM_SRK], &session, ssk,
              "the snapshot's seal key", &parent, error)) {
        return false;
    }
    rc = create(tpm, parent.tr, &session, digest, &template, &private, &public);
    return vsm_tpm_ok(tpm, rc, "seal the digest", error) &&
           object_take(public, private, ret, error);
}

/* --- Unseal ----------------------------------------------------------- */

typedef struct {
    VsmTpm *tpm;
    const VsmTpmBinding *binding;
    const VsmDigest *extra_data; /* NULL: no quote */
    VsmTpmHandle session; /* proves auth values, decrypts the answer */
    VsmTpmHandle policy;
    VsmTpmHandle sealed;
    VsmDigest digest;
    VsmTpmEvidence quote;
} Unsealing;

static bool load_sealed(Unsealing *u,
                        const VsmTpmObject *ssk,
                        const VsmTpmObject *sealed,
                        GError **error)
{
    VsmTpm *tpm = u->tpm;
    g_auto(VsmTpmHandle) parent = VSM_TPM_NO_HANDLE;

    return vsm_tpm_session_hmac(tpm, true, &u->session, error) &&
           load(tpm, tpm->fixed[VSM_TPM_SRK], &u->session, ssk,
                "the snapshot's seal key", &parent, error) &&
           load(tpm, parent.tr, &u->session, sealed, "the sealed digest",
                &u->sealed, error);
}

static bool refused(TSS2_RC rc, GError **error)
{
    if (vsm_tpm_is(rc, TPM2_RC_POLICY_FAIL)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CONFIG,
                    "the TPM does not release the sealed digest (0x%x): "
                    "hypervisor, VM configuration or boot state are not what "
                    "they were at the seal",
                    vsm_tpm_code(rc));
        return true;
    }
    if (vsm_tpm_is(rc, TPM2_RC_AUTH_FAIL) || vsm_tpm_is(rc, TPM2_RC_BAD_AUTH)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TPM,
                    "the TPM does not release the sealed digest (0x%x): the "
                    "host secret is not the one of the seal",
                    vsm_tpm_code(rc));
        return true;
    }
    return false;
}

static VsmTpmRun unseal_once(Unsealing *u, GError **error)
{
    VsmTpm *tpm = u->tpm;
    VsmTpmUse use = VSM_TPM_OUT | (u->extra_data ? 0 : VSM_TPM_LAST);
    g_autofree TPM2B_SENSITIVE_DATA *data = NULL;
    bool right_size;
    TSS2_RC rc = Esys_Unseal(
        tpm->esys, u->sealed.tr, vsm_tpm_use(&u->policy, VSM_TPM_LAST),
        vsm_tpm_use(&u->session, use), ESYS_TR_NONE, &data);

    if (vsm_tpm_is(rc, TPM2_RC_PCR_CHANGED)) {
        return VSM_TPM_RUN_AGAIN;
    }
    if (refused(rc, error) ||
        !vsm_tpm_ok(tpm, rc, "unseal the digest", error)) {
        return VSM_TPM_RUN_FAILED;
    }
    vsm_tpm_used_up(&u->policy);
    if (!u->extra_data) {
        vsm_tpm_used_up(&u->session);
    }
    right_size = data->size == sizeof(u->digest.b);
    if (right_size) {
        memcpy(u->digest.b, data->buffer, sizeof(u->digest.b));
    }
    vsm_wipe(data, sizeof(*data));
    if (!right_size) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "the sealed object does not hold a digest");
        return VSM_TPM_RUN_FAILED;
    }
    vsm_tpm_handle_clear(&u->sealed);
    return VSM_TPM_RUN_DONE;
}

/* Quote while PCR 23 stands; a quote over anything else is not signed for. */
static VsmTpmRun quote_once(Unsealing *u, GError **error)
{
    VsmTpm *tpm = u->tpm;
    g_autoptr(VsmTpmKey) ak = NULL;
    g_autoptr(GError) why = NULL;
    VsmTpmPcrs pcrs = u->binding->boot;
    guint16 hash;

    vsm_tpm_pcr_vm(&pcrs, &u->binding->hypervisor, &u->binding->config);
    if (!vsm_tpm_key_decode(tpm->keys->ak_public, &ak, error) ||
        (u->session.tr == ESYS_TR_NONE &&
         !vsm_tpm_session_hmac(tpm, false, &u->session, error)) ||
        !vsm_tpm_quote_with(tpm, vsm_tpm_use(&u->session, VSM_TPM_LAST),
                            pcrs.bank, pcrs.mask, u->extra_data, &u->quote,
                            error)) {
        return VSM_TPM_RUN_FAILED;
    }
    vsm_tpm_used_up(&u->session);
    hash = ak->bytes == 48 ? VSM_TPM_BANK_SHA384 : VSM_TPM_BANK_SHA256;
    if (!vsm_tpm_quote_check(u->quote.attest, hash, u->extra_data, &pcrs,
                             &why)) {
        vsm_tpm_evidence_clear(&u->quote);
        return VSM_TPM_RUN_AGAIN; /* somebody moved a PCR in between */
    }
    return VSM_TPM_RUN_DONE;
}

static bool moving_pcrs(GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                "others extend or reset the TPM's PCRs all the time (%u "
                "tries); see who uses PCR 23, and try again",
                RUNS_MAX);
    return false;
}

/* Before a new try: others get time to finish, and not all at once. */
static bool start_over(Unsealing *u, guint run, GError **error)
{
    guint pause_ms = RUN_PAUSE_MS << run;

    g_usleep((pause_ms / 2 + g_random_int_range(0, pause_ms)) * 1000);
    return vsm_tpm_pcr_vm_set(u->tpm, u->binding, error);
}

static bool fresh_policy(Unsealing *u, GError **error)
{
    TSS2_RC rc;

    if (u->policy.tr == ESYS_TR_NONE) {
        return vsm_tpm_session_policy(u->tpm, &u->policy, error);
    }
    rc = Esys_PolicyRestart(u->tpm->esys, u->policy.tr, ESYS_TR_NONE,
                            ESYS_TR_NONE, ESYS_TR_NONE);
    return vsm_tpm_ok(u->tpm, rc, "restart the policy", error);
}

static bool run_unseal(Unsealing *u, GError **error)
{
    for (guint run = 0; run < RUNS_MAX; run++) {
        VsmTpmRun outcome;

        if ((run && !start_over(u, run, error)) || !fresh_policy(u, error)) {
            return false;
        }
        outcome = vsm_tpm_policy_run(u->tpm, u->policy.tr, &u->session,
                                     u->binding, error);
        if (outcome == VSM_TPM_RUN_DONE) {
            outcome = unseal_once(u, error);
        }
        if (outcome != VSM_TPM_RUN_AGAIN) {
            return outcome == VSM_TPM_RUN_DONE;
        }
    }
    return moving_pcrs(error);
}

static bool boot_still_holds(Unsealing *u, GError **error)
{
    const VsmTpmPcrs *boot = &u->binding->boot;
    g_autofree char *differ = NULL;
    VsmTpmPcrs now;

    if (!vsm_tpm_read_pcrs(u->tpm, boot->bank, boot->mask, &now, error)) {
        return false;
    }
    differ = vsm_tpm_pcrs_differ(&now, boot);
    if (differ) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BOOT,
                    "boot PCRs were extended during the request: %s; see what "
                    "extends them",
                    differ);
        return false;
    }
    return true;
}

static bool run_quote(Unsealing *u, GError **error)
{
    for (guint run = 0; run < RUNS_MAX; run++) {
        VsmTpmRun outcome;

        if (run &&
            (!boot_still_holds(u, error) || !start_over(u, run, error))) {
            return false;
        }
        outcome = quote_once(u, error);
        if (outcome != VSM_TPM_RUN_AGAIN) {
            return outcome == VSM_TPM_RUN_DONE;
        }
    }
    return moving_pcrs(error);
}

bool vsm_tpm_unseal(VsmTpm *tpm,
                    const VsmTpmObject *ssk,
                    const VsmTpmObject *sealed,
                    const VsmTpmBinding *binding,
                    const VsmDigest *extra_data,
                    VsmDigest *ret_digest,
                    VsmTpmEvidence *ret_quote,
                    GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter_keys(tpm, error);
    Unsealing u = {
        .tpm = tpm,
        .binding = binding,
        .extra_data = extra_data,
        .session = VSM_TPM_NO_HANDLE,
        .policy = VSM_TPM_NO_HANDLE,
        .sealed = VSM_TPM_NO_HANDLE,
    };
    bool ok;

    if (!entered) {
        return false;
    }
    /* PCR 23 first: the less is open, the less a resource manager swaps. */
    ok = vsm_tpm_pcr_vm_set(tpm, binding, error) &&
         load_sealed(&u, ssk, sealed, error) && run_unseal(&u, error) &&
         (!extra_data || run_quote(&u, error));
    vsm_tpm_handle_clear(&u.sealed);
    vsm_tpm_handle_clear(&u.policy);
    vsm_tpm_handle_clear(&u.session);
    if (!tpm->broken) {
        vsm_tpm_pcr_vm_reset(tpm, NULL); /* the next one resets it, too */
    }
    if (ok) {
        *ret_digest = u.digest;
        if (extra_data) {
            *ret_quote = u.quote;
        }
    }
    vsm_wipe(&u.digest, sizeof(u.digest));
    return ok;
}
