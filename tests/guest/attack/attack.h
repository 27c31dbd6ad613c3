/*
 * Attacks on a running kernel, and healthy changes, each done and undone by
 * name: what the tests of the runtime scope need inside the guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef ATTACK_H
#define ATTACK_H

#include <linux/types.h>

/* Returns 0 or a negative error; @undo takes back what was done. */
typedef int (*attack_fn)(bool undo);

struct attack {
    const char *name;
    attack_fn fn;
};

/* Ends with an empty entry. */
extern const struct attack memory_attacks[];
extern const struct attack register_attacks[];
extern const struct attack hook_attacks[];
extern const struct attack hide_attacks[];

/* Address of a symbol that is not exported; 0: there is none. */
unsigned long symbol(const char *name);

/* Writes through CR0.WP, as rootkits do. */
void poke(void *to, const void *from, size_t bytes);

#endif
