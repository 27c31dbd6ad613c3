/*
 * Whole documents over the attester's border, in messages of bounded length.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/attester.h>
#include "core/stored.h"

/* Puts all of @bytes from offset 0. */
bool vsm_parts_put(VsmAttester *attester,
                   VsmPart part,
                   GBytes *bytes,
                   GCancellable *cancel,
                   GError **error);

/* Fetches all of a small part; LIMIT when it is longer than @max_bytes. */
bool vsm_parts_get(VsmAttester *attester,
                   VsmPart part,
                   gsize max_bytes,
                   GBytes **ret,
                   GCancellable *cancel,
                   GError **error);

/* Fetches a bulk part into @stored; TAMPERED when its length is another. */
bool vsm_parts_fill(VsmAttester *attester,
                    VsmPart part,
                    VsmStored *stored,
                    GCancellable *cancel,
                    GError **error);
