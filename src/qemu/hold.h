/*
 * Holding the VM still while it is measured
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_HOLD_H
#define VSM_HOLD_H

#include "qapi/qapi-types-run-state.h"
#include "object.h"

/* Zeroed but for @m before vsm_hold_take().  Main thread, under the BQL.  */
typedef struct VsmHold {
    VsmManager *m;
    RunState state; /* to go back to */
    Error *blocker; /* of migrations; set while held */
    bool held;
    bool was_reset;
    bool stop_asked; /* by a device meanwhile, for @asked */
    RunState asked;
    bool counted; /* the pause is over, the VM may stay stopped all the same */
    int64_t stopped_ms;
    unsigned pause_ms; /* of a VM that ran; known once it runs on */
} VsmHold;

/**
 * vsm_hold_take:
 *
 * Stops the VM and keeps it from being resumed, reset unnoticed or migrated.
 * BUSY while it is being migrated, or when the time for which measurements may
 * pause it is used up.
 */
bool vsm_hold_take(VsmHold *hold, Error **errp);

/* Whether the VM ran before, so that holding it costs the guest time.  */
bool vsm_hold_was_running(const VsmHold *hold);

/*
 * For @ms the VM runs, and is held again.  Its pause goes on to be counted
 * without that time.  Waits in a coroutine.
 */
void coroutine_fn vsm_hold_let_run(VsmHold *hold, unsigned ms);

/* The measurement is over: what follows is no longer its pause.  */
void vsm_hold_measured(VsmHold *hold);

/* Lets go of the VM; if it ran before and @resume, it runs on.  */
void vsm_hold_release(VsmHold *hold, bool resume);

#endif /* VSM_HOLD_H */
