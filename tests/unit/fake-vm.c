/*
 * Test help: a hypervisor without a VM: some RAM, some sections, a stream.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake-vm.h"
#include <string.h>

#define PAGES 192
#define VRAM_PAGES 16

static const char *const names[FAKE_BLOCKS] = {"pc.ram", "vga.vram"};

FakeVm *fake_vm_new(void)
{
    return fake_vm_new_with(PAGES);
}

FakeVm *fake_vm_new_with(guint pages)
{
    FakeVm *vm = g_new0(FakeVm, 1);
    static const VsmSection sections[FAKE_SECTIONS] = {
        {"cpu", VSM_SECTION_VCPU, 0, 12},
        {"cpu", VSM_SECTION_VCPU, 1, 12},
        {"fake-device", VSM_SECTION_DEVICE, 0, 3},
    };

    vm->pages[0] = pages;
    vm->pages[1] = VRAM_PAGES;
    for (guint i = 0; i < FAKE_BLOCKS; i++) {
        gsize bytes = (gsize)vm->pages[i] * VSM_PAGE_BYTES;

        vm->ram[i] = g_malloc0(bytes);
        for (gsize at = 0; at < bytes / 2; at++) {
            vm->ram[i][at] = (guint8)(at * 2654435761u >> 13);
        }
        vm->blocks[i].idstr = names[i];
        vm->blocks[i].bytes = bytes;
        vm->blocks[i].host = vm->ram[i];
    }
    memcpy(vm->sections, sections, sizeof(sections));
    for (guint i = 0; i < FAKE_SECTIONS; i++) {
        memset(vm->payload[i], 'a' + i, sizeof(vm->payload[i]));
    }
    vm->uuid = FAKE_UUID;
    vm->config = FAKE_CONFIG;
    vm->disk = g_byte_array_new();
    vm->pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    g_assert_nonnull(vm->pool);
    return vm;
}

void fake_vm_free(FakeVm *vm)
{
    for (guint i = 0; i < FAKE_BLOCKS; i++) {
        g_free(vm->ram[i]);
    }
    g_byte_array_unref(vm->disk);
    vsm_pool_free(vm->pool);
    g_free(vm);
}

VsmVm fake_vm_describe(const FakeVm *vm)
{
    return (VsmVm){
        .uuid = vm->uuid,
        .name = "fake",
        .version = "fake 1.0",
        .config = vm->config,
        .require_sealed = true,
    };
}

static void free_disk(gpointer disk)
{
    vsm_disk_free(disk);
}

VsmContainer fake_container(const FakeVm *vm, const char *tag, guint date_sec)
{
    VsmContainer container = {
        .kind = VSM_CONTAINER_INTERNAL,
        .tag = g_strdup(tag),
        .date_sec = date_sec,
        .vm_clock_nsec = 12345,
        .vmstate_bytes = vm->disk->len,
        .disks = g_ptr_array_new_with_free_func(free_disk),
    };
    VsmDisk *disk = g_new0(VsmDisk, 1);

    disk->device = g_strdup("/machine/peripheral/disk0");
    disk->bytes = 1 << 20;
    disk->vmstate = true;
    g_ptr_array_add(container.disks, disk);
    return container;
}

VsmSealing *fake_save_begin(FakeVm *vm,
                            VsmAttester *attester,
                            const char *tag,
                            bool replace,
                            GError **error)
{
    VsmSealRequest request = {
        .vm = fake_vm_describe(vm),
        .tag = tag,
        .replace = replace,
        .expect_bytes = 4 << 20,
    };

    return vsm_sealing_begin(attester, vm->pool, &request, NULL, error);
}

/* Appends to the disk, and feeds exactly these bytes. */
static bool feed(FakeVm *vm,
                 VsmStream *stream,
                 const void *data,
                 gsize bytes,
                 GError **error)
{
    g_autoptr(GBytes) next = g_bytes_new(data, bytes);

    g_byte_array_append(vm->disk, data, bytes);
    return vsm_stream_feed(stream, next, error);
}

static bool
save_block(FakeVm *vm, VsmStream *stream, guint block, GError **error)
{
    for (guint page = 0; page < vm->pages[block]; page++) {
        const guint8 *bytes = vm->ram[block] + page * VSM_PAGE_BYTES;
        guint8 header[9] = {1, block, page};
        bool zero = bytes[0] == 0 && !memcmp(bytes, bytes + 1, 4095);

        header[8] = zero;
        if (!feed(vm, stream, header, sizeof(header), error)) {
            return false;
        }
        if (zero) {
            continue;
        }
        vsm_stream_page(stream, vm->disk->len, block, page);
        if (!feed(vm, stream, bytes, VSM_PAGE_BYTES, error)) {
            return false;
        }
    }
    return true;
}

static bool save_section(FakeVm *vm, VsmStream *stream, guint i, GError **error)
{
    guint8 header[5] = {4, i};
    gsize bytes = sizeof(vm->payload[i]);

    return feed(vm, stream, header, sizeof(header), error) &&
           vsm_stream_section_begin(stream, &vm->sections[i], vm->disk->len,
                                    error) &&
           vsm_stream_section_end(stream, vm->disk->len + bytes, error) &&
           feed(vm, stream, vm->payload[i], bytes, error);
}

bool fake_save_stream(FakeVm *vm, VsmSealing *sealing, GError **error)
{
    VsmStream *stream = vsm_sealing_stream(sealing);

    g_byte_array_set_size(vm->disk, 0);
    if (!vsm_sealing_set_ram(sealing, vm->blocks, FAKE_BLOCKS, error) ||
        !feed(vm, stream, "QEVM\0\0\0\3", 8, error)) {
        return false;
    }
    for (guint i = 0; i < FAKE_BLOCKS; i++) {
        if (!save_block(vm, stream, i, error)) {
            return false;
        }
    }
    for (guint i = 0; i < FAKE_SECTIONS; i++) {
        if (!save_section(vm, stream, i, error)) {
            return false;
        }
    }
    return feed(vm, stream, "end", 3, error);
}

bool fake_save(FakeVm *vm,
               VsmAttester *attester,
               const char *tag,
               bool replace,
               char **ret_id,
               GError **error)
{
    static guint date_sec = 1000;
    g_autoptr(VsmSealing) sealing =
        fake_save_begin(vm, attester, tag, replace, error);
    g_autoptr(VsmRecord) record = NULL;
    VsmContainer container;
    bool ok;

    if (!sealing || !fake_save_stream(vm, sealing, error)) {
        return false;
    }
    container = fake_container(vm, tag, date_sec++);
    ok = vsm_sealing_finish(sealing, &container, error);
    vsm_container_clear(&container);
    if (!ok || !vsm_sealing_commit(sealing, &record, error)) {
        return false;
    }
    if (ret_id) {
        *ret_id = g_strdup(record->id);
    }
    return true;
}

VsmCheck *fake_check_begin(FakeVm *vm,
                           VsmAttester *attester,
                           VsmPurpose purpose,
                           const char *snapshot,
                           GBytes *nonce,
                           GError **error)
{
    VsmCheckRequest request = {
        .vm = fake_vm_describe(vm),
        .purpose = purpose,
        .snapshot = snapshot,
        .nonce = nonce,
    };

    return vsm_check_begin(attester, vm->pool, &request, NULL, error);
}

static bool measure(FakeVm *vm, VsmCheck *check, GError **error)
{
    if (!vsm_check_ram(check, vm->blocks, FAKE_BLOCKS, NULL, error)) {
        return false;
    }
    for (guint i = 0; i < FAKE_SECTIONS; i++) {
        g_autoptr(GBytes) payload =
            g_bytes_new(vm->payload[i], sizeof(vm->payload[i]));

        if (!vsm_check_section(check, &vm->sections[i], payload, error)) {
            return false;
        }
    }
    return true;
}

/* A difference is a verdict, not an error. */
static bool read_stored(FakeVm *vm, VsmCheck *check, GError **error)
{
    VsmStream *stream = vsm_check_stream(check);
    g_autoptr(GBytes) all = g_bytes_new(vm->disk->data, vm->disk->len);
    g_autoptr(GError) why = NULL;

    if (!vsm_stream_feed(stream, all, error)) {
        return false;
    }
    if (!vsm_stream_finish(stream, &why) &&
        !g_error_matches(why, VSM_ERROR, VSM_ERROR_TAMPERED)) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    return true;
}

bool fake_check_finish(FakeVm *vm,
                       VsmCheck *check,
                       VsmPurpose purpose,
                       VsmVerdict **ret,
                       GError **error)
{
    return (purpose == VSM_PURPOSE_STORED ? read_stored(vm, check, error)
                                          : measure(vm, check, error)) &&
           vsm_check_finish(check, ret, error);
}

bool fake_check(FakeVm *vm,
                VsmAttester *attester,
                VsmPurpose purpose,
                const char *snapshot,
                GBytes *nonce,
                VsmVerdict **ret,
                GError **error)
{
    g_autoptr(VsmCheck) check =
        fake_check_begin(vm, attester, purpose, snapshot, nonce, error);

    return check && fake_check_finish(vm, check, purpose, ret, error);
}
