/*
 * Hashing threads from the inside: groups of tasks, bounded and joined.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "crypto/hash.h"
#include <stdbool.h>
#include <vsm/pool.h>

/*
 * Runs on a pool thread, with that thread's hasher.  false with @error set
 * fails the group; the data belongs to the task, which frees it.
 */
typedef bool (*VsmTaskFunc)(gpointer data, VsmHasher *hasher, GError **error);

/* Tasks that one owner waits for together. */
typedef struct _VsmGroup VsmGroup;

/* @max_in_flight: tasks pushed and not done, then vsm_group_push() blocks. */
VsmGroup *vsm_group_new(VsmPool *pool, guint max_in_flight);

/* Blocks while the group is full; owner thread only. */
void vsm_group_push(VsmGroup *group, VsmTaskFunc func, gpointer data);

/* Waits for all tasks; the first error of a task since the last wait. */
bool vsm_group_wait(VsmGroup *group, GError **error);

/* Tasks that were not begun see it and should do no work; any thread. */
void vsm_group_cancel(VsmGroup *group);
bool vsm_group_is_cancelled(VsmGroup *group);

void vsm_group_free(VsmGroup *group); /* waits */

/* Tasks of about a MiB that one group may have in flight. */
guint vsm_pool_in_flight(VsmPool *pool);
VsmHashBackend vsm_pool_backend(VsmPool *pool); /* OPENSSL or IPSEC_MB */
void vsm_pool_count_hashed(VsmPool *pool, guint64 bytes); /* any thread */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmGroup, vsm_group_free)
