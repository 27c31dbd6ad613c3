/*
 * The connection to one TPM: connect, lock, reopen, and errors decoded once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/context.h"

#include <string.h>
#include <tss2/tss2_rc.h>
#include "tpm/esys.h"
#include "tpm/request.h"

/* Answers of capability commands name at most this many handles each. */
#define HANDLES_AT_ONCE 64

/* --- Answers ---------------------------------------------------------- */

guint32 vsm_tpm_code(TSS2_RC rc)
{
    TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

    if (layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER) {
        return rc & ~TSS2_RC_LAYER_MASK;
    }
    return 0;
}

bool vsm_tpm_is(TSS2_RC rc, guint32 code)
{
    guint32 answer = vsm_tpm_code(rc);

    if (answer & TPM2_RC_FMT1) {
        /* Format 1: without the number of parameter, handle or session. */
        answer &= TPM2_RC_FMT1 | 0x3f;
    }
    return rc != TSS2_RC_SUCCESS && answer == code;
}

static bool is_busy(TSS2_RC rc)
{
    switch (vsm_tpm_code(rc)) {
    case TPM2_RC_NV_RATE:
    case TPM2_RC_LOCKOUT:
    case TPM2_RC_MEMORY:
    case TPM2_RC_OBJECT_MEMORY:
    case TPM2_RC_SESSION_MEMORY:
    case TPM2_RC_OBJECT_HANDLES:
    case TPM2_RC_SESSION_HANDLES:
    case TPM2_RC_CANCELED:
    case TPM2_RC_RETRY:
    case TPM2_RC_YIELDED:
    case TPM2_RC_TESTING:
        return true;
    default:
        return false;
    }
}

static bool lost_error(VsmTpm *tpm,
                       VsmTpmLinkEnd end,
                       TSS2_RC rc,
                       const char *what,
                       GError **error)
{
    const VsmTpmRequest *request = vsm_tpm_request();

    if (end == VSM_TPM_LINK_CANCELLED) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CANCELLED,
                    "cancelled while waiting for the TPM to %s", what);
    } else if (end != VSM_TPM_LINK_WAITED) {
        bool overdue = end == VSM_TPM_LINK_OVERDUE && request;

        g_set_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT,
                    "cannot %s: the TPM at '%s' did not answer within %s%u ms; "
                    "see whether it hangs",
                    what, tpm->text, overdue ? "the request's " : "",
                    overdue ? request->ms : tpm->command_ms);
    } else {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TPM_ABSENT,
                    "cannot %s: the TPM at '%s' cannot be reached (%s); start "
                    "it, or correct tcti=",
                    what, tpm->text, Tss2_RC_Decode(rc));
    }
    return false;
}

bool vsm_tpm_ok(VsmTpm *tpm, TSS2_RC rc, const char *what, GError **error)
{
    TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
    guint32 code = vsm_tpm_code(rc);

    if (rc == TSS2_RC_SUCCESS) {
        return true;
    }
    if (code) {
        g_set_error(error, VSM_ERROR,
                    is_busy(rc) ? VSM_ERROR_BUSY : VSM_ERROR_TPM,
                    "cannot %s: TPM: %s (0x%x)%s", what, Tss2_RC_Decode(rc),
                    code, is_busy(rc) ? "; try again later" : "");
        return false;
    }
    /*
     * An answer was lost or makes no sense.  ESYS refuses everything from now
     * on, so begin anew.
     */
    tpm->broken = true;
    if (layer == TSS2_TCTI_RC_LAYER ||
        (tpm->link && vsm_tpm_link_end(tpm->link))) {
        return lost_error(tpm, vsm_tpm_link_end(tpm->link), rc, what, error);
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_TPM,
                "cannot %s: answer of the TPM at '%s': %s (0x%x)", what,
                tpm->text, Tss2_RC_Decode(rc), rc);
    return false;
}

/* --- Connect ---------------------------------------------------------- */

static void disconnect(VsmTpm *tpm)
{
    if (tpm->esys) {
        Esys_Finalize(&tpm->esys);
    }
    if (tpm->link) {
        tpm->past_commands += vsm_tpm_link_commands(tpm->link);
        g_clear_pointer(&tpm->link, vsm_tpm_link_close);
    }
    tpm->generation++;
    tpm->broken = false;
}

/* Whether nobody between us and the TPM keeps clients apart. */
static bool is_direct(const char *text)
{
    return g_str_has_prefix(text, "swtpm") || g_str_has_prefix(text, "mssim") ||
           (g_str_has_prefix(text, "device:") && !strstr(text, "tpmrm"));
}

static bool flush_range(VsmTpm *tpm, guint32 first, GError **error)
{
    g_autofree TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more;
    TSS2_RC rc = Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE,
                                    ESYS_TR_NONE, TPM2_CAP_HANDLES, first,
                                    HANDLES_AT_ONCE, &more, &data);

    if (!vsm_tpm_ok(tpm, rc, "list the TPM's open handles", error)) {
        return false;
    }
    for (guint32 i = 0; i < data->data.handles.count; i++) {
        ESYS_TR tr = ESYS_TR_NONE;

        rc = Esys_TR_FromTPMPublic(tpm->esys, data->data.handles.handle[i],
                                   ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                   &tr);
        if (rc == TSS2_RC_SUCCESS) {
            rc = Esys_FlushContext(tpm->esys, tr);
        }
        /* What cannot be flushed may still be in nobody's way. */
        if (!vsm_tpm_code(rc) &&
            !vsm_tpm_ok(tpm, rc, "flush an open handle", error)) {
            return false;
        }
    }
    return true;
}

/* TPM2_TRANSIENT_FIRST without its shift of an int into the sign bit. */
#define TRANSIENT_FIRST 0x80000000u

/*
 * A client that died, or an answer that was lost, leaves objects and sessions
 * behind; three of each fill an swtpm.  Without a resource manager one client
 * at a time has the TPM, and that is us now.
 */
static bool flush_leftovers(VsmTpm *tpm, GError **error)
{
    return !is_direct(tpm->text) ||
           (flush_range(tpm, TRANSIENT_FIRST, error) &&
            flush_range(tpm, TPM2_LOADED_SESSION_FIRST, error));
}

static void append_text(GString *text, guint32 four)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        char c = four >> shift & 0xff;

        if (g_ascii_isprint(c)) {
            g_string_append_c(text, c);
        }
    }
}

static char *describe(const TPML_TAGGED_TPM_PROPERTY *list)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GString) vendor = g_string_new(NULL);
    guint32 firmware[2] = {0, 0};

    for (guint32 i = 0; i < list->count; i++) {
        const TPMS_TAGGED_PROPERTY *p = &list->tpmProperty[i];

        if (p->property == TPM2_PT_MANUFACTURER) {
            append_text(text, p->value);
        } else if (p->property >= TPM2_PT_VENDOR_STRING_1 &&
                   p->property <= TPM2_PT_VENDOR_STRING_4) {
            append_text(vendor, p->value);
        } else if (p->property == TPM2_PT_FIRMWARE_VERSION_1) {
            firmware[0] = p->value;
        } else if (p->property == TPM2_PT_FIRMWARE_VERSION_2) {
            firmware[1] = p->value;
        }
    }
    g_string_append_printf(text, " %s, firmware %u.%u", vendor->str,
                           firmware[0] >> 16, firmware[0] & 0xffff);
    if (firmware[1]) {
        g_string_append_printf(text, ".%u.%u", firmware[1] >> 16,
                               firmware[1] & 0xffff);
    }
    return g_strdup(g_strchug(text->str));
}

static TSS2_RC get_properties(VsmTpm *tpm, TPMS_CAPABILITY_DATA **ret)
{
    TPMI_YES_NO more;

    return Esys_GetCapability(
        tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
        TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER,
        TPM2_PT_FIRMWARE_VERSION_2 - TPM2_PT_MANUFACTURER + 1, &more, ret);
}

/* The first command on a connection: is it a TPM, and was it started? */
static bool greet(VsmTpm *tpm, GError **error)
{
    g_autofree TPMS_CAPABILITY_DATA *data = NULL;
    TSS2_RC rc = get_properties(tpm, &data);

    if (vsm_tpm_is(rc, TPM2_RC_INITIALIZE)) {
        rc = Esys_Startup(tpm->esys, TPM2_SU_CLEAR);
        if (!vsm_tpm_ok(tpm, rc, "start the TPM", error)) {
            return false;
        }
        rc = get_properties(tpm, &data);
    }
    if (!vsm_tpm_ok(tpm, rc, "read the TPM's properties", error)) {
        return false;
    }
    g_free(tpm->description);
    tpm->description = describe(&data->data.tpmProperties);
    return true;
}

static bool connect_now(VsmTpm *tpm, GError **error)
{
    TSS2_RC rc = vsm_tpm_link_open(tpm->text,
                                   tpm->own_transport ? &tpm->transport : NULL,
                                   tpm->command_ms, &tpm->link);

    if (rc == TSS2_TCTI_RC_MEMORY) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "no thread can be started for the TPM; try again later, "
                    "and see the limits of this process's tasks");
        return false;
    }
    if (rc != TSS2_RC_SUCCESS) {
        VsmTpmLinkEnd end = VSM_TPM_LINK_WAITED;

        if (rc == TSS2_TCTI_RC_TRY_AGAIN && !vsm_tpm_request_over(&end)) {
            end = VSM_TPM_LINK_TIMED_OUT;
        }
        return lost_error(tpm, end, rc, "connect", error);
    }
    rc = Esys_Initialize(&tpm->esys, vsm_tpm_link_tcti(tpm->link), NULL);
    return vsm_tpm_ok(tpm, rc, "set up the connection", error) &&
           greet(tpm, error) && flush_leftovers(tpm, error) &&
           (!tpm->keys || vsm_tpm_keys_bind(tpm, error));
}

static bool connect_if_needed(VsmTpm *tpm, GError **error)
{
    if (tpm->broken) {
        disconnect(tpm);
    }
    if (tpm->esys) {
        return true;
    }
    if (!connect_now(tpm, error)) {
        disconnect(tpm);
        return false;
    }
    return true;
}

/* --- Enter and leave -------------------------------------------------- */

void vsm_tpm_lock(VsmTpm *tpm)
{
    g_rec_mutex_lock(&tpm->mutex);
    tpm->depth++;
}

void vsm_tpm_unlock(VsmTpm *tpm)
{
    if (--tpm->depth == 0) {
        vsm_tpm_handle_clear(&tpm->commit_session);
    }
    g_rec_mutex_unlock(&tpm->mutex);
}

/* A request that is over must not cost the others the connection. */
static bool refuse_over(VsmTpm *tpm, GError **error)
{
    VsmTpmLinkEnd end;

    return vsm_tpm_request_over(&end) &&
           !lost_error(tpm, end, TSS2_RC_SUCCESS, "go on", error);
}

VsmTpmEntered *vsm_tpm_enter(VsmTpm *tpm, GError **error)
{
    vsm_tpm_lock(tpm);
    if (refuse_over(tpm, error) || !connect_if_needed(tpm, error)) {
        vsm_tpm_unlock(tpm);
        return NULL;
    }
    return tpm;
}

VsmTpmEntered *vsm_tpm_enter_keys(VsmTpm *tpm, GError **error)
{
    VsmTpmEntered *entered = vsm_tpm_enter(tpm, error);

    if (entered && !tpm->keys) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "the TPM's keys were neither set up nor opened");
        g_clear_pointer(&entered, vsm_tpm_leave);
    }
    return entered;
}

void vsm_tpm_leave(VsmTpmEntered *tpm)
{
    vsm_tpm_unlock(tpm);
}

/* --- Open and free ---------------------------------------------------- */

VsmTpm *vsm_tpm_open_over(const char *tcti,
                          const VsmTpmTransport *transport,
                          guint command_ms,
                          GError **error)
{
    g_autoptr(VsmTpm) tpm = g_new0(VsmTpm, 1);
    VsmTpmEntered *entered;

    g_rec_mutex_init(&tpm->mutex);
    tpm->text = g_strdup(tcti);
    tpm->command_ms = command_ms ?: VSM_TPM_COMMAND_MS;
    tpm->commit_session.tr = ESYS_TR_NONE;
    tpm->approval.tr = ESYS_TR_NONE;
    if (transport) {
        tpm->transport = *transport;
        tpm->own_transport = true;
    }
    entered = vsm_tpm_enter(tpm, error);
    if (!entered) {
        return NULL;
    }
    vsm_tpm_leave(entered);
    return g_steal_pointer(&tpm);
}

VsmTpm *vsm_tpm_open(const char *tcti, guint command_ms, GError **error)
{
    return vsm_tpm_open_over(tcti, NULL, command_ms, error);
}

void vsm_tpm_free(VsmTpm *tpm)
{
    if (!tpm) {
        return;
    }
    disconnect(tpm);
    for (guint i = 0; i < VSM_TPM_FIXED; i++) {
        vsm_secret_free(tpm->auth[i]);
    }
    vsm_secret_free(tpm->snapshot_auth);
    g_clear_pointer(&tpm->approval_ref, g_bytes_unref);
    g_clear_pointer(&tpm->keys, vsm_tpm_keys_free);
    g_free(tpm->approved);
    g_free(tpm->description);
    g_free(tpm->text);
    g_rec_mutex_clear(&tpm->mutex);
    g_free(tpm);
}

guint64 vsm_tpm_commands(VsmTpm *tpm)
{
    guint64 commands;

    vsm_tpm_lock(tpm);
    commands =
        tpm->past_commands + (tpm->link ? vsm_tpm_link_commands(tpm->link) : 0);
    vsm_tpm_unlock(tpm);
    return commands;
}

bool vsm_tpm_describe(VsmTpm *tpm, char **ret, GError **error)
{
    g_autoptr(VsmTpmEntered) entered = vsm_tpm_enter(tpm, error);

    if (!entered) {
        return false;
    }
    *ret = g_strdup(tpm->description);
    return true;
}
