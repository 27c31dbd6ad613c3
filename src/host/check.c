/*
 * A load, attest or verify on the attester's side: policy, proof, verdict.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/limits.h"
#include "host/config.h"
#include "host/local.h"
#include "host/reseal.h"
#include "report/binding.h"
#include "report/jwk.h"

void vsm_local_check_clear(VsmLocalCheck *check)
{
    g_clear_pointer(&check->folder, vsm_folder_free);
    g_clear_pointer(&check->record, vsm_record_free);
    g_clear_pointer(&check->metadata, vsm_metadata_free);
    for (guint i = 0; i < VSM_PARTS; i++) {
        g_clear_pointer(&check->documents[i], g_bytes_unref);
    }
    g_clear_pointer(&check->measured, g_byte_array_unref);
    g_clear_pointer(&check->nonce, g_bytes_unref);
    g_free(check->asked);
    g_free(check->recipient);
    g_free(check->profile);
    g_free(check->thumbprint);
    vsm_tpm_evidence_clear(&check->quote);
    *check = (VsmLocalCheck){.folder = NULL};
}

static bool allow_recipient(VsmLocal *self, GError **error)
{
    const char *const *allowed = (const char *const *)self->host->recipients;
    const char *thumbprint = self->check.thumbprint;

    if (!allowed || g_strv_contains(allowed, thumbprint)) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_DENIED,
                "reports may not be encrypted for the key %s; the host's "
                "operator may add it to the allowed recipients",
                thumbprint);
    return false;
}

static bool is_runtime(VsmPurpose purpose)
{
    return purpose == VSM_PURPOSE_RUNTIME || purpose == VSM_PURPOSE_WATCH;
}

static bool check_profile(const VsmCheckRequest *request, GError **error)
{
    static const char *const profiles[] = {"standard", "strict", NULL};
    bool fits =
        is_runtime(request->purpose)
            ? request->profile && g_strv_contains(profiles, request->profile)
            : !request->profile;

    if (!fits) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "the runtime scope has the profile standard or strict, "
                    "the others have none");
    }
    return fits;
}

/* What can be refused without looking at the store or the TPM. */
static bool
check_request(VsmLocal *self, const VsmCheckRequest *request, GError **error)
{
    VsmLocalCheck *check = &self->check;

    if (!check_profile(request, error)) {
        return false;
    }
    if (request->nonce && !request->vm.config) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "no report can be made without the VM: nothing is "
                    "unsealed; ask without a nonce");
        return false;
    }
    if (request->recipient &&
        (!vsm_jwk_recipient(request->recipient, &check->thumbprint, error) ||
         !allow_recipient(self, error))) {
        return false;
    }
    check->purpose = request->purpose;
    check->asked = g_strdup(request->snapshot);
    check->recipient = g_strdup(request->recipient);
    check->profile = g_strdup(request->profile ? request->profile : "");
    check->nonce = request->nonce ? g_bytes_ref(request->nonce) : NULL;
    return true;
}

static bool refuse_config(VsmLocal *self, GError **error)
{
    const VsmMetadata *metadata = self->check.metadata;
    g_autofree char *lines = vsm_config_diff(metadata->config, self->vm.config);

    if (!lines) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_CONFIG,
                "snapshot \"%s\": the VM's configuration is not the one that "
                "it was sealed with: %s; start the VM with the same "
                "configuration",
                metadata->tag, lines);
    return false;
}

static bool refuse_hypervisor(VsmLocal *self, GError **error)
{
    const VsmMetadata *metadata = self->check.metadata;
    const VsmDigest *now = vsm_hypervisor_digest(self->hypervisor);
    g_autofree char *was_hex = NULL;
    g_autofree char *now_hex = NULL;
    const char *added = vsm_hypervisor_added(self->hypervisor);

    if (vsm_digest_equal(now, &metadata->hypervisor)) {
        return true;
    }
    was_hex = vsm_digest_hex(&metadata->hypervisor);
    now_hex = vsm_digest_hex(now);
    g_set_error(error, VSM_ERROR, VSM_ERROR_HYPERVISOR,
                "snapshot \"%s\": the hypervisor's files are not those that it "
                "was sealed with (sealed %.16s..., now %.16s..., version text "
                "sealed \"%s\", now \"%s\"%s%s); use the same build and "
                "libraries",
                metadata->tag, was_hex, now_hex, metadata->vm_version,
                self->vm.version, *added ? ", loaded since the start: " : "",
                added);
    return false;
}

/* Boot state, hypervisor, configuration: in this order, VM untouched. */
static bool check_policy(VsmLocal *self, VsmTpmBinding *ret, GError **error)
{
    VsmHost *host = self->host;
    const VsmMetadata *metadata = self->check.metadata;
    const char *config = self->vm.config;
    bool lenient = host->allow_unmeasured_boot && metadata->unmeasured_boot;
    /* An operator approves what the host binds now, not what it bound then. */
    guint32 mask = vsm_tpm_keys(host->tpm)->boot_index ? host->boot_pcrs
                                                       : metadata->boot_pcrs;
    VsmTpmPcrs sealed;

    if (!vsm_hypervisor_refresh(self->hypervisor, error) ||
        !vsm_sha384(config, strlen(config), &ret->config, error) ||
        !vsm_tpm_pcrs_unpack(vsm_tpm_bank_from_name(metadata->pcr_bank),
                             metadata->boot_pcrs, metadata->pcr_values, &sealed,
                             error) ||
        !vsm_tpm_read_boot(host->tpm, mask, lenient, &ret->boot, error)) {
        return false;
    }
    ret->hypervisor = *vsm_hypervisor_digest(self->hypervisor);
    if (vsm_local_trust_tpm_alone) {
        return true;
    }
    return vsm_host_boot_check(host, &ret->boot, &sealed, error) &&
           refuse_hypervisor(self, error) && refuse_config(self, error);
}

static VsmTpmObject to_object(const VsmTpmBlob *blob)
{
    return (VsmTpmObject){
        .name = blob->name,
        .public_area = blob->public_area,
        .private_area = blob->private_area,
    };
}

static bool quote_extra(VsmLocal *self, VsmDigest *ret, GError **error)
{
    const VsmLocalCheck *check = &self->check;
    VsmRequestText request = {
        .op = vsm_local_op(check->purpose),
        .asked = check->asked,
        .scope = vsm_local_scope(check->purpose),
        .profile = check->profile,
        .recipient = check->thumbprint ? check->thumbprint : "",
        .vm_uuid = self->uuid,
    };

    return vsm_binding_quote(
        check->nonce, vsm_tpm_keys(self->host->tpm)->rk_name,
        check->metadata->sealed.name, &request, ret, error);
}

static bool unseal(VsmLocal *self, const VsmTpmBinding *binding, GError **error)
{
    VsmLocalCheck *check = &self->check;
    const VsmMetadata *metadata = check->metadata;
    const VsmTpmObject ssk = to_object(&metadata->ssk);
    const VsmTpmObject sealed = to_object(&metadata->sealed);
    VsmDigest extra, expected, unsealed;

    if ((check->nonce && !quote_extra(self, &extra, error)) ||
        !vsm_seal_digest(&metadata->state, &metadata->stream, &metadata->scope,
                         &expected, error) ||
        !vsm_tpm_unseal(self->host->tpm, &ssk, &sealed, binding,
                        check->nonce ? &extra : NULL, &unsealed,
                        check->nonce ? &check->quote : NULL, error)) {
        return false;
    }
    if (!vsm_digest_equal(&unsealed, &expected)) {
        return vsm_local_tampered(
            self, VSM_FILE_METADATA,
            "the TPM released another digest than it states", error);
    }
    check->seal = unsealed;
    check->unsealed = true;
    check->hypervisor = binding->hypervisor;
    check->pcrs = binding->boot;
    check->unmeasured_boot = vsm_tpm_pcrs_zero(&binding->boot);
    vsm_tpm_pcr_vm(&check->pcrs, &binding->hypervisor, &binding->config);
    return true;
}

static bool find_record(VsmLocal *self, GError **error)
{
    VsmHost *host = self->host;
    VsmLocalCheck *check = &self->check;
    const VsmEntry *entry;
    bool ok;

    if (!vsm_host_lock(host, error)) {
        return false;
    }
    ok = vsm_host_find(host, self->uuid, check->asked, &check->record, error);
    if (ok) {
        entry =
            vsm_catalogue_find(host->catalogue, self->uuid, check->record->id);
        ok = vsm_host_metadata(host, self->uuid, check->record->id, entry,
                               &check->metadata, NULL, error) &&
             vsm_reseal_check(host, check->metadata, error);
    }
    vsm_host_unlock(host);
    return ok;
}

static bool
begin(VsmLocal *self, const VsmCheckRequest *request, GError **error)
{
    VsmLocalCheck *check = &self->check;
    VsmTpmBinding binding;

    if (!check_request(self, request, error) || !find_record(self, error)) {
        return false;
    }
    if (!self->vm.config) {
        return vsm_local_read_record(self, error) &&
               vsm_seal_digest(&check->metadata->state,
                               &check->metadata->stream,
                               &check->metadata->scope, &check->seal, error);
    }
    return check_policy(self, &binding, error) &&
           vsm_local_read_record(self, error) && unseal(self, &binding, error);
}

/* The caller's own copy of the record. */
static VsmRecord *
copy_record(const VsmLocalCheck *check, GBytes *metadata, GError **error)
{
    VsmRecord *record = vsm_metadata_record(check->metadata, metadata, error);

    if (record) {
        record->has_mark = true;
        record->listed = true;
        record->commit = check->record->commit;
    }
    return record;
}

bool vsm_local_check_begin(VsmAttester *attester,
                           const VsmCheckRequest *request,
                           VsmRecord **ret,
                           GCancellable *cancel,
                           GError **error)
{
    VsmLocal *self = VSM_LOCAL(attester);
    g_auto(VsmTpmRequest) bounds = vsm_local_request(self, cancel);
    g_autoptr(VsmMetadata) again = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) why = NULL;
    VsmRecord *record = NULL;
    VsmEntry entry = {.uuid = ""};

    vsm_tpm_request_set(&bounds);
    if (vsm_local_cancelled(cancel, error) ||
        !vsm_local_expect(self, VSM_LOCAL_IDLE, error) ||
        !vsm_local_set_vm(self, &request->vm, error)) {
        return false;
    }
    self->state = VSM_LOCAL_CHECK;
    self->check.measured = g_byte_array_new();
    if (begin(self, request, &why)) {
        entry.metadata = self->check.record->metadata;
        if (vsm_host_metadata(self->host, self->uuid, self->check.record->id,
                              &entry, &again, &bytes, &why)) {
            record = copy_record(&self->check, bytes, &why);
        }
    }
    if (!record) {
        /* "Never sealed" is said of a snapshot, not of a key that is gone. */
        if (self->check.record && why->code == VSM_ERROR_NOT_FOUND) {
            why->code = VSM_ERROR_TPM;
        }
        g_propagate_error(error, g_steal_pointer(&why));
        vsm_local_end(self);
        return false;
    }
    *ret = record;
    return true;
}

bool vsm_local_get(VsmAttester *attester,
                   VsmPart part,
                   guint64 offset,
                   gsize bytes,
                   GBytes **ret,
                   GCancellable *cancel,
                   GError **error)
{
    VsmLocal *self = VSM_LOCAL(attester);
    GBytes *document = self->check.documents[part];
    gsize length = document ? g_bytes_get_size(document) : 0;

    if (vsm_local_cancelled(cancel, error) ||
        !vsm_local_expect(self, VSM_LOCAL_CHECK, error)) {
        return false;
    }
    if (document) {
        offset = MIN(offset, length);
        *ret = g_bytes_new_from_bytes(document, offset,
                                      MIN(bytes, length - offset));
        return true;
    }
    return vsm_folder_get(self->check.folder, part, offset, bytes, ret, error);
}

bool vsm_local_check_put(
    VsmLocal *self, VsmPart part, guint64 offset, GBytes *bytes, GError **error)
{
    VsmLocalCheck *check = &self->check;
    VsmPart wanted = is_runtime(check->purpose)             ? VSM_PART_SCOPE
                     : check->purpose == VSM_PURPOSE_STORED ? VSM_PART_STREAM
                                                            : VSM_PART_MANIFEST;
    gsize max =
        wanted == VSM_PART_SCOPE ? VSM_SCOPE_BYTES_MAX : VSM_MANIFEST_BYTES_MAX;
    gsize length;
    gconstpointer data = g_bytes_get_data(bytes, &length);

    if (part != wanted || offset != check->measured->len) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "this check takes a measured %s, appended to",
                    vsm_part_name(wanted));
        return false;
    }
    if (length > max - check->measured->len) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "measured %s of more than %zu bytes", vsm_part_name(wanted),
                    max);
        return false;
    }
    g_byte_array_append(check->measured, data, length);
    return true;
}

/*
 * What the check was begun with is what the report and PCR 23 in its quote say;
 * hours may have gone by.  Not unsealed: nothing is said of the hypervisor.
 */
static bool is_hypervisor_of_begin(VsmLocal *self, GError **error)
{
    const VsmLocalCheck *check = &self->check;
    g_autofree char *what = NULL;

    if (!check->unsealed) {
        return true;
    }
    what =
        g_strdup_printf("the check of snapshot \"%s\"", check->metadata->tag);
    return vsm_local_same_hypervisor(self, &check->hypervisor, what,
                                     "restart the VM's hypervisor process",
                                     error);
}

bool vsm_local_check_finish(VsmAttester *attester,
                            const VsmMeasured *measured,
                            VsmVerdict **ret,
                            GCancellable *cancel,
                            GError **error)
{
    VsmLocal *self = VSM_LOCAL(attester);
    g_auto(VsmTpmRequest) bounds = vsm_local_request(self, cancel);
    VsmLocalCheck *check = &self->check;
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GBytes) document = NULL;
    VsmSealedState sealed = {.purpose = check->purpose};

    vsm_tpm_request_set(&bounds);
    if (vsm_local_cancelled(cancel, error) ||
        !vsm_local_expect(self, VSM_LOCAL_CHECK, error) ||
        !is_hypervisor_of_begin(self, error)) {
        return false;
    }
    sealed.manifest = check->documents[VSM_PART_MANIFEST];
    sealed.document = check->documents[VSM_PART_STREAM];
    sealed.runtime = check->documents[VSM_PART_SCOPE];
    sealed.no_runtime = check->metadata->scope_reason;
    sealed.profile = check->profile;
    sealed.state = check->metadata->state;
    sealed.stream = check->metadata->stream;
    sealed.scope = check->metadata->scope;
    sealed.seal = check->seal;
    sealed.unsealed = check->unsealed;
    document = g_bytes_new(check->measured->data, check->measured->len);
    if (!vsm_verdict_build(&sealed, document, measured, &verdict, error) ||
        (check->nonce &&
         !vsm_local_report(self, measured, verdict, &verdict->report, error))) {
        return false;
    }
    vsm_local_end(self);
    *ret = g_steal_pointer(&verdict);
    return true;
}
