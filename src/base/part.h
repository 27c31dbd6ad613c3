/*
 * Names of a snapshot's parts, in messages and as files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/attester.h>

#define VSM_PARTS (VSM_PART_SKELETON + 1) /* size of arrays indexed by part */

/* "manifest", "leaves" ...; NULL: no such part. */
const char *vsm_part_name(guint part);
