/*
 * The tables of all structs that cross the wire.
 *
 * A struct's members go in the order in which they are declared.  The test of
 * the protocol fails for a member that no table has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attester/messages.h"

#include <string.h>
#include <vsm/error.h>
#include <vsm/runtime.h>
#include "attester/protocol.h"
#include "base/limits.h"
#include "base/text.h"

/* Versions 14 and 19 differ in the braces of a macro. */
/* clang-format off */
/* A member: its type, and options such as .max. */
#define M(Struct, field, wire_type, ...)                                       \
    {                                                                          \
        .name = #field, .offset = offsetof(Struct, field),                     \
        .bytes = sizeof(((Struct *)0)->field), .type = VSM_WIRE_##wire_type,   \
        __VA_ARGS__                                                            \
    }
/* clang-format on */

#define OPTIONAL .null = true
#undef MAX
#define MAX(limit) .max = (limit)

#define TABLE(table, Struct, what, ...)                                        \
    const VsmWire vsm_wire_##table = {.name = what,                            \
                                      .bytes = sizeof(Struct),                 \
                                      .members = table##_members,              \
                                      .n_members =                             \
                                          G_N_ELEMENTS(table##_members),       \
                                      __VA_ARGS__}

/* --- What is said of a VM, a disk, a finding -------------------------- */

static const VsmWireMember vm_members[] = {
    M(VsmVm, uuid, TEXT, MAX(VSM_UUID_DIGITS)),
    M(VsmVm, name, TEXT, OPTIONAL, MAX(VSM_NAME_BYTES_MAX)),
    M(VsmVm, version, TEXT, OPTIONAL, MAX(VSM_NAME_BYTES_MAX)),
    M(VsmVm, config, TEXT, OPTIONAL, MAX(VSM_CONFIG_BYTES_MAX)),
    M(VsmVm, require_sealed, BOOL),
};
TABLE(vm, VsmVm, "VM");

static const VsmWireMember disk_members[] = {
    M(VsmDisk, device, TEXT, MAX(VSM_REASON_BYTES_MAX)),
    M(VsmDisk, bytes, U64),
    M(VsmDisk, vmstate, BOOL),
};
TABLE(disk, VsmDisk, "disk", .free = (GDestroyNotify)vsm_disk_free);

static const VsmWireMember container_members[] = {
    M(VsmContainer, kind, U8),
    M(VsmContainer, tag, TEXT, OPTIONAL, MAX(VSM_TAG_BYTES_MAX)),
    M(VsmContainer, date_sec, U32),
    M(VsmContainer, date_nsec, U32),
    M(VsmContainer, vm_clock_nsec, U64),
    M(VsmContainer, icount, U64),
    M(VsmContainer, vmstate_bytes, U64),
    M(VsmContainer,
      disks,
      STRUCTS,
      OPTIONAL,
      MAX(VSM_DISKS_MAX),
      .inner = &vsm_wire_disk),
};
TABLE(container, VsmContainer, "container");

/* Those of state.h and of runtime.h. */
static const char *intern_kind(const char *kind)
{
    static const char *const kinds[] = {
        "ram",     "vcpu",  "device", "geometry",
        "missing", "added", "body",   "skeleton",
    };

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(kinds[i], kind) == 0) {
            return kinds[i];
        }
    }
    return vsm_scope_kind_intern(kind);
}

static const VsmWireMember finding_members[] = {
    M(VsmFinding, kind, KIND, .intern = intern_kind),
    M(VsmFinding, where, TEXT, OPTIONAL, MAX(VSM_REASON_BYTES_MAX)),
    M(VsmFinding, offset, U64),
    M(VsmFinding, bytes, U64),
    M(VsmFinding, address, U64),
    M(VsmFinding, vcpu, U32),
    M(VsmFinding, sealed, BYTES, OPTIONAL, MAX(VSM_VALUE_BYTES_MAX)),
    M(VsmFinding, measured, BYTES, OPTIONAL, MAX(VSM_VALUE_BYTES_MAX)),
};
TABLE(finding, VsmFinding, "finding", .free = (GDestroyNotify)vsm_finding_free);

/* --- Requests --------------------------------------------------------- */

static const VsmWireMember seal_request_members[] = {
    M(VsmSealRequest, vm, STRUCT, .inner = &vsm_wire_vm),
    M(VsmSealRequest, tag, TEXT, MAX(VSM_TAG_BYTES_MAX)),
    M(VsmSealRequest, replace, BOOL),
    M(VsmSealRequest, expect_bytes, U64),
};
TABLE(seal_request, VsmSealRequest, "seal request");

static const VsmWireMember check_request_members[] = {
    M(VsmCheckRequest, vm, STRUCT, .inner = &vsm_wire_vm),
    M(VsmCheckRequest,
      purpose,
      U32,
      .min = VSM_PURPOSE_LOAD,
      MAX(VSM_PURPOSE_WATCH)),
    M(VsmCheckRequest, snapshot, TEXT, MAX(VSM_NAME_BYTES_MAX + 4)),
    M(VsmCheckRequest, nonce, BYTES, OPTIONAL, MAX(VSM_NONCE_BYTES_MAX)),
    M(VsmCheckRequest, recipient, TEXT, OPTIONAL, MAX(VSM_JWK_BYTES_MAX)),
    M(VsmCheckRequest, profile, TEXT, OPTIONAL, MAX(VSM_PROFILE_BYTES_MAX)),
};
TABLE(check_request, VsmCheckRequest, "check request");

static const VsmWireMember measured_members[] = {
    M(VsmMeasured, accepted, TEXTS, OPTIONAL, MAX(VSM_SECTIONS_MAX)),
    M(VsmMeasured,
      changed,
      STRUCTS,
      OPTIONAL,
      MAX(VSM_FINDINGS_MAX),
      .inner = &vsm_wire_finding),
    M(VsmMeasured, changed_left_out, U64),
    M(VsmMeasured, changed_pages, U64),
    M(VsmMeasured, bytes_hashed, U64),
    M(VsmMeasured, pause_ms, U32),
    M(VsmMeasured, unavailable, TEXT, OPTIONAL, MAX(VSM_REASON_BYTES_MAX)),
};
TABLE(measured, VsmMeasured, "measurement");

static const VsmWireMember nothing_members[] = {{NULL}};
const VsmWire vsm_wire_nothing = {
    .name = "nothing",
    .bytes = sizeof(VsmProtocolNothing),
    .members = nothing_members,
    .n_members = 0,
};

static const VsmWireMember hello_members[] = {
    M(VsmProtocolHello, version, TEXT, MAX(VSM_NAME_BYTES_MAX)),
};
TABLE(hello, VsmProtocolHello, "greeting");

static const VsmWireMember list_members[] = {
    M(VsmProtocolList, start, U32),
};
TABLE(list, VsmProtocolList, "list request");

static const VsmWireMember id_members[] = {
    M(VsmProtocolId, id, TEXT, MAX(VSM_ID_DIGITS)),
};
TABLE(id, VsmProtocolId, "snapshot id");

static const VsmWireMember put_members[] = {
    M(VsmProtocolPut,
      part,
      U8,
      .min = VSM_PART_MANIFEST,
      MAX(VSM_PART_SKELETON)),
    M(VsmProtocolPut, offset, U64),
    M(VsmProtocolPut, bytes, BYTES, MAX(VSM_PIECE_BYTES_MAX)),
};
TABLE(put, VsmProtocolPut, "put");

static const VsmWireMember seal_finish_members[] = {
    M(VsmProtocolSealFinish, container, STRUCT, .inner = &vsm_wire_container),
    M(VsmProtocolSealFinish,
      scope_reason,
      TEXT,
      OPTIONAL,
      MAX(VSM_REASON_BYTES_MAX)),
};
TABLE(seal_finish, VsmProtocolSealFinish, "end of a save");

static const VsmWireMember get_members[] = {
    M(VsmProtocolGet,
      part,
      U8,
      .min = VSM_PART_MANIFEST,
      MAX(VSM_PART_SKELETON)),
    M(VsmProtocolGet, offset, U64),
    M(VsmProtocolGet, bytes, U32, MAX(VSM_PIECE_BYTES_MAX)),
};
TABLE(get, VsmProtocolGet, "get");

/* --- Answers ---------------------------------------------------------- */

static const VsmWireMember bytes_members[] = {
    M(VsmProtocolBytes, bytes, BYTES, MAX(VSM_PIECE_BYTES_MAX)),
};
TABLE(bytes, VsmProtocolBytes, "piece");

/* Callers look at these without asking, unless the record is damaged. */
static bool check_record(gconstpointer value, GError **error)
{
    const VsmRecord *record = value;

    if (!vsm_text_is_id(record->id) || !vsm_text_is_uuid(record->vm_uuid)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "a record without id or VM uuid");
        return false;
    }
    if (record->damaged ||
        (record->tag && record->vm_name && record->config && record->ssk_name &&
         record->sealed_name && record->pcr_bank && record->container.tag &&
         record->container.disks)) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                "snapshot %s: its record has gaps", record->id);
    return false;
}

static const VsmWireMember record_members[] = {
    M(VsmRecord, id, TEXT, MAX(VSM_ID_DIGITS)),
    M(VsmRecord, tag, TEXT, OPTIONAL, MAX(VSM_TAG_BYTES_MAX)),
    M(VsmRecord, vm_uuid, TEXT, MAX(VSM_UUID_DIGITS)),
    M(VsmRecord, vm_name, TEXT, OPTIONAL, MAX(VSM_NAME_BYTES_MAX)),
    M(VsmRecord, time, I64),
    M(VsmRecord, state, DIGEST),
    M(VsmRecord, stream, DIGEST),
    M(VsmRecord, scope, DIGEST),
    M(VsmRecord, scope_reason, TEXT, OPTIONAL, MAX(VSM_REASON_BYTES_MAX)),
    M(VsmRecord, metadata, DIGEST),
    M(VsmRecord, hypervisor, DIGEST),
    M(VsmRecord, config, TEXT, OPTIONAL, MAX(VSM_CONFIG_BYTES_MAX)),
    M(VsmRecord, ssk_name, BYTES, OPTIONAL, MAX(VSM_TPM_NAME_BYTES_MAX)),
    M(VsmRecord, sealed_name, BYTES, OPTIONAL, MAX(VSM_TPM_NAME_BYTES_MAX)),
    M(VsmRecord, pcr_bank, TEXT, OPTIONAL, MAX(VSM_NAME_BYTES_MAX)),
    M(VsmRecord, boot_pcrs, U32),
    M(VsmRecord, commit, DIGEST),
    M(VsmRecord, container, STRUCT, .inner = &vsm_wire_container),
    M(VsmRecord, has_mark, BOOL),
    M(VsmRecord, listed, BOOL),
    M(VsmRecord,
      damaged,
      TEXT,
      OPTIONAL,
      .cut = true,
      MAX(VSM_ERROR_TEXT_BYTES_MAX)),
};
TABLE(record,
      VsmRecord,
      "record",
      .check = check_record,
      .free = (GDestroyNotify)vsm_record_free);

/* How many fit in one message is the sender's affair. */
static const VsmWireMember records_members[] = {
    M(VsmProtocolRecords, total, U32),
    M(VsmProtocolRecords,
      records,
      STRUCTS,
      MAX(VSM_MESSAGE_BYTES_MAX),
      .inner = &vsm_wire_record),
};
TABLE(records, VsmProtocolRecords, "list");

static const VsmWireMember verdict_members[] = {
    M(VsmVerdict,
      result,
      U8,
      .min = VSM_RESULT_MATCH,
      MAX(VSM_RESULT_UNAVAILABLE)),
    M(VsmVerdict,
      reason,
      TEXT,
      OPTIONAL,
      .cut = true,
      MAX(VSM_REASON_BYTES_MAX)),
    M(VsmVerdict,
      findings,
      STRUCTS,
      MAX(VSM_FINDINGS_MAX),
      .inner = &vsm_wire_finding),
    M(VsmVerdict, findings_left_out, U64),
    M(VsmVerdict, host_clock, TEXTS, MAX(VSM_TEXTS_MAX)),
    M(VsmVerdict, accepted, TEXTS, MAX(VSM_TEXTS_MAX)),
    M(VsmVerdict, tolerated, TEXTS, OPTIONAL, MAX(VSM_TEXTS_MAX)),
    M(VsmVerdict, unattested, TEXTS, OPTIONAL, MAX(VSM_TEXTS_MAX)),
    M(VsmVerdict, measured, DIGEST),
    M(VsmVerdict, unsealed, BOOL),
    M(VsmVerdict, report, TEXT, OPTIONAL, MAX(VSM_REPORT_BYTES_MAX)),
};
TABLE(verdict, VsmVerdict, "verdict", .free = (GDestroyNotify)vsm_verdict_free);

static const VsmWireMember status_members[] = {
    M(VsmStatus, kind, TEXT, MAX(VSM_NAME_BYTES_MAX)),
    M(VsmStatus, measured_by, TEXT, MAX(VSM_NAME_BYTES_MAX)),
    M(VsmStatus, tpm, TEXT, .cut = true, MAX(VSM_REASON_BYTES_MAX)),
    M(VsmStatus, pcr_bank, TEXT, MAX(VSM_NAME_BYTES_MAX)),
    M(VsmStatus, boot_policy, TEXT, MAX(VSM_NAME_BYTES_MAX)),
    M(VsmStatus, ak_jwk, TEXT, MAX(VSM_JWK_BYTES_MAX)),
    M(VsmStatus, rk_jwk, TEXT, MAX(VSM_JWK_BYTES_MAX)),
    M(VsmStatus,
      last_error,
      TEXT,
      OPTIONAL,
      .cut = true,
      MAX(VSM_ERROR_TEXT_BYTES_MAX)),
    M(VsmStatus, boot_pcrs, U32),
    M(VsmStatus, boot_approved, BOOL),
    M(VsmStatus, boot_measured, BOOL),
    M(VsmStatus, hypervisor_measured, BOOL),
    M(VsmStatus, hypervisor, DIGEST),
    M(VsmStatus, config, DIGEST),
    M(VsmStatus, commit, DIGEST),
};
TABLE(status, VsmStatus, "status", .free = (GDestroyNotify)vsm_status_free);

static const VsmWireMember error_members[] = {
    M(VsmProtocolError, code, U32, .min = VSM_ERROR_INVALID, MAX(G_MAXINT16)),
    M(VsmProtocolError, text, TEXT, .cut = true, MAX(VSM_ERROR_TEXT_BYTES_MAX)),
};
TABLE(error, VsmProtocolError, "error");
