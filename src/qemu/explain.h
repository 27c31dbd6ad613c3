/*
 * What differs inside pages of the runtime scope
 *
 * The scope holds digests of pages.  Their old bytes are in the snapshot: a
 * page of the stored stream, proved by its leaf.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_EXPLAIN_H
#define VSM_EXPLAIN_H

#include "guest.h"
#include "object.h"

/**
 * vsm_pages_keep:
 *
 * Copies of the pages that @verdict finds changed without saying how, while
 * the VM is stopped; at most a MiB.  Returns: (transfer full): by address
 */
GHashTable *vsm_pages_keep(const VsmGuestView *view, const VsmVerdict *verdict);

/**
 * vsm_explain:
 * @pages: of the very stop that @verdict is on
 * @check: of the runtime scope, which gets to know what differs
 *
 * Does what it can: a page that cannot be read, or proved, stays unexplained.
 * The VM may run.
 */
void coroutine_fn vsm_explain(VsmManager *m,
                              VsmCheck *check,
                              GHashTable *pages,
                              const VsmVerdict *verdict);

#endif /* VSM_EXPLAIN_H */
