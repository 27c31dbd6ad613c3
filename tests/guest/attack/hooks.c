// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hooks by the kernel's own means, and what healthy guests do with the same.
 */
#include <linux/delay.h>
#include <linux/filter.h>
#include <linux/ftrace.h>
#include <linux/jump_label.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include "attack.h"

#define VICTIM "kernel_halt"

static void notrace hook(unsigned long ip,
                         unsigned long parent,
                         struct ftrace_ops *ops,
                         struct ftrace_regs *regs)
{
}

static struct ftrace_ops hook_ops = {.func = hook};

static int ftrace_hook(bool undo)
{
    int ret;

    if (undo)
        return unregister_ftrace_function(&hook_ops);
    ret = ftrace_set_filter(&hook_ops, (unsigned char *)VICTIM, strlen(VICTIM),
                            0);
    return ret ? ret : register_ftrace_function(&hook_ops);
}

static int on_probe(struct kprobe *probe, struct pt_regs *regs)
{
    return 0;
}

/* After the place that ftrace has: an instruction of the function itself. */
static struct kprobe probe = {.symbol_name = VICTIM, .pre_handler = on_probe};

static int kprobe_hook(bool undo)
{
    const u8 *code = (const u8 *)symbol(VICTIM);

    if (undo) {
        unregister_kprobe(&probe);
        return 0;
    }
    probe.addr = NULL;
    probe.flags = 0;
    probe.offset = (code[0] == 0xf3 && code[1] == 0x0f) ? 9 : 5;
    return register_kprobe(&probe);
}

/* A jump label of a function that is not called, with its key. */
static struct jump_entry *cold_site(void)
{
    static const char *const cold[] = {
        "suspend_devices", "hibernat", "dpm_",
        "syscore_suspend", "freeze_",  "suspend_enter"};
    struct jump_entry *entry =
        (struct jump_entry *)symbol("__start___jump_table");
    struct jump_entry *stop =
        (struct jump_entry *)symbol("__stop___jump_table");
    char name[KSYM_SYMBOL_LEN];
    int i;

    for (; entry < stop; entry++) {
        u8 *code = (u8 *)jump_entry_code(entry);

        if (code < (u8 *)symbol("_text") || code >= (u8 *)symbol("_etext") ||
            !(code[0] == 0x0f || code[0] == 0x66))
            continue;
        sprint_symbol(name, (unsigned long)code);
        for (i = 0; i < ARRAY_SIZE(cold); i++)
            if (!strncmp(name, cold[i], strlen(cold[i])))
                return entry;
    }
    return NULL;
}

static int patch_site(bool undo, long wrong)
{
    static u8 old[5];
    static unsigned int bytes;
    struct jump_entry *entry = cold_site();
    static u8 *site;
    long to;
    u8 code[5];
    s32 near;

    if (undo) {
        poke(site, old, bytes);
        return 0;
    }
    if (!entry)
        return -ENOENT;
    site = (u8 *)jump_entry_code(entry);
    bytes = site[0] == 0x66 ? 2 : 5;
    memcpy(old, site, bytes);
    to = (long)jump_entry_target(entry) + wrong - (long)site - bytes;
    near = to;
    code[0] = bytes == 2 ? 0xeb : 0xe9;
    memcpy(code + 1, &near, bytes - 1);
    poke(site, code, bytes);
    return 0;
}

static int wrong_target(bool undo)
{
    return patch_site(undo, 1);
}

/* The right target, while the key says that it is off. */
static int inconsistent(bool undo)
{
    return patch_site(undo, 0);
}

/* Healthy: a key of this module, switched as kernels do. */
static DEFINE_STATIC_KEY_FALSE(vsm_attack_key);

static noinline int uses_key(void)
{
    return static_branch_unlikely(&vsm_attack_key) ? 1 : 2;
}

static int jump_label(bool undo)
{
    if (undo)
        static_branch_disable(&vsm_attack_key);
    else
        static_branch_enable(&vsm_attack_key);
    return uses_key() > 0 ? 0 : -EINVAL;
}

static struct task_struct *toggler;

static int toggle_loop(void *unused)
{
    while (!kthread_should_stop()) {
        jump_label(false);
        jump_label(true);
        cond_resched();
    }
    return 0;
}

static int toggle(bool undo)
{
    if (undo)
        return kthread_stop(toggler);
    toggler = kthread_run(toggle_loop, NULL, "vsm-toggle");
    return PTR_ERR_OR_ZERO(toggler);
}

/* Healthy: a classic BPF program, which is compiled. */
static int bpf(bool undo)
{
    static struct bpf_prog *prog;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog_kern kern = {.len = ARRAY_SIZE(code), .filter = code};

    if (undo) {
        bpf_prog_destroy(prog);
        return 0;
    }
    return bpf_prog_create(&prog, &kern);
}

const struct attack hook_attacks[] = {{"ftrace", ftrace_hook},
                                      {"kprobe", kprobe_hook},
                                      {"jump-label-target", wrong_target},
                                      {"jump-label-key", inconsistent},
                                      {"jump-label", jump_label},
                                      {"toggle", toggle},
                                      {"bpf", bpf},
                                      {}};
