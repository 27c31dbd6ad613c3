/*
 * The one table of section bytes that are not compared, each with its reason,
 * and of sections whose form right after a load may be accepted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/state.h>

/*
 * Of the table below; a manifest says under which it was made.  A row is never
 * changed: it ends with one version, and its successor begins with the next, so
 * that older snapshots stay what they were sealed as.
 */
#define VSM_MASKS_VERSION 1

/**
 * vsm_masks_derive:
 * @version: of the table, 1 to VSM_MASKS_VERSION
 * @payload: what the section saves
 *
 * The masks that the table gives for this section: ascending, disjoint, inside
 * @payload; an empty array for nearly all.
 *
 * Returns: (transfer full): of VsmMask; free with g_array_unref()
 */
GArray *vsm_masks_derive(guint16 version,
                         const VsmSection *section,
                         const guint8 *payload,
                         gsize bytes);

/* POLICY for a version that this table does not have. */
bool vsm_masks_check_version(guint16 version, GError **error);

/**
 * vsm_masks_check:
 * @version: known
 * @bytes: length of the section's payload
 *
 * Whether the table allows exactly these masks, as far as can be told without
 * the payload.  POLICY with the section's name otherwise.
 */
bool vsm_masks_check(guint16 version,
                     const VsmSection *section,
                     guint64 bytes,
                     const VsmMask *masks,
                     guint n_masks,
                     GError **error);

/**
 * vsm_mask_text:
 *
 * Returns: (transfer full): "IDSTR/INSTANCE vVERSION +OFFSET:BYTES REASON", the
 * form in which a mask is a claim of a report
 */
char *vsm_mask_text(const VsmSection *section, const VsmMask *mask);

/* Whether the table names the mask of this text; untrusted text, NULL: false.
 */
bool vsm_masks_names_field(const char *text);

/* Whether the form right after a load may be accepted for this section. */
bool vsm_masks_may_accept(const VsmSection *section);

/* The same for "IDSTR/INSTANCE" as in a claim; untrusted text, NULL: false. */
bool vsm_masks_names_accepted(const char *text);

/* Returns: (transfer full): "IDSTR/INSTANCE", as findings name sections */
char *vsm_section_name(const char *idstr, guint32 instance);

/* "host-clock", "run-state", "external"; static. */
const char *vsm_mask_reason_name(guint8 reason);
