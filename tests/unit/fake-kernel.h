/*
 * A small guest with a kernel's page tables, built in memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/runtime.h>

#define FAKE_RAM_BYTES (8u * 1024 * 1024)
#define FAKE_ROM 0xfffc0000ull
#define FAKE_ROM_BYTES (16u * 1024)

/* Where things are mapped; pages in brackets. */
#define FAKE_DIRECT 0xffff888000000000ull /* all RAM */
#define FAKE_DIRECT_LA57 0xff11000000000000ull
#define FAKE_TEXT 0xffffffff81000000ull /* [16] */
#define FAKE_RODATA 0xffffffff81200000ull /* [8] */
#define FAKE_DATA 0xffffffff81400000ull /* [4] */
#define FAKE_STALE 0xffffffff81600000ull /* [2], read-only, no rodata */
#define FAKE_MODULE_TEXT 0xffffffffc0001000ull /* [2] */
#define FAKE_MODULE_RO 0xffffffffc0003000ull /* [1] */
#define FAKE_MODULE_DATA 0xffffffffc0004000ull /* [1] */
#define FAKE_JIT 0xffffffffc0200000ull /* [512], one large page */
#define FAKE_IDT 0xfffffe0000000000ull /* [1] */
#define FAKE_GDT 0xfffffe0000001000ull /* [1] for each vCPU, stride 0x10000 */
#define FAKE_TSS 0xfffffe0000003000ull /* [1] for each vCPU, stride 0x10000 */
#define FAKE_USER 0x400000ull /* [1], a process's code */

#define FAKE_TEXT_PAGES 16
#define FAKE_RODATA_PAGES 8
#define FAKE_SITES 12 /* jump labels of text, one each 0x500 bytes */
#define FAKE_VCPUS 2

/* Entry bits of page tables. */
#define FAKE_P 1ull
#define FAKE_W 2ull
#define FAKE_U 4ull
#define FAKE_LARGE 0x80ull
#define FAKE_NX (1ull << 63)

typedef struct {
    VsmGuest guest;
    VsmX86Regs vcpus[FAKE_VCPUS];
    VsmGuestMemory memory[2];
    guint8 *ram, *rom, *saved; /* saved: RAM and ROM as they were */
    VsmX86Regs saved_vcpus[FAKE_VCPUS];
    guint levels;
    guint64 next; /* free frame */
    guint64 root, root2; /* two processes */
    guint64 user_root; /* KPTI's, behind root */
} FakeKernel;

/* @levels: 4 or 5.  Both vCPUs run, on the two roots. */
FakeKernel *fake_kernel_new(guint levels);
void fake_kernel_free(FakeKernel *kernel);

/* Remembers RAM, ROM and registers; puts them back. */
void fake_kernel_save(FakeKernel *kernel);
void fake_kernel_restore(FakeKernel *kernel);

guint64 fake_frame(FakeKernel *kernel); /* a zero page */
guint64 *fake_table(FakeKernel *kernel, guint64 pa);

/* Maps 4 KiB, or 2 MiB with FAKE_LARGE; upper levels allow everything. */
void fake_map(
    FakeKernel *kernel, guint64 root, guint64 va, guint64 pa, guint64 flags);

/* The entry that maps @va, of any size; NULL: none. */
guint64 *fake_entry(FakeKernel *kernel, guint64 root, guint64 va);
guint64 fake_pa(FakeKernel *kernel, guint64 va); /* by the first root */
guint8 *fake_at(FakeKernel *kernel, guint64 va); /* the same, its byte */
guint64 fake_direct(const FakeKernel *kernel, guint64 pa);

/* Jump label @i: site, target and key; long ones have even numbers. */
guint64 fake_site(guint i);
guint64 fake_target(guint i);
guint64 fake_key(guint i);

/* Patches site @i to the form that its key asks for when it is @on. */
void fake_patch(FakeKernel *kernel, guint i, bool on);
void fake_set_key(FakeKernel *kernel, guint i, gint32 enabled);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeKernel, fake_kernel_free)
