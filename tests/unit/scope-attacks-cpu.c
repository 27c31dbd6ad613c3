/*
 * Test help: attacks on what a vCPU goes by: tables, registers, modes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "scope-attacks.h"

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

void scope_attack_write_protect(FakeKernel *kernel)
{
    kernel->vcpus[0].cr0 &= ~(1ull << 16);
}

static void free_registers(FakeKernel *kernel)
{
    kernel->vcpus[0].cr0 ^= 8; /* TS */
    kernel->vcpus[0].cr4 ^= 0x104; /* TSD, PCE */
    kernel->vcpus[1].cr3 = kernel->root; /* another process */
}

void scope_attack_nested(FakeKernel *kernel)
{
    kernel->vcpus[1].nested = true;
}

void scope_attack_smm(FakeKernel *kernel)
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

const ScopeAttack scope_cpu_attacks[] = {
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
    {"write-protect", scope_attack_write_protect, "register", "cpu/CR0", 0, 1,
     1},
    {"free-registers", free_registers, NULL, NULL, 0, 0, 0},
    {"nested", scope_attack_nested, "nested", "cpu", 0, 1, 2},
    {"smm", scope_attack_smm, "smm", "cpu", 0, 1, 2},
    {"vcpu-offline", vcpu_offline, NULL, NULL, 0, 0, 0},
    {"in-user-mode", in_user_mode, NULL, NULL, 0, 0, 0},
    {"user-root-differs", user_root_differs, "foreign-root", "roots", FAKE_IDT,
     1, 1},
    {"user-memory", user_memory, NULL, NULL, 0, 0, 0},
    {0},
};
