/*
 * One fixed example of each document of core, for known answers and mutants.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake-documents.h"

#include <string.h>

#include "crypto/hash.h"

static VsmDigest digest_of(guint8 fill)
{
    VsmDigest digest;

    memset(&digest, fill, sizeof(digest));
    return digest;
}

static void add_section(VsmManifest *manifest,
                        const char *idstr,
                        guint8 kind,
                        guint32 instance,
                        guint32 version,
                        gsize bytes)
{
    VsmSection section = {idstr, kind, instance, version};
    g_autofree guint8 *payload = g_malloc(bytes);

    for (gsize i = 0; i < bytes; i++) {
        payload[i] = i * 7 + instance;
    }
    if (strcmp(idstr, "tpm-emulator") == 0) {
        memset(payload, 0, 28); /* sizes: 4, then 8 */
        payload[7] = 4;
        payload[19] = 8;
    }
    g_assert_true(
        vsm_manifest_add_section(manifest, &section, payload, bytes, NULL));
}

VsmManifest *fake_manifest(void)
{
    static const VsmRange absent[] = {{0, 2}, {7, 3}};
    static const VsmRamBlock blocks[] = {
        {"pc.ram", 4096 * 100, NULL, NULL, 0, NULL},
        {"vmem", 4096 * 10, NULL, absent, 2, NULL}};
    VsmManifest *manifest = vsm_manifest_new();
    VsmDigest roots[] = {digest_of(0x11), digest_of(0x22)};

    vsm_manifest_set_ram(manifest, vsm_geometry_new(blocks, 2, NULL), roots);
    add_section(manifest, "cpu", VSM_SECTION_VCPU, 0, 12, 500);
    add_section(manifest, "cpu", VSM_SECTION_VCPU, 1, 12, 500);
    add_section(manifest, "globalstate", VSM_SECTION_DEVICE, 0, 1, 104);
    add_section(manifest, "tpm-emulator", VSM_SECTION_DEVICE, 0, 0, 36);
    add_section(manifest, "0000:00:03.0/e1000e", VSM_SECTION_DEVICE, 0, 1, 99);
    return manifest;
}

VsmDocument fake_document(void)
{
    return (VsmDocument){.bytes = 50 * 4096 + 1234,
                         .runs = 3,
                         .skeleton_bytes = 1234,
                         .map = digest_of(0x33),
                         .skeleton = digest_of(0x44),
                         .bodies = digest_of(0x55)};
}

VsmMap *fake_map(void)
{
    VsmMap *map = vsm_map_new();
    guint64 offset = 20;

    for (guint i = 0; i < 50; i++) {
        guint block = i >= 45;
        guint page = i < 20 ? i : i < 45 ? i + 30 : i - 43;

        g_assert_true(vsm_map_add(map, offset, block, page, NULL));
        offset += 4104;
    }
    g_assert_cmpuint(vsm_map_runs(map), ==, 3);
    return map;
}

static GBytes *filled(guint8 fill, gsize bytes)
{
    guint8 *data = g_malloc(bytes);

    memset(data, fill, bytes);
    return g_bytes_new_take(data, bytes);
}

static void add_disk(VsmContainer *container, const char *device, bool vmstate)
{
    VsmDisk *disk = g_new0(VsmDisk, 1);

    disk->device = g_strdup(device);
    disk->bytes = 1ull << 34;
    disk->vmstate = vmstate;
    g_ptr_array_add(container->disks, disk);
}

VsmMetadata *fake_metadata(void)
{
    VsmMetadata *m = vsm_metadata_new();

    m->id = g_strdup("00112233445566778899aabbccddeeff");
    m->vm_uuid = g_strdup("01234567-89ab-cdef-0123-456789abcdef");
    m->vm_name = g_strdup("guest");
    m->vm_version = g_strdup("QEMU emulator version 10.0.13");
    m->tag = g_strdup("before upgrade");
    m->time = 1700000000;
    m->container.kind = VSM_CONTAINER_INTERNAL;
    m->container.tag = g_strdup("before upgrade");
    m->container.date_sec = 1700000000;
    m->container.date_nsec = 123456789;
    m->container.vm_clock_nsec = 9876543210ull;
    m->container.icount = G_MAXUINT64;
    m->container.vmstate_bytes = 50 * 4096 + 1234;
    m->container.disks =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_disk_free);
    add_disk(&m->container, "/machine/peripheral/disk0", true);
    add_disk(&m->container, "/machine/peripheral/disk1", false);
    m->state = digest_of(0x66);
    m->stream = digest_of(0x77);
    m->scope_reason = g_strdup("runtime scope is not built yet");
    m->ssk = (VsmTpmBlob){filled(1, 34), filled(2, 90), filled(3, 200)};
    m->sealed = (VsmTpmBlob){filled(4, 34), filled(5, 80), filled(6, 180)};
    m->pcr_bank = g_strdup("sha384");
    m->boot_pcrs = 0xff;
    m->pcr_values = filled(7, 8 * 48);
    m->hypervisor = digest_of(0x88);
    m->config = g_strdup("machine pc\ncpus 2\n");
    m->attester = g_strdup("in-process");
    m->measured_by = g_strdup("in-process");
    m->boot_policy = g_strdup("frozen");
    m->mark_mac = digest_of(0x99);
    return m;
}

GBytes *fake_manifest_bytes(void)
{
    g_autoptr(VsmManifest) manifest = fake_manifest();
    GBytes *bytes = vsm_manifest_encode(manifest, NULL);

    g_assert_nonnull(bytes);
    return bytes;
}

GBytes *fake_document_bytes(void)
{
    VsmDocument document = fake_document();
    GBytes *bytes = vsm_document_encode(&document, NULL);

    g_assert_nonnull(bytes);
    return bytes;
}

GBytes *fake_map_bytes(void)
{
    g_autoptr(VsmMap) map = fake_map();

    return vsm_map_slice(map, 0, G_MAXSIZE);
}

GBytes *fake_metadata_bytes(void)
{
    g_autoptr(VsmMetadata) metadata = fake_metadata();
    g_autoptr(GError) error = NULL;
    GBytes *bytes = vsm_metadata_encode(metadata, &error);

    g_assert_no_error(error);
    return bytes;
}
