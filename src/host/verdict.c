/*
 * Sealed and measured documents in, verdict out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/verdict.h"
#include <string.h>
#include <vsm/runtime.h>
#include "base/limits.h"
#include "core/compare.h"
#include "core/metadata.h"
#include "crypto/hash.h"

/* Bytes of an old or new value, as VsmFinding promises. */
#define FINDING_VALUE_MAX 16

static void free_finding(gpointer finding)
{
    vsm_finding_free(finding);
}

static GPtrArray *new_findings(void)
{
    return g_ptr_array_new_with_free_func(free_finding);
}

/* The word for @kind that lives for ever; NULL: none of ours. */
static const char *known_kind(const char *kind)
{
    static const char *const kinds[] = {"ram", "body", "skeleton"};

    for (guint i = 0; kind && i < G_N_ELEMENTS(kinds); i++) {
        if (!strcmp(kind, kinds[i])) {
            return kinds[i];
        }
    }
    return NULL;
}

static void add(VsmVerdict *verdict, const VsmFinding *from, const char *kind)
{
    VsmFinding *copy;

    if (verdict->findings->len >= VSM_FINDINGS_MAX) {
        verdict->findings_left_out++;
        return;
    }
    copy = g_memdup2(from, sizeof(*from));
    copy->kind = kind;
    copy->where = g_strdup(from->where);
    copy->sealed = copy->measured = NULL; /* no guest bytes in full scope */
    g_ptr_array_add(verdict->findings, copy);
}

/* Ranges that the measurer found: finer than a block's or part's root. */
static bool
add_changed(VsmVerdict *verdict, const VsmMeasured *measured, GError **error)
{
    guint n = measured->changed ? measured->changed->len : 0;

    if (n > VSM_FINDINGS_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "%u changed ranges in one answer; %u at most", n,
                    VSM_FINDINGS_MAX);
        return false;
    }
    for (guint i = 0; i < n; i++) {
        const VsmFinding *finding = measured->changed->pdata[i];
        const char *kind = known_kind(finding->kind);

        if (!kind || !finding->where) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "a changed range of no known kind");
            return false;
        }
        add(verdict, finding, kind);
    }
    verdict->findings_left_out += measured->changed_left_out;
    return true;
}

/* Whether ranges of the measurer say in detail what @coarse says. */
static bool is_refined(const VsmVerdict *verdict,
                       guint n_ranges,
                       const VsmFinding *coarse,
                       bool by_where)
{
    for (guint i = 0; i < n_ranges; i++) {
        const VsmFinding *range = verdict->findings->pdata[i];

        if (!strcmp(range->kind, coarse->kind) &&
            (!by_where || !g_strcmp0(range->where, coarse->where))) {
            return true;
        }
    }
    return false;
}

static bool add_compared(VsmVerdict *verdict,
                         const VsmComparison *compared,
                         const VsmMeasured *measured,
                         bool by_where,
                         GError **error)
{
    guint n_ranges;

    if (!add_changed(verdict, measured, error)) {
        return false;
    }
    n_ranges = verdict->findings->len;
    for (guint i = 0; i < compared->findings->len; i++) {
        const VsmFinding *coarse = compared->findings->pdata[i];

        if (!is_refined(verdict, n_ranges, coarse, by_where)) {
            add(verdict, coarse, coarse->kind);
        }
    }
    verdict->findings_left_out += compared->left_out;
    return true;
}

static void
conclude(VsmVerdict *verdict, const VsmComparison *compared, bool digest_equal)
{
    bool clean = compared->equal && verdict->findings->len == 0 &&
                 verdict->findings_left_out == 0;
    /* Equal documents need no accepted form, others need at least one. */
    bool explained = digest_equal == (compared->accepted->len == 0);

    verdict->result =
        clean && explained ? VSM_RESULT_MATCH : VSM_RESULT_MISMATCH;
    if (verdict->result == VSM_RESULT_MISMATCH && verdict->findings->len == 0) {
        VsmFinding whole = {.kind = "geometry", .where = (char *)"document"};

        add(verdict, &whole, whole.kind);
    }
}

static VsmComparison *compare(const VsmSealedState *sealed,
                              GBytes *document,
                              GPtrArray *accepted,
                              GError **error)
{
    g_autoptr(VsmManifest) before = NULL;
    g_autoptr(VsmManifest) now = NULL;
    VsmDocument stored_before, stored_now;

    if (sealed->purpose == VSM_PURPOSE_STORED) {
        return vsm_document_decode(sealed->document, &stored_before, error) &&
                       vsm_document_decode(document, &stored_now, error)
                   ? vsm_compare_documents(&stored_before, &stored_now)
                   : NULL;
    }
    before = vsm_manifest_decode(sealed->manifest, error);
    now = before ? vsm_manifest_decode(document, error) : NULL;
    return now ? vsm_compare_manifests(before, now, accepted) : NULL;
}

/* Whether the seal digest with the measured document in its place is equal. */
static bool is_sealed(const VsmSealedState *sealed,
                      const VsmDigest *measured,
                      bool *ret,
                      GError **error)
{
    bool stored = sealed->purpose == VSM_PURPOSE_STORED;
    VsmDigest seal;

    if (!vsm_seal_digest(stored ? &sealed->state : measured,
                         stored ? measured : &sealed->stream, &sealed->scope,
                         &seal, error)) {
        return false;
    }
    *ret = vsm_digest_equal(&seal, &sealed->seal);
    return true;
}

static bool
unavailable(VsmVerdict *verdict, const char *reason, VsmVerdict **ret)
{
    verdict->result = VSM_RESULT_UNAVAILABLE;
    verdict->reason = g_strdup(reason);
    *ret = verdict;
    return true;
}

static bool value_fits(GBytes *value)
{
    return !value || g_bytes_get_size(value) <= FINDING_VALUE_MAX;
}

/* Whether @part says more about a place that @whole names. */
static bool explains(const VsmFinding *part, const VsmFinding *whole)
{
    guint64 from = part->offset - whole->offset;

    return vsm_scope_kind_intern(part->kind ? part->kind : "") &&
           !g_strcmp0(part->where, whole->where) && part->bytes > 0 &&
           part->offset >= whole->offset && from < whole->bytes &&
           part->bytes <= whole->bytes - from && part->vcpu == whole->vcpu &&
           value_fits(part->sealed) && value_fits(part->measured);
}

static void take(VsmVerdict *verdict, const VsmFinding *from, const char *kind)
{
    guint before = verdict->findings->len;
    VsmFinding *copy;

    add(verdict, from, kind);
    if (verdict->findings->len > before) {
        copy = verdict->findings->pdata[before];
        copy->sealed = from->sealed ? g_bytes_ref(from->sealed) : NULL;
        copy->measured = from->measured ? g_bytes_ref(from->measured) : NULL;
    }
}

/*
 * What the measurer knows of the bytes inside pages that differ.  That they
 * differ was judged here; only place, kind and values are its word.
 */
static void refine(VsmVerdict *verdict, const VsmMeasured *measured)
{
    g_autoptr(GPtrArray) judged = g_steal_pointer(&verdict->findings);
    guint n = measured->changed ? measured->changed->len : 0;

    verdict->findings = new_findings();
    verdict->findings_left_out += measured->changed_left_out;
    for (guint i = 0; i < judged->len; i++) {
        const VsmFinding *whole = judged->pdata[i];
        bool explained = false;

        for (guint j = 0; j < MIN(n, VSM_FINDINGS_MAX); j++) {
            const VsmFinding *part = measured->changed->pdata[j];

            if (explains(part, whole)) {
                take(verdict, part, vsm_scope_kind_intern(part->kind));
                explained = true;
            }
        }
        if (!explained) {
            take(verdict, whole, whole->kind);
        }
    }
}

/* What a running guest may not change, judged by the rules of its profile. */
static bool build_runtime(const VsmSealedState *sealed,
                          GBytes *document,
                          const VsmMeasured *measured,
                          VsmVerdict **ret,
                          GError **error)
{
    g_autoptr(VsmVerdict) verdict = NULL;

    if (!vsm_scope_judge(sealed->runtime, document, sealed->profile, &verdict,
                         error)) {
        return false;
    }
    verdict->unsealed = sealed->unsealed;
    refine(verdict, measured);
    *ret = g_steal_pointer(&verdict);
    return true;
}

static bool is_runtime(VsmPurpose purpose)
{
    return purpose == VSM_PURPOSE_RUNTIME || purpose == VSM_PURPOSE_WATCH;
}

bool vsm_verdict_build(const VsmSealedState *sealed,
                       GBytes *document,
                       const VsmMeasured *measured,
                       VsmVerdict **ret,
                       GError **error)
{
    g_autoptr(VsmVerdict) verdict = g_new0(VsmVerdict, 1);
    g_autoptr(VsmComparison) compared = NULL;
    bool equal;

    verdict->findings = new_findings();
    verdict->host_clock = g_ptr_array_new_with_free_func(g_free);
    verdict->accepted = g_ptr_array_new_with_free_func(g_free);
    verdict->unsealed = sealed->unsealed;
    if (is_runtime(sealed->purpose) && !sealed->runtime) {
        g_autofree char *why =
            g_strdup_printf("the snapshot has no runtime scope: %s",
                            sealed->no_runtime ? sealed->no_runtime : "?");

        return unavailable(g_steal_pointer(&verdict), why, ret);
    }
    if (measured->unavailable) {
        return unavailable(g_steal_pointer(&verdict), measured->unavailable,
                           ret);
    }
    if (is_runtime(sealed->purpose)) {
        return build_runtime(sealed, document, measured, ret, error);
    }
    compared = compare(sealed, document, measured->accepted, error);
    if (!compared || !vsm_sha384_bytes(document, &verdict->measured, error) ||
        !is_sealed(sealed, &verdict->measured, &equal, error) ||
        !add_compared(verdict, compared, measured,
                      sealed->purpose != VSM_PURPOSE_STORED, error)) {
        return false;
    }
    g_ptr_array_unref(verdict->host_clock);
    verdict->host_clock = g_ptr_array_ref(compared->masked);
    g_ptr_array_unref(verdict->accepted);
    verdict->accepted = g_ptr_array_ref(compared->accepted);
    conclude(verdict, compared, equal);
    *ret = g_steal_pointer(&verdict);
    return true;
}
