/*
 * Forms that sections take right after a verified load, kept in this process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/snapshot.h>
#include "core/manifest.h"

/* For the snapshot @id. */
VsmAccepted *vsm_accepted_new(const char *id);
const char *vsm_accepted_id(const VsmAccepted *accepted);

/* Remembers @payload's form if the table names @section, else does nothing. */
bool vsm_accepted_add(VsmAccepted *accepted,
                      const VsmSection *section,
                      GBytes *payload,
                      GError **error);

/* Takes over what @from knows of the same snapshot. */
void vsm_accepted_merge(VsmAccepted *accepted, const VsmAccepted *from);

/*
 * Of char* ("idstr/instance"): sections of @measured that differ from @sealed
 * and have a remembered form; transfer full.
 */
GPtrArray *vsm_accepted_needed(const VsmAccepted *accepted,
                               const VsmManifest *sealed,
                               const VsmManifest *measured);
