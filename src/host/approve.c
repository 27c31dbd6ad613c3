/*
 * Boot states: which are approved, and the operator's word on others.
 *
 * The index in the TPM holds a digest only; the file `approved` holds the
 * states behind it, and counts for nothing where the digest is another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/codec.h"
#include "base/limits.h"
#include "host/pending.h"
#include "tpm/approve.h"

#define FILE_NOW "approved"
#define FILE_NEXT "approved.next"

/* --- At open ---------------------------------------------------------- */

static void policy_of(const GArray *list, VsmTpmPolicy *ret)
{
    VsmTpmPcrs states[VSM_TPM_STATES_MAX];

    for (guint i = 0; i < list->len; i++) {
        states[i] = g_array_index(list, VsmApproved, i).pcrs;
    }
    vsm_tpm_policy_states(states, list->len, ret);
}

/*
 * The list in the file @name if it is the one that the index holds; NULL: it is
 * not.  false only when the file is there and cannot be read: nobody knows
 * then.
 */
static bool proven(
    VsmHost *host, const char *name, GBytes *held, GArray **ret, GError **error)
{
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GBytes) wanted = NULL;
    g_autoptr(GArray) list = NULL;
    g_autoptr(GError) why = NULL;
    VsmTpmPolicy policy;

    if (!vsm_file_read(host->store, name, VSM_HOST_FILE_BYTES_MAX, &bytes,
                       &why)) {
        if (g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND) ||
            g_error_matches(why, VSM_ERROR, VSM_ERROR_LIMIT)) {
            return true;
        }
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    list = vsm_approved_decode(bytes, NULL);
    if (list) {
        policy_of(list, &policy);
        wanted = vsm_tpm_policy_to_index(&policy);
        *ret = g_bytes_equal(wanted, held) ? g_steal_pointer(&list) : NULL;
    }
    return true;
}

static void take(VsmHost *host, GArray *list)
{
    VsmTpmPcrs states[VSM_TPM_STATES_MAX];

    for (guint i = 0; i < list->len; i++) {
        states[i] = g_array_index(list, VsmApproved, i).pcrs;
    }
    vsm_tpm_approved_set(host->tpm, states, list->len);
    g_clear_pointer(&host->approved, g_array_unref);
    host->approved = list;
}

static GArray *new_list(void)
{
    return g_array_new(FALSE, TRUE, sizeof(VsmApproved));
}

bool vsm_host_approved_load(VsmHost *host, GError **error)
{
    g_autoptr(GBytes) held = NULL;
    g_autoptr(GArray) list = NULL;

    if (!vsm_tpm_keys(host->tpm)->boot_index) {
        take(host, new_list());
        return true;
    }
    if (!vsm_tpm_boot_index_read(host->tpm, &held, error) ||
        (held && !proven(host, FILE_NOW, held, &list, error))) {
        return false;
    }
    if (!list && held) {
        /* Written to the TPM, and ended before the rename. */
        if (!proven(host, FILE_NEXT, held, &list, error) ||
            (list &&
             !vsm_file_rename(host->store, FILE_NEXT, FILE_NOW, error))) {
            return false;
        }
    }
    if (!list && held) {
        take(host, new_list());
        return true; /* whatever the files are, they are not ours to drop */
    }
    take(host, list ? g_steal_pointer(&list) : new_list());
    return vsm_file_remove(host->store, FILE_NEXT, error);
}

/*
 * Called with the mutex held.  The list in the file must be the one that the
 * index holds before anything is decided by it, or written over it.
 */
static bool settle(VsmHost *host, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (!host->approval_in_doubt) {
        return true;
    }
    if (!vsm_host_approved_load(host, &why)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_IN_DOUBT,
                    "the outcome of the last approval is not known yet: %s",
                    why->message);
        return false;
    }
    host->approval_in_doubt = false;
    return true;
}

bool vsm_host_boot_check(VsmHost *host,
                         const VsmTpmPcrs *boot,
                         const VsmTpmPcrs *sealed,
                         GError **error)
{
    bool ok;

    g_mutex_lock(&host->mutex);
    ok = settle(host, error);
    g_mutex_unlock(&host->mutex);
    return ok && vsm_tpm_boot_check(host->tpm, boot, sealed, error);
}

/* --- What is --------------------------------------------------------- */

static bool read_current(VsmHost *host, VsmTpmPcrs *ret, GError **error)
{
    return vsm_tpm_read_boot(host->tpm, host->boot_pcrs, true, ret, error);
}

bool vsm_host_boot_state(VsmHost *host, GVariant **ret, GError **error)
{
    bool operator_approves = vsm_tpm_keys(host->tpm)->boot_index != 0;
    GVariantBuilder states;
    VsmTpmPcrs now;
    bool approved;

    if (!read_current(host, &now, error)) {
        return false;
    }
    approved = (host->allow_unmeasured_boot || !vsm_tpm_pcrs_zero(&now)) &&
               vsm_host_boot_check(host, &now, NULL, NULL);
    g_mutex_lock(&host->mutex);
    vsm_approved_add(&states, host->approved);
    g_mutex_unlock(&host->mutex);
    *ret = g_variant_ref_sink(g_variant_new(
        "(sb@a(xsuay)(su@ay))", operator_approves ? "operator" : "frozen",
        approved, g_variant_builder_end(&states), vsm_tpm_bank_name(now.bank),
        now.mask, vsm_approved_values(&now)));
    return true;
}

/* --- What shall be ---------------------------------------------------- */

static bool admit(VsmHost *host, const VsmTpmPcrs *pcrs, GError **error)
{
    VsmTpmPcrs now;

    if (!read_current(host, &now, error)) {
        return false;
    }
    if (pcrs->bank != now.bank || pcrs->mask != now.mask) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a boot state of PCRs 0x%x (%s): this host's is PCRs 0x%x "
                    "(%s); give exactly those",
                    pcrs->mask, vsm_tpm_bank_name(pcrs->bank), now.mask,
                    vsm_tpm_bank_name(now.bank));
        return false;
    }
    if (vsm_tpm_pcrs_zero(pcrs) && !host->allow_unmeasured_boot) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BOOT,
                    "a boot state whose PCRs 0 to 7 are all zero says nothing "
                    "about the boot: it is not approved");
        return false;
    }
    return true;
}

static bool has(const GArray *list, const VsmTpmPcrs *pcrs)
{
    for (guint i = 0; i < list->len; i++) {
        if (!vsm_tpm_pcrs_distance(&g_array_index(list, VsmApproved, i).pcrs,
                                   pcrs)) {
            return true;
        }
    }
    return false;
}

static void put(GArray *list, const VsmTpmPcrs *pcrs, gint64 time)
{
    VsmApproved one = {time, *pcrs};

    if (!has(list, pcrs)) {
        g_array_append_val(list, one);
    }
}

/* The new states, current or given. */
static bool
add_wanted(VsmHost *host, GVariant *states, GArray *list, GError **error)
{
    gint64 time = g_get_real_time() / G_USEC_PER_SEC;
    gsize n = states ? g_variant_n_children(states) : 0;
    VsmTpmPcrs pcrs;

    if (n == 0) {
        if (!read_current(host, &pcrs, error) || !admit(host, &pcrs, error)) {
            return false;
        }
        put(list, &pcrs, time);
    }
    for (gsize i = 0; i < n; i++) {
        g_autoptr(GVariant) ay = NULL;
        const char *bank;
        guint32 mask;

        g_variant_get_child(states, i, "(&su@ay)", &bank, &mask, &ay);
        if (!vsm_approved_state(bank, mask, ay, &pcrs, error) ||
            !admit(host, &pcrs, error)) {
            return false;
        }
        put(list, &pcrs, time);
    }
    return true;
}

/* Called with the mutex held.  @list: (transfer full) */
static bool
begin(VsmHost *host, GArray *list, GBytes **ret_request, GError **error)
{
    g_autoptr(VsmOperatorRequest) request =
        vsm_operator_request_new(VSM_OPERATOR_APPROVE, host->id);
    g_autoptr(GArray) own_list = list;
    g_autoptr(GBytes) bytes = NULL;

    for (guint i = 0; i < list->len; i++) {
        g_array_append_val(request->states,
                           g_array_index(list, VsmApproved, i).pcrs);
    }
    if (!vsm_pending_free_slot(host, error) ||
        !vsm_tpm_approve_begin(host->tpm, &request->nonce, &request->index_name,
                               error)) {
        return false;
    }
    bytes = vsm_operator_request_encode(request, error);
    if (!bytes) {
        vsm_tpm_approve_abort(host->tpm);
        return false;
    }
    vsm_pending_set(host, g_steal_pointer(&request), bytes);
    host->pending.states = g_steal_pointer(&own_list);
    *ret_request = g_bytes_ref(bytes);
    return true;
}

/* Called with the mutex held: the first @keep of the approved states stay. */
static bool keep_old(VsmHost *host, guint keep, GArray *list, GError **error)
{
    for (guint i = 0; i < MIN(keep, host->approved->len); i++) {
        const VsmApproved *old = &g_array_index(host->approved, VsmApproved, i);
        guint32 missing = host->boot_pcrs & ~old->pcrs.mask;

        /* Whoever asks for fewer PCRs would get by with it for ever. */
        if (missing && !(old->pcrs.mask & ~host->boot_pcrs)) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_POLICY,
                        "the approved boot state %u lacks PCRs 0x%x, which "
                        "stand for this host's boot now: it is not kept; "
                        "approve without it",
                        i + 1, missing);
            return false;
        }
        put(list, &old->pcrs, old->time);
    }
    return true;
}

bool vsm_host_approve_begin(VsmHost *host,
                            GVariant *states,
                            guint keep,
                            GBytes **ret_request,
                            GError **error)
{
    g_autoptr(GArray) list = new_list();
    bool ok;

    if (!vsm_pending_operator(host, error)) {
        return false;
    }
    if (states && g_variant_n_children(states) > VSM_TPM_STATES_MAX) {
        return vsm_pending_too_many(error);
    }
    if (!add_wanted(host, states, list, error)) {
        return false;
    }
    g_mutex_lock(&host->mutex);
    ok = settle(host, error) && keep_old(host, keep, list, error);
    if (ok) {
        ok = list->len <= VSM_TPM_STATES_MAX
                 ? begin(host, g_array_ref(list), ret_request, error)
                 : vsm_pending_too_many(error);
    }
    g_mutex_unlock(&host->mutex);
    return ok;
}

bool vsm_host_revoke_begin(VsmHost *host,
                           guint number,
                           GBytes **ret_request,
                           GError **error)
{
    g_autoptr(GArray) list = new_list();
    bool ok = false;

    if (!vsm_pending_operator(host, error)) {
        return false;
    }
    g_mutex_lock(&host->mutex);
    if (!settle(host, error)) {
        ok = false;
    } else if (number != G_MAXUINT32 &&
               (number == 0 || number > host->approved->len)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "there is no approved boot state %u: 'vsmctl policy show' "
                    "numbers them",
                    number);
    } else {
        for (guint i = 0; number != G_MAXUINT32 && i < host->approved->len;
             i++) {
            if (i + 1 != number) {
                g_array_append_val(
                    list, g_array_index(host->approved, VsmApproved, i));
            }
        }
        ok = begin(host, g_array_ref(list), ret_request, error);
    }
    g_mutex_unlock(&host->mutex);
    return ok;
}

/* Called with the mutex held: file, index, file. */
static bool commit(VsmHost *host, GBytes *raw, GError **error)
{
    g_autoptr(GBytes) contents = vsm_operator_contents(host->pending.request);
    g_autoptr(GBytes) bytes = vsm_approved_encode(host->pending.states, error);
    g_autoptr(GError) why = NULL;

    if (!bytes || !vsm_file_replace(host->store, FILE_NEXT, bytes, error)) {
        return false;
    }
    vsm_files_tell("approve", host->store->path);
    if (!vsm_tpm_approve_finish(host->tpm, contents, raw, &why)) {
        if (g_error_matches(why, VSM_ERROR, VSM_ERROR_IN_DOUBT)) {
            host->approval_in_doubt = true;
        } else {
            vsm_file_remove(host->store, FILE_NEXT, NULL);
        }
        vsm_host_note(host, why);
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    vsm_files_tell("approved", host->store->path);
    take(host, g_array_ref(host->pending.states));
    if (!vsm_file_rename(host->store, FILE_NEXT, FILE_NOW, &why)) {
        host->approval_in_doubt = true; /* approved; the next user renames */
        vsm_host_note(host, why);
    }
    return true;
}

bool vsm_host_approve_finish(VsmHost *host, GBytes *signature, GError **error)
{
    g_autoptr(GBytes) raw = NULL;
    bool ok;

    g_mutex_lock(&host->mutex);
    ok = vsm_pending_answered(host, VSM_OPERATOR_APPROVE, signature, &raw,
                              error);
    if (ok) {
        ok = commit(host, raw, error);
        vsm_pending_clear(host); /* used up: the TPM's nonce is gone */
    }
    g_mutex_unlock(&host->mutex);
    return ok;
}
