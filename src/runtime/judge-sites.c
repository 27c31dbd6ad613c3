/*
 * Judging jump labels: a change is borne only if site, key and entry agree.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/limits.h"
#include "runtime/judge.h"
#include "runtime/witness.h"

static void add_site(VsmJudgement *judgement,
                     const char *kind,
                     const VsmWitness *witness,
                     guint8 sealed,
                     guint8 now)
{
    const VsmScopeRun *run = vsm_scope_find_run(judgement->sealed, witness->va);
    VsmFinding *finding =
        vsm_judge_finding(kind, run ? run->scope_class : VSM_CLASS_TEXT);

    finding->offset = witness->va;
    finding->bytes = vsm_witness_bytes(witness);
    finding->address = run ? run->pa + (witness->va - run->va) : 0;
    finding->sealed = vsm_judge_number(sealed, 1);
    finding->measured = vsm_judge_number(now, 1);
    vsm_judge_add(judgement, finding);
}

static void tolerate(VsmJudgement *judgement,
                     const VsmWitness *witness,
                     guint8 form,
                     guint *left_out)
{
    GPtrArray *tolerated = judgement->verdict->tolerated;

    if (tolerated->len >= VSM_FINDINGS_MAX - 1) {
        (*left_out)++;
        return;
    }
    g_ptr_array_add(tolerated,
                    g_strdup_printf("jump-label 0x%" G_GINT64_MODIFIER "x %s",
                                    witness->va,
                                    form == VSM_SITE_JUMP ? "jump" : "nop"));
}

static void judge_site(VsmJudgement *judgement, guint i, guint *left_out)
{
    const VsmWitness *witness = vsm_scope_witness(judgement->sealed, i);
    guint8 old = judgement->sealed->states->data[i];
    guint8 now = judgement->measured->states->data[i];
    guint8 form = now & VSM_SITE_FORM;

    if (now == VSM_SITE_IN_FLIGHT) {
        add_site(judgement, VSM_KIND_PATCH_IN_FLIGHT, witness, old, now);
    } else if (form == VSM_SITE_OTHER) {
        return; /* a changed page besides; what it is, the bytes say */
    } else if (form != old &&
               (judgement->strict || witness->flags & VSM_WITNESS_FIXED)) {
        /* Whatever its key says: an inconsistency would be asked for again. */
        add_site(judgement, VSM_KIND_JUMP_LABEL, witness, old, now);
    } else if (now & VSM_SITE_INCONSISTENT) {
        add_site(judgement, VSM_KIND_JUMP_LABEL_INCONSISTENT, witness, old,
                 now);
    } else if (form != old) {
        tolerate(judgement, witness, now, left_out);
    }
}

static bool same_witnesses(const VsmScope *a, const VsmScope *b)
{
    if (a->witnesses->len != b->witnesses->len) {
        return false;
    }
    for (guint i = 0; i < a->witnesses->len; i++) {
        const VsmWitness *x = vsm_scope_witness(a, i);
        const VsmWitness *y = vsm_scope_witness(b, i);

        if (x->va != y->va || x->target != y->target || x->key != y->key ||
            x->flags != y->flags) {
            return false;
        }
    }
    return true;
}

void vsm_judge_sites(VsmJudgement *judgement)
{
    guint left_out = 0;

    if (!same_witnesses(judgement->sealed, judgement->measured)) {
        /* Not captured with this sealed scope: no site counts as proved. */
        vsm_judge_add(judgement,
                      vsm_judge_finding(VSM_KIND_JUMP_LABEL_INCONSISTENT,
                                        VSM_CLASS_TEXT));
        return;
    }
    for (guint i = 0; i < judgement->sealed->witnesses->len; i++) {
        judge_site(judgement, i, &left_out);
    }
    if (left_out) {
        g_ptr_array_add(judgement->verdict->tolerated,
                        g_strdup_printf("... and %u more", left_out));
    }
}
