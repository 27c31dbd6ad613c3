/*
 * A small guest with a kernel's page tables, built in memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake-kernel.h"

#include <string.h>

#define ADDRESS 0x000ffffffffff000ull
#define PATCH_STRIDE 0x500 /* sites lie on several pages, some across two */

guint64 fake_frame(FakeKernel *kernel)
{
    guint64 pa = kernel->next;

    g_assert_cmpuint(pa, <, FAKE_RAM_BYTES / 2);
    kernel->next += VSM_PAGE_BYTES;
    return pa;
}

guint64 *fake_table(FakeKernel *kernel, guint64 pa)
{
    return (guint64 *)(gpointer)(kernel->ram + pa);
}

static guint64 *step(FakeKernel *kernel, guint64 table, guint64 va, guint level)
{
    return fake_table(kernel, table) + (va >> (12 + 9 * (level - 1)) & 511);
}

void fake_map(
    FakeKernel *kernel, guint64 root, guint64 va, guint64 pa, guint64 flags)
{
    guint last = flags & FAKE_LARGE ? 2 : 1;
    guint64 table = root;

    for (guint level = kernel->levels; level > last; level--) {
        guint64 *entry = step(kernel, table, va, level);

        if (!*entry) {
            *entry = fake_frame(kernel) | FAKE_P | FAKE_W | FAKE_U;
        }
        table = *entry & ADDRESS;
    }
    *step(kernel, table, va, last) = pa | flags;
}

guint64 *fake_entry(FakeKernel *kernel, guint64 root, guint64 va)
{
    guint64 table = root;

    for (guint level = kernel->levels; level > 0; level--) {
        guint64 *entry = step(kernel, table, va, level);

        if (!(*entry & FAKE_P)) {
            return NULL;
        }
        if (level == 1 || (*entry & FAKE_LARGE)) {
            return entry;
        }
        table = *entry & ADDRESS;
    }
    return NULL;
}

guint64 fake_pa(FakeKernel *kernel, guint64 va)
{
    guint64 *entry = fake_entry(kernel, kernel->root, va);
    guint64 mask = *entry & FAKE_LARGE ? 0x1fffff : 0xfff;

    return (*entry & ADDRESS & ~mask) + (va & mask);
}

guint8 *fake_at(FakeKernel *kernel, guint64 va)
{
    return kernel->ram + fake_pa(kernel, va);
}

guint64 fake_direct(const FakeKernel *kernel, guint64 pa)
{
    return (kernel->levels == 5 ? FAKE_DIRECT_LA57 : FAKE_DIRECT) + pa;
}

guint64 fake_site(guint i)
{
    /* Site 6 lies across two pages: 0x1ffe to 0x2003. */
    return FAKE_TEXT + (i == 6 ? 0x1ffe : 0x100 + i * PATCH_STRIDE);
}

guint64 fake_target(guint i)
{
    return fake_site(i) + (i % 2 ? 0x40 : 0x200);
}

guint64 fake_key(guint i)
{
    /* The last key is read-only after the boot. */
    return i == FAKE_SITES - 1 ? FAKE_RODATA + 0x7000 : FAKE_DATA + 0x20 * i;
}

void fake_patch(FakeKernel *kernel, guint i, bool on)
{
    static const guint8 nop5[] = {0x0f, 0x1f, 0x44, 0, 0};
    static const guint8 nop2[] = {0x66, 0x90};
    bool is_long = i % 2 == 0, branch = i % 3 == 0;
    guint bytes = is_long ? 5 : 2;
    gint32 distance = fake_target(i) - (fake_site(i) + bytes);
    guint8 code[5] = {is_long ? 0xe9 : 0xeb};

    memcpy(code + 1, &distance, is_long ? 4 : 1);
    if (on == branch) {
        memcpy(code, is_long ? nop5 : nop2, bytes);
    }
    for (guint b = 0; b < bytes; b++) {
        *fake_at(kernel, fake_site(i) + b) = code[b];
    }
}

void fake_set_key(FakeKernel *kernel, guint i, gint32 enabled)
{
    memcpy(fake_at(kernel, fake_key(i)), &enabled, 4);
}

/* Maps @pages fresh frames with a pattern in them. */
static void
map_pages(FakeKernel *kernel, guint64 va, guint pages, guint64 flags)
{
    for (guint i = 0; i < pages; i++) {
        guint64 pa = fake_frame(kernel);

        for (guint b = 0; b < VSM_PAGE_BYTES; b++) {
            kernel->ram[pa + b] = (va >> 12) * 7 + b * 13 + (b >> 8) + i;
        }
        fake_map(kernel, kernel->root, va + i * VSM_PAGE_BYTES, pa,
                 flags | FAKE_P);
    }
}

static void put_entry(FakeKernel *kernel, guint i)
{
    guint64 at = FAKE_RODATA + 0x1f0 + 16 * i; /* not on a border of 16 */
    gint32 code, target;
    gint64 key;

    at += 8;
    code = fake_site(i) - at;
    target = fake_target(i) - (at + 4);
    key = (fake_key(i) - (at + 8)) | (i % 3 == 0);
    memcpy(fake_at(kernel, at), &code, 4);
    memcpy(fake_at(kernel, at) + 4, &target, 4);
    memcpy(fake_at(kernel, at) + 8, &key, 8);
}

static void map_kernel(FakeKernel *kernel)
{
    map_pages(kernel, FAKE_TEXT, FAKE_TEXT_PAGES, 0);
    map_pages(kernel, FAKE_RODATA, FAKE_RODATA_PAGES, FAKE_NX);
    map_pages(kernel, FAKE_DATA, 4, FAKE_W | FAKE_NX);
    map_pages(kernel, FAKE_STALE, 2, FAKE_NX);
    map_pages(kernel, FAKE_MODULE_TEXT, 2, 0);
    map_pages(kernel, FAKE_MODULE_RO, 1, FAKE_NX);
    map_pages(kernel, FAKE_MODULE_DATA, 1, FAKE_W | FAKE_NX);
    memset(fake_at(kernel, FAKE_DATA), 0, VSM_PAGE_BYTES);
    for (guint i = 0; i < FAKE_SITES; i++) {
        fake_set_key(kernel, i, 0);
        fake_patch(kernel, i, false);
        put_entry(kernel, i);
    }
    /* The pack has the upper quarter of RAM for itself. */
    fake_map(kernel, kernel->root, FAKE_JIT, FAKE_RAM_BYTES * 3 / 4,
             FAKE_P | FAKE_LARGE);
    memset(kernel->ram + FAKE_RAM_BYTES * 3 / 4, 0xcc, 2 * 1024 * 1024);
    memset(kernel->ram + FAKE_RAM_BYTES * 3 / 4, 0x90, 5000);
}

static void map_tables(FakeKernel *kernel)
{
    map_pages(kernel, FAKE_IDT, 1, FAKE_NX);
    for (guint i = 0; i < FAKE_VCPUS; i++) {
        VsmX86Regs *regs = &kernel->vcpus[i];

        regs->idtr = (VsmX86Table){FAKE_IDT, 0xfff, 0};
        regs->gdtr = (VsmX86Table){FAKE_GDT + i * 0x10000, 0x7f, 0};
        regs->tr = (VsmX86Table){FAKE_TSS + i * 0x10000, 0x4087, 0x40};
        map_pages(kernel, regs->gdtr.base, 1, FAKE_NX);
        memset(fake_at(kernel, regs->gdtr.base) + 80, 0, 40);
        map_pages(kernel, regs->tr.base, 1, FAKE_NX);
    }
}

/* All RAM, read-only where another mapping is. */
static void map_direct(FakeKernel *kernel)
{
    static const struct {
        guint64 va;
        guint pages;
    } sealed[] = {
        {FAKE_TEXT, FAKE_TEXT_PAGES},
        {FAKE_RODATA, FAKE_RODATA_PAGES},
        {FAKE_MODULE_TEXT, 2},
        {FAKE_MODULE_RO, 1},
        {FAKE_JIT, 512},
    };

    for (guint64 pa = 0; pa < FAKE_RAM_BYTES; pa += VSM_PAGE_BYTES) {
        fake_map(kernel, kernel->root, fake_direct(kernel, pa), pa,
                 FAKE_P | FAKE_W | FAKE_NX);
    }
    for (guint i = 0; i < G_N_ELEMENTS(sealed); i++) {
        for (guint p = 0; p < sealed[i].pages; p++) {
            guint64 pa = fake_pa(kernel, sealed[i].va + p * VSM_PAGE_BYTES);

            *fake_entry(kernel, kernel->root, fake_direct(kernel, pa)) &=
                ~FAKE_W;
        }
    }
}

static void make_roots(FakeKernel *kernel)
{
    guint64 *user = fake_table(kernel, kernel->user_root);
    const guint64 *root = fake_table(kernel, kernel->root);

    /* Linux makes the tables of all vmalloc space at boot. */
    for (guint i = 300; kernel->levels == 4 && i < 320; i++) {
        fake_table(kernel, kernel->root)[i] =
            fake_frame(kernel) | FAKE_P | FAKE_W;
    }
    /* ... and with five levels one for each kind of memory. */
    for (guint i = 320; kernel->levels == 5 && i < 425; i += 104) {
        fake_table(kernel, kernel->root)[i] =
            fake_frame(kernel) | FAKE_P | FAKE_W;
    }
    kernel->root2 = fake_frame(kernel);
    memcpy(fake_table(kernel, kernel->root2) + 256, root + 256, 2048);
    fake_map(kernel, kernel->root, FAKE_USER, fake_frame(kernel),
             FAKE_P | FAKE_U);
    fake_map(kernel, kernel->root2, FAKE_USER, fake_frame(kernel),
             FAKE_P | FAKE_U | FAKE_W);
    memcpy(user, root, 8);
    for (guint64 va = FAKE_IDT; va < FAKE_IDT + 0x2000; va += 0x1000) {
        fake_map(kernel, kernel->user_root, va, fake_pa(kernel, va),
                 FAKE_P | FAKE_NX);
    }
}

static void set_registers(FakeKernel *kernel)
{
    for (guint i = 0; i < FAKE_VCPUS; i++) {
        VsmX86Regs *regs = &kernel->vcpus[i];

        regs->cr0 = 0x80050033;
        regs->cr3 = i ? kernel->root2 : kernel->root;
        regs->cr4 = 0x3006b0 | (kernel->levels == 5 ? 0x1000 : 0);
        regs->efer = 0xd01;
        regs->star = 0x23001000000000;
        regs->lstar = FAKE_TEXT + 0x40;
        regs->cstar = FAKE_TEXT + 0x80;
        regs->fmask = 0x257fd5;
        regs->pat = 0x407050600070106;
        regs->smbase = 0x30000;
    }
}

FakeKernel *fake_kernel_new(guint levels)
{
    FakeKernel *kernel = g_new0(FakeKernel, 1);

    kernel->levels = levels;
    kernel->ram = g_aligned_alloc0(1, FAKE_RAM_BYTES, VSM_PAGE_BYTES);
    kernel->rom = g_aligned_alloc0(1, FAKE_ROM_BYTES, VSM_PAGE_BYTES);
    kernel->next = 0x10000; /* so that the user's root is the odd page */
    kernel->root = fake_frame(kernel);
    kernel->user_root = fake_frame(kernel);
    g_assert_cmpuint(kernel->user_root, ==, kernel->root | 0x1000);
    map_kernel(kernel);
    map_tables(kernel);
    map_direct(kernel);
    make_roots(kernel);
    set_registers(kernel);
    kernel->memory[0] =
        (VsmGuestMemory){0, FAKE_RAM_BYTES, kernel->ram, false, NULL};
    kernel->memory[1] =
        (VsmGuestMemory){FAKE_ROM, FAKE_ROM_BYTES, kernel->rom, true, NULL};
    kernel->guest =
        (VsmGuest){kernel->vcpus, FAKE_VCPUS, kernel->memory, 2, 40};
    return kernel;
}

void fake_kernel_free(FakeKernel *kernel)
{
    g_aligned_free(kernel->ram);
    g_aligned_free(kernel->rom);
    g_free(kernel->saved);
    g_free(kernel);
}

void fake_kernel_save(FakeKernel *kernel)
{
    g_free(kernel->saved);
    kernel->saved = g_malloc(FAKE_RAM_BYTES + FAKE_ROM_BYTES);
    memcpy(kernel->saved, kernel->ram, FAKE_RAM_BYTES);
    memcpy(kernel->saved + FAKE_RAM_BYTES, kernel->rom, FAKE_ROM_BYTES);
    memcpy(kernel->saved_vcpus, kernel->vcpus, sizeof(kernel->vcpus));
}

void fake_kernel_restore(FakeKernel *kernel)
{
    memcpy(kernel->ram, kernel->saved, FAKE_RAM_BYTES);
    memcpy(kernel->rom, kernel->saved + FAKE_RAM_BYTES, FAKE_ROM_BYTES);
    memcpy(kernel->vcpus, kernel->saved_vcpus, sizeof(kernel->vcpus));
}
