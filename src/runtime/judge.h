/*
 * A judgement in the making.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "runtime/scope.h"

typedef struct {
    const VsmScope *sealed, *measured;
    bool strict;
    VsmVerdict *verdict;
    GByteArray *pages; /* address and digest of each page with other bytes */
} VsmJudgement;

/* Takes the finding; counts it when the answer is full. */
void vsm_judge_add(VsmJudgement *judgement, VsmFinding *finding);
VsmFinding *vsm_judge_finding(const char *kind, guint8 scope_class);

/* A number as findings hold it: big-endian; transfer full. */
GBytes *vsm_judge_number(guint64 value, guint bytes);

/* judge-pages.c: mappings and digests. */
bool vsm_judge_pages(VsmJudgement *judgement, GError **error);

/* judge-cpu.c: registers, descriptor tables, roots, facts. */
void vsm_judge_registers(VsmJudgement *judgement);
void vsm_judge_tables(VsmJudgement *judgement);
void vsm_judge_root(VsmJudgement *judgement);
void vsm_judge_truncated(VsmJudgement *judgement);
void vsm_judge_facts(VsmJudgement *judgement);

/* judge-sites.c: jump labels. */
void vsm_judge_sites(VsmJudgement *judgement);
