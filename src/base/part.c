/*
 * Names of a snapshot's parts, in messages and as files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/part.h"

const char *vsm_part_name(guint part)
{
    static const char *const names[VSM_PARTS] = {
        [VSM_PART_MANIFEST] = "manifest", [VSM_PART_STREAM] = "stream",
        [VSM_PART_MAP] = "map",           [VSM_PART_LEAVES] = "leaves",
        [VSM_PART_SCOPE] = "scope",       [VSM_PART_SKELETON] = "skeleton",
    };

    return part < VSM_PARTS ? names[part] : NULL;
}
