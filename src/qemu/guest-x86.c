/*
 * Registers of x86 guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "cpu.h"
#include "system/hw_accel.h"
#include "guest.h"

static VsmX86Table table(const SegmentCache *cache)
{
    return (VsmX86Table){
        .base = cache->base,
        .limit = cache->limit,
        .selector = cache->selector,
    };
}

/* Never started, or sent to wait: nothing runs on it until it is woken.  */
static bool is_parked(const CPUX86State *env, CPUState *cs)
{
    return cs->halted && !(env->cr[0] & CR0_PG_MASK);
}

static VsmX86Regs registers(CPUX86State *env, CPUState *cs)
{
    return (VsmX86Regs){
        .cr0 = env->cr[0],
        .cr3 = env->cr[3],
        .cr4 = env->cr[4],
        .efer = env->efer,
        .star = env->star,
        .lstar = env->lstar,
        .cstar = env->cstar,
        .fmask = env->fmask,
        .sysenter_cs = env->sysenter_cs,
        .sysenter_esp = env->sysenter_esp,
        .sysenter_eip = env->sysenter_eip,
        .pat = env->pat,
        .smbase = env->smbase,
        .idtr = table(&env->idt),
        .gdtr = table(&env->gdt),
        .ldtr = table(&env->ldt),
        .tr = table(&env->tr),
        .rip = env->eip,
        .cpl = env->hflags & HF_CPL_MASK,
        .parked = is_parked(env, cs),
        .smm = env->hflags & HF_SMM_MASK,
        .nested = env->hflags & HF_GUEST_MASK,
    };
}

bool vsm_guest_registers(GArray *vcpus, guint *ret_phys_bits, char **ret_reason)
{
    CPUState *cs;

    CPU_FOREACH(cs)
    {
        X86CPU *cpu = X86_CPU(cs);
        VsmX86Regs regs;

        cpu_synchronize_state(cs);
        regs = registers(&cpu->env, cs);
        g_array_append_val(vcpus, regs);
        *ret_phys_bits = MIN(MAX(cpu->phys_bits, 32), 52);
    }
    return true;
}
