// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/attack: write "NAME" to do it, "-NAME" to undo it.
 */
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>
#include "attack.h"

static unsigned long lookup;
module_param(lookup, ulong, 0);
MODULE_PARM_DESC(lookup, "address of kallsyms_lookup_name");

unsigned long symbol(const char *name)
{
    unsigned long (*find)(const char *) = (void *)lookup;

    return find(name);
}

void poke(void *to, const void *from, size_t bytes)
{
    unsigned long flags, cr0;

    local_irq_save(flags);
    asm volatile("mov %%cr0, %0" : "=r"(cr0));
    /* write_cr0() pins WP */
    asm volatile("mov %0, %%cr0" : : "r"(cr0 & ~0x10000UL) : "memory");
    memcpy(to, from, bytes);
    asm volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
    local_irq_restore(flags);
}

static int run(const char *name)
{
    const struct attack *const tables[] = {memory_attacks, register_attacks,
                                           hook_attacks, hide_attacks};
    bool undo = name[0] == '-';
    const struct attack *a;
    int i;

    for (i = 0; i < ARRAY_SIZE(tables); i++)
        for (a = tables[i]; a->name; a++)
            if (!strcmp(a->name, name + undo))
                return a->fn(undo);
    return -ENOENT;
}

static ssize_t attack_write(struct file *file,
                            const char __user *from,
                            size_t size,
                            loff_t *at)
{
    char name[64];
    int ret;

    if (size >= sizeof(name))
        return -EINVAL;
    if (copy_from_user(name, from, size))
        return -EFAULT;
    name[size] = 0;
    ret = run(strim(name));
    return ret ? ret : size;
}

static const struct proc_ops attack_ops = {
    .proc_write = attack_write,
};

static int __init attack_init(void)
{
    if (!lookup || !proc_create("attack", 0200, NULL, &attack_ops))
        return -EINVAL;
    return 0;
}

static void __exit attack_exit(void)
{
    remove_proc_entry("attack", NULL);
}

module_init(attack_init);
module_exit(attack_exit);
MODULE_DESCRIPTION("attacks for the tests of VSM");
MODULE_LICENSE("GPL");
