/*
 * The runtime scope of a guest that builds its page tables to mislead the
 * walk: what was not seen is never a match.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/limits.h"
#include "runtime/walk.h"
#include "scope-fixture.h"

#define LDT_SLOT 0xffff880000000000ull
#define IDT_SLOT 508 /* of the root */
#define FREE_SLOT 300 /* of the root, before that of the IDT; a free table */
#define FLAGS (FAKE_P | FAKE_W | FAKE_U)
#define ADDRESS 0x000ffffffffff000ull
#define OUTSIDE 0x7ffffff000ull /* of RAM and ROM */

/* The one thing that a case does to the guest. */
typedef struct {
    const char *name;
    void (*attack)(FakeKernel *kernel);
    const char *kind, *where; /* a finding that is there; NULL: a match */
    guint64 offset; /* of it; 0: any */
} Case;

static void in_user_mode(FakeKernel *kernel)
{
    kernel->vcpus[0].cr3 = kernel->user_root;
    kernel->vcpus[0].cpl = 3;
    kernel->vcpus[0].rip = FAKE_USER;
}

/*
 * A table of the third level below which more tables are met than the walk
 * enters, though nothing is mapped: 300 empty ones with 8 kinds of permissions.
 */
static guint64 endless_tables(FakeKernel *kernel)
{
    guint64 top = fake_frame(kernel), empty[300];

    for (guint i = 0; i < G_N_ELEMENTS(empty); i++) {
        empty[i] = fake_frame(kernel);
    }
    for (guint i = 0; i < 8; i++) {
        guint64 middle = fake_frame(kernel);

        fake_table(kernel, top)[i] = middle | FAKE_P | (i & 1 ? FAKE_W : 0) |
                                     (i & 2 ? FAKE_U : 0) |
                                     (i & 4 ? FAKE_NX : 0);
        for (guint e = 0; e < G_N_ELEMENTS(empty); e++) {
            fake_table(kernel, middle)[e] = empty[e] | FLAGS;
        }
    }
    return top;
}

/* The IDT of the user's root is another one, behind more tables than fit. */
static void user_root_too_long(FakeKernel *kernel)
{
    in_user_mode(kernel);
    *fake_entry(kernel, kernel->user_root, FAKE_IDT + 0x1000) =
        fake_frame(kernel) | FAKE_P | FAKE_NX;
    fake_table(kernel, kernel->user_root)[FREE_SLOT] =
        endless_tables(kernel) | FLAGS;
}

/*
 * The direct map's own table, where the user's root may have it, and once more
 * where the GDT is: there it leads to a frame that the kernel can write.
 */
static void user_root_table_twice(FakeKernel *kernel)
{
    guint64 *user = fake_table(kernel, kernel->user_root);
    guint64 pa = 0x200000, table;
    guint64 direct = fake_direct(kernel, pa);
    guint64 *entry;

    in_user_mode(kernel);
    entry = fake_entry(kernel, kernel->root, direct);
    table = (guint64)((guint8 *)entry - kernel->ram) & ~0xfffull;
    fake_map(kernel, kernel->user_root, direct, 0, 0); /* makes tables */
    entry = fake_table(kernel, user[direct >> 39 & 511] & ADDRESS);
    entry = fake_table(kernel, entry[direct >> 30 & 511] & ADDRESS);
    entry[direct >> 21 & 511] = table | FLAGS;
    entry = fake_table(kernel, user[IDT_SLOT] & ADDRESS);
    entry = fake_table(kernel, entry[FAKE_IDT >> 30 & 511] & ADDRESS);
    entry[(FAKE_IDT >> 21 & 511) + 1] = table | FLAGS;
}

static void user_root_in_kernel_mode(FakeKernel *kernel)
{
    in_user_mode(kernel);
    kernel->vcpus[0].cpl = 0;
    kernel->vcpus[0].rip = FAKE_MODULE_TEXT + 0x10;
}

/* On the way in and out of user mode. */
static void user_root_in_entry_code(FakeKernel *kernel)
{
    in_user_mode(kernel);
    kernel->vcpus[0].cpl = 0;
    kernel->vcpus[0].rip = FAKE_TEXT + 0x40;
}

/* Healthy: entries that are shared need no walk, private ones agree. */
static void user_root_with_shared_entries(FakeKernel *kernel)
{
    in_user_mode(kernel);
    fake_table(kernel, kernel->user_root)[FREE_SLOT + 1] =
        fake_table(kernel, kernel->root)[FREE_SLOT + 1] | 0x20;
    fake_map(kernel, kernel->user_root, FAKE_TEXT, fake_pa(kernel, FAKE_TEXT),
             FAKE_P);
}

static void ldt_slot_alias(FakeKernel *kernel)
{
    fake_map(kernel, kernel->root2, LDT_SLOT, fake_pa(kernel, FAKE_TEXT),
             FAKE_P | FAKE_W | FAKE_NX);
}

static void ldt_slot_too_long(FakeKernel *kernel)
{
    fake_table(kernel, kernel->root2)[272] = endless_tables(kernel) | FLAGS;
}

/* In a root that no vCPU has loaded: the census finds it. */
static void ldt_slot_in_memory(FakeKernel *kernel)
{
    guint64 root = fake_frame(kernel);

    memcpy(fake_table(kernel, root), fake_table(kernel, kernel->root), 4096);
    fake_map(kernel, root, LDT_SLOT, fake_pa(kernel, FAKE_RODATA),
             FAKE_P | FAKE_W | FAKE_NX);
}

/* A device may hold tables: nobody here can read them. */
static void table_outside_ram(FakeKernel *kernel)
{
    fake_table(kernel, fake_table(kernel, kernel->root)[FREE_SLOT] &
                           ADDRESS)[7] = OUTSIDE | FLAGS;
}

static void main_root_outside_ram(FakeKernel *kernel)
{
    kernel->vcpus[0].cr3 = OUTSIDE;
}

static void other_root_outside_ram(FakeKernel *kernel)
{
    kernel->vcpus[1].cr3 = OUTSIDE;
}

static void all_roots_outside_ram(FakeKernel *kernel)
{
    main_root_outside_ram(kernel);
    other_root_outside_ram(kernel);
}

/* INIT to all others, and the last leaves long mode: as in a reboot. */
static void no_vcpu_with_paging(FakeKernel *kernel)
{
    kernel->vcpus[0].cr0 &= ~(1ull << 31);
    kernel->vcpus[0].efer &= ~(1ull << 10);
    kernel->vcpus[1].parked = true;
}

static void all_vcpus_parked(FakeKernel *kernel)
{
    kernel->vcpus[0].parked = kernel->vcpus[1].parked = true;
}

static void halted_without_paging(FakeKernel *kernel)
{
    kernel->vcpus[1].cr0 &= ~(1ull << 31);
}

static void address_line(FakeKernel *kernel)
{
    kernel->vcpus[0].a20_masked = true;
}

/* Without KPTI the page before a root is anything: here a user's text. */
static void odd_root_behind_text(FakeKernel *kernel)
{
    guint64 text = fake_frame(kernel), root = fake_frame(kernel);

    if (!(root & 0x1000)) {
        text = root;
        root = fake_frame(kernel);
    }
    g_assert_cmphex(text + 0x1000, ==, root);
    memset(kernel->ram + text, 'a', VSM_PAGE_BYTES);
    memcpy(fake_table(kernel, root), fake_table(kernel, kernel->root2), 4096);
    kernel->vcpus[1].cr3 = root;
}

static const Case cases[] = {
    {"user-root-too-long", user_root_too_long, "truncated", "roots", 0},
    {"user-root-table-twice", user_root_table_twice, "foreign-root", "roots",
     FAKE_IDT + 0x200000},
    {"user-root-in-kernel-mode", user_root_in_kernel_mode, "foreign-root",
     "roots", 0xfffffe0000000000ull},
    {"user-root-in-entry-code", user_root_in_entry_code, NULL, NULL, 0},
    {"user-root-with-shared-entries", user_root_with_shared_entries, NULL, NULL,
     0},
    {"ldt-slot-alias", ldt_slot_alias, "writable-alias", "alias", LDT_SLOT},
    {"ldt-slot-too-long", ldt_slot_too_long, "truncated", "roots", 0},
    {"ldt-slot-in-memory", ldt_slot_in_memory, "writable-alias", "alias",
     LDT_SLOT},
    {"table-outside-ram", table_outside_ram, "truncated", "exec-set", 0},
    {"main-root-outside-ram", main_root_outside_ram, "foreign-root", "roots",
     0},
    {"other-root-outside-ram", other_root_outside_ram, "foreign-root", "roots",
     0},
    {"all-roots-outside-ram", all_roots_outside_ram, "foreign-root", "roots",
     0},
    {"no-vcpu-with-paging", no_vcpu_with_paging, "register", "cpu/CR0", 0},
    {"no-vcpu-in-long-mode", no_vcpu_with_paging, "register", "cpu/EFER", 0},
    {"all-vcpus-parked", all_vcpus_parked, "foreign-root", "roots", 0},
    {"halted-without-paging", halted_without_paging, "register", "cpu/CR0", 0},
    {"a20", address_line, "register", "cpu/A20", 0},
    {"odd-root-behind-text", odd_root_behind_text, NULL, NULL, 0},
};

static bool has(const VsmVerdict *verdict, const Case *c)
{
    for (guint i = 0; i < verdict->findings->len; i++) {
        const VsmFinding *f = scope_finding(verdict, i);

        if (strcmp(f->kind, c->kind) == 0 && strcmp(f->where, c->where) == 0 &&
            (!c->offset || f->offset == c->offset)) {
            return true;
        }
    }
    return false;
}

static void test_case(gconstpointer data)
{
    const Case *c = data;
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);
    g_autoptr(VsmVerdict) verdict = NULL;

    c->attack(kernel);
    verdict = scope_measure(kernel, sealed, NULL);
    if (!c->kind) {
        scope_assert_match(verdict);
        return;
    }
    g_assert_cmpuint(verdict->result, ==, VSM_RESULT_MISMATCH);
    g_assert_true(has(verdict, c));
    g_assert_cmpstr(vsm_scope_kind_intern(c->kind), ==, c->kind);
    g_assert_false(vsm_scope_may_retry(verdict));
}

/* What would be sealed with a part unseen has no scope. */
static void test_not_sealed(void)
{
    static const struct {
        void (*make)(FakeKernel *kernel);
        const char *reason;
    } bad[] = {
        {user_root_too_long, "than the limits allow"},
        {ldt_slot_too_long, "than the limits allow"},
        {table_outside_ram, "outside of its memory"},
        {main_root_outside_ram, "no kernel text is mapped"},
        {other_root_outside_ram, "outside of its memory"},
        {all_roots_outside_ram, "no kernel text is mapped"},
        {no_vcpu_with_paging, "no vCPU runs in 64-bit mode"},
        {all_vcpus_parked, "no vCPU runs in 64-bit mode"},
        {halted_without_paging, "vCPU 1 is not in 64-bit mode"},
        {address_line, "vCPU 0 masks address line A20"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        scope_assert_unready(bad[i].make, bad[i].reason);
    }
}

/* At sealing the IDT tells a pair of roots from two pages. */
static void test_odd_root_is_sealed(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) plain = scope_capture(kernel, NULL, NULL);
    g_autoptr(GBytes) sealed = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;

    odd_root_behind_text(kernel);
    kernel->vcpus[0].cr3 = kernel->vcpus[1].cr3;
    sealed = scope_capture(kernel, NULL, NULL);
    in_user_mode(kernel);
    verdict = scope_measure(kernel, sealed, NULL);
    scope_assert_match(verdict);
    g_clear_pointer(&sealed, g_bytes_unref);
    sealed = scope_capture(kernel, NULL, NULL);
    g_assert_true(g_bytes_equal(plain, sealed));
}

/* 600 vCPUs, each on a user's root of 512 tables: none is long by itself. */
static void test_all_work_together_is_bounded(void)
{
    static VsmX86Regs vcpus[600];
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    g_autoptr(GBytes) sealed = NULL;
    g_autoptr(VsmVerdict) verdict = NULL;
    guint64 top = fake_frame(kernel), below = fake_frame(kernel);
    guint64 pages = (FAKE_RAM_BYTES + FAKE_ROM_BYTES) / VSM_PAGE_BYTES;
    guint64 max = VSM_SCOPE_WORK_MIN + pages * VSM_SCOPE_WORK_PAGE;
    const Case truncated = {.kind = "truncated", .where = "roots"};
    VsmScopeStats stats;
    g_autoptr(GBytes) measured = NULL;

    in_user_mode(kernel);
    for (guint i = 0; i < G_N_ELEMENTS(vcpus); i++) {
        vcpus[i] = kernel->vcpus[0];
    }
    kernel->guest.vcpus = vcpus;
    kernel->guest.n_vcpus = G_N_ELEMENTS(vcpus);
    sealed = scope_capture(kernel, NULL, &stats);
    g_assert_cmpuint(stats.steps, <, max / 10);
    for (guint i = 0; i < VSM_TABLE_ENTRIES; i++) {
        fake_table(kernel, top)[i] = below | FLAGS;
    }
    fake_table(kernel, kernel->user_root)[FREE_SLOT] = top | FLAGS;
    measured = scope_capture(kernel, sealed, &stats);
    g_assert_cmpuint(stats.steps, ==, max);
    verdict = scope_judge(sealed, measured, NULL);
    g_assert_true(has(verdict, &truncated));
}

static void ignore_leaf(gpointer opaque, const VsmLeaf *leaf)
{
    (void)opaque, (void)leaf;
}

static void test_walk_ends_with_its_budget(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(4);
    VsmBudget budget = {0, 10 * VSM_TABLE_ENTRIES};
    VsmPaging paging = {&kernel->guest, &budget, 4, true};
    g_autoptr(VsmWalk) walk = vsm_walk_new(&paging, ignore_leaf, NULL, NULL);
    VsmLeaf leaf;

    g_assert_true(vsm_walk_find(&paging, kernel->root, FAKE_TEXT, &leaf));
    vsm_walk_range(walk, kernel->root, 0, VSM_TABLE_ENTRIES - 1);
    g_assert_true(vsm_walk_is_truncated(walk));
    g_assert_true(vsm_budget_is_spent(&budget));
    g_assert_cmpuint(vsm_walk_tables(walk), <=, 10);
    g_assert_false(vsm_walk_find(&paging, kernel->root, FAKE_TEXT, &leaf));
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    scope_pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path =
            g_strconcat("/scope-hostile/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/scope-hostile/not-sealed", test_not_sealed);
    g_test_add_func("/scope-hostile/odd-root-sealed", test_odd_root_is_sealed);
    g_test_add_func("/scope-hostile/all-work",
                    test_all_work_together_is_bounded);
    g_test_add_func("/scope-hostile/budget", test_walk_ends_with_its_budget);
    status = g_test_run();
    vsm_pool_free(scope_pool);
    return status;
}
