/*
 * The runtime scope on a small kernel: each attack has its finding, what a
 * healthy guest does has none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "scope-attacks.h"

static const ScopeAttack *const tables[] = {scope_memory_attacks,
                                            scope_cpu_attacks};

static void check_attack(const VsmVerdict *verdict, const ScopeAttack *c)
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
    const ScopeAttack *c = data;
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
    check_attack(attacked, c);
    fake_kernel_restore(kernel);
    kernel->next = next;
    undone = scope_measure(kernel, sealed, NULL);
    scope_assert_match(undone);
}

static void
check_on_five_levels(FakeKernel *kernel, GBytes *sealed, ScopeAttack c)
{
    g_autoptr(VsmVerdict) verdict = NULL;

    if (g_str_has_prefix(c.name, "ldt-slot") ||
        g_str_has_prefix(c.name, "root-in-the-making")) {
        return; /* another address; too few entries to see it */
    }
    c.attack(kernel);
    verdict = scope_measure(kernel, sealed, NULL);
    if (g_str_has_prefix(c.name, "direct-map")) {
        c.offset = FAKE_DIRECT_LA57 + 0x500000;
    } else if (g_str_has_prefix(c.name, "root-")) {
        c.offset = 0;
    }
    g_test_message("%s", c.name);
    check_attack(verdict, &c);
    fake_kernel_restore(kernel);
}

static void test_five_levels_find_the_same(void)
{
    g_autoptr(FakeKernel) kernel = fake_kernel_new(5);
    g_autoptr(GBytes) sealed = scope_capture(kernel, NULL, NULL);

    fake_kernel_save(kernel);
    for (guint i = 0; i < G_N_ELEMENTS(tables); i++) {
        for (const ScopeAttack *c = tables[i]; c->name; c++) {
            check_on_five_levels(kernel, sealed, *c);
        }
    }
}

static void no_paging(FakeKernel *kernel)
{
    kernel->vcpus[0].cr0 = kernel->vcpus[1].cr0 = 0x60000010;
}

static void no_rodata(FakeKernel *kernel)
{
    for (guint i = 0; i < FAKE_RODATA_PAGES; i++) {
        *fake_entry(kernel, kernel->root, FAKE_RODATA + i * 0x1000) |= FAKE_W;
    }
    for (guint i = 0; i < 2; i++) {
        *fake_entry(kernel, kernel->root, FAKE_STALE + i * 0x1000) |= FAKE_W;
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
        {scope_attack_write_protect, "vCPU 0 ignores write protection"},
        {scope_attack_text_writable, "writable and executable"},
        {scope_attack_direct_map_executable, "writable and executable"},
        {no_rodata, "no read-only data"},
        {scope_attack_nested, "vCPU 1 runs a guest of its own"},
        {scope_attack_smm, "vCPU 1 is in system management mode"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(unready); i++) {
        scope_assert_unready(unready[i].make, unready[i].reason);
    }
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    scope_pool = vsm_pool_new(2, VSM_HASH_BACKEND_AUTO, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(tables); i++) {
        for (const ScopeAttack *c = tables[i]; c->name; c++) {
            g_autofree char *path = g_strconcat("/scope/case/", c->name, NULL);

            g_test_add_data_func(path, c, test_attack);
        }
    }
    g_test_add_func("/scope/five-levels", test_five_levels_find_the_same);
    g_test_add_func("/scope/unready", test_unready_guest_has_no_scope);
    status = g_test_run();
    vsm_pool_free(scope_pool);
    return status;
}
