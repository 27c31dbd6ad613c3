/*
 * Registers of x86 guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "cpu.h"
#include "hw/i386/apic_internal.h"
#include "system/hw_accel.h"
#include "system/kvm.h"
#include "guest.h"

/* Where INIT and reset leave an x86 CPU.  */
#define RESET_EIP 0xfff0
#define RESET_CS_BASE 0xffff0000

static VsmX86Table table(const SegmentCache *cache)
{
    return (VsmX86Table){
        .base = cache->base,
        .limit = cache->limit,
        .selector = cache->selector,
    };
}

/*
 * Only a start-up IPI starts it.  One that is merely halted runs at an
 * interrupt, paging or not; and QEMU's own APIC lets an NMI end the wait, so
 * the vCPU must stand where INIT put it.
 */
static bool is_parked(const X86CPU *cpu)
{
    const CPUX86State *env = &cpu->env;

#ifdef CONFIG_KVM
    if (kvm_enabled() && kvm_irqchip_in_kernel()) {
        return env->mp_state == KVM_MP_STATE_UNINITIALIZED ||
               env->mp_state == KVM_MP_STATE_INIT_RECEIVED;
    }
#endif
    return cpu->apic_state && APIC_COMMON(cpu->apic_state)->wait_for_sipi &&
           CPU(cpu)->halted && env->eip == RESET_EIP &&
           env->segs[R_CS].base == RESET_CS_BASE &&
           !(env->cr[0] & CR0_PG_MASK);
}

static VsmX86Regs registers(X86CPU *cpu)
{
    const CPUX86State *env = &cpu->env;

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
        .parked = is_parked(cpu),
        /* KVM has no such line; a guest that pulls it is none the less odd.  */
        .a20_masked = !(env->a20_mask & (1 << 20)),
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
        regs = registers(cpu);
        g_array_append_val(vcpus, regs);
        *ret_phys_bits = MIN(MAX(cpu->phys_bits, 32), 52);
    }
    return true;
}
