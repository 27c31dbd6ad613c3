/*
 * The names of findings and profiles.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>
#include <vsm/runtime.h>

static const char *const kinds[] = {
    VSM_KIND_TEXT_BYTES,
    VSM_KIND_RODATA_BYTES,
    VSM_KIND_NEW_EXEC,
    VSM_KIND_GONE_EXEC,
    VSM_KIND_NEW_WX,
    VSM_KIND_REMAPPED,
    VSM_KIND_PERMISSIONS,
    VSM_KIND_RO_LOST,
    VSM_KIND_WRITABLE_ALIAS,
    VSM_KIND_TABLE_BYTES,
    VSM_KIND_REGISTER,
    VSM_KIND_NESTED,
    VSM_KIND_SMM,
    VSM_KIND_FOREIGN_ROOT,
    VSM_KIND_TRUNCATED,
    VSM_KIND_TRACED_FUNCTION,
    VSM_KIND_STATIC_CALL,
    VSM_KIND_JUMP_LABEL,
    VSM_KIND_JUMP_LABEL_INCONSISTENT,
    VSM_KIND_PATCH_IN_FLIGHT,
    VSM_KIND_JIT_BYTES,
    VSM_KIND_FIRMWARE_BYTES,
};

const char *vsm_scope_kind_intern(const char *kind)
{
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(kinds[i], kind) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

bool vsm_scope_profile_check(const char *profile, GError **error)
{
    if (!profile || strcmp(profile, VSM_PROFILE_STANDARD) == 0 ||
        strcmp(profile, VSM_PROFILE_STRICT) == 0) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "profile '%s' is not known: use standard or strict", profile);
    return false;
}

static bool is_transient(const VsmFinding *finding)
{
    return strcmp(finding->kind, VSM_KIND_PATCH_IN_FLIGHT) == 0 ||
           strcmp(finding->kind, VSM_KIND_JUMP_LABEL_INCONSISTENT) == 0;
}

bool vsm_scope_may_retry(const VsmVerdict *verdict)
{
    if (verdict->findings->len == 0 || verdict->findings_left_out) {
        return false;
    }
    for (guint i = 0; i < verdict->findings->len; i++) {
        if (!is_transient(g_ptr_array_index(verdict->findings, i))) {
            return false;
        }
    }
    return true;
}
