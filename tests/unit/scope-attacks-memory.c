/*
 * Test help: attacks on what a kernel has in memory: bytes, page tables, roots.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "scope-attacks.h"

static guint64 *entry(FakeKernel *kernel, guint64 va)
{
    return fake_entry(kernel, kernel->root, va);
}

void scope_attack_text_byte(FakeKernel *kernel)
{
    *fake_at(kernel, FAKE_TEXT + 0x3abc) ^= 1;
}

static void rodata_byte(FakeKernel *kernel)
{
    *fake_at(kernel, FAKE_RODATA + 0x4008) ^= 0x80;
}

static void module_text_byte(FakeKernel *kernel)
{
    *fake_at(kernel, FAKE_MODULE_TEXT + 0x1000) ^= 1;
}

static void module_ro_byte(FakeKernel *kernel)
{
    *fake_at(kernel, FAKE_MODULE_RO) ^= 1;
}

static void firmware_byte(FakeKernel *kernel)
{
    kernel->rom[0x2001] = 1;
}

static void site_without_key(FakeKernel *kernel)
{
    fake_patch(kernel, 2, true);
}

static void key_without_site(FakeKernel *kernel)
{
    fake_set_key(kernel, 4, 1);
}

static void site_to_wrong_target(FakeKernel *kernel)
{
    fake_patch(kernel, 2, true);
    fake_set_key(kernel, 2, 1);
    *fake_at(kernel, fake_site(2) + 1) ^= 4;
}

void scope_attack_trap_at_site(FakeKernel *kernel)
{
    *fake_at(kernel, fake_site(2)) = 0xcc;
}

static void trap_elsewhere(FakeKernel *kernel)
{
    *fake_at(kernel, FAKE_TEXT + 0x20) = 0xcc;
}

static void read_only_key(FakeKernel *kernel)
{
    fake_patch(kernel, FAKE_SITES - 1, true);
    fake_set_key(kernel, FAKE_SITES - 1, 1);
}

void scope_attack_direct_map_executable(FakeKernel *kernel)
{
    *entry(kernel, fake_direct(kernel, 0x500000)) &= ~FAKE_NX;
}

static void direct_map_read_execute(FakeKernel *kernel)
{
    *entry(kernel, fake_direct(kernel, 0x500000)) &= ~(FAKE_NX | FAKE_W);
}

void scope_attack_text_writable(FakeKernel *kernel)
{
    *entry(kernel, FAKE_TEXT + 0x2000) |= FAKE_W;
}

static void text_not_executable(FakeKernel *kernel)
{
    *entry(kernel, FAKE_TEXT + 0x2000) |= FAKE_NX;
}

static void text_gone(FakeKernel *kernel)
{
    *entry(kernel, FAKE_TEXT + 0x3000) &= ~FAKE_P;
}

static void text_reserved_bit(FakeKernel *kernel)
{
    *entry(kernel, FAKE_TEXT + 0x3000) |= 1ull << 45;
}

static void text_for_users(FakeKernel *kernel)
{
    *entry(kernel, FAKE_TEXT + 0x2000) |= FAKE_U;
}

static void rodata_writable(FakeKernel *kernel)
{
    *entry(kernel, FAKE_RODATA + 0x1000) |= FAKE_W;
}

static void rodata_executable(FakeKernel *kernel)
{
    *entry(kernel, FAKE_RODATA + 0x1000) &= ~FAKE_NX;
}

static void module_data_executable(FakeKernel *kernel)
{
    *entry(kernel, FAKE_MODULE_DATA) &= ~FAKE_NX;
}

static void module_loaded(FakeKernel *kernel)
{
    for (guint i = 0; i < 3; i++) {
        fake_map(kernel, kernel->root, 0xffffffffc0010000ull + i * 0x1000,
                 fake_frame(kernel), FAKE_P);
    }
}

static void alias_in_direct_map(FakeKernel *kernel)
{
    guint64 pa = fake_pa(kernel, FAKE_TEXT + 0x5000);

    *entry(kernel, fake_direct(kernel, pa)) |= FAKE_W;
}

static void alias_of_user(FakeKernel *kernel)
{
    fake_map(kernel, kernel->root2, FAKE_USER + 0x1000,
             fake_pa(kernel, FAKE_RODATA), FAKE_P | FAKE_W | FAKE_U);
}

static void poking(FakeKernel *kernel)
{
    fake_map(kernel, kernel->root2, FAKE_USER + 0x1000,
             fake_pa(kernel, FAKE_TEXT), FAKE_P | FAKE_W | FAKE_NX);
}

static void low_half_executable(FakeKernel *kernel)
{
    fake_map(kernel, kernel->root2, FAKE_USER + 0x1000, fake_frame(kernel),
             FAKE_P);
}

static void identical_copy(FakeKernel *kernel)
{
    guint64 copy = fake_frame(kernel);

    memcpy(kernel->ram + copy, fake_at(kernel, FAKE_TEXT + 0x4000), 4096);
    *entry(kernel, FAKE_TEXT + 0x4000) = copy | FAKE_P;
    *entry(kernel, fake_direct(kernel, copy)) &= ~FAKE_W;
}

/* The same with all tables above the page copied, in a root not loaded. */
static guint64 private_root(FakeKernel *kernel)
{
    guint64 root = fake_frame(kernel), upper = fake_frame(kernel);
    guint64 *table = fake_table(kernel, root);

    memcpy(table, fake_table(kernel, kernel->root), 4096);
    memcpy(fake_table(kernel, upper),
           fake_table(kernel, table[511] & 0xffffffffff000), 4096);
    table[511] = upper | FAKE_P | FAKE_W | FAKE_U;
    return root;
}

static void root_in_memory(FakeKernel *kernel)
{
    private_root(kernel);
}

static void root_loaded(FakeKernel *kernel)
{
    kernel->vcpus[1].cr3 = private_root(kernel);
}

static void root_outside_ram(FakeKernel *kernel)
{
    kernel->vcpus[1].cr3 = 0x7ffffff000;
}

static void root_in_the_making(FakeKernel *kernel)
{
    guint64 root = fake_frame(kernel);

    memcpy(fake_table(kernel, root) + 256,
           fake_table(kernel, kernel->root) + 256, 100 * 8);
}

static void ldt_slot(FakeKernel *kernel)
{
    fake_map(kernel, kernel->root2, 0xffff880000000000ull, fake_frame(kernel),
             FAKE_P | FAKE_W | FAKE_NX);
}

static void ldt_slot_executable(FakeKernel *kernel)
{
    fake_map(kernel, kernel->root2, 0xffff880000000000ull, fake_frame(kernel),
             FAKE_P);
}

const ScopeAttack scope_memory_attacks[] = {
    {"text-byte", scope_attack_text_byte, "text-bytes", "kernel-text",
     FAKE_TEXT + 0x3000, 1, 0},
    {"rodata-byte", rodata_byte, "rodata-bytes", "kernel-rodata",
     FAKE_RODATA + 0x4000, 1, 0},
    {"module-text-byte", module_text_byte, "text-bytes", "module-text",
     FAKE_MODULE_TEXT + 0x1000, 1, 0},
    {"module-ro-byte", module_ro_byte, "rodata-bytes", "module-ro",
     FAKE_MODULE_RO, 1, 0},
    {"firmware-byte", firmware_byte, "firmware-bytes", "firmware",
     FAKE_ROM + 0x2000, 1, 0},
    {"site-without-key", site_without_key, "jump-label-inconsistent",
     "kernel-text", FAKE_TEXT + 0x100 + 2 * 0x500, 1, 0},
    {"key-without-site", key_without_site, "jump-label-inconsistent",
     "kernel-text", FAKE_TEXT + 0x100 + 4 * 0x500, 1, 0},
    {"site-to-wrong-target", site_to_wrong_target, "text-bytes", "kernel-text",
     FAKE_TEXT, 1, 0},
    {"trap-at-site", scope_attack_trap_at_site, "patch-in-flight",
     "kernel-text", FAKE_TEXT + 0x100 + 2 * 0x500, 1, 0},
    {"trap-elsewhere", trap_elsewhere, "text-bytes", "kernel-text", FAKE_TEXT,
     1, 0},
    {"read-only-key-flips", read_only_key, "jump-label", "kernel-text",
     FAKE_TEXT + 0x100 + 11 * 0x500, 2, 0},
    {"direct-map-executable", scope_attack_direct_map_executable, "new-wx",
     "exec-set", FAKE_DIRECT + 0x500000, 1, 0},
    {"direct-map-read-execute", direct_map_read_execute, "new-exec", "exec-set",
     FAKE_DIRECT + 0x500000, 1, 0},
    {"text-writable", scope_attack_text_writable, "new-wx", "kernel-text",
     FAKE_TEXT + 0x2000, 1, 0},
    {"text-not-executable", text_not_executable, "gone-exec", "kernel-text",
     FAKE_TEXT + 0x2000, 1, 0},
    {"text-gone", text_gone, "gone-exec", "kernel-text", FAKE_TEXT + 0x3000, 1,
     0},
    {"text-with-reserved-bit", text_reserved_bit, "gone-exec", "kernel-text",
     FAKE_TEXT + 0x3000, 1, 0},
    {"text-for-users", text_for_users, "permissions", "kernel-text",
     FAKE_TEXT + 0x2000, 1, 0},
    {"rodata-writable", rodata_writable, "ro-lost", "kernel-rodata",
     FAKE_RODATA + 0x1000, 1, 0},
    {"rodata-executable", rodata_executable, "new-exec", "kernel-rodata",
     FAKE_RODATA + 0x1000, 1, 0},
    {"module-data-executable", module_data_executable, "new-wx", "exec-set",
     FAKE_MODULE_DATA, 1, 0},
    {"module-loaded", module_loaded, "new-exec", "exec-set",
     0xffffffffc0010000ull, 1, 0},
    {"alias-in-direct-map", alias_in_direct_map, "writable-alias", "alias", 0,
     1, 0},
    {"alias-of-user", alias_of_user, "writable-alias", "alias",
     FAKE_USER + 0x1000, 1, 0},
    {"poking", poking, "patch-in-flight", "alias", FAKE_USER + 0x1000, 1, 0},
    {"low-half-executable", low_half_executable, "new-exec", "exec-set",
     FAKE_USER + 0x1000, 1, 0},
    {"identical-copy", identical_copy, "remapped", "kernel-text",
     FAKE_TEXT + 0x4000, 1, 0},
    {"root-in-memory", root_in_memory, "foreign-root", "roots",
     0xffffff8000000000ull, 1, 0},
    {"root-loaded", root_loaded, "foreign-root", "roots", 0xffffff8000000000ull,
     2, 0},
    {"root-outside-ram", root_outside_ram, "foreign-root", "roots", 0, 1, 2},
    {"root-in-the-making", root_in_the_making, NULL, NULL, 0, 0, 0},
    {"ldt-slot", ldt_slot, NULL, NULL, 0, 0, 0},
    {"ldt-slot-executable", ldt_slot_executable, "new-exec", "roots",
     0xffff880000000000ull, 0, 0},
    {0},
};
