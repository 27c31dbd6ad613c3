/*
 * The metadata of a snapshot, and the seal digest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/attester.h>

/* A TPM object: Name, TPM2B_PUBLIC and TPM2B_PRIVATE as the TPM marshals. */
typedef struct {
    GBytes *name, *public_area, *private_area;
} VsmTpmBlob;

typedef struct {
    char *id; /* 32 hex digits */
    char *vm_uuid, *vm_name, *vm_version; /* the last two are claims */
    char *tag;
    gint64 time; /* seconds since 1970, the attester's clock */
    VsmContainer container;
    VsmDigest state, stream, scope; /* scope: zero bytes when absent */
    char *scope_reason; /* why there is no scope; NULL when there is one */
    VsmTpmBlob ssk, sealed;
    char *pcr_bank; /* "sha384" or "sha256" */
    guint32 boot_pcrs; /* bit mask */
    GBytes *pcr_values; /* of boot_pcrs in ascending order, concatenated */
    VsmDigest hypervisor;
    char *config;
    char *attester; /* "in-process" or "daemon" */
    char *measured_by; /* who measured the hypervisor */
    char *boot_policy; /* "frozen" or "operator" */
    bool unmeasured_boot; /* all-zero boot PCRs were allowed */
    VsmDigest mark_mac; /* by the host secret over id and container */
    /* What the operator signed when it was resealed, and the signature (DER);
     * both NULL: never resealed. */
    GBytes *reseal_request, *reseal_signature;
} VsmMetadata;

/* Errors: INVALID (a field that decode would refuse), LIMIT. */
GBytes *vsm_metadata_encode(const VsmMetadata *metadata, GError **error);

/* Everything is checked: FORMAT, LIMIT. */
VsmMetadata *vsm_metadata_decode(GBytes *bytes, GError **error);

/* Zeroed; fields are owned by the struct, g_free() and g_bytes_unref(). */
VsmMetadata *vsm_metadata_new(void);
void vsm_metadata_free(VsmMetadata *metadata);

/**
 * vsm_metadata_record:
 * @bytes: the metadata as stored, for its digest
 *
 * Returns: (transfer full): a record with @listed false and a zero commit
 */
VsmRecord *
vsm_metadata_record(const VsmMetadata *metadata, GBytes *bytes, GError **error);

/* @ret (zeroed) becomes a deep copy of @container. */
void vsm_container_copy(const VsmContainer *container, VsmContainer *ret);

/**
 * vsm_seal_digest:
 * @scope: SHA-384 of the scope document, or zero bytes
 *
 * SHA-384("VSM-SNAP-1" || state || stream || scope): what the TPM seals.
 */
bool vsm_seal_digest(const VsmDigest *state,
                     const VsmDigest *stream,
                     const VsmDigest *scope,
                     VsmDigest *ret,
                     GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmMetadata, vsm_metadata_free)
