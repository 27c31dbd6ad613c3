// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks on control registers of the last vCPU.
 */
#include <linux/module.h>
#include <linux/smp.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include "attack.h"

/* SYSCALL's way in, by one jump through here. */
extern char vsm_attack_entry[];
unsigned long vsm_attack_syscall;

asm(".pushsection .text, \"ax\"\n"
    ".global vsm_attack_entry\n"
    "vsm_attack_entry:\n"
    "	endbr64\n"
    "	jmp *vsm_attack_syscall(%rip)\n"
    ".popsection\n");

static int last_cpu(void)
{
    return num_online_cpus() - 1;
}

static void write_lstar(void *value)
{
    wrmsrl(MSR_LSTAR, (unsigned long)value);
}

static int lstar(bool undo)
{
    void *value = undo ? (void *)vsm_attack_syscall : vsm_attack_entry;

    if (!undo)
        rdmsrl(MSR_LSTAR, vsm_attack_syscall);
    return smp_call_function_single(last_cpu(), write_lstar, value, 1);
}

static void flip_cr4(void *bit)
{
    unsigned long cr4;

    /* native_write_cr4() pins it */
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    asm volatile("mov %0, %%cr4" : : "r"(cr4 ^ (unsigned long)bit));
}

static int smep(bool undo)
{
    return smp_call_function_single(last_cpu(), flip_cr4, (void *)X86_CR4_SMEP,
                                    1);
}

static void flip_fmask(void *bit)
{
    unsigned long mask;

    rdmsrl(MSR_SYSCALL_MASK, mask);
    wrmsrl(MSR_SYSCALL_MASK, mask ^ (unsigned long)bit);
}

static int fmask(bool undo)
{
    return smp_call_function_single(last_cpu(), flip_fmask,
                                    (void *)X86_EFLAGS_AC, 1);
}

/* What poke() does anyway: gone before anybody can look. */
static int cr0_wp(bool undo)
{
    static u8 byte;

    poke(&byte, "x", 1);
    return 0;
}

const struct attack register_attacks[] = {
    {"lstar", lstar}, {"smep", smep}, {"fmask", fmask}, {"cr0-wp", cr0_wp}, {}};
