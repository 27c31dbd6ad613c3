/*
 * Two documents of one kind in, differences out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/document.h"
#include "core/manifest.h"

typedef struct {
    GPtrArray *findings; /* of VsmFinding, at most VSM_FINDINGS_MAX */
    guint64 left_out;
    GPtrArray *accepted; /* of char*: accepted forms that were needed */
    GPtrArray *masked; /* of char*: vsm_mask_text() */
    bool equal; /* no finding, and nothing left out */
} VsmComparison;

/**
 * vsm_compare_manifests:
 * @accepted: (nullable): of char*: sections ("idstr/instance") that the
 *            measurer accepts; each counts only if the table names it
 *
 * A RAM block whose root differs is one finding; the ranges come from the
 * measurer.  "equal" may differ from equality of the two documents' digests
 * only through @accepted: the caller checks that too.
 */
VsmComparison *vsm_compare_manifests(const VsmManifest *sealed,
                                     const VsmManifest *measured,
                                     GPtrArray *accepted);

VsmComparison *vsm_compare_documents(const VsmDocument *sealed,
                                     const VsmDocument *measured);
void vsm_comparison_free(VsmComparison *comparison);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmComparison, vsm_comparison_free)
