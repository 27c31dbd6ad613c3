// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks on bytes and on page tables.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>
#include <asm/desc.h>
#include <asm/pgtable.h>
#include <asm/syscall.h>
#include <asm/tlbflush.h>
#include "attack.h"

/* Never called while the tests run. */
#define VICTIM "kernel_halt"

static u8 *victim(void)
{
    return (u8 *)symbol(VICTIM);
}

static void flush_one(void *unused)
{
    unsigned long cr4;

    /* all of them, global ones too */
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    asm volatile("mov %0, %%cr4" : : "r"(cr4 ^ X86_CR4_PGE) : "memory");
    asm volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

static void flush(void)
{
    on_each_cpu(flush_one, NULL, 1);
}

static pte_t *entry_of(void *at, unsigned int *level)
{
    pte_t *(*find)(unsigned long, unsigned int *) =
        (void *)symbol("lookup_address");

    return find((unsigned long)at, level);
}

static unsigned long phys_of(void *at)
{
    unsigned long base = *(unsigned long *)symbol("phys_base");

    return (unsigned long)at - __START_KERNEL_map + base;
}

static int change_bits(void *at, unsigned long set, unsigned long clear)
{
    unsigned int level;
    unsigned long *entry = (unsigned long *)entry_of(at, &level);

    if (!entry)
        return -EFAULT;
    WRITE_ONCE(*entry, (*entry | set) & ~clear);
    flush();
    return 0;
}

static int xor_byte(void *at)
{
    u8 byte = *(u8 *)at ^ 1;

    poke(at, &byte, 1);
    return 0;
}

/* A byte of a function that is not called. */
static int text_byte(bool undo)
{
    return xor_byte(victim() + 12);
}

/* Another function in the table of system calls. */
static int sys_call(bool undo)
{
    static unsigned long old;
    unsigned long *entry = (unsigned long *)symbol("sys_call_table") + 134;
    unsigned long new = undo ? old : (unsigned long)victim();

    old = undo ? old : *entry;
    poke(entry, &new, sizeof(new));
    return 0;
}

/* A gate that nothing uses. */
static int idt_gate(bool undo)
{
    struct desc_ptr idt;

    store_idt(&idt);
    return xor_byte((u8 *)idt.address + 200 * 16);
}

static int rodata(bool undo)
{
    return xor_byte((u8 *)symbol("linux_banner") + 1);
}

/* Text that is writable and executable. */
static int text_rwx(bool undo)
{
    return undo ? change_bits(victim(), 0, _PAGE_RW)
                : change_bits(victim(), _PAGE_RW, 0);
}

static int rodata_writable(bool undo)
{
    void *at = (void *)symbol("sys_call_table");

    return undo ? change_bits(at, 0, _PAGE_RW) : change_bits(at, _PAGE_RW, 0);
}

/* A second way to text that can be written. */
static int writable_alias(bool undo)
{
    void *at = __va(phys_of(victim()));

    return undo ? change_bits(at, 0, _PAGE_RW) : change_bits(at, _PAGE_RW, 0);
}

/* Data that a module may execute. */
static u8 data[4096] __aligned(4096);

static int module_data_exec(bool undo)
{
    data[0] = 0xc3;
    return undo ? change_bits(data, _PAGE_NX, 0)
                : change_bits(data, 0, _PAGE_NX);
}

/* A page of the direct map that can be executed. */
static int exec_direct_map(bool undo)
{
    static unsigned long page;
    int (*set)(unsigned long, int) =
        (void *)symbol(undo ? "set_memory_nx" : "set_memory_x");

    if (!page)
        page = __get_free_page(GFP_KERNEL);
    return page && set ? set(page, 1) : -ENOMEM;
}

/* A table of 4 KiB pages for what @entry maps, one of them replaced. */
static unsigned long *
split(unsigned long entry, unsigned int which, unsigned long frame)
{
    unsigned long *table = (void *)get_zeroed_page(GFP_KERNEL);
    unsigned long flags = entry & ~PTE_PFN_MASK & ~(unsigned long)_PAGE_PSE;
    int i;

    for (i = 0; table && i < 512; i++)
        table[i] = ((entry & PTE_PFN_MASK) + i * 4096UL) | flags;
    if (table)
        table[which] = frame | flags;
    return table;
}

/* Text mapped from a copy of its page: the bytes are the same. */
static int remap(bool undo)
{
    static unsigned long old, copy, *table;
    unsigned long at = (unsigned long)victim() & PAGE_MASK;
    unsigned int level;
    unsigned long *entry;

    /* lookup_address() of a split one gives the lowest level */
    static unsigned long *upper;

    if (undo) {
        if (!upper)
            return -EINVAL;
        WRITE_ONCE(*upper, old);
        flush();
        free_page((unsigned long)table);
        free_page(copy);
        return 0;
    }
    entry = (unsigned long *)entry_of((void *)at, &level);
    copy = __get_free_page(GFP_KERNEL);
    if (!entry || !copy)
        return -ENOMEM;
    memcpy((void *)copy, (void *)at, 4096);
    upper = entry;
    old = *entry;
    if (level == PG_LEVEL_4K) {
        table = NULL;
        WRITE_ONCE(*entry, (old & ~PTE_PFN_MASK) | __pa(copy));
    } else if (level == PG_LEVEL_2M) {
        table = split(old, (at >> 12) & 511, __pa(copy));
        if (!table)
            return -ENOMEM;
        WRITE_ONCE(*entry, __pa(table) | _KERNPG_TABLE);
    } else {
        return -EINVAL;
    }
    flush();
    return 0;
}

/*
 * A root of its own that maps one page of text elsewhere.  With @hide it
 * shares no upper table with the kernel's, so no census knows it for a root.
 */
static unsigned long *new_root(bool hide)
{
    unsigned long *root = (void *)get_zeroed_page(GFP_KERNEL);
    unsigned long *kernel = (void *)symbol("init_top_pgt");
    unsigned long *upper;
    int i;

    for (i = 256; root && i < 512; i++) {
        root[i] = kernel[i];
        if (!(root[i] & _PAGE_PRESENT) || (!hide && i != 511))
            continue;
        upper = (void *)__get_free_page(GFP_KERNEL);
        if (!upper)
            return NULL;
        memcpy(upper, __va(root[i] & PTE_PFN_MASK), 4096);
        root[i] = __pa(upper) | (root[i] & ~PTE_PFN_MASK);
    }
    return root;
}

static void free_root(unsigned long *root)
{
    unsigned long *kernel = (void *)symbol("init_top_pgt");
    int i;

    for (i = 256; i < 512; i++)
        if (root[i] != kernel[i])
            free_page((unsigned long)__va(root[i] & PTE_PFN_MASK));
    clear_page(root);
    free_page((unsigned long)root);
}

static int some_root(bool hide, bool undo)
{
    static unsigned long *root;

    if (undo) {
        free_root(root);
        return 0;
    }
    root = new_root(hide);
    return root ? 0 : -ENOMEM;
}

static int private_root(bool undo)
{
    return some_root(false, undo);
}

static int hidden_root(bool undo)
{
    return some_root(true, undo);
}

/* Data alone: what a helper is started as. */
static int modprobe(bool undo)
{
    return xor_byte((u8 *)symbol("modprobe_path"));
}

const struct attack memory_attacks[] = {{"text-byte", text_byte},
                                        {"sys-call-table", sys_call},
                                        {"idt-gate", idt_gate},
                                        {"rodata", rodata},
                                        {"text-rwx", text_rwx},
                                        {"rodata-writable", rodata_writable},
                                        {"writable-alias", writable_alias},
                                        {"module-data-exec", module_data_exec},
                                        {"exec-direct-map", exec_direct_map},
                                        {"remap", remap},
                                        {"private-root", private_root},
                                        {"hidden-root", hidden_root},
                                        {"modprobe-path", modprobe},
                                        {}};
