/*
 * Test help: what a case does to a guest's kernel, and what the runtime scope
 * says of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "scope-fixture.h"

/* The one thing that a case does to the guest. */
typedef struct {
    const char *name;
    void (*attack)(FakeKernel *kernel);
    const char *kind, *where; /* of its first finding; NULL: a match */
    guint64 offset; /* of it */
    guint findings; /* how many; 0: any number */
    guint vcpu; /* index plus 1 */
} ScopeAttack;

/* The last one has no name. */
extern const ScopeAttack scope_memory_attacks[];
extern const ScopeAttack scope_cpu_attacks[];

/* Those that other tests begin with. */
void scope_attack_text_byte(FakeKernel *kernel);
void scope_attack_trap_at_site(FakeKernel *kernel);
void scope_attack_direct_map_executable(FakeKernel *kernel);
void scope_attack_text_writable(FakeKernel *kernel);
void scope_attack_write_protect(FakeKernel *kernel);
void scope_attack_nested(FakeKernel *kernel);
void scope_attack_smm(FakeKernel *kernel);
