/*
 * Judging registers, descriptor tables, the root and what is a finding by
 * itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "runtime/judge.h"

#define VALUE_BYTES_MAX 16 /* of a finding */

static guint64 get(const VsmScope *scope, guint vcpu, guint index)
{
    return g_array_index(scope->registers, guint64,
                         vcpu * VSM_SCOPE_REGISTERS + index);
}

static void add_register(VsmJudgement *judgement,
                         guint vcpu,
                         const char *name,
                         guint64 sealed,
                         guint64 measured)
{
    VsmFinding *finding = g_new0(VsmFinding, 1);

    finding->kind = VSM_KIND_REGISTER;
    finding->where = g_strconcat("cpu/", name, NULL);
    finding->vcpu = vcpu + 1;
    finding->bytes = 8;
    finding->sealed = vsm_judge_number(sealed, 8);
    finding->measured = vsm_judge_number(measured, 8);
    vsm_judge_add(judgement, finding);
}

/* A parked vCPU executes nothing; one that was not sealed must not run. */
static void judge_vcpu(VsmJudgement *judgement, guint vcpu)
{
    const VsmScope *sealed = judgement->sealed, *now = judgement->measured;
    bool was_parked = sealed->parked->data[vcpu];

    if (now->parked->data[vcpu]) {
        if (!was_parked) {
            g_ptr_array_add(judgement->verdict->tolerated,
                            g_strdup_printf("vcpu %u is offline", vcpu));
        }
        return;
    }
    if (was_parked) {
        add_register(judgement, vcpu, "online", 0, 1);
        return;
    }
    for (guint i = 0; i < VSM_SCOPE_REGISTERS; i++) {
        if (get(sealed, vcpu, i) != get(now, vcpu, i)) {
            add_register(judgement, vcpu, vsm_scope_register_name(i),
                         get(sealed, vcpu, i), get(now, vcpu, i));
        }
    }
}

void vsm_judge_registers(VsmJudgement *judgement)
{
    guint sealed = judgement->sealed->parked->len;
    guint measured = judgement->measured->parked->len;

    for (guint i = 0; i < MIN(sealed, measured); i++) {
        judge_vcpu(judgement, i);
    }
    if (sealed != measured) {
        add_register(judgement, MIN(sealed, measured), "count", sealed,
                     measured);
    }
}

static const VsmScopeTable *find_table(const VsmScope *scope,
                                       const VsmScopeTable *like)
{
    for (guint i = 0; i < scope->tables->len; i++) {
        const VsmScopeTable *table = g_ptr_array_index(scope->tables, i);

        if (table->kind == like->kind && table->va == like->va &&
            (table->kind == VSM_TABLE_IDT || table->vcpu == like->vcpu)) {
            return table;
        }
    }
    return NULL;
}

/* The first range of bytes that differs, with what was and is there. */
static void judge_table(VsmJudgement *judgement,
                        const VsmScopeTable *sealed,
                        const VsmScopeTable *now)
{
    VsmFinding *finding;
    gsize old_n, new_n, at = 0, n;
    const guint8 *old_bytes = g_bytes_get_data(sealed->bytes, &old_n);
    const guint8 *new_bytes = g_bytes_get_data(now->bytes, &new_n);

    n = MIN(old_n, new_n);
    while (at < n && old_bytes[at] == new_bytes[at]) {
        at++;
    }
    if (at == n && old_n == new_n) {
        return;
    }
    at -= at % 8;
    finding = vsm_judge_finding(VSM_KIND_TABLE_BYTES, VSM_CLASS_TABLES);
    finding->offset = now->va + at;
    finding->bytes = MIN(MAX(old_n, new_n) - at, VALUE_BYTES_MAX);
    finding->vcpu = now->vcpu;
    if (at < n) {
        guint values = MIN(n - at, VALUE_BYTES_MAX);

        finding->sealed = g_bytes_new(old_bytes + at, values);
        finding->measured = g_bytes_new(new_bytes + at, values);
    }
    vsm_judge_add(judgement, finding);
}

static bool is_parked(const VsmScope *scope, guint vcpu)
{
    return vcpu > scope->parked->len || scope->parked->data[vcpu - 1];
}

/* A table somewhere else shows in its register. */
void vsm_judge_tables(VsmJudgement *judgement)
{
    const VsmScope *sealed = judgement->sealed, *now = judgement->measured;

    for (guint i = 0; i < sealed->tables->len; i++) {
        const VsmScopeTable *old = g_ptr_array_index(sealed->tables, i);
        const VsmScopeTable *found = find_table(now, old);

        if (found) {
            judge_table(judgement, old, found);
        } else if (!is_parked(now, old->vcpu)) {
            VsmFinding *finding =
                vsm_judge_finding(VSM_KIND_TABLE_BYTES, VSM_CLASS_TABLES);

            finding->offset = old->va;
            finding->vcpu = old->vcpu;
            vsm_judge_add(judgement, finding);
        }
    }
}

void vsm_judge_root(VsmJudgement *judgement)
{
    const GArray *old = judgement->sealed->root;
    const GArray *now = judgement->measured->root;
    guint shift = judgement->sealed->levels == 5 ? 48 : 39;

    for (guint i = 0; i < VSM_KERNEL_HALF; i++) {
        guint64 a = i < old->len ? g_array_index(old, guint64, i) : 0;
        guint64 b = i < now->len ? g_array_index(now, guint64, i) : 0;
        VsmFinding *finding;

        if (a == b) {
            continue;
        }
        finding = vsm_judge_finding(VSM_KIND_FOREIGN_ROOT, VSM_CLASS_ROOTS);
        finding->offset = (guint64)(VSM_KERNEL_HALF + i) << shift;
        if (shift == 39) {
            finding->offset |= 0xffffull << 48;
        }
        finding->sealed = vsm_judge_number(a, 8);
        finding->measured = vsm_judge_number(b, 8);
        vsm_judge_add(judgement, finding);
    }
    if (judgement->sealed->levels != judgement->measured->levels) {
        vsm_judge_add(judgement, vsm_judge_finding(VSM_KIND_FOREIGN_ROOT,
                                                   VSM_CLASS_ROOTS));
    }
}

static bool has_fact(const VsmScope *scope, const VsmFact *fact)
{
    for (guint i = 0; i < scope->facts->len; i++) {
        const VsmFact *other = &g_array_index(scope->facts, VsmFact, i);

        /* Field by field: the documents come from elsewhere. */
        if (other->va == fact->va && other->bytes == fact->bytes &&
            other->pa == fact->pa && other->value == fact->value &&
            other->vcpu == fact->vcpu && other->kind == fact->kind &&
            other->scope_class == fact->scope_class) {
            return true;
        }
    }
    return false;
}

static void add_fact(VsmJudgement *judgement, const VsmFact *fact)
{
    VsmFinding *finding;

    if (fact->kind == VSM_FACT_A20 && fact->vcpu) {
        add_register(judgement, fact->vcpu - 1, "A20", 1, 0);
        return;
    }
    finding =
        vsm_judge_finding(vsm_fact_kind_name(fact->kind), fact->scope_class);
    finding->offset = fact->va;
    finding->bytes = fact->bytes;
    finding->address = fact->pa;
    finding->vcpu = fact->vcpu;
    if (fact->value) {
        finding->measured = vsm_judge_number(fact->value, 8);
    }
    vsm_judge_add(judgement, finding);
}

/* Comes first: much of what else is found may follow from it. */
void vsm_judge_truncated(VsmJudgement *judgement)
{
    const GArray *facts = judgement->measured->facts;

    for (guint i = 0; i < facts->len; i++) {
        const VsmFact *fact = &g_array_index(facts, VsmFact, i);

        if (fact->kind == VSM_FACT_TRUNCATED) {
            add_fact(judgement, fact);
        }
    }
}

void vsm_judge_facts(VsmJudgement *judgement)
{
    const GArray *facts = judgement->measured->facts;

    for (guint i = 0; i < facts->len; i++) {
        const VsmFact *fact = &g_array_index(facts, VsmFact, i);

        if (fact->kind != VSM_FACT_TRUNCATED &&
            !has_fact(judgement->sealed, fact)) {
            add_fact(judgement, fact);
        }
    }
    judgement->verdict->findings_left_out +=
        judgement->measured->facts_left_out;
}
