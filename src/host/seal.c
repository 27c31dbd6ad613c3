/*
 * A save on the attester's side: begin, parts, seal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/codec.h"
#include "base/limits.h"
#include "core/document.h"
#include "core/manifest.h"
#include "host/local.h"

void vsm_local_seal_clear(VsmLocalSeal *seal)
{
    g_clear_pointer(&seal->folder, vsm_folder_free);
    g_free(seal->id);
    g_free(seal->tag);
    vsm_tpm_object_clear(&seal->ssk);
    for (guint i = 0; i < G_N_ELEMENTS(seal->documents); i++) {
        g_clear_pointer(&seal->documents[i], g_byte_array_unref);
    }
    *seal = (VsmLocalSeal){NULL};
}

bool vsm_local_seal_begin(VsmAttester *attester,
                          const VsmSealRequest *request,
                          char **ret_id,
                          GCancellable *cancel,
                          GError **error)
{
    VsmLocal *self = VSM_LOCAL(attester);
    g_auto(VsmTpmRequest) bounds = vsm_local_request(self, cancel);
    VsmLocalSeal *seal = &self->seal;
    guint8 random[16];

    vsm_tpm_request_set(&bounds);
    if (vsm_local_cancelled(cancel, error) ||
        !vsm_local_expect(self, VSM_LOCAL_IDLE, error) ||
        !vsm_local_set_vm(self, &request->vm, error) ||
        !vsm_random(random, sizeof(random), error) ||
        !vsm_local_admit(self, request, error)) {
        return false;
    }
    seal->id = vsm_codec_hex(random, sizeof(random));
    seal->tag = g_strdup(request->tag);
    seal->replace = request->replace;
    seal->expect_bytes = request->expect_bytes;
    self->state = VSM_LOCAL_SEAL;
    seal->folder =
        vsm_folder_make(self->host->store, self->uuid, seal->id, error);
    if (!seal->folder ||
        !vsm_tpm_ssk_create(self->host->tpm, &seal->ssk, error)) {
        vsm_local_end(self);
        return false;
    }
    *ret_id = g_strdup(seal->id);
    return true;
}

/* Most bytes that @part may have by itself. */
static guint64 part_max(VsmPart part)
{
    switch (part) {
    case VSM_PART_MANIFEST:
        return VSM_MANIFEST_BYTES_MAX;
    case VSM_PART_STREAM:
        return VSM_STREAM_DOCUMENT_BYTES_MAX;
    case VSM_PART_SCOPE:
        return VSM_SCOPE_BYTES_MAX;
    default:
        return VSM_STREAM_BYTES_MAX;
    }
}

/*
 * What is sealed is what was measured, so its bytes are kept: a store that
 * answers with others must not have those sealed.
 */
static void keep_document(VsmLocalSeal *seal, VsmPart part, GBytes *bytes)
{
    if (part != VSM_PART_MANIFEST && part != VSM_PART_STREAM &&
        part != VSM_PART_SCOPE) {
        return;
    }
    if (!seal->documents[part]) {
        seal->documents[part] = g_byte_array_new();
    }
    g_byte_array_append(seal->documents[part], g_bytes_get_data(bytes, NULL),
                        g_bytes_get_size(bytes));
}

bool vsm_local_seal_put(
    VsmLocal *self, VsmPart part, guint64 offset, GBytes *bytes, GError **error)
{
    VsmLocalSeal *seal = &self->seal;
    gsize length = g_bytes_get_size(bytes);
    guint64 left = seal->expect_bytes - seal->bytes;

    if (length > part_max(part) - MIN(offset, part_max(part)) ||
        length > left) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "snapshot %s: its %s is longer than what was announced, "
                    "%" G_GUINT64_FORMAT " bytes for all parts",
                    seal->id, vsm_part_name(part), seal->expect_bytes);
        return false;
    }
    if (!vsm_folder_put(seal->folder, part, offset, bytes, error)) {
        return false;
    }
    seal->bytes += length;
    keep_document(seal, part, bytes);
    return true;
}

/* The document as it was put; the store must give the same. */
static bool
read_part(VsmLocal *self, VsmPart part, GBytes **ret, GError **error)
{
    const GByteArray *put = self->seal.documents[part];
    g_autoptr(GBytes) kept =
        g_bytes_new(put ? put->data : NULL, put ? put->len : 0);
    g_autoptr(GBytes) stored = NULL;

    if (!vsm_folder_get(self->seal.folder, part, 0, part_max(part), &stored,
                        error)) {
        return false;
    }
    if (!g_bytes_equal(stored, kept)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "snapshot %s: the store does not give back the %s that was "
                    "written to it; it is not sealed, check the storage",
                    self->seal.id, vsm_part_name(part));
        return false;
    }
    *ret = g_steal_pointer(&kept);
    return true;
}

static bool wrong_length(GError **error,
                         VsmLocal *self,
                         const char *what,
                         guint64 is,
                         guint64 should)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "snapshot %s: its %s has %" G_GUINT64_FORMAT
                " bytes where %" G_GUINT64_FORMAT " belong",
                self->seal.id, what, is, should);
    return false;
}

/* The documents can be read again, and the bulk is as long as they say. */
static bool check_parts(VsmLocal *self,
                        const VsmContainer *container,
                        GBytes *manifest,
                        GBytes *stream,
                        GError **error)
{
    static const VsmPart bulk[] = {VSM_PART_MAP, VSM_PART_LEAVES,
                                   VSM_PART_SKELETON};
    g_autoptr(VsmManifest) decoded = vsm_manifest_decode(manifest, error);
    VsmDocument document;

    if (!decoded || !vsm_document_decode(stream, &document, error)) {
        return false;
    }
    if (container->vmstate_bytes < document.bytes) {
        return wrong_length(error, self, "container", container->vmstate_bytes,
                            document.bytes);
    }
    for (guint i = 0; i < G_N_ELEMENTS(bulk); i++) {
        guint64 is, should = vsm_document_part_bytes(&document, bulk[i]);

        if (!vsm_folder_length(self->seal.folder, bulk[i], &is, error)) {
            return false;
        }
        if (is != should) {
            return wrong_length(error, self, vsm_part_name(bulk[i]), is,
                                should);
        }
    }
    return true;
}

static VsmTpmBlob to_blob(const VsmTpmObject *object)
{
    return (VsmTpmBlob){
        .name = g_bytes_ref(object->name),
        .public_area = g_bytes_ref(object->public_area),
        .private_area = g_bytes_ref(object->private_area),
    };
}

/* Seals the digest over the three documents; fills @metadata's TPM part. */
static bool seal_digest(VsmLocal *self, VsmMetadata *metadata, GError **error)
{
    VsmHost *host = self->host;
    VsmTpmBinding binding;
    g_auto(VsmTpmObject) sealed = {NULL};
    const char *config = self->vm.config;
    VsmDigest digest;

    if (!vsm_local_read_boot(self, &binding.boot, error) ||
        !vsm_hypervisor_refresh(self->hypervisor, error) ||
        !vsm_sha384(config, strlen(config), &binding.config, error) ||
        !vsm_seal_digest(&metadata->state, &metadata->stream, &metadata->scope,
                         &digest, error)) {
        return false;
    }
    binding.hypervisor = *vsm_hypervisor_digest(self->hypervisor);
    if (!vsm_tpm_seal(host->tpm, &self->seal.ssk, &binding, &digest, &sealed,
                      error)) {
        return false;
    }
    metadata->ssk = to_blob(&self->seal.ssk);
    metadata->sealed = to_blob(&sealed);
    metadata->pcr_bank = g_strdup(vsm_tpm_bank_name(binding.boot.bank));
    metadata->boot_pcrs = binding.boot.mask;
    metadata->pcr_values = vsm_tpm_pcrs_pack(&binding.boot);
    metadata->unmeasured_boot = vsm_tpm_pcrs_zero(&binding.boot);
    metadata->hypervisor = binding.hypervisor;
    self->seal.hypervisor = binding.hypervisor;
    return true;
}

static VsmMetadata *describe(VsmLocal *self,
                             const VsmContainer *container,
                             const char *scope_reason)
{
    VsmMetadata *metadata = vsm_metadata_new();
    bool operator_approves = vsm_tpm_keys(self->host->tpm)->boot_index != 0;

    metadata->id = g_strdup(self->seal.id);
    metadata->tag = g_strdup(self->seal.tag);
    metadata->vm_uuid = g_strdup(self->uuid);
    metadata->vm_name = g_strdup(self->vm.name);
    metadata->vm_version = g_strdup(self->vm.version);
    metadata->config = g_strdup(self->vm.config);
    metadata->time = g_get_real_time() / G_USEC_PER_SEC;
    metadata->scope_reason = g_strdup(scope_reason);
    metadata->attester = g_strdup(vsm_host_kind_name(self->host->kind));
    metadata->measured_by = g_strdup(vsm_local_measured_by(self));
    metadata->boot_policy = g_strdup(operator_approves ? "operator" : "frozen");
    vsm_container_copy(container, &metadata->container);
    return metadata;
}

static bool digest_documents(VsmLocal *self,
                             const VsmContainer *container,
                             VsmMetadata *metadata,
                             GError **error)
{
    g_autoptr(GBytes) manifest = NULL;
    g_autoptr(GBytes) stream = NULL;
    g_autoptr(GBytes) scope = NULL;

    if (!read_part(self, VSM_PART_MANIFEST, &manifest, error) ||
        !read_part(self, VSM_PART_STREAM, &stream, error) ||
        !read_part(self, VSM_PART_SCOPE, &scope, error) ||
        !check_parts(self, container, manifest, stream, error)) {
        return false;
    }
    if (!g_bytes_get_size(scope) == !metadata->scope_reason) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "snapshot %s: a runtime scope, or the reason why there is "
                    "none",
                    self->seal.id);
        return false;
    }
    return vsm_sha384_bytes(manifest, &metadata->state, error) &&
           vsm_sha384_bytes(stream, &metadata->stream, error) &&
           (metadata->scope_reason ||
            vsm_sha384_bytes(scope, &metadata->scope, error));
}

static bool
write_metadata(VsmLocal *self, const VsmMetadata *metadata, GError **error)
{
    g_autoptr(GBytes) bytes = vsm_metadata_encode(metadata, error);
    VsmFolder *folder = self->seal.folder;

    return bytes && vsm_sha384_bytes(bytes, &self->seal.metadata, error) &&
           vsm_folder_sync(folder, error) &&
           vsm_file_replace(vsm_folder_dir(folder), VSM_FILE_METADATA, bytes,
                            error);
}

bool vsm_local_seal_finish(VsmAttester *attester,
                           const VsmContainer *container,
                           const char *scope_reason,
                           GCancellable *cancel,
                           GError **error)
{
    VsmLocal *self = VSM_LOCAL(attester);
    g_auto(VsmTpmRequest) bounds = vsm_local_request(self, cancel);
    g_autoptr(VsmMetadata) metadata = NULL;

    vsm_tpm_request_set(&bounds);
    if (vsm_local_cancelled(cancel, error) ||
        !vsm_local_expect(self, VSM_LOCAL_SEAL, error)) {
        return false;
    }
    if (strcmp(container->tag, self->seal.tag)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "snapshot \"%s\": its container bears the tag \"%s\"",
                    self->seal.tag, container->tag);
        return false;
    }
    metadata = describe(self, container, scope_reason);
    if (!vsm_host_mark_mac(self->host, metadata, &metadata->mark_mac, error) ||
        !digest_documents(self, container, metadata, error) ||
        !seal_digest(self, metadata, error) ||
        !write_metadata(self, metadata, error)) {
        return false;
    }
    self->state = VSM_LOCAL_SEALED;
    return true;
}
