/*
 * Pass 2 of a load: the bytes that are parsed are those that were verified.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/stream.h>

/* For a stream of this length: LIMIT, CRYPTO. */
VsmRecheck *vsm_recheck_new(guint64 stream_bytes, GError **error);
void vsm_recheck_free(VsmRecheck *recheck); /* wipes key and tags */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmRecheck, vsm_recheck_free)
