/*
 * The runtime scope on a small kernel: each attack has its finding, what a
 * healthy guest does has none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "runtime/scope.h"
#include "scope-fixture.h"

/* The one thing that a case does to the guest. */
typedef struct {
    const char *name;
    void (*attack)(FakeKernel *kernel);
    const char *kind, *where; /* of its first finding; NULL: a match */
    guint64 offset; /* of it */
    guint findings; /* how many; 0: any number */
    guint vcpu; /* index plus 1 */
} Case;

static guint64 *entry(FakeKernel *kernel, guint64 va)
{
    return fake_entry(kernel, kernel->root, va);
}

static void text_byte(FakeKernel *kernel)
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

static void trap_at_site(FakeKernel *kernel)
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

static void direct_map_executable(FakeKernel *kernel)
{
    *entry(kernel, fake_direct(kernel, 0x500000)) &= ~FAKE_NX;
}

static void direct_map_read_execute(FakeKernel *kernel)
{
    *entry(kernel, fake_direct(kernel, 0x500000)) &= ~(FAKE_NX | FAKE_W);
}

static void text_writable(FakeKernel *kernel)
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

static void idt_gate(FakeKernel *kernel)
{
    *fake_at(kernel, FAKE_IDT + 14 * 16 + 6) ^= 1;
}

static void tss_stack(FakeKernel *kernel)
{
    *fake_at(kernel, FAKE_TSS + 0x10000 + 36) ^= 1;
}

static void tss_scratch(FakeKernel *kernel)
{
    memset(fake_at(kernel, FAKE_TSS + 12), 0x55, 16);
    *fake_at(kernel, FAKE_TSS + 102) ^= 0x55;
    *fake_at(kernel, FAKE_TSS + 200) ^= 0x55; /* the I/O bitmap */
}

static void gdt_user_entries(FakeKernel *kernel)
{
    static const guint8 tls[8] = {0xff, 0xff, 0, 0, 0, 0xf2, 0xcf, 0};
    static const guint8 ldt[8] = {0x0f, 0, 0, 0, 0, 0x82, 0, 0};

    memcpy(fake_at(kernel, FAKE_GDT + 12 * 8), tls, 8);
    memcpy(fake_at(kernel, FAKE_GDT + 10 * 8), ldt, 8);
    *fake_at(kernel, FAKE_GDT + 8 * 8 + 5) ^= 2; /* busy */
}

static void gdt_user_gate(FakeKernel *kernel)
{
    static const guint8 gate[8] = {0, 0, 0x10, 0, 0, 0xec, 0, 0};

    memcpy(fake_at(kernel, FAKE_GDT + 13 * 8), gate, 8);
}

static void gdt_kernel_entry(FakeKernel *kernel)
{
    *fake_at(kernel, FAKE_GDT + 2 * 8 + 5) ^= 0x60;
}

static void ldt_with_kernel_segment(FakeKernel *kernel)
{
    static const guint8 code[8] = {0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0};

    memcpy(fake_at(kernel, FAKE_DATA + 0x800 + 8), code, 8);
    kernel->vcpus[1].ldtr = (VsmX86Table){FAKE_DATA + 0x800, 15, 0x50};
}

static void ldt_of_user(FakeKernel *kernel)
{
    static const guint8 data[8] = {0xff, 0xff, 0, 0, 0, 0xf3, 0xcf, 0};

    memcpy(fake_at(kernel, FAKE_DATA + 0x800), data, 8);
    kernel->vcpus[1].ldtr = (VsmX86Table){FAKE_DATA + 0x800, 7, 0x50};
}

static void lstar(FakeKernel *kernel)
{
    kernel->vcpus[1].lstar += 0x10;
}

static void smep(FakeKernel *kernel)
{
    kernel->vcpus[0].cr4 &= ~(1ull << 20);
}

static void fmask(FakeKernel *kernel)
{
    kernel->vcpus[1].fmask = 0;
}

static void nxe(FakeKernel *kernel)
{
    kernel->vcpus[1].efer &= ~(1ull << 11);
}

static void write_protect(FakeKernel *kernel)
{
    kernel->vcpus[0].cr0 &= ~(1ull << 16);
}

static void free_registers(FakeKernel *kernel)
{
    kernel->vcpus[0].cr0 ^= 8; /* TS */
    kernel->vcpus[0].cr4 ^= 0x104; /* TSD, PCE */
    kernel->vcpus[1].cr3 = kernel->root; /* another process */
}

static void nested(FakeKernel *kernel)
{
    kernel->vcpus[1].nested = true;
}

static void smm(FakeKernel *kernel)
{
    kernel->vcpus[1].smm = true;
}

static void vcpu_offline(FakeKernel *kernel)
{
    kernel->vcpus[1] = (VsmX86Regs){.parked = true};
}

static void in_user_mode(FakeKernel *kernel)
{
    kernel->vcpus[0].cr3 = kernel->user_root;
    kernel->vcpus[0].cpl = 3;
    kernel->vcpus[0].rip = FAKE_USER;
}

static void user_root_differs(FakeKernel *kernel)
{
    in_user_mode(kernel);
    *fake_entry(kernel, kernel->user_root, FAKE_IDT) =
        fake_frame(kernel) | FAKE_P | FAKE_NX;
}

static void user_memory(FakeKernel *kernel)
{
    memset(fake_at(kernel, FAKE_USER), 0x90, 100);
    fake_map(kernel, kernel->root, FAKE_USER + 0x5000, fake_frame(kernel),
             FAKE_P | FAKE_W | FAKE_U);
    memset(fake_at(kernel, FAKE_DATA + 0x1000), 0x17, 4096);
    memset(fake_at(kernel, FAKE_STALE), 0x17, 100);
}

static const Case cases[] = {
    {"text-byte", text_byte, "text-bytes", "kernel-text", FAKE_TEXT + 0x3000, 1,
     0},
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
    {"trap-at-site", trap_at_site, "patch-in-flight", "kernel-text",
     FAKE_TEXT + 0x100 + 2 * 0x500, 1, 0},
    {"trap-elsewhere", trap_elsewhere, "text-bytes", "kernel-text", FAKE_TEXT,
     1, 0},
    {"read-only-key-flips", read_only_key, "jump-label", "kernel-text",
     FAKE_TEXT + 0x100 + 11 * 0x500, 2, 0},
    {"direct-map-executable", direct_map_executable, "new-wx", "exec-set",
     FAKE_DIRECT + 0x500000, 1, 0},
    {"direct-map-read-execute", direct_map_read_execute, "new-exec", "exec-set",
     FAKE_DIRECT + 0x500000, 1, 0},
    {"text-writable", text_writable, "new-wx", "kernel-text",
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
    {"idt-gate", idt_gate, "table-bytes", "tables", FAKE_IDT + 14 * 16, 1, 1},
    {"tss-stack", tss_stack, "table-bytes", "tables", FAKE_TSS + 0x10000 + 32,
     1, 2},
    {"tss-scratch", tss_scratch, NULL, NULL, 0, 0, 0},
    {"gdt-user-entries", gdt_user_entries, NULL, NULL, 0, 0, 0},
    {"gdt-user-gate", gdt_user_gate, "table-bytes", "tables", FAKE_GDT + 13 * 8,
     1, 1},
    {"gdt-kernel-entry", gdt_kernel_entry, "table-bytes", "tables",
     FAKE_GDT + 2 * 8, 1, 1},
    {"ldt-with-kernel-segment", ldt_with_kernel_segment, "table-bytes",
     "tables", FAKE_DATA + 0x808, 1, 2},
    {"ldt-of-user", ldt_of_user, NULL, NULL, 0, 0, 0},
    {"lstar", lstar, "register", "cpu/LSTAR", 0, 1, 2},
    {"smep", smep, "register", "cpu/CR4", 0, 1, 1},
    {"fmask", fmask, "register", "cpu/FMASK", 0, 1, 2},
    {"nxe", nxe, "register", "cpu/EFER", 0, 1, 2},
    {"write-protect", write_protect, "register", "cpu/CR0", 0, 1, 1},
    {"free-registers", free_registers, NULL, NULL, 0, 0, 0},
    {"nested", nested, "nested", "cpu", 0, 1, 2},
    {"smm", smm, "smm", "cpu", 0, 1, 2},
    {"vcpu-offline", vcpu_offline, NULL, NULL, 0, 0, 0},
    {"in-user-mode", in_user_mode, NULL, NULL, 0, 0, 0},
    {"user-root-differs", user_root_differs, "foreign-root", "roots", FAKE_IDT,
     1, 1},
    {"user-memory", user_memory, NULL, NULL, 0, 0, 0},
};

static void check_case(const VsmVerdict *verdict, const Case *c)
{
    const VsmFinding *first;

    if (!c->kind) {
        scope_assert_match(verdict);
        return;
    }
    g_assert_cmpuint(verdict->result, ==, VSM_RESULT_MISMATCH);
    g_assert_cmpuint(verdict->findings->len, >, 0);
    first = scope_finding(verdict, 0);
    g_assert_cmpstr(first->kind, ==, c->kind);
    g_assert_cmpstr(vsm_scope_kind_intern(c->kind), ==, c->kind);
    g_assert_cmpstr(first->where, ==, c->where);
    if (c->offset) {
        g_assert_cmphex(first->offset, ==, c->offset);
    }
    if (c->findings) {
        g_assert_cmpuint(verdict->findings->len, ==, c->findings);
    }
    if (c->vcpu) {
        g_assert_cmpuint(first->vcpu, ==, c->vcpu);
    }
}

/* From a clean baseline: found; undone: a match again. */
static void test_attack(gconstpointer data)
{
    static FakeKernel *kernel; /* one for all: each attack is undone */
    static GBytes *sealed;
    const Case *c = data;
    g_autoptr(VsmVerdict) attacked = NULL;
    g_autoptr(VsmVerdict) undone = NULL;
    guint64 next;

    if (!kernel) {
        g_autoptr(VsmVerdict) clean = NULL;

        kernel = fake_kernel_new(4);
        sealed = scope_capture(kernel, NULL, NULL);
        clean = scope_measure(kernel, sealed, NULL);
        scope_assert_match(clean);
        fake_kernel_save(kernel);
    }
    next = kernel->next;
    c->attack(kernel);
    attacked = scope_measure(kernel, sealed, NULL);
    check_case(attacked, c);
    fake_kernel_restore(kernel);
    kernel->next = next;
    undone = scope_measure(kernel, sealed, NULL);
    scope_assert_match(undone);
}

static void test_five_levels_find_the_same(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(5);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);

    fake_kernel_save(kernel);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(VsmVerdict) verdict = NULL;
        Case c = cases[i];

        if (g_str_has_prefix(c.name, "ldt-slot") ||
            g_str_has_prefix(c.name, "root-in-the-making")) {
            continue; /* another address; too few entries to see it */
        }
        c.attack(kernel);
        verdict = scope_measure(kernel, sealed, NULL);
        if (g_str_has_prefix(c.name, "direct-map")) {
            c.offset = FAKE_DIRECT_LA57 + 0x500000;
        } else if (g_str_has_prefix(c.name, "root-")) {
            c.offset = 0;
        }
        g_test_message("%s", c.name);
        check_case(verdict, &c);
        fake_kernel_restore(kernel);
    }
}

static void test_jump_labels_are_tolerated_and_listed(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    VsmScopeStats stats;
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, &stats);
    g_autoptr(VsmVerdict) standard = NULL;
    g_autoptr(VsmVerdict) strict = NULL;

    g_assert_cmpuint(stats.witnesses, ==, FAKE_SITES);
    for (guint i = 0; i < FAKE_SITES - 1; i++) {
        fake_set_key(kernel, i, 1 + i);
        fake_patch(kernel, i, true);
    }
    standard = scope_measure(kernel, sealed, NULL);
    scope_assert_match(standard);
    g_assert_cmpuint(standard->tolerated->len, ==, FAKE_SITES - 1);
    g_assert_cmpstr(g_ptr_array_index(standard->tolerated, 0), ==,
                    "jump-label 0xffffffff81000100 nop");
    g_assert_cmpstr(g_ptr_array_index(standard->tolerated, 1), ==,
                    "jump-label 0xffffffff81000600 jump");
    strict = scope_measure(kernel, sealed, VSM_PROFILE_STRICT);
    g_assert_cmpuint(strict->result, ==, VSM_RESULT_MISMATCH);
    g_assert_cmpuint(strict->findings->len, ==, FAKE_SITES - 1);
    g_assert_cmpstr(scope_finding(strict, 0)->kind, ==, VSM_KIND_JUMP_LABEL);
    g_assert_cmpuint(strict->tolerated->len, ==, 0);
}

/* Each place of a patch that is under way: never a match, always a retry. */
static void test_patch_in_flight_is_never_a_match(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(VsmVerdict) other = NULL;

    fake_kernel_save(kernel);
    for (guint i = 0; i < FAKE_SITES; i++) {
        g_autoptr(VsmVerdict) verdict = NULL;

        fake_set_key(kernel, i, -1);
        fake_patch(kernel, i, true);
        *fake_at(kernel, fake_site(i)) = 0xcc;
        verdict = scope_measure(kernel, sealed, NULL);
        g_assert_cmpuint(verdict->findings->len, ==, i == 11 ? 2 : 1);
        g_assert_cmpstr(scope_finding(verdict, 0)->kind, ==,
                        VSM_KIND_PATCH_IN_FLIGHT);
        g_assert_true(vsm_scope_may_retry(verdict) == (i != 11));
        fake_kernel_restore(kernel);
    }
    /* Any other finding beside it stands at once. */
    trap_at_site(kernel);
    text_byte(kernel);
    other = scope_measure(kernel, sealed, NULL);
    g_assert_cmpuint(other->findings->len, ==, 2);
    g_assert_false(vsm_scope_may_retry(other));
}

/* Linux zeroes a key before the first of its sites is patched. */
static void test_key_in_change_is_asked_again(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = NULL;
    g_autoptr(VsmVerdict) standard = NULL;
    g_autoptr(VsmVerdict) strict = NULL;
    g_autoptr(VsmVerdict) flipped = NULL;
    g_autoptr(VsmVerdict) fixed = NULL;
    g_autoptr(VsmVerdict) other = NULL;

    fake_set_key(kernel, 2, 1);
    fake_patch(kernel, 2, true);
    sealed = scope_capture(kernel, NULL, NULL);
    fake_kernel_save(kernel);
    fake_set_key(kernel, 2, 0);
    standard = scope_measure(kernel, sealed, VSM_PROFILE_STANDARD);
    strict = scope_measure(kernel, sealed, VSM_PROFILE_STRICT);
    g_assert_cmpuint(standard->findings->len, ==, 1);
    g_assert_cmpstr(scope_finding(standard, 0)->kind, ==,
                    VSM_KIND_JUMP_LABEL_INCONSISTENT);
    g_assert_true(vsm_scope_may_retry(standard));
    g_assert_true(vsm_scope_may_retry(strict));
    /* Any other finding beside it stands at once. */
    text_byte(kernel);
    other = scope_measure(kernel, sealed, NULL);
    g_assert_cmpuint(other->findings->len, ==, 2);
    g_assert_false(vsm_scope_may_retry(other));
    /* A site may not change at all under strict, or if its key is fixed. */
    fake_kernel_restore(kernel);
    fake_patch(kernel, 2, false);
    flipped = scope_measure(kernel, sealed, VSM_PROFILE_STRICT);
    g_assert_cmpstr(scope_finding(flipped, 0)->kind, ==, VSM_KIND_JUMP_LABEL);
    g_assert_false(vsm_scope_may_retry(flipped));
    fake_kernel_restore(kernel);
    fake_patch(kernel, FAKE_SITES - 1, true);
    fixed = scope_measure(kernel, sealed, NULL);
    g_assert_cmpstr(scope_finding(fixed, 0)->kind, ==, VSM_KIND_JUMP_LABEL);
    g_assert_false(vsm_scope_may_retry(fixed));
}

/* Sealed while a patch is under way: it may end, either way. */
static void test_sealed_in_flight_matches_later(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    VsmScopeStats stats;

    trap_at_site(kernel);
    sealed = scope_capture(kernel, NULL, &stats);
    g_assert_cmpuint(stats.witnesses, ==, FAKE_SITES);
    g_assert_cmpuint(stats.in_flight, ==, 1);
    fake_patch(kernel, 2, true);
    fake_set_key(kernel, 2, 1);
    verdict = scope_measure(kernel, sealed, NULL);
    scope_assert_match(verdict);
    g_assert_cmpuint(verdict->tolerated->len, ==, 1);
}

static void test_jit_bytes_are_unattested_or_strict(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(VsmVerdict) standard = NULL;
    g_autoptr(VsmVerdict) strict = NULL;

    memset(fake_at(kernel, FAKE_JIT + 0x5000), 0x90, 0x2000);
    standard = scope_measure(kernel, sealed, VSM_PROFILE_STANDARD);
    scope_assert_match(standard);
    g_assert_cmpuint(standard->unattested->len, ==, 1);
    g_assert_cmpstr(g_ptr_array_index(standard->unattested, 0), ==,
                    "jit 0xffffffffc0200000 4 pages");
    strict = scope_measure(kernel, sealed, VSM_PROFILE_STRICT);
    g_assert_cmpuint(strict->findings->len, ==, 1);
    g_assert_cmpstr(scope_finding(strict, 0)->kind, ==, VSM_KIND_JIT_BYTES);
    g_assert_cmphex(scope_finding(strict, 0)->offset, ==, FAKE_JIT + 0x5000);
    g_assert_cmpuint(scope_finding(strict, 0)->bytes, ==, 0x2000);
}

static void no_paging(FakeKernel *kernel)
{
    kernel->vcpus[0].cr0 = kernel->vcpus[1].cr0 = 0x60000010;
}

static void no_rodata(FakeKernel *kernel)
{
    for (guint i = 0; i < FAKE_RODATA_PAGES; i++) {
        rodata_writable(kernel);
        *entry(kernel, FAKE_RODATA + i * 0x1000) |= FAKE_W;
    }
    for (guint i = 0; i < 2; i++) {
        *entry(kernel, FAKE_STALE + i * 0x1000) |= FAKE_W;
    }
}

/* Never a scope of a guest that is not ready. */
static void test_unready_guest_has_no_scope(void)
{
    static const struct {
        void (*make)(FakeKernel *kernel);
        const char *reason;
    } unready[] = {
        {no_paging, "no vCPU runs in 64-bit mode"},
        {write_protect, "vCPU 0 ignores write protection"},
        {text_writable, "writable and executable"},
        {direct_map_executable, "writable and executable"},
        {no_rodata, "no read-only data"},
        {nested, "vCPU 1 runs a guest of its own"},
        {smm, "vCPU 1 is in system management mode"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(unready); i++) {
        scope_assert_unready(unready[i].make, unready[i].reason);
    }
}

/* Threads and back ends change nothing; an unchanged guest is equal. */
static void test_document_is_deterministic(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(GBytes) measured = scope_capture(kernel, sealed, NULL);

    g_assert_true(g_bytes_equal(sealed, measured));
    for (guint threads = 1; threads < 4; threads++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VsmPool) other =
            vsm_pool_new(threads, VSM_HASH_BACKEND_OPENSSL, &error);
        g_autoptr(GBytes) again = NULL;
        g_autofree char *reason = NULL;

        g_assert_no_error(error);
        g_assert_true(vsm_scope_capture(&kernel->guest, other, NULL, &again,
                                        &reason, NULL, &error));
        g_assert_true(g_bytes_equal(sealed, again));
    }
}

/* The classes are where the kernel put them, and stale pages are none. */
static void test_classes_are_the_kernels_sections(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(VsmScope) scope = vsm_scope_decode(sealed, NULL);
    static const struct {
        guint64 va;
        guint8 scope_class;
        guint pages;
    } want[] = {
        {FAKE_TEXT, VSM_CLASS_TEXT, FAKE_TEXT_PAGES},
        {FAKE_RODATA, VSM_CLASS_RODATA, FAKE_RODATA_PAGES},
        {FAKE_MODULE_TEXT, VSM_CLASS_MODULE_TEXT, 2},
        {FAKE_MODULE_RO, VSM_CLASS_MODULE_RO, 1},
        {FAKE_JIT, VSM_CLASS_JIT, 512},
        {FAKE_ROM, VSM_CLASS_FIRMWARE, 4},
    };
    guint64 total = 0;

    for (guint i = 0; i < G_N_ELEMENTS(want); i++) {
        guint64 va = want[i].va, pages = 0;

        /* A section has several runs where its frames are apart. */
        for (guint r = 0; r < scope->runs->len; r++) {
            const VsmScopeRun *run = vsm_scope_run(scope, r);

            if (run->scope_class == want[i].scope_class) {
                g_assert_cmphex(run->va, ==, va);
                va += run->pages * VSM_PAGE_BYTES;
                pages += run->pages;
            }
        }
        g_assert_cmpuint(pages, ==, want[i].pages);
        total += pages;
    }
    g_assert_cmpuint(scope->digests->len, ==, total);
    for (guint i = 0; i < FAKE_SITES; i++) {
        const VsmWitness *witness = vsm_scope_witness(scope, i);

        g_assert_cmphex(witness->va, ==, fake_site(i));
        g_assert_cmphex(witness->target, ==, fake_target(i));
        g_assert_cmphex(witness->key, ==, fake_key(i));
    }
}

/* A guest with more findings than fit: the rest is counted. */
static void test_findings_are_capped_and_counted(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(VsmVerdict) verdict = NULL;

    for (guint i = 0; i < 700; i += 2) {
        *entry(kernel, fake_direct(kernel, 0x300000 + i * 0x1000)) &= ~FAKE_NX;
    }
    verdict = scope_measure(kernel, sealed, NULL);
    g_assert_cmpuint(verdict->findings->len, ==, 256);
    g_assert_cmpuint(verdict->findings_left_out, ==, 350 - 256);
    g_assert_false(vsm_scope_may_retry(verdict));
}

/* Pages as they were and are. */
static bool page_before(gpointer opaque, guint64 address, guint8 *page)
{
    FakeKernel *kernel = opaque;

    memcpy(page, kernel->saved + address, VSM_PAGE_BYTES);
    return true;
}

static bool page_now(gpointer opaque, guint64 address, guint8 *page)
{
    FakeKernel *kernel = opaque;

    memcpy(page, kernel->ram + address, VSM_PAGE_BYTES);
    return true;
}

static bool page_unknown(gpointer opaque, guint64 address, guint8 *page)
{
    (void)opaque, (void)address, (void)page;
    return false;
}

static void assert_bytes(GBytes *bytes, const guint8 *want, gsize n)
{
    g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
                    want, n);
}

static void test_explain_names_bytes_and_patches(void)
{
    static const guint8 nop5[] = {0x0f, 0x1f, 0x44, 0, 0};
    static const guint8 call[] = {0xe8, 1, 2, 3, 4};
    static const guint8 call2[] = {0xe8, 1, 0x99, 3, 4};
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GPtrArray) found = NULL;
    g_autoptr(GPtrArray) kept = NULL;
    guint64 left_out;
    const VsmFinding *f;

    memcpy(fake_at(kernel, FAKE_TEXT + 0x5010), nop5, 5);
    memcpy(fake_at(kernel, FAKE_TEXT + 0x5100), call, 5);
    sealed = scope_capture(kernel, NULL, NULL);
    fake_kernel_save(kernel);
    memcpy(fake_at(kernel, FAKE_TEXT + 0x5010), call, 5);
    memcpy(fake_at(kernel, FAKE_TEXT + 0x5100), call2, 5);
    *fake_at(kernel, FAKE_TEXT + 0x4ffe) ^= 0x42;
    fake_set_key(kernel, 1, 1); /* borne, on one of the pages */
    fake_patch(kernel, 1, true);
    *fake_at(kernel, FAKE_TEXT + 0x20) ^= 0x42;
    verdict = scope_measure(kernel, sealed, NULL);
    g_assert_cmpuint(verdict->findings->len, ==, 2);
    g_assert_cmpuint(scope_finding(verdict, 1)->bytes, ==, 0x2000);

    found = vsm_scope_explain(sealed, verdict->findings, page_before, page_now,
                              kernel, &left_out, NULL);
    g_assert_cmpuint(found->len, ==, 4);
    g_assert_cmpuint(left_out, ==, 0);
    f = g_ptr_array_index(found, 0);
    g_assert_cmphex(f->offset, ==, FAKE_TEXT + 0x20);
    g_assert_cmphex(f->address, ==, fake_pa(kernel, FAKE_TEXT + 0x20));
    g_assert_cmpuint(f->bytes, ==, 1);
    f = g_ptr_array_index(found, 1);
    g_assert_cmpstr(f->kind, ==, VSM_KIND_TEXT_BYTES);
    g_assert_cmphex(f->offset, ==, FAKE_TEXT + 0x4ffe);
    f = g_ptr_array_index(found, 2);
    g_assert_cmpstr(f->kind, ==, VSM_KIND_TRACED_FUNCTION);
    g_assert_cmphex(f->offset, ==, FAKE_TEXT + 0x5010);
    assert_bytes(f->sealed, nop5, 5);
    assert_bytes(f->measured, call, 5);
    f = g_ptr_array_index(found, 3);
    g_assert_cmpstr(f->kind, ==, VSM_KIND_STATIC_CALL);
    g_assert_cmphex(f->offset, ==, FAKE_TEXT + 0x5100);
    assert_bytes(f->sealed, call, 5);
    assert_bytes(f->measured, call2, 5);

    kept = vsm_scope_explain(sealed, verdict->findings, page_unknown, page_now,
                             kernel, &left_out, NULL);
    g_assert_cmpuint(kept->len, ==, 3);
    g_assert_null(((VsmFinding *)g_ptr_array_index(kept, 0))->sealed);
}

static void test_bad_input_is_refused(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(GBytes) junk = g_bytes_new("junk", 4);
    g_autoptr(GError) error = NULL;
    GBytes *document = NULL;
    VsmVerdict *verdict = NULL;
    char *reason = NULL;

    g_assert_false(
        vsm_scope_judge(sealed, sealed, "lenient", &verdict, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_false(vsm_scope_judge(sealed, junk, NULL, &verdict, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    g_clear_error(&error);
    g_assert_false(vsm_scope_capture(&kernel->guest, scope_pool, junk,
                                     &document, &reason, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    g_clear_error(&error);
    kernel->memory[1].address = 0x1000; /* overlaps */
    g_assert_false(vsm_scope_capture(&kernel->guest, scope_pool, NULL,
                                     &document, &reason, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_assert_null(verdict);
    g_assert_null(document);
    g_assert_null(reason);
    g_assert_null(vsm_scope_kind_intern("ram"));
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    scope_pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path =
            g_strconcat("/scope/case/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_attack);
    }
    g_test_add_func("/scope/five-levels", test_five_levels_find_the_same);
    g_test_add_func("/scope/jump-labels",
                    test_jump_labels_are_tolerated_and_listed);
    g_test_add_func("/scope/in-flight", test_patch_in_flight_is_never_a_match);
    g_test_add_func("/scope/key-in-change", test_key_in_change_is_asked_again);
    g_test_add_func("/scope/sealed-in-flight",
                    test_sealed_in_flight_matches_later);
    g_test_add_func("/scope/jit", test_jit_bytes_are_unattested_or_strict);
    g_test_add_func("/scope/unready", test_unready_guest_has_no_scope);
    g_test_add_func("/scope/deterministic", test_document_is_deterministic);
    g_test_add_func("/scope/classes", test_classes_are_the_kernels_sections);
    g_test_add_func("/scope/capped", test_findings_are_capped_and_counted);
    g_test_add_func("/scope/explain", test_explain_names_bytes_and_patches);
    g_test_add_func("/scope/bad-input", test_bad_input_is_refused);
    status = g_test_run();
    vsm_pool_free(scope_pool);
    return status;
}
