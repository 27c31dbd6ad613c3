/*
 * Two scope documents and a profile in, findings out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "runtime/judge.h"

#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "crypto/hash.h"

void vsm_judge_add(VsmJudgement *judgement, VsmFinding *finding)
{
    VsmVerdict *verdict = judgement->verdict;

    if (verdict->findings->len < VSM_FINDINGS_MAX) {
        g_ptr_array_add(verdict->findings, finding);
    } else {
        verdict->findings_left_out++;
        vsm_finding_free(finding);
    }
}

VsmFinding *vsm_judge_finding(const char *kind, guint8 scope_class)
{
    VsmFinding *finding = g_new0(VsmFinding, 1);

    finding->kind = kind;
    finding->where = g_strdup(vsm_scope_class_name(scope_class));
    return finding;
}

GBytes *vsm_judge_number(guint64 value, guint bytes)
{
    guint64 big = GUINT64_TO_BE(value);

    return g_bytes_new((const guint8 *)&big + (8 - bytes), bytes);
}

static VsmVerdict *verdict_new(void)
{
    VsmVerdict *verdict = g_new0(VsmVerdict, 1);

    verdict->findings =
        g_ptr_array_new_with_free_func((GDestroyNotify)vsm_finding_free);
    verdict->host_clock = g_ptr_array_new_with_free_func(g_free);
    verdict->accepted = g_ptr_array_new_with_free_func(g_free);
    verdict->tolerated = g_ptr_array_new_with_free_func(g_free);
    verdict->unattested = g_ptr_array_new_with_free_func(g_free);
    return verdict;
}

static bool judge(VsmJudgement *judgement, GError **error)
{
    VsmVerdict *verdict = judgement->verdict;

    vsm_judge_truncated(judgement);
    vsm_judge_registers(judgement);
    vsm_judge_tables(judgement);
    vsm_judge_root(judgement);
    vsm_judge_facts(judgement);
    vsm_judge_sites(judgement);
    if (!vsm_judge_pages(judgement, error)) {
        return false;
    }
    verdict->result = verdict->findings->len || verdict->findings_left_out
                          ? VSM_RESULT_MISMATCH
                          : VSM_RESULT_MATCH;
    return true;
}

bool vsm_scope_judge(GBytes *sealed,
                     GBytes *measured,
                     const char *profile,
                     VsmVerdict **ret,
                     GError **error)
{
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(VsmScope) before = NULL;
    g_autoptr(VsmScope) now = NULL;
    VsmJudgement judgement = {0};

    if (!vsm_scope_profile_check(profile, error)) {
        return false;
    }
    before = vsm_scope_decode(sealed, error);
    now = before ? vsm_scope_decode(measured, error) : NULL;
    if (!now) {
        return false;
    }
    verdict = verdict_new();
    judgement.sealed = before;
    judgement.measured = now;
    judgement.strict = profile && strcmp(profile, VSM_PROFILE_STRICT) == 0;
    judgement.verdict = verdict;
    if (!vsm_sha384_bytes(measured, &verdict->measured, error) ||
        !judge(&judgement, error)) {
        return false;
    }
    *ret = g_steal_pointer(&verdict);
    return true;
}
