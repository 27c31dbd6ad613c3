/*
 * Secret bytes: not swapped, not dumped, wiped when freed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct _VsmSecret VsmSecret;

/* @bytes: 1 to 4096; zeroed.  CRYPTO when memory cannot be had. */
VsmSecret *vsm_secret_new(gsize bytes, GError **error);
VsmSecret *vsm_secret_new_copy(const void *data, gsize bytes, GError **error);
VsmSecret *vsm_secret_new_random(gsize bytes, GError **error);

guint8 *vsm_secret_data(VsmSecret *secret); /* borrowed, writable */
const guint8 *vsm_secret_peek(const VsmSecret *secret); /* borrowed */
gsize vsm_secret_bytes(const VsmSecret *secret);
void vsm_secret_free(VsmSecret *secret); /* wipes; NULL allowed */

/* Wipes memory that the compiler may not skip. */
void vsm_wipe(void *data, gsize bytes);

/* From the system's generator; CRYPTO on failure. */
bool vsm_random(void *data, gsize bytes, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmSecret, vsm_secret_free)
