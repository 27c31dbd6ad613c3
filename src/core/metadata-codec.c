/*
 * The metadata as bytes: one strict table of keys.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "base/codec.h"
#include "base/limits.h"
#include "base/text.h"
#include "core/metadata.h"

#define METADATA_TYPE "(sqa{sv})"
#define METADATA_MAGIC "VSM-METADATA"
#define METADATA_VERSION 1
#define WHAT "snapshot metadata"

#define CONTAINER_TYPE "(ysuuttt)"
#define DISKS_TYPE "a(stb)"
#define BLOB_TYPE "(ayayay)"

static const VsmCodecField fields[] = {
    {"id", "s", true},
    {"vm-uuid", "s", true},
    {"vm-name", "s", true},
    {"vm-version", "s", true},
    {"tag", "s", true},
    {"time", "x", true},
    {"container", CONTAINER_TYPE, true},
    {"disks", DISKS_TYPE, true},
    {"state", "ay", true},
    {"stream", "ay", true},
    {"scope", "ay", false},
    {"scope-reason", "s", false},
    {"ssk", BLOB_TYPE, true},
    {"sealed", BLOB_TYPE, true},
    {"pcr-bank", "s", true},
    {"boot-pcrs", "u", true},
    {"pcr-values", "ay", true},
    {"hypervisor", "ay", true},
    {"config", "s", true},
    {"attester", "s", true},
    {"measured-by", "s", true},
    {"boot-policy", "s", true},
    {"unmeasured-boot", "b", true},
    {"mark-mac", "ay", true},
    {"reseal-request", "ay", false},
    {"reseal-signature", "ay", false},
};

static const VsmDigest no_scope;

static void add(GVariantBuilder *dict, const char *key, GVariant *value)
{
    g_variant_builder_add(dict, "{sv}", key, value);
}

/* A name from outside may be any bytes; GVariant takes UTF-8 alone. */
static void add_text(GVariantBuilder *dict, const char *key, const char *text)
{
    add(dict, key, g_variant_new_take_string(g_utf8_make_valid(text, -1)));
}

static void
add_blob(GVariantBuilder *dict, const char *key, const VsmTpmBlob *blob)
{
    add(dict, key,
        g_variant_new("(@ay@ay@ay)", vsm_codec_new_bytes(blob->name),
                      vsm_codec_new_bytes(blob->public_area),
                      vsm_codec_new_bytes(blob->private_area)));
}

static void add_container(GVariantBuilder *dict, const VsmContainer *container)
{
    GVariantBuilder disks;

    add(dict, "container",
        g_variant_new(CONTAINER_TYPE, container->kind, container->tag,
                      container->date_sec, container->date_nsec,
                      container->vm_clock_nsec, container->icount,
                      container->vmstate_bytes));
    g_variant_builder_init(&disks, G_VARIANT_TYPE(DISKS_TYPE));
    for (guint i = 0; container->disks && i < container->disks->len; i++) {
        const VsmDisk *disk = g_ptr_array_index(container->disks, i);

        g_autofree char *device = g_utf8_make_valid(disk->device, -1);

        g_variant_builder_add(&disks, "(stb)", device, disk->bytes,
                              (gboolean)disk->vmstate);
    }
    add(dict, "disks", g_variant_builder_end(&disks));
}

static GVariant *build(const VsmMetadata *m)
{
    GVariantBuilder dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE("a{sv}"));
    add_text(&dict, "id", m->id);
    add_text(&dict, "vm-uuid", m->vm_uuid);
    add_text(&dict, "vm-name", m->vm_name);
    add_text(&dict, "vm-version", m->vm_version);
    add_text(&dict, "tag", m->tag);
    add(&dict, "time", g_variant_new_int64(m->time));
    add_container(&dict, &m->container);
    add(&dict, "state", vsm_codec_new_digest(&m->state));
    add(&dict, "stream", vsm_codec_new_digest(&m->stream));
    if (m->scope_reason) {
        add_text(&dict, "scope-reason", m->scope_reason);
    } else {
        add(&dict, "scope", vsm_codec_new_digest(&m->scope));
    }
    add_blob(&dict, "ssk", &m->ssk);
    add_blob(&dict, "sealed", &m->sealed);
    add_text(&dict, "pcr-bank", m->pcr_bank);
    add(&dict, "boot-pcrs", g_variant_new_uint32(m->boot_pcrs));
    add(&dict, "pcr-values", vsm_codec_new_bytes(m->pcr_values));
    add(&dict, "hypervisor", vsm_codec_new_digest(&m->hypervisor));
    add_text(&dict, "config", m->config);
    add_text(&dict, "attester", m->attester);
    add_text(&dict, "measured-by", m->measured_by);
    add_text(&dict, "boot-policy", m->boot_policy);
    add(&dict, "unmeasured-boot", g_variant_new_boolean(m->unmeasured_boot));
    add(&dict, "mark-mac", vsm_codec_new_digest(&m->mark_mac));
    if (m->reseal_request) {
        add(&dict, "reseal-request", vsm_codec_new_bytes(m->reseal_request));
        add(&dict, "reseal-signature",
            vsm_codec_new_bytes(m->reseal_signature));
    }
    return g_variant_new("(sqa{sv})", METADATA_MAGIC, METADATA_VERSION, &dict);
}

static bool bad(const char *why, GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT, WHAT ": %s", why);
    return false;
}

static bool one_of(const char *text, const char *a, const char *b)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

static guint bits(guint32 mask)
{
    return __builtin_popcount(mask);
}

static bool blob_fits(const VsmTpmBlob *blob)
{
    return g_bytes_get_size(blob->name) > 2 &&
           g_bytes_get_size(blob->public_area) > 0 &&
           g_bytes_get_size(blob->private_area) > 0;
}

static bool check_disks(const VsmContainer *container, GError **error)
{
    guint with_vmstate = 0;

    if (container->disks->len > VSM_DISKS_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    WHAT ": more than %u disks", VSM_DISKS_MAX);
        return false;
    }
    for (guint i = 0; i < container->disks->len; i++) {
        const VsmDisk *disk = g_ptr_array_index(container->disks, i);

        if (!vsm_text_check(disk->device, VSM_NAME_BYTES_MAX, "disk", NULL)) {
            return bad("the name of a disk is not allowed", error);
        }
        with_vmstate += disk->vmstate;
    }
    return with_vmstate <= 1 || bad("two disks hold the stream", error);
}

static bool check_texts(const VsmMetadata *m, GError **error)
{
    if (!vsm_text_is_id(m->id)) {
        return bad("its id is not 32 hex digits", error);
    }
    if (!vsm_text_is_uuid(m->vm_uuid)) {
        return bad("the VM's uuid is no uuid", error);
    }
    if (!vsm_text_check_tag(m->tag, NULL) ||
        !vsm_text_check(m->container.tag, VSM_TAG_BYTES_MAX, "tag", NULL)) {
        return bad("its tag is not allowed", error);
    }
    if (strlen(m->vm_name) > VSM_NAME_BYTES_MAX ||
        strlen(m->vm_version) > VSM_NAME_BYTES_MAX ||
        strlen(m->measured_by) > VSM_NAME_BYTES_MAX ||
        strlen(m->config) > VSM_CONFIG_BYTES_MAX ||
        (m->scope_reason && strlen(m->scope_reason) > VSM_REASON_BYTES_MAX)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    WHAT ": a text is too long");
        return false;
    }
    if (!one_of(m->pcr_bank, "sha384", "sha256") ||
        !one_of(m->boot_policy, "frozen", "operator") ||
        !one_of(m->attester, "in-process", "daemon")) {
        return bad("a word is not one of those known", error);
    }
    return true;
}

static bool check(const VsmMetadata *m, GError **error)
{
    gsize digest_bytes = strcmp(m->pcr_bank, "sha384") == 0 ? 48 : 32;

    if (!check_texts(m, error) || !check_disks(&m->container, error)) {
        return false;
    }
    if (m->container.kind != VSM_CONTAINER_INTERNAL) {
        return bad("the kind of its container is not known", error);
    }
    if (m->boot_pcrs == 0 || m->boot_pcrs >> 24 ||
        g_bytes_get_size(m->pcr_values) != bits(m->boot_pcrs) * digest_bytes) {
        return bad("its PCR values do not fit its PCR mask", error);
    }
    if (!blob_fits(&m->ssk) || !blob_fits(&m->sealed)) {
        return bad("a TPM object is empty", error);
    }
    if (!m->scope_reason &&
        memcmp(&m->scope, &no_scope, sizeof(no_scope)) == 0) {
        return bad("neither a scope nor the reason why there is none", error);
    }
    return true;
}

GBytes *vsm_metadata_encode(const VsmMetadata *metadata, GError **error)
{
    g_autoptr(GBytes) bytes =
        vsm_codec_encode(build(metadata), VSM_METADATA_BYTES_MAX, WHAT, error);
    g_autoptr(VsmMetadata) again = NULL;
    g_autoptr(GError) why = NULL;

    if (!bytes) {
        return NULL;
    }
    /* What is sealed can be read again: the reader's checks are the rule. */
    again = vsm_metadata_decode(bytes, &why);
    if (!again) {
        g_set_error_literal(error, VSM_ERROR,
                            why->code == VSM_ERROR_FORMAT ? VSM_ERROR_INVALID
                                                          : why->code,
                            why->message);
        return NULL;
    }
    return g_steal_pointer(&bytes);
}

/* Values of keys that vsm_codec_check_dict() has proved to be there. */
static char *get_text(GVariant *dict, const char *key)
{
    char *text = NULL;

    g_variant_lookup(dict, key, "s", &text);
    return text;
}

static bool
get_digest(GVariant *dict, const char *key, VsmDigest *ret, GError **error)
{
    g_autoptr(GVariant) value =
        g_variant_lookup_value(dict, key, G_VARIANT_TYPE_BYTESTRING);

    return vsm_codec_get_digest(value, ret, WHAT, error);
}

static GBytes *
get_child_bytes(GVariant *tuple, gsize index, gsize max, GError **error)
{
    g_autoptr(GVariant) child = g_variant_get_child_value(tuple, index);

    return vsm_codec_get_bytes(child, max, WHAT, error);
}

static bool
get_blob(GVariant *dict, const char *key, VsmTpmBlob *ret, GError **error)
{
    g_autoptr(GVariant) value =
        g_variant_lookup_value(dict, key, G_VARIANT_TYPE(BLOB_TYPE));

    ret->name = get_child_bytes(value, 0, VSM_TPM_NAME_BYTES_MAX, error);
    if (!ret->name) {
        return false;
    }
    ret->public_area =
        get_child_bytes(value, 1, VSM_TPM_OBJECT_BYTES_MAX, error);
    if (!ret->public_area) {
        return false;
    }
    ret->private_area =
        get_child_bytes(value, 2, VSM_TPM_OBJECT_BYTES_MAX, error);
    return ret->private_area != NULL;
}

static void get_container(GVariant *dict, VsmContainer *ret)
{
    g_autoptr(GVariantIter) disks = NULL;
    const char *device;
    guint64 bytes;
    gboolean vmstate;

    g_variant_lookup(dict, "container", CONTAINER_TYPE, &ret->kind, &ret->tag,
                     &ret->date_sec, &ret->date_nsec, &ret->vm_clock_nsec,
                     &ret->icount, &ret->vmstate_bytes);
    ret->disks = g_ptr_array_new_with_free_func((GDestroyNotify)vsm_disk_free);
    g_variant_lookup(dict, "disks", DISKS_TYPE, &disks);
    while (g_variant_iter_next(disks, "(&stb)", &device, &bytes, &vmstate)) {
        VsmDisk *disk = g_new0(VsmDisk, 1);

        disk->device = g_strdup(device);
        disk->bytes = bytes;
        disk->vmstate = vmstate;
        g_ptr_array_add(ret->disks, disk);
    }
}

static bool get_scope(GVariant *dict, VsmMetadata *m, GError **error)
{
    g_autoptr(GVariant) scope =
        g_variant_lookup_value(dict, "scope", G_VARIANT_TYPE_BYTESTRING);

    m->scope_reason = get_text(dict, "scope-reason");
    if (!scope == !m->scope_reason) {
        return bad("neither or both of a scope and a reason for none", error);
    }
    return !scope || vsm_codec_get_digest(scope, &m->scope, WHAT, error);
}

static bool get_pcrs(GVariant *dict, VsmMetadata *m, GError **error)
{
    g_autoptr(GVariant) values =
        g_variant_lookup_value(dict, "pcr-values", G_VARIANT_TYPE_BYTESTRING);

    g_variant_lookup(dict, "boot-pcrs", "u", &m->boot_pcrs);
    m->pcr_values =
        vsm_codec_get_bytes(values, 24 * VSM_DIGEST_BYTES, WHAT, error);
    return m->pcr_values != NULL;
}

/* NULL in @ret when the key is not there. */
static bool get_optional(
    GVariant *dict, const char *key, gsize max, GBytes **ret, GError **error)
{
    g_autoptr(GVariant) value =
        g_variant_lookup_value(dict, key, G_VARIANT_TYPE_BYTESTRING);

    if (!value) {
        return true;
    }
    *ret = vsm_codec_get_bytes(value, max, WHAT, error);
    return *ret != NULL;
}

static bool get_reseal(GVariant *dict, VsmMetadata *m, GError **error)
{
    if (!get_optional(dict, "reseal-request", VSM_METADATA_BYTES_MAX,
                      &m->reseal_request, error) ||
        !get_optional(dict, "reseal-signature", VSM_SIGNATURE_DER_BYTES_MAX,
                      &m->reseal_signature, error)) {
        return false;
    }
    return !m->reseal_request == !m->reseal_signature ||
           bad("only one of an operator's request and signature", error);
}

static void get_plain(GVariant *dict, VsmMetadata *m)
{
    gboolean unmeasured = FALSE;

    m->id = get_text(dict, "id");
    m->vm_uuid = get_text(dict, "vm-uuid");
    m->vm_name = get_text(dict, "vm-name");
    m->vm_version = get_text(dict, "vm-version");
    m->tag = get_text(dict, "tag");
    m->pcr_bank = get_text(dict, "pcr-bank");
    m->config = get_text(dict, "config");
    m->attester = get_text(dict, "attester");
    m->measured_by = get_text(dict, "measured-by");
    m->boot_policy = get_text(dict, "boot-policy");
    g_variant_lookup(dict, "time", "x", &m->time);
    g_variant_lookup(dict, "unmeasured-boot", "b", &unmeasured);
    m->unmeasured_boot = unmeasured;
}

VsmMetadata *vsm_metadata_decode(GBytes *bytes, GError **error)
{
    g_autoptr(GVariant) value =
        vsm_codec_decode(bytes, METADATA_TYPE, METADATA_MAGIC, METADATA_VERSION,
                         VSM_METADATA_BYTES_MAX, WHAT, error);
    g_autoptr(GVariant) dict = NULL;
    g_autoptr(VsmMetadata) m = vsm_metadata_new();

    if (!value) {
        return NULL;
    }
    dict = g_variant_get_child_value(value, 2);
    if (!vsm_codec_check_dict(dict, fields, G_N_ELEMENTS(fields), WHAT,
                              error)) {
        return NULL;
    }
    get_plain(dict, m);
    get_container(dict, &m->container);
    if (!get_digest(dict, "state", &m->state, error) ||
        !get_digest(dict, "stream", &m->stream, error) ||
        !get_digest(dict, "hypervisor", &m->hypervisor, error) ||
        !get_digest(dict, "mark-mac", &m->mark_mac, error) ||
        !get_reseal(dict, m, error) || !get_scope(dict, m, error) ||
        !get_blob(dict, "ssk", &m->ssk, error) ||
        !get_blob(dict, "sealed", &m->sealed, error) ||
        !get_pcrs(dict, m, error) || !check(m, error)) {
        return NULL;
    }
    return g_steal_pointer(&m);
}
