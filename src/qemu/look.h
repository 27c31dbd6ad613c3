/*
 * Measuring the runtime scope
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_LOOK_H
#define VSM_LOOK_H

#include "hold.h"
#include "object.h"
#include <vsm/runtime.h>

/* One look at the stopped VM, judged here already.  */
typedef struct VsmLook {
    GBytes *measured; /* NULL: @reason */
    char *reason; /* why nothing could be measured */
    VsmVerdict *verdict; /* against the sealed scope; NULL without one */
    GHashTable *pages; /* copies of those that differ; see explain.h */
    uint64_t hashed; /* bytes */
} VsmLook;

void vsm_look_clear(VsmLook *look);

/**
 * vsm_look:
 * @sealed: scope to compare with; NULL: none, nothing is judged
 * @profile: for the judgement
 *
 * Blocks; the VM is stopped.  Main thread.  Errors are those of hashing, not
 * of a guest that is not ready.
 */
bool vsm_look(VsmManager *m,
              GBytes *sealed,
              const char *profile,
              VsmLook *ret,
              Error **errp);

/*
 * Whether a kernel is just patching code that it may patch, and nothing else
 * is wrong: worth another look in VSM_SCOPE_RETRY_MS.
 */
bool vsm_look_patching(const VsmLook *look);

/**
 * vsm_runtime_measure:
 * @hold: taken by it, and left so
 *
 * Looks at the VM, again while only patches are in flight.
 */
bool coroutine_fn vsm_runtime_measure(VsmHold *hold,
                                      GBytes *sealed,
                                      const char *profile,
                                      VsmLook *ret,
                                      Error **errp);

#endif /* VSM_LOOK_H */
